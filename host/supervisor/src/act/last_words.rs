//! Finds the reason for the end of a command in its log.
//!
//! All processes of a command write to one log, and the last line was rarely written by the process that ended, or
//! gives the reason. Therefore a line that resembles an error is looked for, with the lines that explain it, and it
//! is quoted as a line of the log.

use std::path::Path;

use bellwether_core::text::{is_shown, without_control};

use bellwether_os::process::ending::Ending;
use bellwether_os::process::port_holder;
use bellwether_os::spawn::log_file::{self, MAX_LINE};

/// The maximum number of explaining lines that are quoted with an error.
const MAX_DETAILS: usize = 2;
/// The maximum length of an explaining line, in characters.
const MAX_DETAIL: usize = 160;

/// Signals that a process causes itself: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
const CRASHES: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];
/// An error that is further away from the end did not end the process.
const NEAR: usize = 60;

/// How much a line resembles the reason for the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// It does not at all.
    None,
    /// It mentions a failure.
    Mentions,
    /// It is formatted as an error: `ERROR: …`, `ValueError: …`, `[error]`, `level=error`.
    Error,
    /// It is formatted as a fatal error: `FATAL`, `panic`, `[emerg]`.
    Fatal,
}

/// How a kept process ended, in words: with a quotation from its log, where that may contain the reason. The log is
/// that of its whole group, so nothing is attributed to the process itself.
pub(super) fn of_kept(ending: Ending, expected: bool, log: Option<(&Path, u64)>) -> String {
    // A kept application is meant to run permanently: no exit code of its own is a success.
    let by_itself = || "ended by itself with exit code 0".to_owned();
    let (how, words) = match ending {
        Ending::Exited(0) | Ending::Unknown if expected => return ending.to_string(),
        Ending::Exited(0) => (by_itself(), log.and_then(|(log, from)| since(log, from))),
        Ending::Exited(_) => (ending.to_string(), log.and_then(|(log, from)| since(log, from))),
        // A process that was killed from outside cannot have logged the reason, and one that crashed may have.
        Ending::Signaled { signal, .. } if expected || !CRASHES.contains(&signal) => {
            return ending.to_string();
        }
        Ending::Signaled { .. } | Ending::Unknown => {
            (ending.to_string(), log.and_then(|(log, from)| error_since(log, from)))
        }
    };
    format!("{how}{}", quoted(words))
}

/// What the log says since it was `from` bytes long: the most specific error, or else the last line.
pub(super) fn since(path: &Path, from: u64) -> Option<String> {
    let output = log_file::tail(path, from).ok()?;
    let words = error(&output).or_else(|| lines(&output).last().map(|line| cut(line, MAX_LINE)))?;
    Some(with_holder(words, &output))
}

/// The same, but only if it is an error.
pub(super) fn error_since(path: &Path, from: u64) -> Option<String> {
    let output = log_file::tail(path, from).ok()?;
    error(&output).map(|words| with_holder(words, &output))
}

/// If the log reports that a port is in use, the process that holds it is named.
fn with_holder(words: String, output: &str) -> String {
    match port_holder::of_the_port_in_use(output) {
        Some(holder) => format!("{words} ({holder})"),
        None => words,
    }
}

/// `; its log says: …`, or an empty string.
pub(super) fn quoted(words: Option<String>) -> String {
    words.map(|words| format!("; its log says: {words}")).unwrap_or_default()
}

/// The last of the lines that most resemble an error, with those that explain it.
fn error(output: &str) -> Option<String> {
    let mut lines: Vec<&str> = lines(output).rev().take(NEAR).collect();
    lines.reverse();
    // Of several equal ones, the last is the maximum.
    let (likeness, at) = lines.iter().enumerate().map(|(at, line)| (likeness(line), at)).max()?;
    if likeness == Likeness::None {
        return None;
    }
    let line = lines.get(at)?;
    let after = lines.get(at + 1..).unwrap_or_default();
    // Rust writes the message of a panic on a separate line.
    let message = line.contains("panicked at") && line.ends_with(':');
    let details = after.iter().enumerate().take_while(|(n, next)| (message && *n == 0) || explains(next));
    let mut words = cut(line, MAX_LINE);
    for (_, detail) in details.take(MAX_DETAILS) {
        words.push_str(if words.ends_with(':') { " " } else { "; " });
        words.push_str(&cut(detail, MAX_DETAIL));
    }
    Some(words)
}

