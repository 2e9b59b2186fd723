//! Why a run returned no answer. None of these is the same as `fail`.

use std::borrow::Cow;
use std::time::Duration;

use bellwether_core::moment::plain;
use bellwether_core::text::one_line;
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit;

use bellwether_config::spec::RunLimits;
use bellwether_os::exhaustion::Exhaustion;

/// Why a run returned no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It exceeded its time limit.
    #[error("ended after {}: {doing}", plain(*.after))]
    Timeout {
        after: Duration,
        /// What it was doing when its time was up.
        doing: Doing,
    },
    /// It exceeded one of its limits.
    #[error(transparent)]
    Limit(#[from] Limit),
    /// It panicked or aborted. With its last output.
    #[error("panicked: {0}")]
    Panic(String),
    /// It called `exit` instead of returning.
    #[error("called exit({code}) instead of returning an answer{which}", code = .0, which = which_exit(*.0))]
    Exit(i32),
    /// Its interfaces do not match those of this host.
    #[error("does not fit this host: {0}")]
    Incompatible(String),
    /// No thread or no place in the pool was free in time.
    #[error("too many runs at once: it never got to run within {}", plain(*.0))]
    TooManyRuns(Duration),
    /// The node lacks what the run needs.
    #[error("could not run: {0}")]
    Exhaustion(#[from] Exhaustion),
    /// The host's own code panicked during the run.
    #[error("a bug in the host, please report it: {0}")]
    HostBug(String),
    /// WebAssembly ended it for another reason.
    #[error("trapped: {0}")]
    Trap(String),
}

/// What a guest was doing when its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doing {
    /// It was executing its own code.
    #[error("it was still computing")]
    Computing,
    /// It was waiting for the host (for a reply, or for the end of a sleep).
    #[error("it was still waiting")]
    Waiting,
}

/// The limits of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Memory: the size of all memories and tables, in bytes.
    #[error("wanted more than {} of memory", bytes(*.0))]
    Memory(u64),
    /// The processor time of the run.
    #[error("used more than {} of processor time", plain(*.0))]
    Cpu(Duration),
    /// The depth of the call stack.
    #[error("its calls went too deep: the stack is full")]
    Stack,
    /// The number of sockets, streams, timers and other handles.
    #[error("held more than {0} handles at once")]
    Handles(u32),
    /// The number of sockets created in one run.
    #[error("made more than {0} sockets in one run")]
    Sockets(u32),
    /// The number of calls from guest to host.
    #[error("called the host more than {0} times in one run")]
    HostCalls(u64),
    /// The size of log lines and output, in bytes.
    #[error("said more than {} in one run", bytes(*.0))]
    Output(u64),
    /// The data in one call between guest and host, in bytes.
    #[error("passed more than {} to the host in one call", bytes(*.0))]
    Data(u64),
}

/// Ends a run that must not continue. It passes through the guest unchanged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Ended(pub Failure);

const MAX_TEXT: usize = 600;
pub(super) const OUT_OF_BOUNDS: &str =
    "out of bounds memory access (a wrong pointer, or calls that went too deep)";

impl Failure {
    /// Interprets wasmtime's error. `refused_memory`: whether the run was refused memory; `last_words`: the end of
    /// its standard error.
    pub(super) fn read(
        error: &wasmtime::Error,
        limits: &RunLimits,
        refused_memory: bool,
        last_words: &str,
    ) -> Self {
        if let Some(Ended(failure)) = error.downcast_ref() {
            return failure.clone();
        }
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return Self::Exit(*code);
        }
        if let Some(ResourceTableError::Full) = error.downcast_ref() {
            return Limit::Handles(limits.handles).into();
        }
        let trap = error.downcast_ref::<Trap>();
        if trap == Some(&Trap::StackOverflow) {
            return Limit::Stack.into();
        }
        // A guest that is refused memory rarely continues: whatever it trapped with, this is the cause.
        if refused_memory {
            return Limit::Memory(limits.memory).into();
        }
        let text = format!("{error:#}");
        // The error's type is private (wasmtime 48); a test pins its text.
        if text.contains("fuel allocated for hostcalls has been exhausted") {
            return Limit::Data(limits.call_data).into();
        }
        match trap {
            Some(Trap::UnreachableCodeReached) => Self::Panic(panic_message(last_words).into_owned()),
            // Compilers keep a second stack in memory, with nothing below it.
            Some(Trap::MemoryOutOfBounds) => Self::Trap(OUT_OF_BOUNDS.to_owned()),
            Some(trap) => {
                let text = trap.to_string();
                Self::Trap(text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned())
            }
            None => Self::Trap(one_line(&text, MAX_TEXT)),
        }
    }
}

