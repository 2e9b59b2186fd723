//! The terminal itself: switched to the full screen, restored, and suspended with Ctrl-Z.
//!
//! ```text
//! ordinary ──enter──▶ ours ──suspend──▶ ordinary, this process stopped ──SIGCONT──▶ ours
//!     ▲                │
//!     └── drop, panic ─┘
//! ```

use std::io;

use bellwether_os::signals;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

use super::model::Input;

/// Restores the terminal when it is dropped; a panic restores it before its message.
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()? })
    }

    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture).map(drop)
    }

    /// Returns when the shell continues this process.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        ratatui::try_restore()?;
        // The whole job, as the terminal itself would have it: with `sudo` before it, for one.
        signals::stop_job()?;
        self.terminal = ratatui::try_init()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Reads keys on a separate thread, which waits in the kernel and ends with the process.
pub(super) fn read_keys(tell: mpsc::Sender<Input>) -> io::Result<()> {
    let read = move || {
        loop {
            let input = match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
                Ok(Event::Resize(..)) => Input::Redraw,
                Ok(_) => continue,
                // The terminal has been closed.
                Err(_) => Input::Gone,
            };
            let gone = matches!(input, Input::Gone);
            if tell.blocking_send(input).is_err() || gone {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".into()).spawn(read).map(drop)
}
