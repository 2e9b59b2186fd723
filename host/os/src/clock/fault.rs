//! Simulates clocks that are set and machines that are suspended, for tests of the whole daemon.
//!
//! Only in a debug build, and only where `BELLWETHER_FAULT_CLOCK` names a file with two numbers: the offset of the
//! wall clock, and the time for which the machine was suspended, both in microseconds. The file is read whenever a
//! clock is read, so that a test can change the clocks of a running daemon.

#[cfg(debug_assertions)]
mod file {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::sync::LazyLock;

    use rustix::time::ClockId;

    static FAULT: LazyLock<Option<File>> = LazyLock::new(|| {
        let path = std::env::var_os("BELLWETHER_FAULT_CLOCK")?;
        File::open(path).ok()
    });

    pub(in super::super) fn micros(clock: ClockId) -> i64 {
        let Some(file) = &*FAULT else { return 0 };
        let mut text = [0; 64];
        let length = file.read_at(&mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(text.get(..length).unwrap_or_default()).unwrap_or_default();
        let mut numbers = text.split_ascii_whitespace().filter_map(|number| number.parse::<i64>().ok());
        let (wall, suspended) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        match clock {
            // The wall clock continues while the machine is suspended, too.
            ClockId::Realtime => wall.saturating_add(suspended),
            ClockId::Boottime => suspended,
            _ => 0,
        }
    }
}

#[cfg(debug_assertions)]
pub(super) use file::micros;

#[cfg(not(debug_assertions))]
pub(super) fn micros(_clock: rustix::time::ClockId) -> i64 {
    0
}
