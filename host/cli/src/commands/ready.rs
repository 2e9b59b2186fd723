//! `ready`: the health answer for software that checks with a program instead of by HTTP.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bellwether_config as config;
use bellwether_core::health::NO_SUCH_MODULE;
use bellwether_core::id::ModuleName;
use clap::Args;

use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::root::RootArg;

/// Software that runs a program as a check (`vrrp_script` of keepalived, ldirectord) gives it a second or more.
const WITHIN: Duration = Duration::from_millis(900);
/// The maximum length of the answer with its head, in bytes.
const MAX_ANSWER: u64 = 4096;

/// Query the health endpoint as a load balancer does; exit code 0 if the application is serving
///
/// For software that checks an exit code, such as the scripts of keepalived. It exits within a
/// second: 0 means ready, 3 not ready, and 4 that there was no answer.
#[derive(Debug, Args)]
pub(crate) struct ReadyArgs {
    /// The module: the name of its file in modules/. Default: all modules together
    module: Option<ModuleName>,
}

pub(crate) fn run(args: &ReadyArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let until = Instant::now() + WITHIN;
    let root = root.find()?;
    let node = config::read_node(&root).map_err(|mistakes| {
        let what = format!("bellwether.toml has errors\n{}", mistakes.render(false));
        Failure::new(Exit::Mistakes, what, "bellwether validate")
    })?;
    let address = reachable(node.health);
    let path = args.module.as_ref().map_or("/health".to_owned(), |module| format!("/health/{module}"));
    let answer = ask(address, &path, until).map_err(|error| {
        let what = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => "it did not answer in time".to_owned(),
            _ => error.to_string(),
        };
        let what = format!("the health endpoint on {address} cannot be queried: {what}");
        Failure::new(Exit::NoDaemon, what, "bellwether status")
    })?;
    let (head, said) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    write!(output, "{said}")?;
    let code = head.split(' ').nth(1).unwrap_or_default();
    if said.trim_end() == NO_SUCH_MODULE {
        eprintln!("  next: `bellwether status` lists the modules");
    }
    Ok(if code == "200" { Exit::Done } else { Exit::Denied })
}

/// An address that reaches an endpoint which listens on every address.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

fn ask(address: SocketAddr, path: &str, until: Instant) -> std::io::Result<String> {
    // A timeout of zero means none.
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&address, left())?;
    stream.set_write_timeout(Some(left()))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let (mut answer, mut part) = (Vec::new(), [0; 1024]);
    let mut stream = stream.take(MAX_ANSWER);
    loop {
        stream.get_ref().set_read_timeout(Some(left()))?;
        match stream.read(&mut part)? {
            0 => return Ok(String::from_utf8_lossy(&answer).into_owned()),
            length => answer.extend_from_slice(&part[..length]),
        }
        if Instant::now() >= until {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_on_the_loopback() {
        for (listens, asked) in
            [("0.0.0.0:9010", "127.0.0.1:9010"), ("[::]:9010", "[::1]:9010"), ("10.0.0.1:80", "10.0.0.1:80")]
        {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
