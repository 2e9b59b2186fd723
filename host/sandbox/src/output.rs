//! The output of a guest besides its answer: log lines, standard output and error, and refusals.
//!
//! Shared between the run and its caller, so that the output of a guest that is ended is not lost.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_core::counting::counted;
use bellwether_core::grant::{Grant, GrantKind, Refusal};
use bellwether_core::text::{one_line, without_control};
use bytes::Bytes;
use serde::Serialize;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::failure::{Ended, Limit};
use super::scrub::Scrubber;
use bellwether_config::spec::RunLimits;

/// The level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// A line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The level of the line.
    pub level: LogLevel,
    /// The text, on one line.
    pub text: String,
}

/// The maximum number of bytes that are kept of one line.
const MAX_LINE: usize = 1024;
/// The maximum number of bytes that are kept of standard output and error, from the end.
const MAX_WRITTEN: usize = 4096;
/// The cost that is counted for a call even if it writes nothing.
const CALL_COST: u64 = 64;
/// The maximum number of bytes that are kept of each part of a refusal.
const MAX_REFUSAL: usize = 300;
/// The maximum number of refusals; more would add no information.
const MAX_REFUSALS: usize = 8;
/// The maximum number of grants that are distinguished in one run.
const MAX_USED: usize = 256;

/// All output of one run.
#[derive(Clone)]
pub(super) struct Output {
    said: Arc<Mutex<Said>>,
    /// The maximum number of lines, from the beginning.
    max_lines: usize,
    /// The maximum total output, in bytes. More than that is an attack on the host's time.
    max_bytes: u64,
    /// Whether the output is the guest's standard error.
    is_error: bool,
}

#[derive(Default)]
struct Said {
    lines: Vec<LogLine>,
    /// The number of lines after the last one that was kept.
    more_lines: u64,
    written: VecDeque<u8>,
    /// The part that was written to standard error.
    errors: VecDeque<u8>,
    refusals: Vec<Refusal>,
    used: Vec<(GrantKind, String)>,
    total: u64,
    /// Removes the secrets from all this.
    scrubber: Scrubber,
}

impl Output {
    pub(super) fn new(limits: &RunLimits) -> Self {
        Self {
            said: Arc::default(),
            max_lines: limits.log_lines as usize,
            max_bytes: limits.output,
            is_error: false,
        }
    }

    /// Adds a log line. An error ends the run.
    pub(super) fn log(&self, level: LogLevel, message: &str) -> Result<(), Ended> {
        let mut said = self.said();
        said.count(message.len(), self.max_bytes)?;
        if said.lines.len() < self.max_lines {
            // Before it is truncated: a part of a secret would not be found.
            let message = without_control(message);
            let text = one_line(&said.scrubber.scrub(&message), MAX_LINE);
            said.lines.push(LogLine { level, text });
        } else {
            said.more_lines += 1;
        }
        Ok(())
    }

    /// Records something that the guest asked for and is not granted. The guest has chosen the words in it.
    pub(super) fn refuse(&self, mut refusal: Refusal) {
        let mut said = self.said();
        for text in [&mut refusal.wanted, &mut refusal.way] {
            *text = one_line(&said.scrubber.scrub(text), MAX_REFUSAL);
        }
        if said.refusals.len() < MAX_REFUSALS && !said.refusals.contains(&refusal) {
            said.refusals.push(refusal);
        }
    }

    /// Records that a grant has allowed something.
    pub(super) fn used(&self, kind: GrantKind, value: &str) {
        let mut said = self.said();
        let known = said.used.iter().any(|(of, known)| *of == kind && known == value);
        if !known && said.used.len() < MAX_USED {
            said.used.push((kind, value.to_owned()));
        }
    }

    /// The same for a grant.
    pub(super) fn has_used(&self, grant: Grant<'_>) {
        self.used(grant.kind(), &grant.to_string());
    }

    /// The grants that have been used so far, in the notation of grants.
    pub(super) fn take_used(&self) -> Vec<(GrantKind, String)> {
        std::mem::take(&mut self.said().used)
    }

    /// From now on this secret is removed from all output.
    pub(super) fn keep_secret(&self, secret: &[u8]) {
        self.said().scrubber.add(secret);
    }

    /// Removes the secrets that this run has received.
    pub(super) fn scrubber(&self) -> Scrubber {
        self.said().scrubber.clone()
    }

    /// The same, for what the guest writes to its standard error.
    pub(super) fn of_errors(&self) -> Self {
        Self { is_error: true, ..self.clone() }
    }

    /// The output so far, escaped for display.
    pub(super) fn written(&self) -> String {
        let said = self.said();
        said.shown(&said.written)
    }

    /// The standard error so far, escaped for display: guests report there why they abort.
    pub(super) fn last_words(&self) -> String {
        let said = self.said();
        said.shown(&said.errors)
    }

