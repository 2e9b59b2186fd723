//! `bellwether:guest/commands`: commands that the module declares and the grant names.

use std::time::Duration;

use bellwether_core::grant::Grant;

use super::{error, refused};
use crate::bindings::commands::{Host, Outcome};
use crate::bindings::errors::Error;
use crate::facilities::{CommandEnd, CommandError, CommandOrder};
use crate::store::Run;

/// The maximum size of a command's input, in bytes.
const MAX_STDIN: usize = 64 << 10;

impl Host for Run {
    async fn run(
        &mut self,
        name: String,
        arguments: Vec<String>,
        stdin: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<Outcome, Error>> {
        let name = match self.grants.may_run(&name) {
            Ok(name) => {
                self.output.has_used(Grant::Command(name));
                name.clone()
            }
            Err(refusal) => return Ok(Err(refused(self, refusal))),
        };
        if stdin.as_ref().is_some_and(|bytes| bytes.len() > MAX_STDIN) {
            let text = format!("command `{name}` is given more than {MAX_STDIN} bytes to read");
            return Ok(Err(error("stdin-too-large", &text)));
        }
        let within = self.time_left();
        if within.is_zero() {
            let overdue = CommandError::Overdue { command: name, within: Duration::ZERO };
            return Ok(Err(overdue.into()));
        }
        let order = CommandOrder { name, arguments, stdin, within };
        Ok(self.facilities.run_command(order).await.map(Outcome::from).map_err(Error::from))
    }
}

impl From<CommandEnd> for Outcome {
    fn from(end: CommandEnd) -> Self {
        Self {
            exit: end.exit,
            stdout: end.stdout,
            stderr: end.stderr,
            truncated: end.truncated,
            took_ms: u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX),
            attributes: end
                .signal
                .map(|signal| ("signal".to_owned(), signal.to_string()))
                .into_iter()
                .collect(),
        }
    }
}

impl From<CommandError> for Error {
    fn from(why: CommandError) -> Self {
        let code = match why {
            CommandError::Arguments(..) => "arguments-refused",
            CommandError::CannotStart(_) => "cannot-start",
            CommandError::Overdue { .. } => "timeout",
        };
        error(code, &why.to_string())
    }
}
