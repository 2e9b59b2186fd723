//! A checker that does what it is told, most of it bad. Used by the tests of
//! the whole, which say what became of it.

use bellwether_guest::prelude::*;

/// What to do.
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// One of the acts below.
    act: Act,
}

/// The repertoire.
#[bellwether_guest::config]
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Behave.
    Pass,
    /// Never come back.
    Spin,
    /// Want all memory there is.
    EatMemory,
    /// Panic.
    Panic,
    /// Sleep in the host.
    Sleep,
    /// Flood the log.
    Shout,
    /// Exit, as a program does.
    Exit,
    /// Recurse without end.
    Recurse,
}

/// Does what it is told, most of it bad.
///
/// # Panics
/// If that is what it is told.
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
    }
}

fn deeper(depth: u64) -> u64 {
    if depth == u64::MAX { depth } else { std::hint::black_box(deeper(std::hint::black_box(depth + 1))) + 1 }
}
