//! One run of a checker: its context, its time limit, and its grants.

use std::time::{Duration, Instant};

use crate::command::Command;
#[cfg(not(target_arch = "wasm32"))]
use crate::command::{CommandOrder, CommandOutput};
use crate::granted::HostError;
use crate::host::{Host, Level};
#[cfg(not(target_arch = "wasm32"))]
use crate::http::Response;
#[cfg(not(target_arch = "wasm32"))]
use crate::net::Acceptance;
use crate::ping::PingReply;
use crate::process::Process;
use crate::state::State;

/// The reserve of every time limit for returning the observation: a tenth of it, at most this.
const MOST_IN_HAND: Duration = Duration::from_millis(100);

/// One run of a checker.
#[derive(Debug)]
pub struct Run {
    pub(crate) node: String,
    pub(crate) module: String,
    pub(crate) checker: String,
    pub(crate) number: u64,
    pub(crate) time_limit: Duration,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) started: Instant,
    pub(crate) host: Host,
}

impl Run {
    /// The node this runs on.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The module this checker belongs to.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// The checker's name in the module file.
    pub fn checker(&self) -> &str {
        &self.checker
    }

    /// The number of the run of this checker, from 1. Continues across reloads.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The time limit of this run. A run that has not returned by then is ended,
    /// and the observation is unknown.
    pub fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// How long this run may wait for its resource: the time limit without the
    /// reserve for returning the observation (a tenth, at most 100 ms).
    pub fn working_time(&self) -> Duration {
        self.time_limit.saturating_sub(MOST_IN_HAND.min(self.time_limit / 10))
    }

    /// The rest of [`working_time`](Self::working_time), or zero.
    pub fn time_left(&self) -> Duration {
        self.working_time().saturating_sub(self.elapsed())
    }

    /// How long this run has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The same in milliseconds, with the precision of a microsecond: for measurements.
    pub fn elapsed_ms(&self) -> f64 {
        (self.elapsed().as_secs_f64() * 1_000_000.0).round() / 1000.0
    }

    /// Further information from the host, by name. Ignore unknown names.
    pub fn attributes(&self) -> &[(String, String)] {
        &self.attributes
    }

    /// The small store that survives from run to run and across reloads.
    pub fn state(&self) -> State<'_> {
        State::new(&self.host)
    }

    /// Logs a message for the component's author.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.host.log(Level::Debug, message.as_ref());
    }

    /// Logs a message for information.
    pub fn info(&self, message: impl AsRef<str>) {
        self.host.log(Level::Info, message.as_ref());
    }

    /// Logs a warning that needs attention.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.host.log(Level::Warn, message.as_ref());
    }

    /// Logs that the checker cannot do its work.
    pub fn error(&self, message: impl AsRef<str>) {
        self.host.log(Level::Error, message.as_ref());
    }

    /// A secret that the operator has granted under this name, as text, without one line end at
    /// its end. The host replaces it by `***` in all other output of this run.
    ///
    /// ```
    /// use bellwether_guest::Run;
    ///
    /// let run = Run::for_test().with_secret("db-password", "hunter2\n");
    /// assert_eq!(run.secret("db-password")?, "hunter2");
    /// assert!(run.secret("api-key").is_err_and(|error| error.is_not_granted()));
    /// # Ok::<(), bellwether_guest::HostError>(())
    /// ```
    pub fn secret(&self, name: &str) -> Result<String, HostError> {
        secret_text(name, self.host.secret(name)?)
    }

    /// The same, with exactly the bytes of the file.
    pub fn secret_bytes(&self, name: &str) -> Result<Vec<u8>, HostError> {
        self.host.secret(name)
    }

    /// A command that the module declares and the operator has granted.
    pub fn command(&self, name: &str) -> Command<'_> {
        Command::new(&self.host, name)
    }

    /// The running processes of the module, if the operator has granted that: its kept commands
    /// with all they have started, and those that its process checkers find.
    pub fn processes(&self) -> Result<Vec<Process>, HostError> {
        self.host.processes()
    }

    /// Pings a host, if the operator has granted that: one echo request is sent to the address or name,
    /// with the remaining time of the run for the answer.
    pub fn ping(&self, host: &str) -> Result<PingReply, HostError> {
        self.host.ping(host, self.time_left())
    }

    pub(crate) fn begin(time_limit: Duration) -> Self {
        Self {
            node: String::new(),
            module: String::new(),
            checker: String::new(),
            number: 1,
            time_limit,
            attributes: Vec::new(),
            started: Instant::now(),
            host: Host::default(),
        }
    }
}

/// Constructors and inspection for native tests.
#[cfg(not(target_arch = "wasm32"))]
impl Run {
    /// A first run with an empty store and a time limit of five seconds, which begins now.
    pub fn for_test() -> Self {
        Self {
            node: "node".into(),
            module: "module".into(),
            checker: "checker".into(),
            ..Self::begin(Duration::from_secs(5))
        }
    }

