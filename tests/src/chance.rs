//! Repeatable random choices: equal seeds give equal choices.

use std::time::{SystemTime, UNIX_EPOCH};

/// xorshift64*, which is random enough for choosing the next action.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The seed is the variable `BELLWETHER_SEED`, or else from the clock. It is printed.
    pub fn new() -> Self {
        let given = std::env::var("BELLWETHER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::from(now.subsec_nanos()) << 16 ^ now.as_secs()
        });
        println!("to do the same again: BELLWETHER_SEED={seed}");
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number from 0 to `end`, exclusive.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are no choices.
    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(at).expect("something to choose from")
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
