//! A child process that does not outlive its parent, however the parent ends.
//!
//! The parent holds the other end of the child's standard input, and never writes to it. When the parent exits or is
//! killed, the child reads the end of its input, and ends by itself, in order. A child that is frozen (SIGSTOP) at
//! that moment is continued, so that it reads it.

use std::io::{self, Read as _};
use std::process::Stdio;

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::process::{Child, ChildStdin, Command};

/// Such a child, as its parent sees it.
#[derive(Debug)]
pub struct Dependent {
    /// The process. It is killed if this is dropped first.
    pub child: Child,
    /// The child ends when this is dropped.
    lifeline: Option<ChildStdin>,
}

impl Dependent {
    /// Starts `command`, whose program must call [`when_parent_ends`]. It has a process group of its own, so that
    /// Ctrl-C on a terminal reaches the parent alone.
    ///
    /// The thread that calls this must last as long as the process: the kernel takes its end for the parent's, and
    /// continues a frozen child (`PR_SET_PDEATHSIG` in prctl(2)).
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).process_group(0).kill_on_drop(true).spawn()?;
        let lifeline = child.stdin.take();
        Ok(Self { child, lifeline })
    }

    /// Lets the child end by itself.
    pub fn release(&mut self) {
        self.lifeline = None;
    }
}

/// Calls `then` once the parent of this process has ended, or has let it go. On a thread of its own, which does not
/// keep the process from ending.
pub fn when_parent_ends(then: impl FnOnce() + Send + 'static) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::CONT))?;
    std::thread::Builder::new().name("parent".into()).spawn(move || {
        let mut input = io::stdin().lock();
        let mut ignored = [0; 64];
        loop {
            match input.read(&mut ignored) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        then();
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::stat::Stat;

    #[tokio::test]
    async fn a_child_that_is_released_reads_the_end_of_its_input_and_has_a_group_of_its_own() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cat; exit 7"]);
        let mut dependent = Dependent::start(&mut command).unwrap();
        let id = dependent.child.id().unwrap();
        assert_eq!(Stat::read(id).unwrap().group, id);
        assert!(dependent.child.try_wait().unwrap().is_none(), "it ended before it was released");
        dependent.release();
        assert_eq!(dependent.child.wait().await.unwrap().code(), Some(7));
    }
}
