//! Compiling components in a separate process.
//!
//! ```text
//!   daemon ──wasm──▶ child (limits) ──machine code──▶ daemon
//!                      │ too large, too long, damaged
//!                      ▼
//!                    ended, with a reason
//! ```
//! A compiler takes hundreds of megabytes and seconds for a large component, and an unknown amount for a hostile
//! one. A child process can be limited and killed, and leaves nothing in the memory of a daemon that runs for
//! years.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bellwether_core::text::one_line;
use bellwether_os::process::limits;
use bellwether_os::spawn::program::this_program;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::Cache;
use super::component::{LoadError, MAX_SIZE, chain};

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// On the calling thread: for short-lived programs and tests.
    Own,
    /// In a child of this program, started with these arguments, that calls [`serve`].
    Child {
        /// The program: it must be the running one, because machine code of another one would not fit.
        program: PathBuf,
        /// The arguments that make it call [`serve`].
        arguments: Vec<String>,
    },
}

/// A compilation that uses more processor time than this is killed. The largest known guests take 20 s, and several
/// times as long if the compiler itself is not optimised.
const PROCESSOR_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 480 } else { 120 });
/// The time limit of a compilation, which takes longer on a busy machine.
const COMPILE_TIME: Duration = PROCESSOR_TIME.saturating_mul(5);
/// The limit of the child's address space, in bytes. The largest known guests take half a gigabyte.
const COMPILE_MEMORY: u64 = 4 << 30;
/// The maximum size of machine code, which is a few times larger than its source.
pub(super) const MAX_CODE: u64 = 16 * MAX_SIZE as u64;
const MAX_REASON: usize = 1000;

impl Compiler {
    /// This program itself, called with `argument` alone.
    pub fn child_of_this_program(argument: &str) -> Self {
        Self::Child { program: this_program(), arguments: vec![argument.to_owned()] }
    }

    /// From the cache, if it has the component; otherwise it is compiled, and stored there.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &blake3::Hash,
        cache: Option<&Cache>,
    ) -> Result<Component, LoadError> {
        let kept = cache.and_then(|cache| cache.get(digest));
        if let Some(code) = kept {
            match super::machine_code::component(engine, &code) {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(error = chain(&error), "compiled code does not fit this engine"),
            }
        }
        let code = self.code(engine, bytes)?;
        let component = super::machine_code::component(engine, &code)
            .map_err(|error| LoadError::Compile(chain(&error)))?;
        if let Some(cache) = cache {
            cache.put(digest, &code);
        }
        Ok(component)
    }

    fn code(&self, engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        match self {
            Self::Own => engine.precompile_component(bytes).map_err(|error| no_component(chain(&error))),
            Self::Child { program, arguments } => {
                let mut command = Command::new(program);
                command.args(arguments);
                in_child(command, bytes)
            }
        }
    }
}

/// The compiler's error for bytes that it does not accept as a component. A component may be of a later kind, which
/// the error says.
fn no_component(complaint: String) -> LoadError {
    if complaint.contains("component model async") {
        return LoadError::Incompatible(format!(
            "it is asynchronous, as WASI 0.3 has it, and this host speaks WASI 0.2: build it without \
             async exports (with wit-bindgen `async: false`, with componentize-py and jco without \
             `--async-exports` and `--async-mode`): {complaint}"
        ));
    }
    LoadError::NotAComponent(complaint)
}

/// The child's part: reads a component from standard input and writes its machine code to standard output. An error
/// goes to standard error, and the exit code is 1.
pub fn serve() -> anyhow::Result<()> {
    limits::confine(COMPILE_MEMORY, PROCESSOR_TIME).context("cannot limit itself")?;
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() <= MAX_SIZE, "too large");
    let engine = super::engine::compiling_engine()?;
    let code = engine.precompile_component(&bytes).map_err(anyhow::Error::from)?;
    let mut out = io::stdout().lock();
    out.write_all(&code)?;
    out.flush()?;
    Ok(())
}