fn lines(output: &str) -> impl DoubleEndedIterator<Item = &str> {
    output.lines().map(str::trim).filter(|line| line.chars().any(|c| is_shown(c) && !c.is_whitespace()))
}

/// Without terminal control characters, and with single spaces.
fn cut(line: &str, most: usize) -> String {
    let plain = without_control(line);
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.join(" ").chars().take(most).collect()
}

/// Whether the line explains the previous one.
fn explains(line: &str) -> bool {
    const LABELS: [&str; 6] = ["hint:", "detail:", "context:", "caused by:", "reason:", "help:"];
    // After a time, a process id, or nothing.
    let head: String = line.chars().take(100).collect::<String>().to_lowercase();
    LABELS.iter().any(|label| {
        head.find(label).is_some_and(|at| at == 0 || head[..at].ends_with([' ', '\t', ']', '|', '=']))
    })
}

fn likeness(line: &str) -> Likeness {
    const FATAL: [&str; 7] = ["fatal", "panic", "panicked", "emerg", "crit", "critical", "alert"];
    const WRITTEN: [&str; 4] = ["error", "err", "severe", "exception"];
    const MENTIONED: [&str; 7] = ["failed", "failure", "cannot", "denied", "refused", "aborted", "unable"];
    // A line with a lower level counts less, whatever it mentions.
    const LESS: [&str; 6] = ["INFO", "DEBUG", "TRACE", "NOTICE", "WARN", "WARNING"];
    let mut most = Likeness::None;
    let bounded = |c: char| !(c.is_alphanumeric() || c == '_' || c == '-');
    let mut rest = line;
    while let Some(start) = rest.find(|c| !bounded(c)) {
        let before = rest[..start].chars().next_back();
        let word_on = &rest[start..];
        let word = &word_on[..word_on.find(bounded).unwrap_or(word_on.len())];
        let after = &word_on[word.len()..];
        rest = after;
        let lower = word.to_lowercase();
        if LESS.contains(&word) || (before == Some('[') && LESS.contains(&word.to_uppercase().as_str())) {
            return if most >= Likeness::Error { most } else { Likeness::None };
        }
        let labelled = after.starts_with([':', ']'])
            || before == Some('=')
            || (before == Some('"') && after.starts_with('"'))
            || word.chars().all(char::is_uppercase);
        let kind = lower.ends_with("error") || lower.ends_with("exception");
        let seen = match lower.as_str() {
            known if FATAL.contains(&known) && (labelled || known == "panicked") => Likeness::Fatal,
            known if (WRITTEN.contains(&known) || kind) && labelled => Likeness::Error,
            known if FATAL.contains(&known) || WRITTEN.contains(&known) || kind => Likeness::Mentions,
            known if MENTIONED.contains(&known) => Likeness::Mentions,
            _ => Likeness::None,
        };
        most = most.max(seen);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_preferred_to_the_last_line_and_comes_with_what_explains_it() {
        for (log, words) in [
            (
                "2026-11-30 01:02:03.004 UTC [77] LOG:  starting PostgreSQL 17.2\n\
                 2026-11-30 01:02:03.010 UTC [77] FATAL:  lock file \"postmaster.pid\" already exists\n\
                 2026-11-30 01:02:03.010 UTC [77] HINT:  Is another postmaster (PID 12) running?\n\
                 2026-11-30 01:02:03.011 UTC [78] LOG:  worker process is shut down\n",
                "2026-11-30 01:02:03.010 UTC [77] FATAL: lock file \"postmaster.pid\" already exists; \
                 2026-11-30 01:02:03.010 UTC [77] HINT: Is another postmaster (PID 12) running?",
            ),
            (
                "nginx: [emerg] bind() to 0.0.0.0:80 failed\nnginx: [notice] bye\n",
                "nginx: [emerg] bind() to 0.0.0.0:80 failed",
            ),
            (
                "thread 'main' panicked at src/main.rs:3:5:\nno such port\nnote: run with RUST_BACKTRACE=1\n",
                "thread 'main' panicked at src/main.rs:3:5: no such port",
            ),
            ("panic: no route\n\ngoroutine 1 [running]:\nmain.main()\n", "panic: no route"),
            (
                "Traceback (most recent call last):\n  File \"a.py\", line 1\nOSError: [Errno 98] in use\n",
                "OSError: [Errno 98] in use",
            ),
            (
                "Error: listen EADDRINUSE :::80\n    at Server.setup\nEmitted 'error' event on Server\n",
                "Error: listen EADDRINUSE :::80",
            ),
            (
                "{\"level\":\"error\",\"msg\":\"gone\"}\n{\"level\":\"info\"}\n",
                "{\"level\":\"error\",\"msg\":\"gone\"}",
            ),
            ("level=error msg=gone\nlevel=info msg=bye\n", "level=error msg=gone"),
            ("ERROR first\nERROR second\nINFO done\n", "ERROR second"),
            ("cannot open the door\nbye\n", "cannot open the door"),
            ("INFO the request failed with an error\nbye\n", "bye"),
            ("error_log is /var/log/x\n0 errors, no failures\n", "0 errors, no failures"),
            ("first\n\u{1b}[1mlast\u{1b}[0m\n \n", "last"),
        ] {
            let quoted = error(log).or_else(|| lines(log).last().map(|line| cut(line, MAX_LINE)));
            assert_eq!(quoted.as_deref(), Some(words), "{log}");
        }
    }

    #[test]
    fn an_end_is_told_by_what_it_was_and_whether_it_was_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("log");
        std::fs::write(&log, "of before\nERROR: full\nbye\n").unwrap();
        let from = "of before\n".len() as u64;
        let [killed, crashed] = [9, 6].map(|signal| Ending::Signaled { signal, dumped: false });
        for (ending, expected, words) in [
            (Ending::Exited(0), true, "exited with 0"),
            (Ending::Exited(0), false, "ended by itself with exit code 0; its log says: ERROR: full"),
            (Ending::Exited(1), true, "exited with 1; its log says: ERROR: full"),
            (Ending::Exited(1), false, "exited with 1; its log says: ERROR: full"),
            (killed, true, "was ended by SIGKILL"),
            (killed, false, "was ended by SIGKILL"),
            (crashed, true, "was ended by SIGABRT"),
            (crashed, false, "was ended by SIGABRT; its log says: ERROR: full"),
            (Ending::Unknown, false, "has ended; its log says: ERROR: full"),
        ] {
            assert_eq!(of_kept(ending, expected, Some((&log, from))), words);
            assert!(!of_kept(ending, expected, None).contains("log"));
        }
        let rest = std::fs::metadata(&log).unwrap().len() - "bye\n".len() as u64;
        assert_eq!(
            of_kept(crashed, false, Some((&log, rest))),
            "was ended by SIGABRT",
            "no error is no reason"
        );
        assert_eq!(of_kept(Ending::Exited(1), false, Some((&log, rest))), "exited with 1; its log says: bye");
    }

    #[test]
    fn what_is_quoted_is_bounded_and_plain_and_silence_is_not_quoted() {
        assert_eq!(error("\n \u{1b}\n"), None);
        let survived = format!("FATAL: once\n{}", "LOG: well\n".repeat(NEAR));
        assert_eq!(error(&survived), None);
        assert_eq!(lines("\n").last(), None);
        assert_eq!(quoted(None), "");
        let long = format!("FATAL: {}\n", "x".repeat(1000));
        let hints = format!("HINT: {}\n", "y".repeat(1000)).repeat(9);
        let words = error(&format!("{long}{hints}")).unwrap();
        assert!(words.len() <= MAX_LINE + MAX_DETAILS * (MAX_DETAIL + 2), "{}", words.len());
        assert_eq!(error("\u{1b}[31mERROR\u{1b}[0m: \u{7}no\u{1b}\n").as_deref(), Some("ERROR: no"));
    }
}