    /// Takes all output so far: log lines, standard output and error, refusals.
    pub(super) fn take(&self) -> (Vec<LogLine>, String, Vec<Refusal>) {
        let written = self.written();
        let mut said = std::mem::take(&mut *self.said());
        if said.more_lines > 0 {
            let more =
                counted(said.more_lines, "more line, which is not kept", "more lines, which are not kept");
            let text = format!("… and {more}");
            said.lines.push(LogLine { level: LogLevel::Warn, text });
        }
        (said.lines, written, said.refusals)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Ended> {
        let mut said = self.said();
        said.count(bytes.len(), self.max_bytes)?;
        keep_last(&mut said.written, bytes);
        if self.is_error {
            keep_last(&mut said.errors, bytes);
        }
        Ok(())
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep_last(kept: &mut VecDeque<u8>, bytes: &[u8]) {
    kept.extend(&bytes[bytes.len().saturating_sub(MAX_WRITTEN)..]);
    let surplus = kept.len().saturating_sub(MAX_WRITTEN);
    kept.drain(..surplus);
}

impl Said {
    fn shown(&self, kept: &VecDeque<u8>) -> String {
        let bytes: Vec<u8> = kept.iter().copied().collect();
        if bytes.len() < MAX_WRITTEN {
            return self.scrubber.scrub(&without_control(&String::from_utf8_lossy(&bytes))).into_owned();
        }
        // The beginning is lost, maybe in the middle of a character (RFC 3629, section 3).
        let whole = bytes.iter().position(|byte| byte & 0xc0 != 0x80).unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(bytes.get(whole..).unwrap_or_default());
        self.scrubber.scrub_cut(&without_control(&text))
    }

    fn count(&mut self, bytes: usize, most: u64) -> Result<(), Ended> {
        self.total = self.total.saturating_add(bytes as u64).saturating_add(CALL_COST);
        if self.total > most { Err(Ended(Limit::Output(most).into())) } else { Ok(()) }
    }
}

/// Standard output and standard error are combined: authors print to either.
impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 uses this function, and it is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes).map_err(|ended| StreamError::Trap(ended.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl Pollable for Output {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use bellwether_core::grant::Grants;

    #[test]
    fn the_first_lines_and_the_last_written_bytes_are_kept() {
        let output = Output::new(&RunLimits::default());
        for n in 0..200 {
            output.log(LogLevel::Info, &format!("line {n}\u{1b}[0m")).unwrap();
            output.write(format!("{n:0>99}\n").as_bytes()).unwrap();
        }
        let (lines, written, _) = output.take();
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[99].text, "line 99");
        assert_eq!(lines[100].text, "… and 100 more lines, which are not kept");
        assert_eq!(written.len(), MAX_WRITTEN);
        assert!(written.ends_with("0199\n"));
    }

    #[test]
    fn last_words_are_those_of_the_standard_error() {
        let output = Output::new(&RunLimits::default());
        output.of_errors().write(b"panicked at lib.rs: no such key\n").unwrap();
        output.write(b"this is no reason\n").unwrap();
        assert_eq!(output.last_words(), "panicked at lib.rs: no such key\n");
        assert!(output.written().ends_with("this is no reason\n"));
    }

    #[test]
    fn a_secret_is_taken_out_of_lines_and_of_what_is_written() {
        let output = Output::new(&RunLimits::default());
        output.keep_secret(b"hunter2\n");
        output.log(LogLevel::Info, "as hunt\u{1b}[0mer2").unwrap();
        output.log(LogLevel::Info, &format!("{} hunter2", "x".repeat(MAX_LINE - 5))).unwrap();
        output.write(b"in pieces: hunt").unwrap();
        output.write(b"er2").unwrap();
        assert_eq!(output.written(), "in pieces: ***");
        output.write(&[b'.'; MAX_WRITTEN - 3]).unwrap();
        assert!(output.written().starts_with("***..."), "its end stands at the beginning");
        let (lines, _, _) = output.take();
        assert_eq!(lines[0].text, "as ***");
        assert!(!lines[1].text.contains("hun"), "{}", lines[1].text);
    }

    #[test]
    fn what_a_guest_puts_into_a_refusal_is_made_fit_to_be_shown() {
        let output = Output::new(&RunLimits::default());
        output.keep_secret(b"hunter2");
        for name in ["hunter2".to_owned(), "x\n".repeat(100_000)] {
            output.refuse(Grants::default().may_run(&name).unwrap_err());
        }
        let (_, _, refusals) = output.take();
        assert!(refusals[0].to_string().starts_with("refused: run the command `***`; "), "{}", refusals[0]);
        assert!(refusals[1].to_string().len() < 700, "{}", refusals[1].to_string().len());
    }

    #[test]
    fn saying_too_much_ends_the_run() {
        let limits = RunLimits { output: 1 << 16, ..RunLimits::default() };
        let output = Output::new(&limits);
        let calls = (0..100_000).take_while(|_| output.log(LogLevel::Debug, "").is_ok()).count();
        assert_eq!(calls as u64, limits.output / CALL_COST);
        let Err(Ended(failure)) = output.write(b"more") else { panic!("more was let through") };
        assert_eq!(failure, Failure::Limit(Limit::Output(limits.output)));
    }
}