/// Before 0.2.12, WASI did not distinguish exit codes other than 0. Guests report the code if they are built with a
/// C library that calls `exit-with-code`.
fn which_exit(code: i32) -> &'static str {
    if code == 1 { " (or with another code that is not 0)" } else { "" }
}

/// The message of a panic in the format of Rust and others; otherwise the last line written.
fn panic_message(last_words: &str) -> Cow<'static, str> {
    let mut lines = last_words.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(place) = lines.by_ref().find_map(|line| Some(line.split_once("panicked at ")?.1)) else {
        return match last_words.lines().map(str::trim).rfind(|line| !line.is_empty()) {
            Some(line) => one_line(line, MAX_TEXT).into(),
            None => "it gave no reason".into(),
        };
    };
    let message: Vec<_> = lines.take_while(|line| !line.starts_with("note: ")).collect();
    let place = place.trim_end_matches(':');
    one_line(&format!("{} (at {place})", message.join(" ")), MAX_TEXT).into()
}

fn bytes(count: u64) -> String {
    match count {
        _ if count >= 1 << 20 && count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        _ if count >= 1 << 10 && count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        _ => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(error: impl Into<wasmtime::Error>, last_words: &str) -> String {
        Failure::read(&error.into(), &RunLimits::default(), false, last_words).to_string()
    }

    #[test]
    fn every_failure_is_a_sentence() {
        let second = Duration::from_secs(1);
        for (failure, text) in [
            (
                Failure::Timeout { after: second, doing: Doing::Computing },
                "ended after 1s: it was still computing",
            ),
            (
                Failure::Timeout { after: second, doing: Doing::Waiting },
                "ended after 1s: it was still waiting",
            ),
            (Limit::Memory(64 << 20).into(), "wanted more than 64 MiB of memory"),
            (Limit::Memory(65_537).into(), "wanted more than 65537 bytes of memory"),
            (Limit::Handles(1000).into(), "held more than 1000 handles at once"),
            (Limit::Cpu(second).into(), "used more than 1s of processor time"),
            (Limit::Sockets(64).into(), "made more than 64 sockets in one run"),
            (Limit::HostCalls(5).into(), "called the host more than 5 times in one run"),
            (Failure::TooManyRuns(second), "too many runs at once: it never got to run within 1s"),
        ] {
            assert_eq!(failure.to_string(), text);
        }
    }

    #[test]
    fn a_panic_is_told_in_the_guests_own_words() {
        let rust = "hello\n\nthread '<unnamed>' (1) panicked at src/lib.rs:7:5:\nindex out of bounds: \
                    the len is 3\nbut the index is 7\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(
            read(Trap::UnreachableCodeReached, rust),
            "panicked: index out of bounds: the len is 3 but the index is 7 (at src/lib.rs:7:5)"
        );
        assert_eq!(
            read(Trap::UnreachableCodeReached, "Traceback\nValueError: x\n"),
            "panicked: ValueError: x"
        );
        assert_eq!(read(Trap::UnreachableCodeReached, ""), "panicked: it gave no reason");
    }

    #[test]
    fn errors_are_told_apart_behind_added_context() {
        let error = wasmtime::Error::from(I32Exit(0)).context("calling check");
        let read =
            |error: &wasmtime::Error, refused| Failure::read(error, &RunLimits::default(), refused, "");
        assert_eq!(read(&error, false), Failure::Exit(0));
        let error = wasmtime::Error::from(Trap::MemoryOutOfBounds).context("calling check");
        assert_eq!(read(&error, false), Failure::Trap(OUT_OF_BOUNDS.to_owned()));
        assert_eq!(read(&error, true), Limit::Memory(64 << 20).into());
        let error = wasmtime::Error::from(Ended(Failure::Exit(3))).context("calling check");
        assert_eq!(read(&error, false), Failure::Exit(3));
    }
}
