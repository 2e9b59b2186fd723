//! Runs fuzz targets on stable Rust for a limited time: valid seeds, changed at random.
//!
//! A target is a function of bytes, in the form for `cargo fuzz`, beside the code that it tests. Every run of the
//! tests gives each target half a second, which is hundreds or thousands of inputs, different ones each time. With
//! `BELLWETHER_LONG=1` it is three seconds; `BELLWETHER_FUZZ_SECONDS` sets another number. `BELLWETHER_FUZZ_SEED`
//! repeats a run that failed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fastrand::Rng;

use crate::long::is_long;

const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(3);
/// The minimum number of inputs, however slow the machine is.
const AT_LEAST: u64 = 10;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Calls `target` with the seeds and then with changed ones until the time is over.
pub fn run(name: &str, seeds: &[Vec<u8>], mut target: impl FnMut(&[u8])) {
    let usual = if is_long() { LONG } else { SHORT };
    let time = number("BELLWETHER_FUZZ_SECONDS").map_or(usual, Duration::from_secs);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = number("BELLWETHER_FUZZ_SEED").unwrap_or(now.as_secs());
    // Shown when the target panics.
    println!("{name}: BELLWETHER_FUZZ_SEED={seed}");
    for seed in seeds {
        target(seed);
    }
    let (mut random, begun, mut runs) = (Rng::with_seed(seed), Instant::now(), 0_u64);
    while runs < AT_LEAST || begun.elapsed() < time {
        let input = changed(&mut random, seeds);
        target(&input);
        runs += 1;
    }
    println!("{name}: {runs} inputs");
}

/// Bytes that parsers often handle wrongly.
const AWKWARD: [&[u8]; 14] = [
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\n",
    b"\r\n",
    b"\"",
    b"'''",
    b"[[",
    b"]",
    b"{",
    b"}",
    b"=",
    "\u{202e}é\u{1f40f}".as_bytes(),
    b"99999999999999999999",
];

/// A seed after one to eight changes.
fn changed(random: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..=random.usize(..8) {
        let at = random.usize(..=input.len());
        let end = (at + random.usize(..16)).min(input.len());
        match random.usize(..7) {
            0 if at < input.len() => input[at] ^= 1 << random.usize(..8),
            1 => drop(input.splice(at..end, [])),
            2 => drop(input.splice(at..at, AWKWARD[random.usize(..AWKWARD.len())].iter().copied())),
            3 => input.truncate(at),
            4 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            5 => {
                let other = &seeds[random.usize(..seeds.len())];
                let from = random.usize(..=other.len());
                let piece = other[from..(from + random.usize(..64)).min(other.len())].to_vec();
                input.splice(at..end, piece);
            }
            _ if at < input.len() => input[at] = random.u8(..),
            _ => {}
        }
    }
    input
}
