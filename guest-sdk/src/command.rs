//! Commands that the module declares, run by the host.

use std::borrow::Cow;
use std::time::Duration;

use crate::granted::HostError;
use crate::host::Host;

/// A declared command before it is run: [`Run::command`](crate::Run::command) makes one.
///
/// ```
/// use bellwether_guest::prelude::*;
///
/// fn replication_lag(run: &Run) -> Result<f64, Observation> {
///     let probe = run.command("probe").argument("--lag").run()?;
///     if !probe.success() {
///         return Err(Observation::fail(format!("the probe failed: {}", probe.stderr_text())));
///     }
///     probe.stdout_text().parse().map_err(|_| Observation::unknown("the probe gave no number"))
/// }
///
/// let run = Run::for_test().with_command("probe", CommandOutput::exited(0).with_stdout("1.5\n"));
/// assert_eq!(replication_lag(&run), Ok(1.5));
/// assert_eq!(run.commands_run()[0].arguments, ["--lag"]);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a command does nothing until it is run"]
pub struct Command<'a> {
    host: &'a Host,
    order: CommandOrder,
}

/// The request of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandOrder {
    /// Its name in `[commands]`.
    pub name: String,
    /// Arguments that are added after the declared ones.
    pub arguments: Vec<String>,
    /// The bytes for its standard input.
    pub stdin: Option<Vec<u8>>,
}

/// The result of a command, successful or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandOutput {
    /// Its exit code. None if a signal ended it.
    pub exit: Option<i32>,
    /// The signal that ended it, if one did (signal(7)).
    pub signal: Option<i32>,
    /// The first 64 KiB of what it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// The first 64 KiB of what it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// Whether it wrote more than that.
    pub truncated: bool,
    /// The duration of the run.
    pub took: Duration,
}

impl<'a> Command<'a> {
    pub(crate) fn new(host: &'a Host, name: &str) -> Self {
        Self { host, order: CommandOrder { name: name.to_owned(), ..CommandOrder::default() } }
    }

    /// Adds an argument after the declared ones, if the declaration allows it.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.order.arguments.push(argument.into());
        self
    }

    /// Sets its standard input, at most 64 KiB.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.order.stdin = Some(bytes.into());
        self
    }

    /// Runs it and waits for it to exit. An exit code other than 0 is not an
    /// error here: use [`success`](CommandOutput::success).
    pub fn run(self) -> Result<CommandOutput, HostError> {
        self.host.run_command(self.order)
    }
}

impl CommandOutput {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.exit == Some(0)
    }

    /// Its standard output as text, without surrounding whitespace.
    pub fn stdout_text(&self) -> Cow<'_, str> {
        text(&self.stdout)
    }

    /// Its standard error as text, without surrounding whitespace.
    pub fn stderr_text(&self) -> Cow<'_, str> {
        text(&self.stderr)
    }

    /// A command that exited with this code, for a test.
    pub fn exited(code: i32) -> Self {
        Self { exit: Some(code), ..Self::default() }
    }

    /// Sets its standard output.
    #[must_use]
    pub fn with_stdout(self, text: impl Into<Vec<u8>>) -> Self {
        Self { stdout: text.into(), ..self }
    }

    /// Sets its standard error.
    #[must_use]
    pub fn with_stderr(self, text: impl Into<Vec<u8>>) -> Self {
        Self { stderr: text.into(), ..self }
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => text.trim().into(),
        Cow::Owned(text) => text.trim().to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Run;

    #[test]
    fn a_command_that_the_test_does_not_offer_is_not_granted() {
        let error = Run::for_test().command("probe").run().unwrap_err();
        assert!(error.is_not_granted());
        assert!(error.message.contains("commands = [\"probe\"]"), "{error}");
    }

    #[test]
    fn what_was_asked_of_a_command_can_be_looked_at() {
        let offered = CommandOutput::exited(2).with_stderr(" no\n");
        let run = Run::for_test().with_command("probe", offered.clone());
        let output = run.command("probe").argument("-v").stdin("x").run().unwrap();
        assert_eq!(output, offered);
        assert!(!output.success());
        assert_eq!((output.stdout_text().as_ref(), output.stderr_text().as_ref()), ("", "no"));
        let order =
            CommandOrder { name: "probe".into(), arguments: vec!["-v".into()], stdin: Some(b"x".to_vec()) };
        assert_eq!(run.commands_run(), [order]);
    }
}
