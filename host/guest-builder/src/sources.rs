//! The source folders of the guests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders of the workspace with guest crates, each in a folder of its own.
const SHELVES: [&str; 4] = ["checkers", "restart-scripts", "tests/guests", "guest-sdk"];

/// The dependencies of every guest, relative to the workspace's root.
const SHARED: [&str; 5] = [
    "guest-sdk/src",
    "guest-sdk/wit",
    "guest-sdk/macros/src",
    "guest-sdk/Cargo.toml",
    "guest-sdk/macros/Cargo.toml",
];

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) folder: PathBuf,
    /// The name of its component, without `.wasm`.
    pub(crate) library: String,
}

/// Finds packages by their names, in the given order.
pub(crate) fn manifests(workspace_root: &Path, packages: &[&str]) -> Result<Vec<Manifest>> {
    let mut known = Vec::new();
    for shelf in SHELVES {
        // A folder that does not exist is empty.
        let Ok(entries) = fs::read_dir(workspace_root.join(shelf)) else { continue };
        for folder in entries.flatten().map(|entry| entry.path()) {
            if let Ok(text) = fs::read_to_string(folder.join("Cargo.toml")) {
                known.push((folder, text));
            }
        }
    }
    let find = |package: &&str| {
        known
            .iter()
            .find(|(_, text)| name_in(text, "package") == Some(*package))
            .map(|(folder, text)| Manifest {
                folder: folder.clone(),
                library: name_in(text, "lib").unwrap_or(package).replace('-', "_"),
            })
            .with_context(|| format!("there is no guest package `{package}` in {}", SHELVES.join(", ")))
    };
    packages.iter().map(find).collect()
}

/// The files whose changes require that the guests are compiled again.
pub(crate) fn watched(workspace_root: &Path, manifests: &[Manifest]) -> Vec<PathBuf> {
    let shared = SHARED.iter().map(|path| workspace_root.join(path));
    let root = ["Cargo.lock", "Cargo.toml"].iter().map(|path| workspace_root.join(path));
    let own = manifests.iter().map(|manifest| manifest.folder.clone());
    shared.chain(root).chain(own).filter(|path| path.exists()).collect()
}

/// The `name` in a table of a manifest. Manifests of guests in this workspace are simple enough to need no TOML
/// parser in a build script.
fn name_in<'a>(manifest: &'a str, table: &str) -> Option<&'a str> {
    let header = format!("[{table}]");
    let lines = manifest.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix("name")?.trim_start().strip_prefix('=')?.trim().strip_prefix('"'))
        .and_then(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"bellwether-checker-http\"\n\n[lib]\nname = \"http\"\n\n\
                            [dependencies]\nname = \"no\"\n";

    #[test]
    fn names_are_read_from_their_tables() {
        assert_eq!(name_in(MANIFEST, "package"), Some("bellwether-checker-http"));
        assert_eq!(name_in(MANIFEST, "lib"), Some("http"));
        assert_eq!(name_in(MANIFEST, "bin"), None);
    }

    #[test]
    fn the_standard_components_are_found_in_this_workspace() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let found =
            manifests(root, &["bellwether-restart-script-command", "bellwether-checker-http"]).unwrap();
        let libraries: Vec<_> = found.iter().map(|manifest| manifest.library.as_str()).collect();
        assert_eq!(libraries, ["command", "http"]);
        let watched = watched(root, &found);
        for path in ["Cargo.lock", "guest-sdk/wit", "checkers/http"] {
            assert!(watched.contains(&root.join(path)), "{path}");
        }
    }

    #[test]
    fn a_package_that_is_not_there_is_named() {
        let error = manifests(Path::new("/nowhere"), &["bellwether-checker-smtp"]).unwrap_err();
        assert!(error.to_string().contains("`bellwether-checker-smtp`"), "{error}");
    }
}
