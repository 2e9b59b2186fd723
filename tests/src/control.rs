//! A server for comparison: if it is slow, the machine is slow.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

/// Answers 200 and does nothing else, until the test process ends.
///
/// # Panics
/// If there is no free port.
pub fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The client may have disconnected.
            let mut asked = [0; 1024];
            drop(stream.read(&mut asked).and_then(|_| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")));
        }
    });
    address
}
