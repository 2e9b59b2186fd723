//! A terminal with a screen that can be read: tmux, with its own server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::binary::bellwether;
use crate::eventually::eventually;
use crate::failed::keep_text;

/// A terminal with a shell. Its server ends with it.
#[derive(Debug)]
pub struct Screen {
    socket: PathBuf,
}

impl Screen {
    /// A shell on a terminal of this size, whose server's socket is in `folder`.
    ///
    /// # Panics
    /// If tmux is not installed.
    pub fn open(folder: &Path, columns: u16, rows: u16) -> Self {
        let screen = Self { socket: folder.join("tmux") };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let size = ["-x", &columns, "-y", &rows];
        let shell = "env -u NO_COLOR PS1='shell> ' sh";
        let new = [&["-f", "/dev/null", "new-session", "-d"], &size[..], &[shell]].concat();
        screen.tmux(&new);
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.try_tmux(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn try_tmux(&self, arguments: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.env_remove("TMUX").env("LC_ALL", "C.UTF-8").arg("-S").arg(&self.socket).arg("-u");
        tmux.args(arguments).output().expect("tmux is installed")
    }

    /// Types a line, `bellwether` and these words, and Enter.
    pub fn run(&self, words: &str) {
        self.line(&format!("{} {words}", bellwether().display()));
    }

    /// Types a line and Enter.
    pub fn line(&self, text: &str) {
        self.text(text);
        self.key("Enter");
    }

    /// Types this, letter by letter.
    pub fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key, by tmux's name for it.
    pub fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// The text that is on the screen.
    pub fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until all of these texts are on it.
    ///
    /// # Panics
    /// If it never is.
    pub fn until(&self, wanted: &[&str]) -> String {
        let mut last = String::new();
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(&format!("{wanted:?} on the screen"), || {
                last = self.shown();
                wanted.iter().all(|text| last.contains(text)).then_some(())
            });
        }));
        assert!(looked.is_ok(), "{wanted:?} never came, but:\n{last}");
        last
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Including what has scrolled off it.
        keep_text("screen", || {
            let output = self.try_tmux(&["capture-pane", "-p", "-S", "-"]);
            String::from_utf8_lossy(&output.stdout).into_owned()
        });
        // It may have ended by itself.
        drop(self.try_tmux(&["kill-server"]));
    }
}
