//! Finds the process that listens on a port that a program reports as in use.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::stat::Stat;

/// The phrases by which programs report it, in lower case.
const PHRASES: [&str; 5] =
    ["address already in use", "address in use", "connection in use", "eaddrinuse", "could not bind"];
/// The time limit of the search, because a host may have very many open files and the caller waits.
const LOOK_WITHIN: Duration = Duration::from_millis(200);
/// The maximum number of processes that are named.
const NAMED: usize = 3;
/// `TCP_LISTEN` of the kernel's `include/net/tcp_states.h`.
const LISTENS: &str = "0A";

/// The process that holds the port which this output reports as in use, as half a sentence: `port 8080 is held by
/// nginx 4711`. `None` if the output reports nothing like that, or no process is found.
pub fn of_the_port_in_use(output: &str) -> Option<String> {
    let ports = ports_in_use(output);
    if ports.is_empty() {
        return None;
    }
    let sockets = listening(
        &["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default()),
    );
    let held = ports.into_iter().find_map(|port| {
        let of_port: BTreeSet<u64> =
            sockets.iter().filter(|(of, _)| of.port() == port).map(|(_, inode)| *inode).collect();
        (!of_port.is_empty()).then_some((port, of_port))
    });
    let (port, sockets) = held?;
    let holders: Vec<String> = holders(&sockets).into_iter().take(NAMED).collect();
    (!holders.is_empty()).then(|| format!("port {port} is held by {}", holders.join(", ")))
}

/// What listens on this address, or else on its port of any address, as far as the daemon can see: `redis-server
/// 4711 (stopped)`.
pub fn of_address(address: SocketAddr) -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let listening = listening(&tables);
    let sockets = |meant: &dyn Fn(IpAddr) -> bool| -> BTreeSet<u64> {
        let here = listening.iter().filter(|(of, _)| of.port() == address.port() && meant(of.ip()));
        here.map(|(_, inode)| *inode).collect()
    };
    let ip = address.ip().to_canonical();
    let mut found = sockets(&|of: IpAddr| of.to_canonical() == ip);
    if found.is_empty() {
        found = sockets(&|of: IpAddr| of.is_unspecified());
    }
    if found.is_empty() { Vec::new() } else { holders(&found).into_iter().take(NAMED).collect() }
}

/// Numbers that may be the port, in lines that report something as in use.
fn ports_in_use(output: &str) -> Vec<u16> {
    let mut ports = Vec::new();
    for line in output.lines() {
        let small = line.to_lowercase();
        if !PHRASES.iter().any(|phrase| small.contains(phrase)) {
            continue;
        }
        for port in numbers_of_ports(line) {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

/// After a colon, after a comma and a space, or after the word: `127.0.0.1:8080`, `('127.0.0.1', 8080)`, `port
/// 8080`.
fn numbers_of_ports(line: &str) -> impl Iterator<Item = u16> {
    line.match_indices(|c: char| c.is_ascii_digit()).filter_map(|(at, _)| {
        let (before, behind) = line.split_at(at);
        let introduced = [":", ", ", "port ", "Port ", ",", "="].iter().any(|word| before.ends_with(word));
        let digits = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = behind.split_at(digits);
        // Hours and minutes, or a part of an address.
        let goes_on =
            behind.starts_with([':', '.']) && behind.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
        (introduced && !goes_on).then(|| number.parse::<u16>().ok())?.filter(|port| *port > 0)
    })
}

/// Addresses that have a listener, with its sockets.
fn listening(tables: &[String]) -> Vec<(SocketAddr, u64)> {
    let socket = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        let (ip, port) = local.rsplit_once(':')?;
        let address = SocketAddr::new(address_of(ip)?, u16::from_str_radix(port, 16).ok()?);
        (state == LISTENS).then_some((address, inode))
    };
    tables.iter().flat_map(|table| table.lines().skip(1).filter_map(socket)).collect()
}

/// An address in the format of the kernel's tables: words of eight digits, each in the byte order of the machine.
fn address_of(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(digits.get(at..at + 8)?, 16).ok();
    let words: Vec<u32> = (0..digits.len()).step_by(8).map(word).collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes.as_slice()).ok().map(IpAddr::from)
}

/// Processes that have one of these sockets open, as far as the daemon can see.
fn holders(sockets: &BTreeSet<u64>) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let until = Instant::now() + LOOK_WITHIN;
    let holds = |pid: &u32| {
        if Instant::now() > until {
            return false;
        }
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|target| {
            let inode = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']'));
            inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode| sockets.contains(&inode))
        })
    };
    let named = |pid: u32| {
        let stat = Stat::read(pid).ok()?;
        let rests = match stat.state {
            'T' | 't' => " (stopped)",
            _ if is_frozen(pid) => " (frozen)",
            _ => "",
        };
        Some(format!("{} {pid}{rests}", stat.comm))
    };
    pids.into_iter().filter(holds).filter_map(named).collect()
}

