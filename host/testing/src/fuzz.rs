//! Drives fuzz targets on stable Rust for a bounded time: seeds that are valid, changed at random.
//!
//! A target is a function of bytes, as `cargo fuzz` would call it, and lies beside what it tests.
//! Every run of the tests gives each target half a second, which is hundreds or thousands of inputs, and
//! others each time. With `BELLWETHER_LONG=1` it is three seconds; `BELLWETHER_FUZZ_SECONDS` says
//! another number. `BELLWETHER_FUZZ_SEED` repeats a run that failed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::long::is_long;

const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(3);
/// So many inputs are tried however slow the machine is.
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
    let (mut chance, begun, mut runs) = (Chance(seed | 1), Instant::now(), 0_u64);
    while runs < AT_LEAST || begun.elapsed() < time {
        let input = changed(&mut chance, seeds);
        target(&input);
        runs += 1;
    }
    println!("{name}: {runs} inputs");
}

/// xorshift64 (Marsaglia 2003): small, and the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or_default()
    }
}

/// Bytes that parsers have trouble with.
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
fn changed(chance: &mut Chance, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(8) {
        let at = chance.below(input.len() + 1);
        let end = (at + chance.below(16)).min(input.len());
        match chance.below(7) {
            0 if at < input.len() => input[at] ^= 1 << chance.below(8),
            1 => drop(input.splice(at..end, [])),
            2 => drop(input.splice(at..at, AWKWARD[chance.below(AWKWARD.len())].iter().copied())),
            3 => input.truncate(at),
            4 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            5 => {
                let other = &seeds[chance.below(seeds.len())];
                let from = chance.below(other.len() + 1);
                let piece = other[from..(from + chance.below(64)).min(other.len())].to_vec();
                input.splice(at..end, piece);
            }
            _ if at < input.len() => input[at] = u8::try_from(chance.below(256)).unwrap_or_default(),
            _ => {}
        }
    }
    input
}
