//! What the application has written, at its end.

use bellwether_core::snapshot::ModuleView;

use crate::console::Handle;

/// The end of what one command has written.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) command: String,
    /// The latest line last.
    pub(super) text: String,
}

/// Of every command of the module that has written something; the latest written one first.
pub(super) async fn logs(daemon: &Handle, module: &ModuleView) -> Vec<Log> {
    let logs = daemon.log(module.name.clone()).await;
    logs.into_iter().map(|log| Log { command: log.command, text: log.lines.join("\n") }).collect()
}
