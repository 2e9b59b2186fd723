//! The health endpoint when the daemon has no file descriptor left. In a separate process, because the limit
//! applies to the whole process.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_bus::metrics::Metrics;
use bellwether_core::id::NodeName;
use bellwether_core::snapshot::Snapshot;
use bellwether_health::probers::Probers;
use bellwether_health::{HealthServer, HealthView, Opening};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

#[test]
fn a_probe_is_answered_when_no_descriptor_is_left() -> Result<(), Box<dyn Error>> {
    let clock = Clock::start();
    let snapshot = Snapshot::empty(NodeName::new("node-1")?, clock.now());
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let view = HealthView {
        snapshot,
        heartbeat: Heartbeat::default(),
        clock,
        metrics: Metrics::default(),
        probers: Probers::default(),
        opening: Opening::over(),
    };
    let server = HealthServer::bind("127.0.0.1:0".parse()?, &[], view)?;

    // The probes' own descriptors are opened before there are none left.
    let sockets = (0..40).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None));
    let mut sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    let others = sockets.split_off(20);
    let late = sockets.split_off(16);
    let next = File::open("/dev/null")?.as_raw_fd();
    let limit = Rlimit { current: Some(u64::try_from(next)?), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit)?;
    assert!(File::open("/dev/null").is_err());

    let mut idle = Vec::new();
    for (count, socket) in sockets.into_iter().enumerate() {
        let mut probe = connect(socket, server.local_addrs()[0])?;
        // Every second one only keeps its connection open.
        if count % 2 == 0 {
            idle.push(probe);
            continue;
        }
        probe.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut response = String::new();
        probe.read_to_string(&mut response)?;
        assert!(response.starts_with("HTTP/1.1 503 "), "probe {count}: {response}");
    }
    assert!(server.is_running());

    // Several at the same time, each of which sends its request after all of them have been accepted.
    drop(idle);
    let mut crowd = Vec::new();
    for socket in late {
        crowd.push(connect(socket, server.local_addrs()[0])?);
    }
    for (count, mut probe) in crowd.into_iter().enumerate() {
        probe.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut response = String::new();
        probe.read_to_string(&mut response)?;
        assert!(response.starts_with("HTTP/1.1 503 "), "one of the crowd, {count}: {response}");
    }

    // Connections over HTTP/2 belong to another thread, which frees descriptors for others.
    let (mut kept, mut others) = (Vec::new(), others.into_iter());
    for socket in others.by_ref().take(16) {
        let mut client = connect(socket, server.local_addrs()[0])?;
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
        client.read_exact(&mut [0; 9])?;
        kept.push(client);
    }
    for socket in others {
        let mut probe = connect(socket, server.local_addrs()[0])?;
        probe.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut response = String::new();
        probe.read_to_string(&mut response)?;
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    }
    Ok(())
}

fn connect(socket: Socket, address: SocketAddr) -> Result<TcpStream, Box<dyn Error>> {
    socket.connect(&address.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}