fn in_child(mut command: Command, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let failed = |error: io::Error| LoadError::Compile(format!("no process to compile in: {error}"));
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let talked = talk(&mut child, bytes);
    // The child is gone, whatever happened.
    let _gone_already = child.kill();
    let status = child.wait().map_err(failed)?;
    match talked.map_err(|error| LoadError::Compile(format!("no thread to compile with: {error}")))? {
        Some(Talk { code, complaint }) if complaint.is_empty() && status.success() => Ok(code),
        Some(Talk { complaint, .. }) if status.code() == Some(1) => Err(no_component(complaint)),
        Some(Talk { complaint, .. }) => Err(LoadError::Compile(one_line(
            &format!("the compiler was ended: {status} {complaint}"),
            MAX_REASON,
        ))),
        None => Err(LoadError::Compile(format!("it takes longer than {}s", COMPILE_TIME.as_secs()))),
    }
}

struct Talk {
    code: Vec<u8>,
    complaint: String,
}

/// Writes the input and reads both outputs, each on a thread, so that none blocks another. `None` if the time is
/// over; an error if no thread can be created.
fn talk(child: &mut Child, bytes: &[u8]) -> io::Result<Option<Talk>> {
    let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
    let Some(((mut stdin, stdout), stderr)) = pipes else { return Ok(None) };
    let (said, says) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        let thread = || thread::Builder::new().name("compile".to_owned());
        // A child that has exited early reports why on its standard error.
        thread().spawn_scoped(scope, move || stdin.write_all(bytes))?;
        let complaint = thread().spawn_scoped(scope, move || {
            let mut text = Vec::new();
            let _whatever_came = stderr.take(MAX_REASON as u64).read_to_end(&mut text);
            one_line(&String::from_utf8_lossy(&text), MAX_REASON)
        });
        let complaint = complaint?;
        let reader = thread().spawn_scoped(scope, move || {
            let mut code = Vec::new();
            let read = stdout.take(MAX_CODE).read_to_end(&mut code);
            let _nobody_waits = said.send(read.map(|_| code));
        });
        reader?;
        let code = says.recv_timeout(COMPILE_TIME);
        // A child that does not exit by itself must not keep the threads waiting.
        if code.is_err() {
            let _gone_already = child.kill();
        }
        let complaint = complaint.join().unwrap_or_default();
        Ok(code.ok().and_then(Result::ok).map(|code| Talk { code, complaint }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_the_child_writes_is_the_code() {
        assert_eq!(in_child(shell("cat"), b"code"), Ok(b"code".to_vec()));
    }

    #[test]
    fn a_child_that_complains_is_heard() {
        let error = in_child(shell("cat >/dev/null; echo truncated >&2; exit 1"), b"x");
        assert_eq!(error, Err(LoadError::NotAComponent("truncated".to_owned())));
    }

    #[test]
    fn a_child_that_is_killed_is_no_verdict_on_the_component() {
        let error = in_child(shell("kill -9 $$"), &vec![0; 1 << 20]);
        assert!(matches!(error, Err(LoadError::Compile(why)) if why.contains("ended")));
    }

    #[test]
    fn an_asynchronous_component_is_named_as_one() {
        let text = "(component (core func $t (canon task.return (result u32))))";
        let Ok(bytes) = wat::parse_str(text) else { panic!("the text of the component is wrong") };
        let engine = crate::engine::compiling_engine().unwrap();
        let error = Compiler::Own.code(&engine, &bytes).unwrap_err();
        assert!(
            matches!(&error, LoadError::Incompatible(why) if why.contains("it is asynchronous")),
            "{error}"
        );
        assert!(matches!(no_component("unexpected end".to_owned()), LoadError::NotAComponent(_)));
    }

    #[test]
    fn code_of_the_compiling_engine_runs_on_the_daemons() {
        let limits = bellwether_config::spec::LimitsSpec::default();
        let (engine, _) = crate::engine::engine(&limits).unwrap();
        let compiling = crate::engine::compiling_engine().unwrap();
        let code = compiling.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        assert!(crate::machine_code::component(&engine, &code).is_ok());
    }
}
