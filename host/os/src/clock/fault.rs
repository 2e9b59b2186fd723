//! Simulates clocks that are set and machines that are suspended, for tests of the whole daemon.
//!
//! Only in a debug build on Unix, and only where `BELLWETHER_FAULT_CLOCK` names a file with two numbers:
//! the microseconds by which the wall clock is off, and those that the machine was suspended for.
//! It is read at every look at a clock, so that a test can move the clocks of a daemon that runs.

#[cfg(all(debug_assertions, unix))]
mod file {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::sync::LazyLock;

    use super::super::Source;

    static FAULT: LazyLock<Option<File>> = LazyLock::new(|| {
        let path = std::env::var_os("BELLWETHER_FAULT_CLOCK")?;
        File::open(path).ok()
    });

    pub(in super::super) fn micros(source: Source) -> i64 {
        let Some(file) = &*FAULT else { return 0 };
        let mut text = [0; 64];
        let length = file.read_at(&mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(text.get(..length).unwrap_or_default()).unwrap_or_default();
        let mut numbers = text.split_ascii_whitespace().filter_map(|number| number.parse::<i64>().ok());
        let (wall, suspended) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        match source {
            // The wall clock goes on while the machine is suspended, too.
            Source::Wall => wall.saturating_add(suspended),
            Source::SinceBoot => suspended,
            Source::Awake => 0,
        }
    }
}

#[cfg(all(debug_assertions, unix))]
pub(super) use file::micros;

/// No clock is wrong.
#[cfg(not(all(debug_assertions, unix)))]
pub(super) fn micros(_source: super::Source) -> i64 {
    0
}
