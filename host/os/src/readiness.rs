//! Whether something can be read, asked of the system.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Whether there is something to read or to accept, or the end, within this time. A terminal has something when a line
/// is typed.
pub fn is_readable(from: &impl AsFd, within: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&left)) {
            // By a signal, such as when the terminal is resumed.
            Err(Errno::INTR) => {}
            found => return Ok(found? > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_written_is_waited_for_within_a_time_and_so_is_the_end() {
        let ample = Duration::from_mins(1);
        let (mut writer, reader) = UnixStream::pair().unwrap();
        assert!(!is_readable(&reader, Duration::ZERO).unwrap());
        assert!(!is_readable(&reader, Duration::from_millis(10)).unwrap());
        writer.write_all(b"web\n").unwrap();
        assert!(is_readable(&reader, ample).unwrap() && is_readable(&reader, Duration::ZERO).unwrap());
        let (writer, reader) = UnixStream::pair().unwrap();
        drop(writer);
        assert!(is_readable(&reader, ample).unwrap(), "the end can be read");
    }
}
