//! The operator's files, as they are now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::effective::Effective;
use crate::config::mistake::Mistake;
use crate::config::{Mistakes, RootReport};

/// All files: `GET /api/v1/configuration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigurationAnswer {
    /// `bellwether.toml` first, then the modules' by name.
    pub files: Vec<FileStatus>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileStatus {
    /// Relative to the root.
    pub file: String,
    /// Which module it is, if it is one.
    pub module: Option<String>,
    /// Whether it is right. What is wrong is not in force; the last good version is, if there was one.
    pub right: bool,
    /// What it comes to, if it is right. Environment variables are named and their values are not shown.
    pub values: Vec<Effective>,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

impl ConfigurationAnswer {
    /// As they were read.
    pub fn new(report: &RootReport) -> Self {
        let node = match &report.node {
            Ok(node) => FileStatus::right("bellwether.toml".to_owned(), None, node.effective()),
            Err(mistakes) => FileStatus::wrong("bellwether.toml".to_owned(), None, mistakes),
        };
        let modules = report.modules.iter().map(|(file, module)| {
            let name = file.strip_suffix(".toml").map(str::to_owned);
            let file = format!("modules/{file}");
            match module {
                Ok(module) => FileStatus::right(file, name, module.effective()),
                Err(mistakes) => FileStatus::wrong(file, name, mistakes),
            }
        });
        Self { files: std::iter::once(node).chain(modules).collect() }
    }
}

impl FileStatus {
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
