//! The mark in the environment of a kept process: its root, module and command.

use std::path::Path;

use bellwether_core::id::{CommandName, ModuleName};

/// The variable that holds the mark.
pub const NAME: &str = "BELLWETHER_KEPT";
/// The variable of the process id, which only the process itself knows before it executes the application.
pub const PID: &str = "BELLWETHER_KEPT_PID";

/// The value of the mark: the root, the module and the command.
pub fn value(root: &Path, module: &ModuleName, command: &CommandName) -> String {
    format!("{}:{module}:{command}", digest(root))
}

pub fn digest(root: &Path) -> String {
    blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex()[..16].to_owned()
}