    /// The same with another time limit, which begins now.
    #[must_use]
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, started: Instant::now(), ..self }
    }

    /// The next run of the same checker: it finds what this one left in the store.
    #[must_use]
    pub fn next(self) -> Self {
        Self { number: self.number + 1, started: Instant::now(), ..self }
    }

    /// Grants a secret to the run.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.host.granted.secrets.insert(name.into(), value.into());
        self
    }

    /// Grants a command, which always has this result.
    #[must_use]
    pub fn with_command(mut self, name: impl Into<String>, output: CommandOutput) -> Self {
        self.host.granted.commands.insert(name.into(), output);
        self
    }

    /// Grants the facts about processes, which are these.
    #[must_use]
    pub fn with_processes(mut self, processes: Vec<Process>) -> Self {
        self.host.granted.processes = Some(processes);
        self
    }

    /// Grants a ping of a host, which answers after this time.
    #[must_use]
    pub fn with_ping(mut self, host: impl Into<String>, round_trip: Duration) -> Self {
        self.host.granted.pings.insert(host.into(), Ok(round_trip));
        self
    }

    /// Grants a ping of a host, with this error.
    #[must_use]
    pub fn with_ping_error(mut self, host: impl Into<String>, error: HostError) -> Self {
        self.host.granted.pings.insert(host.into(), Err(error));
        self
    }

    /// Grants a URL with any method, which has this response.
    #[must_use]
    pub fn with_answer(mut self, url: impl Into<String>, answer: Response) -> Self {
        self.host.granted.answers.insert(url.into(), Ok(answer));
        self
    }

    /// Grants a URL, with this error.
    #[must_use]
    pub fn with_answer_error(mut self, url: impl Into<String>, error: HostError) -> Self {
        self.host.granted.answers.insert(url.into(), Err(error));
        self
    }

    /// The same with a service at `HOST:PORT`, of whose acceptance of connections the host says this.
    #[must_use]
    pub fn with_acceptance(mut self, peer: impl Into<String>, acceptance: Acceptance) -> Self {
        self.host.granted.acceptances.insert(peer.into(), acceptance);
        self
    }

    /// The log so far, of all runs.
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.host.logged()
    }

    /// The commands so far, of all runs.
    pub fn commands_run(&self) -> Vec<CommandOrder> {
        self.host.commands_run()
    }
}

/// A secret as text: editors add a line end to a file, which is not a part of the secret.
pub(crate) fn secret_text(name: &str, bytes: Vec<u8>) -> Result<String, HostError> {
    let mut text = String::from_utf8(bytes)
        .map_err(|_| HostError::new("unreadable", format!("the secret `{name}` is not UTF-8 text")))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_the_time_limit_is_kept_in_hand() {
        let within = |limit| Run::for_test().with_time_limit(limit).working_time();
        assert_eq!(within(Duration::from_millis(500)), Duration::from_millis(450));
        assert_eq!(within(Duration::from_secs(10)), Duration::from_millis(9900));
        assert_eq!(within(Duration::ZERO), Duration::ZERO);
        assert_eq!(Run::for_test().with_time_limit(Duration::ZERO).time_left(), Duration::ZERO);
    }

    #[test]
    fn a_secret_loses_one_line_end_and_nothing_else() {
        for (bytes, text) in [("a b\n", "a b"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("", "")] {
            assert_eq!(Run::for_test().with_secret("s", bytes).secret("s").unwrap(), text);
        }
        let run = Run::for_test().with_secret("key", [0xff, b'\n']);
        assert_eq!(run.secret("key").unwrap_err().code, "unreadable");
        assert_eq!(run.secret_bytes("key").unwrap(), [0xff, b'\n']);
    }

    #[test]
    fn a_ping_has_the_time_that_the_run_has_left() {
        let run = Run::for_test().with_ping("gw", Duration::from_secs(3));
        // Far more than three seconds, even on a machine that is slow between these two lines.
        let run = run.with_time_limit(Duration::from_secs(60));
        assert_eq!(run.ping("gw").unwrap().round_trip, Duration::from_secs(3));
        let run = run.with_time_limit(Duration::from_secs(1));
        assert_eq!(run.ping("gw").unwrap_err().code, "no-answer");
        assert!(run.ping("other").unwrap_err().is_not_granted());
        let run = run.with_ping_error("gw", HostError::new("unreachable", "gw is unreachable"));
        assert_eq!(run.ping("gw").unwrap_err().to_string(), "gw is unreachable");
    }

    #[test]
    fn the_next_run_counts_on_and_finds_the_state() {
        let run = Run::for_test();
        run.info("first");
        run.state().set("seen", &true).unwrap();
        let run = run.next();
        assert_eq!(run.number(), 2);
        assert_eq!(run.state().get("seen"), Ok(Some(true)));
        assert_eq!(run.logged(), [(Level::Info, "first".to_owned())]);
    }
}
