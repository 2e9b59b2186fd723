//! The end of the application's output.

use bellwether_core::snapshot::ModuleView;

use crate::console::Handle;

/// The end of the output of one command.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) command: String,
    /// The latest line last.
    pub(super) text: String,
}

/// For every command of the module with any output; the most recently written one first.
pub(super) async fn logs(daemon: &Handle, module: &ModuleView) -> Vec<Log> {
    let logs = daemon.log(module.name.clone()).await;
    logs.into_iter().map(|log| Log { command: log.command, text: log.lines.join("\n") }).collect()
}
