//! The operator's files with their present content.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bellwether_config::effective::Effective;
use bellwether_config::mistake::Mistake;
use bellwether_config::spec::ModuleSpec;
use bellwether_config::{MODULES_FOLDER, Mistakes, NODE_FILE, RootReport, Sourced};

/// All files: `GET /api/v1/configuration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigurationAnswer {
    /// `bellwether.toml` first, then the modules' by name.
    pub files: Vec<FileStatus>,
}

/// One file of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileStatus {
    /// Relative to the root.
    pub file: String,
    /// The module, if it is the file of one.
    pub module: Option<String>,
    /// Whether it is valid. An invalid file is not active; the last valid version is, if there was one.
    pub right: bool,
    /// The effective values, if it is valid. Environment variables are listed without their values.
    pub values: Vec<Effective>,
    /// The errors in the file.
    pub mistakes: Vec<Mistake>,
}

impl ConfigurationAnswer {
    /// In the form of the API.
    pub fn new(report: &RootReport) -> Self {
        let modules = report.modules.iter().map(|(file, module)| FileStatus::of_module(file, module));
        Self { files: std::iter::once(FileStatus::of_node(report)).chain(modules).collect() }
    }
}

impl FileStatus {
    /// The file of that path, if there is one.
    pub fn find(report: &RootReport, path: &str) -> Option<Self> {
        if path == NODE_FILE {
            return Some(Self::of_node(report));
        }
        let of_that_path = |(file, _): &&(String, _)| module_path(file) == path;
        report.modules.iter().find(of_that_path).map(|(file, module)| Self::of_module(file, module))
    }

    /// The entry of `bellwether.toml`.
    pub fn of_node(report: &RootReport) -> Self {
        match &report.node {
            Ok(node) => Self::right(NODE_FILE.to_owned(), None, node.effective()),
            Err(mistakes) => Self::wrong(NODE_FILE.to_owned(), None, mistakes),
        }
    }

    /// The entry of a module's file, by its name in the folder.
    pub fn of_module(file: &str, module: &Result<Sourced<ModuleSpec>, Mistakes>) -> Self {
        let name = module_name(file);
        let path = module_path(file);
        match module {
            Ok(module) => Self::right(path, name, module.effective()),
            Err(mistakes) => Self::wrong(path, name, mistakes),
        }
    }

    fn right(file: String, module: Option<String>, values: Vec<Effective>) -> Self {
        let shown = |value: Effective| {
            if value.key.rsplit('.').next() == Some("env") {
                Effective { value: "(not shown)".to_owned(), ..value }
            } else {
                value
            }
        };
        Self {
            file,
            module,
            right: true,
            values: values.into_iter().map(shown).collect(),
            mistakes: Vec::new(),
        }
    }

    fn wrong(file: String, module: Option<String>, mistakes: &Mistakes) -> Self {
        Self { file, module, right: false, values: Vec::new(), mistakes: mistakes.iter().cloned().collect() }
    }
}

/// Relative to the root.
pub fn module_path(file: &str) -> String {
    format!("{MODULES_FOLDER}/{file}")
}

/// The module that the file describes.
pub fn module_name(file: &str) -> Option<String> {
    file.strip_suffix(".toml").map(str::to_owned)
}