/// Whether the control group of a process is frozen (cgroups(7), version 2).
fn is_frozen(pid: u32) -> bool {
    let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let Some(path) = group.lines().find_map(|line| line.strip_prefix("0::/")) else { return false };
    let events = fs::read_to_string(format!("/sys/fs/cgroup/{path}/cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "frozen 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_testing::process::until;

    #[test]
    fn the_port_is_found_in_what_programs_say_of_it() {
        for (output, ports) in [
            (
                "2026/11/30 01:02:03 [emerg] 7#7: bind() to 127.0.0.1:8080 failed (98: Address already in use)\n\
                 2026/11/30 01:02:03 [emerg] 7#7: still could not bind()",
                &[8080][..],
            ),
            ("AH00072: make_sock: could not bind to address [::]:80", &[80]),
            ("Error: listen EADDRINUSE: address already in use :::3000", &[3000]),
            ("[ERROR] Connection in use: ('127.0.0.1', 8000)", &[8000]),
            ("Failed to listen on port 6379: Address already in use.", &[6379]),
            ("dnsmasq: failed to create listening socket for 10.0.0.1: Address already in use", &[]),
            ("listens on 127.0.0.1:8080", &[]),
            ("", &[]),
        ] {
            let found = ports_in_use(output);
            // A time is taken for a port as well; no process listens there, so none is named.
            assert!(ports.iter().all(|port| found.contains(port)), "{output}: {found:?}");
            assert!(!ports.is_empty() || found.is_empty(), "{output}: {found:?}");
        }
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        for address in ["127.0.0.1", "0.0.0.0", "::1", "::", "2001:db8::7"] {
            let ip: IpAddr = address.parse().unwrap();
            let bytes = match ip {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            let words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap()));
            let digits: Vec<String> = words.map(|word| format!("{word:08X}")).collect();
            assert_eq!(address_of(&digits.concat()), Some(ip), "{address}");
        }
        for wrong in ["", "0100007", "0100007F00", "0100007G"] {
            assert_eq!(address_of(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn who_listens_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let output = format!("bind() to 127.0.0.1:{port} failed (98: Address already in use)");
        let this = Stat::read(std::process::id()).unwrap();
        let told = of_the_port_in_use(&output).unwrap();
        assert!(told.starts_with(&format!("port {port} is held by ")), "{told}");
        assert!(told.contains(&format!("{} {}", this.comm, this.pid)), "{told}");
        // A child that another test starts holds it as well, until it executes its program.
        let (address, named) = (listener.local_addr().unwrap(), format!("{} {}", this.comm, this.pid));
        until("this process alone listens", || of_address(address) == [named.as_str()]).await;
        // Another address of this machine has the port to itself.
        let elsewhere = of_address(SocketAddr::from(([127, 0, 0, 2], port)));
        assert!(elsewhere.is_empty(), "{elsewhere:?}");
        assert_eq!(of_the_port_in_use(&format!("listens on 127.0.0.1:{port}")), None);
        drop(listener);
    }
}
