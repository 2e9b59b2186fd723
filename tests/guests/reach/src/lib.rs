//! A checker that tries to access something of the host, with only the standard library, and reports the result.
//! Used by the tests of grants.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::SystemTime;

use bellwether_guest::prelude::*;

/// The configuration of one run.
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// One of the acts below.
    act: Act,
    /// A path, an address or a name, as the act needs it.
    target: String,
}

/// The possible acts of the guest.
#[bellwether_guest::config]
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Read a file as text.
    Read,
    /// Count the bytes of a file, without keeping them.
    Count,
    /// List the entries of a directory.
    List,
    /// Report what a path leads to.
    Stat,
    /// Open a file repeatedly, and keep all of them open.
    Hoard,
    /// Try every way to change it.
    Change,
    /// Report all variables and arguments.
    Environment,
    /// Send hello over UDP, and report the first answer.
    Udp,
    /// Connect to the address over TCP.
    Connect,
    /// Listen for connections on the address.
    Listen,
    /// Look up a name.
    LookUp,
}

/// Tries an access, and passes if it succeeded.
#[bellwether_guest::checker]
pub fn check(config: Config, _run: &Run) -> Observation {
    let target = config.target.as_str();
    let got = match config.act {
        Act::Read => fs::read_to_string(target),
        Act::Count => count(target).map(|bytes| format!("{bytes} bytes")),
        Act::List => list(target),
        Act::Stat => stat(target),
        Act::Hoard => hoard(target),
        Act::Change => Ok(change(target)),
        Act::Environment => Ok(environment()),
        Act::Udp => udp(target),
        Act::Connect => TcpStream::connect(target)
            .and_then(|stream| stream.peer_addr())
            .map(|peer| format!("connected to {peer}")),
        Act::Listen => TcpListener::bind(target).map(|_| "listens".to_owned()),
        Act::LookUp => look_up(target),
    };
    match got {
        Ok(got) => Observation::pass(got),
        Err(error) => Observation::fail(format!("{:?}: {error}", error.kind())),
    }
}

fn count(path: &str) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    let mut count = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(count),
            bytes => count += bytes as u64,
        }
    }
}

fn list(path: &str) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(" "))
}

fn stat(path: &str) -> io::Result<String> {
    let about = fs::metadata(path)?;
    let kind = match (about.is_file(), about.is_dir()) {
        (true, _) => "file",
        (_, true) => "directory",
        _ => "something else",
    };
    Ok(format!("{kind} of {} bytes", about.len()))
}

fn hoard(path: &str) -> io::Result<String> {
    let mut hoard = vec![File::open(path)?];
    while hoard.len() < 500 {
        match File::open(path) {
            Ok(file) => hoard.push(file),
            Err(error) => return Ok(format!("{} files, then {:?}", hoard.len(), error.kind())),
        }
    }
    Ok("500 files".to_owned())
}

/// Each way and its result.
fn change(path: &str) -> String {
    let other = format!("{path}.other");
    let open = || File::open(path);
    let write = |options: &mut OpenOptions| options.write(true).open(path).map(drop);
    let ways: [(&str, io::Result<()>); 13] = [
        ("write", fs::write(path, "changed")),
        ("open", write(&mut OpenOptions::new())),
        ("truncate", write(OpenOptions::new().truncate(true))),
        ("append", write(OpenOptions::new().append(true))),
        ("create", File::create_new(&other).map(drop)),
        ("directory", fs::create_dir(&other)),
        ("link", fs::hard_link(path, &other)),
        ("copy", fs::copy(path, &other).map(drop)),
        ("rename", fs::rename(path, &other)),
        ("remove", fs::remove_file(path)),
        ("remove-directory", fs::remove_dir(path)),
        ("size", open().and_then(|file| file.set_len(0))),
        ("times", open().and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH))),
    ];
    let told = ways.map(|(way, result)| match result {
        Ok(()) => format!("{way}=done"),
        Err(error) => format!("{way}={:?}", error.kind()),
    });
    told.join(" ")
}

fn environment() -> String {
    let mut variables: Vec<String> =
        std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    variables.sort();
    format!("{} arguments, variables: {}", std::env::args_os().count(), variables.join(" "))
}

fn udp(address: &str) -> io::Result<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.send_to(b"hello", address)?;
    let mut answer = [0; 64];
    let (length, from) = socket.recv_from(&mut answer)?;
    let text = String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned();
    Ok(format!("`{text}` from {from}"))
}

fn look_up(name: &str) -> io::Result<String> {
    let addresses: Vec<String> =
        (name, 0).to_socket_addrs()?.map(|address| address.ip().to_string()).collect();
    Ok(addresses.join(" "))
}
