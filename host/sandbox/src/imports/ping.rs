//! `bellwether:guest/ping`: whether a host answers.
//!
//! A name is resolved only if a grant contains it, and its addresses are checked as well: a name must not lead to
//! an address that another grant would have to allow.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bellwether_core::grant::{Grant, Grants, Refusal};

use super::{error, refused};
use crate::bindings::errors::Error;
use crate::bindings::ping::{Host, Reply};
use crate::echo::{EchoError, echo};
use crate::store::Run;
use bellwether_os::names::{Share, look_up};

impl Host for Run {
    async fn echo(&mut self, host: String, timeout_ms: u32) -> wasmtime::Result<Result<Reply, Error>> {
        let until = Instant::now() + self.time_left().min(Duration::from_millis(timeout_ms.into()));
        let address = match target(&self.grants, &self.share.names, &host, until).await {
            Ok((address, grant)) => {
                self.output.has_used(grant);
                address
            }
            Err(Unasked::Refused(refusal)) => return Ok(Err(refused(self, refusal))),
            Err(Unasked::NoSuchName(why)) => return Ok(Err(error("no-such-name", &why))),
        };
        let answer = echo(address, until.saturating_duration_since(Instant::now())).await;
        Ok(match answer {
            Ok(took) => Ok(Reply {
                round_trip_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                address: address.to_string(),
                attributes: Vec::new(),
            }),
            Err(why) => Err(why.into()),
        })
    }
}

/// Why no request was sent.
enum Unasked {
    Refused(Refusal),
    NoSuchName(String),
}

/// The address to ping, and the grant that allows it.
async fn target<'g>(
    grants: &'g Grants,
    share: &Share,
    host: &str,
    until: Instant,
) -> Result<(IpAddr, Grant<'g>), Unasked> {
    let plain = host.trim_matches(['[', ']']);
    if let Ok(address) = plain.parse::<IpAddr>() {
        let address = address.to_canonical();
        let grant = grants.may_ping(address, None).map_err(Unasked::Refused)?;
        return Ok((address, grant));
    }
    grants.may_ping_name(host).map_err(Unasked::Refused)?;
    let found = look_up(host, share, until.into()).await.map_err(|why| {
        Unasked::NoSuchName(match why.kind() {
            io::ErrorKind::TimedOut => format!("the name `{host}` is not answered for in time"),
            _ => format!("the name `{host}` cannot be looked up: {why}"),
        })
    })?;
    let mut refusal = None;
    for address in found.into_iter().map(|found| found.ip().to_canonical()) {
        match grants.may_ping(address, Some(host)) {
            Ok(grant) => return Ok((address, grant)),
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    Err(match refusal {
        Some(refusal) => Unasked::Refused(refusal),
        None => Unasked::NoSuchName(format!("the name `{host}` has no address")),
    })
}

impl From<EchoError> for Error {
    fn from(why: EchoError) -> Self {
        let code = match why {
            EchoError::Forbidden(_) | EchoError::Failed(..) => "unavailable",
            EchoError::NoAnswer { .. } => "no-answer",
            EchoError::Unreachable(..) => "unreachable",
        };
        error(code, &why.to_string())
    }
}
