//! The standard checker of TCP services, UDP services and Unix sockets: it checks whether the service
//! accepts connections, and optionally its answer.
//!
//! ```text
//!  config ─▶ connected ─┬─ nothing is expected ─▶ has the service accepted it? ─▶ observation
//!                       └─ something is ────────▶ talk, until it was said ─────▶ observation
//! ```

mod escaped;
#[cfg(test)]
mod tests;

use bellwether_guest::net::{Acceptance, Connection, NetError, Tls, Udp};
use bellwether_guest::prelude::*;

use crate::escaped::Escaped;

/// The maximum size of an answer.
const MOST_HEARD: usize = 64 << 10;
/// The part of an unexpected answer that is shown.
const MOST_SHOWN: usize = 80;

/// `config = { address = "127.0.0.1:6379", send = "PING\r\n", expect = "PONG" }`
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// What to connect to: `127.0.0.1:6379`, `[::1]:22` or `db.internal:5432`; with the prefix `udp:` over
    /// UDP; `unix:/run/app.sock` is a Unix socket.
    #[schemars(
        regex(pattern = r"^(unix:/.+|(udp:)?(\[[^\]]+\]|[^\[\]:/]+):[0-9]{1,5})$"),
        extend("x-connects-to" = "address")
    )]
    address: String,
    /// Text to send once connected.
    #[serde(default)]
    send: Option<String>,
    /// Bytes to send instead: text with escapes such as `\x00`, in single quotes.
    #[serde(default)]
    send_bytes: Option<Escaped>,
    /// Text that the answer of the service must contain.
    #[serde(default)]
    expect: Option<String>,
    /// Bytes that it must contain instead: text with escapes such as `\x00`, in single quotes.
    #[serde(default)]
    expect_bytes: Option<Escaped>,
    /// Whether a service on this machine must have accepted the connection itself: the system also
    /// completes connections for a service that is stopped or hangs. Default: true.
    #[serde(default = "yes")]
    expect_accept: bool,
    /// Use TLS: `tls = {}`.
    #[serde(default)]
    tls: Option<Tls>,
}

fn yes() -> bool {
    true
}

/// Connects to a TCP service, a UDP service or a Unix socket, and optionally checks its answer.
#[bellwether_guest::checker(grants(connect = "the service to check"))]
pub fn check(config: Config, run: &Run) -> Observation {
    let words = match Words::of(&config) {
        Ok(words) => words,
        Err(reason) => return Observation::unknown(reason),
    };
    if let Some(address) = config.address.strip_prefix("udp:") {
        return ask(address, &words, run);
    }
    let mut connection = match open(&config, run) {
        Ok(connection) => connection,
        Err(error) => return error.into(),
    };
    let connected = run.elapsed_ms();
    let seen = match talk(&mut connection, &config, &words) {
        Ok(seen) => seen,
        Err(error) => error.into(),
    };
    seen.measure("connect-time", connected, "ms").measure("response-time", run.elapsed_ms(), "ms")
}

/// What is sent, and what the answer must contain.
struct Words<'c> {
    send: Option<&'c [u8]>,
    expect: Option<&'c [u8]>,
}

impl<'c> Words<'c> {
    /// An error is a sentence about the configuration.
    fn of(config: &'c Config) -> Result<Self, String> {
        let one = |key: &str, text: Option<&'c String>, bytes: Option<&'c Escaped>| match (text, bytes) {
            (Some(_), Some(_)) => Err(format!("both `{key}` and `{key}-bytes` are given: leave one out")),
            (text, bytes) => Ok(text.map(String::as_bytes).or(bytes.map(|bytes| bytes.0.as_slice()))),
        };
        let words = Self {
            send: one("send", config.send.as_ref(), config.send_bytes.as_ref())?,
            expect: one("expect", config.expect.as_ref(), config.expect_bytes.as_ref())?,
        };
        let is_tcp = !config.address.starts_with("udp:") && !config.address.starts_with("unix:");
        if config.tls.is_some() && !is_tcp {
            return Err("`tls` needs TCP: omit it".into());
        }
        if config.address.starts_with("udp:") && words.send.is_none() {
            return Err("over UDP only what is asked answers: give something to `send`".into());
        }
        Ok(words)
    }
}

fn open<'r>(config: &Config, run: &'r Run) -> Result<Connection<'r>, NetError> {
    match (config.address.strip_prefix("unix:"), &config.tls) {
        (Some(path), _) => Connection::open_unix(run, path),
        (None, Some(tls)) => Connection::open_tls(run, &config.address, tls),
        (None, None) => Connection::open(run, &config.address),
    }
}

/// Over UDP: an answer is expected in any case.
fn ask(address: &str, words: &Words<'_>, run: &Run) -> Observation {
    let mut answer = vec![0; MOST_HEARD];
    let asked = Udp::open(run, address).and_then(|udp| udp.ask(words.send.unwrap_or_default(), &mut answer));
    let heard = match asked {
        Ok(length) => answer.get(..length).unwrap_or_default(),
        Err(error) => return error.into(),
    };
    let seen = match words.expect {
        Some(expected) if !contains(heard, expected) => {
            Observation::fail(format!("{address} said `{}` instead of `{}`", shown(heard), shown(expected)))
        }
        Some(expected) => Observation::pass(format!("{address} said `{}`", shown(expected))),
        None => Observation::pass(format!("{address} answered")),
    };
    seen.measure("response-time", run.elapsed_ms(), "ms")
}

fn talk(
    connection: &mut Connection<'_>,
    config: &Config,
    words: &Words<'_>,
) -> Result<Observation, NetError> {
    if let Some(bytes) = words.send {
        connection.write_all(bytes)?;
    }
    let Some(expected) = words.expect else {
        return Ok(taken(connection, config));
    };
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if contains(&heard, expected) {
            return Ok(Observation::pass(format!("{} said `{}`", config.address, shown(expected))));
        }
        let complaint = |what: String| Observation::fail(format!("{} {what}", config.address));
        let expected = shown(expected);
        match connection.read(&mut buffer) {
            Ok(length) if length > 0 && heard.len() < MOST_HEARD => {
                heard.extend_from_slice(&buffer[..length]);
            }
            Ok(_) if heard.is_empty() => {
                return Ok(complaint(format!("closed the connection without saying `{expected}`")));
            }
            Ok(_) => return Ok(complaint(format!("said `{}` instead of `{expected}`", shown(&heard)))),
            Err(NetError::NoAnswer(_, within)) if !heard.is_empty() => {
                let said = shown(&heard);
                let address = &config.address;
                return Ok(Observation::hang(format!(
                    "{address} said only `{said}` and not `{expected}` within {within:?}"
                )));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The service is only expected to accept the connection; the system completes connections in its place until its
/// queue is full.
fn taken(connection: &Connection<'_>, config: &Config) -> Observation {
    let address = &config.address;
    if config.expect_accept
        && let Ok(Acceptance { accepted: false, held_by }) = connection.accepted()
    {
        let by = held_by.map(|holders| format!(", {holders},")).unwrap_or_default();
        return Observation::hang(format!(
            "the system completed the connection to {address}, and the service{by} has not accepted it: it hangs or is stopped"
        ));
    }
    Observation::pass(format!("connected to {address}"))
}

fn contains(heard: &[u8], expected: &[u8]) -> bool {
    expected.is_empty() || heard.windows(expected.len()).any(|window| window == expected)
}

/// Bytes as one readable line.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    let cut: String = text.chars().take(MOST_SHOWN).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", cut.escape_debug())
}
