//! A connection that the host opens: TLS and Unix sockets.

use std::time::Duration;

use crate::granted::HostError;

#[cfg(target_arch = "wasm32")]
pub(super) use component::Link;
#[cfg(not(target_arch = "wasm32"))]
pub(super) use native::Link;

/// The request to the host.
#[cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "a native test connects to Unix sockets alone, which takes no time")
)]
pub(super) struct Order<'o> {
    /// `tls:HOST:PORT`, `tcp:HOST:PORT` or `unix:PATH`.
    pub(super) target: &'o str,
    pub(super) options: &'o [(String, String)],
    pub(super) within: Duration,
}

#[cfg(target_arch = "wasm32")]
mod component {
    use super::{Duration, HostError, Order};
    use crate::bindings::granted::bellwether::guest::connections;

    /// A handle of a connection in the host.
    #[derive(Debug)]
    pub(in crate::net) struct Link(connections::Connection);

    fn millis(time: Duration) -> u32 {
        u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
    }

    impl Link {
        pub(in crate::net) fn open(order: &Order<'_>) -> Result<Self, HostError> {
            let Order { target, options, within } = order;
            Ok(Self(connections::open(target, options, millis(*within))?))
        }

        pub(in crate::net) fn write(&mut self, bytes: &[u8], within: Duration) -> Result<usize, HostError> {
            // The host accepts at most as much in one call as it returns.
            let piece = &bytes[..bytes.len().min(64 << 10)];
            self.0.write(piece, millis(within))?;
            Ok(piece.len())
        }

        pub(in crate::net) fn read(
            &mut self,
            buffer: &mut [u8],
            within: Duration,
        ) -> Result<usize, HostError> {
            let most = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            let bytes = self.0.read(most, millis(within))?;
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            Ok(length)
        }

        pub(in crate::net) fn about(&self) -> Vec<(String, String)> {
            self.0.about()
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::io::{self, ErrorKind, Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::{Duration, HostError, Order};

    /// In a native test Unix sockets are the system's own, and TLS is not supported.
    #[derive(Debug)]
    pub(in crate::net) struct Link(UnixStream);

    fn told(error: &io::Error) -> HostError {
        let code = match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => "refused",
            ErrorKind::TimedOut | ErrorKind::WouldBlock => "timeout",
            ErrorKind::PermissionDenied => "unavailable",
            _ => "broken-off",
        };
        HostError::new(code, error.to_string())
    }

    impl Link {
        pub(in crate::net) fn open(order: &Order<'_>) -> Result<Self, HostError> {
            match order.target.strip_prefix("unix:") {
                Some(path) => UnixStream::connect(path).map(Self).map_err(|error| told(&error)),
                None => Err(HostError::new("unavailable", "a native test has no host that speaks TLS")),
            }
        }

        pub(in crate::net) fn write(&mut self, bytes: &[u8], within: Duration) -> Result<usize, HostError> {
            let done = self.0.set_write_timeout(Some(within)).and_then(|()| self.0.write(bytes));
            done.map_err(|error| told(&error))
        }

        pub(in crate::net) fn read(
            &mut self,
            buffer: &mut [u8],
            within: Duration,
        ) -> Result<usize, HostError> {
            let done = self.0.set_read_timeout(Some(within)).and_then(|()| self.0.read(buffer));
            done.map_err(|error| told(&error))
        }

        #[expect(clippy::unused_self, reason = "the host knows something of its own")]
        pub(in crate::net) fn about(&self) -> Vec<(String, String)> {
            Vec::new()
        }
    }
}
