//! One request and its response, over TCP or TLS: the only part that does I/O.

use std::time::Duration;

use bellwether_guest::Run;
use bellwether_guest::net::{Connection, NetError, Tls};

use crate::answer::{Answer, Reader};
use crate::request::Request;

/// Why there is no response to judge.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The connection has failed, with the error.
    Net(NetError),
    /// The response is not valid HTTP/1.
    Malformed(String),
    /// The service closed the connection before it sent anything.
    Silent,
    /// The head arrived, but the body took too long.
    Unfinished {
        /// The status in the head.
        status: u16,
        within: Duration,
    },
}

impl From<NetError> for NoAnswer {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

/// The result of a request.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) answer: Answer,
    /// When the service's certificate expires, in milliseconds since 1970.
    pub(crate) certificate_ends_ms: Option<i64>,
}

/// Sends the request and reads the response; its body only if it is needed.
pub(crate) fn exchange(
    request: &Request,
    tls: &Tls,
    wants_body: bool,
    run: &Run,
) -> Result<Exchanged, NoAnswer> {
    let mut connection = if request.is_tls {
        Connection::open_tls(run, &request.address, tls)?
    } else {
        Connection::open(run, &request.address)?
    };
    let certificate_ends_ms = connection.certificate_ends_ms();
    let answer = ask(&mut connection, request, wants_body)?;
    Ok(Exchanged { answer, certificate_ends_ms })
}

fn ask(connection: &mut Connection<'_>, request: &Request, wants_body: bool) -> Result<Answer, NoAnswer> {
    connection.write_all(request.text.as_bytes())?;
    let mut reader = Reader::new(wants_body && !request.is_head);
    let mut buffer = [0; 8192];
    loop {
        let length = match (connection.read(&mut buffer), reader.status()) {
            (Ok(length), _) => length,
            (Err(NetError::NoAnswer(_, within)), Some(status)) => {
                return Err(NoAnswer::Unfinished { status, within });
            }
            (Err(error), _) => return Err(error.into()),
        };
        if length == 0 {
            return if reader.is_fresh() {
                Err(NoAnswer::Silent)
            } else {
                reader.close().map_err(NoAnswer::Malformed)
            };
        }
        if let Some(answer) = reader.take(&buffer[..length]).map_err(NoAnswer::Malformed)? {
            return Ok(answer);
        }
    }
}
