//! A checker that does what its configuration says, most of it hostile. Used by the end-to-end tests, which check
//! the consequences.

use bellwether_guest::prelude::*;

/// Terminal control sequences: another title, a cleared screen, a bell, and text from right to left.
const MARK: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}2J\0\r\u{8}\u{202e}\u{2066}mark";

/// The configuration of one run.
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// One of the acts below.
    act: Act,
}

/// The possible acts of the guest.
#[bellwether_guest::config]
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Passes like a good checker.
    Pass,
    /// Computes in an endless loop.
    Spin,
    /// Want all memory there is.
    EatMemory,
    /// Panics with a message.
    Panic,
    /// Sleep in the host.
    Sleep,
    /// Writes log lines without end.
    Shout,
    /// Exit, as a program does.
    Exit,
    /// Recurses until the stack is full.
    Recurse,
    #[doc = "Say \u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}what a terminal would obey, wherever something can be said."]
    Mark,
}

/// Does what its configuration says, most of it hostile.
///
/// # Panics
/// If the configuration says so.
#[bellwether_guest::checker]
pub fn check(config: Config, run: &Run) -> Observation {
    match config.act {
        Act::Pass => Observation::pass("behaved"),
        Act::Spin => loop {
            std::hint::spin_loop();
        },
        Act::EatMemory => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(vec![1; 1 << 20]);
            }
        }
        Act::Panic => panic!("the wolf is here"),
        Act::Sleep => {
            std::thread::sleep(std::time::Duration::from_secs(3600));
            Observation::pass("slept well")
        }
        Act::Shout => loop {
            run.info("wolf! ".repeat(100));
        },
        Act::Exit => std::process::exit(3),
        Act::Recurse => Observation::pass(format!("reached {}", deeper(0))),
        Act::Mark => {
            run.info(format!("{MARK} logged"));
            println!("{MARK} printed");
            eprintln!("{MARK} printed as an error");
            Observation::fail(format!("{MARK} said\nchecker `home` is up"))
                .measure(format!("{MARK}measured"), 1.0, format!("{MARK}ms"))
                .attribute(format!("{MARK}named"), format!("{MARK}given\nas well"))
        }
    }
}

fn deeper(depth: u64) -> u64 {
    if depth == u64::MAX { depth } else { std::hint::black_box(deeper(std::hint::black_box(depth + 1))) + 1 }
}
