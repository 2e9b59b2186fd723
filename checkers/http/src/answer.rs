//! Parses a response into a status and a body (RFC 9112), as its parts arrive.
//!
//! ```text
//!           interim (1xx)
//!           ┌────┐
//!           ▼    │
//!  start ─▶ Head ┴─────▶ Length ──┐ all there
//!            │ └───────▶ Chunked ─┼───────────▶ the answer
//!            │ └───────▶ ToClose ─┘ or 1 MiB of body
//!            └────────────────────────────────▶ (no body, or none wanted)
//! ```

use httparse::{EMPTY_HEADER, ParserConfig, Response, Status, parse_chunk_size};

/// The maximum that is read of a body.
pub(crate) const MOST_BODY: usize = 1 << 20;
/// The maximum size of a head.
const MOST_HEAD: usize = 64 << 10;
/// The maximum number of header lines.
const MOST_HEADERS: usize = 1000;
/// The maximum length of the line before a chunk: its size and possibly extensions.
const MOST_CHUNK_LINE: usize = 4 << 10;

/// The response of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// At most [`MOST_BODY`] of it; empty if it was not requested.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn contains(&self, text: &str) -> bool {
        text.is_empty() || self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// Consumes bytes until the response is complete.
#[derive(Debug)]
pub(crate) struct Reader {
    wants_body: bool,
    /// Bytes that have not been parsed yet.
    pending: Vec<u8>,
    body: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// The number of bytes that are still to come.
    Length {
        status: u16,
        left: u64,
    },
    /// The number of bytes of this chunk that are still to come, including its line end; zero: a size line follows.
    Chunked {
        status: u16,
        left: u64,
    },
    ToClose {
        status: u16,
    },
}

/// How the end of a body is determined (RFC 9112, 6.3).
enum Framing {
    None,
    Length(u64),
    Chunked,
    ToClose,
}

impl Reader {
    pub(crate) fn new(wants_body: bool) -> Self {
        Self { wants_body, pending: Vec::new(), body: Vec::new(), state: State::Head }
    }

    /// Whether nothing has arrived yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state == State::Head && self.pending.is_empty()
    }

    /// The status, once the head has arrived.
    pub(crate) fn status(&self) -> Option<u16> {
        match self.state {
            State::Head => None,
            State::Length { status, .. } | State::Chunked { status, .. } | State::ToClose { status } => {
                Some(status)
            }
        }
    }

    /// Consumes bytes that arrived. Returns the response once it is complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Option<Answer>, String> {
        self.pending.extend_from_slice(bytes);
        loop {
            let before = (self.state, self.pending.len());
            let done = match self.state {
                State::Head => self.take_head()?,
                State::Length { status, left } => {
                    let left = left - self.take_body(left);
                    self.state = State::Length { status, left };
                    (left == 0).then_some(status)
                }
                State::Chunked { status, left } => self.take_chunk(status, left)?,
                State::ToClose { .. } => {
                    self.take_body(u64::MAX);
                    None
                }
            };
            let enough = self.status().filter(|_| self.body.len() >= MOST_BODY);
            if let Some(status) = done.or(enough) {
                return Ok(Some(self.answer(status)));
            }
            if before == (self.state, self.pending.len()) {
                return Ok(None);
            }
        }
    }

    /// The service has closed the connection.
    pub(crate) fn close(mut self) -> Result<Answer, String> {
        match self.state {
            State::ToClose { status } => Ok(self.answer(status)),
            State::Head => Err("it ends within the head".into()),
            State::Length { left, .. } => Err(format!("it ends {left} bytes too early")),
            State::Chunked { .. } => Err("it ends before the last chunk".into()),
        }
    }

    fn answer(&mut self, status: u16) -> Answer {
        Answer { status, body: std::mem::take(&mut self.body) }
    }

    /// The response, if no body follows or none is requested.
    fn take_head(&mut self) -> Result<Option<u16>, String> {
        let mut headers = vec![EMPTY_HEADER; MOST_HEADERS];
        let mut head = Response::new(&mut headers);
        // Old programs fold long headers (RFC 9112, 5.2): browsers accept them.
        let mut tolerant = ParserConfig::default();
        tolerant.allow_obsolete_multiline_headers_in_responses(true);
        let parsed = tolerant.parse_response(&mut head, &self.pending);
        let length = match parsed.map_err(|error| error.to_string())? {
            Status::Complete(length) => length,
            Status::Partial if self.pending.len() > MOST_HEAD => return Err("the head does not end".into()),
            Status::Partial => return Ok(None),
        };
        let status = head.code.unwrap_or_default();
        let framing = framing(status, head.headers)?;
        self.pending.drain(..length);
        if (100..200).contains(&status) && status != 101 {
            return Ok(None);
        }
        self.state = match framing {
            _ if !self.wants_body => return Ok(Some(status)),
            Framing::None | Framing::Length(0) => return Ok(Some(status)),
            Framing::Length(left) => State::Length { status, left },
            Framing::Chunked => State::Chunked { status, left: 0 },
            Framing::ToClose => State::ToClose { status },
        };
        Ok(None)
    }

    /// Moves up to `most` bytes to the body, and returns how many.
    fn take_body(&mut self, most: u64) -> u64 {
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(self.pending.len());
        let room = MOST_BODY - self.body.len();
        self.body.extend(self.pending.drain(..length).take(room));
        length as u64
    }

    fn take_chunk(&mut self, status: u16, left: u64) -> Result<Option<u16>, String> {
        if left > LINE_END {
            let left = left - self.take_body(left - LINE_END);
            self.state = State::Chunked { status, left };
        } else if left > 0 {
            if self.pending.len() as u64 >= left {
                if self.pending.drain(..2).as_slice() != b"\r\n" {
                    return Err("a chunk does not end where it should".into());
                }
                self.state = State::Chunked { status, left: 0 };
            }
        } else {
            match parse_chunk_size(&self.pending).map_err(|_| "the size of a chunk is invalid".to_owned())? {
                Status::Complete((_, 0)) => return Ok(Some(status)),
                Status::Complete((line, size)) => {
                    self.pending.drain(..line);
                    self.state = State::Chunked { status, left: size.saturating_add(LINE_END) };
                }
                Status::Partial if self.pending.len() > MOST_CHUNK_LINE => {
                    return Err("the size of a chunk does not end".into());
                }
                Status::Partial => {}
            }
        }
        Ok(None)
    }
}

/// The length of the line end after each chunk.
const LINE_END: u64 = 2;

fn framing(status: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, String> {
    if status < 200 || status == 204 || status == 304 {
        return Ok(Framing::None);
    }
    let mut length = None;
    for header in headers {
        let value = || std::str::from_utf8(header.value).unwrap_or_default().trim();
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let last = value().rsplit(',').next().unwrap_or_default().trim();
            // Without chunks, the body ends with the connection.
            return Ok(if last.eq_ignore_ascii_case("chunked") {
                Framing::Chunked
            } else {
                Framing::ToClose
            });
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = value();
            // The same length may occur more than once (RFC 9110, 8.6).
            for given in value.split(',').map(str::trim) {
                let digits = !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit());
                match given.parse() {
                    Ok(given) if digits && length.is_none_or(|before| before == given) => {
                        length = Some(given);
                    }
                    _ => return Err(format!("`{}` is not a Content-Length", value.escape_debug())),
                }
            }
        }
    }
    Ok(length.map_or(Framing::ToClose, Framing::Length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The response parsed from pieces of `size` bytes, then an end.
    fn read(bytes: &[u8], size: usize) -> Result<Answer, String> {
        let mut reader = Reader::new(true);
        for piece in bytes.chunks(size) {
            if let Some(answer) = reader.take(piece)? {
                return Ok(answer);
            }
        }
        reader.close()
    }

    fn body(text: &str) -> Result<String, String> {
        let whole = read(text.as_bytes(), usize::MAX);
        for size in 1..20 {
            assert_eq!(read(text.as_bytes(), size), whole, "in pieces of {size}");
        }
        whole.map(|answer| format!("{} {}", answer.status, String::from_utf8(answer.body).unwrap()))
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more", "200 hello"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 "),
            ("HTTP/1.0 200 OK\r\n\r\nto the end", "200 to the end"),
            ("HTTP/1.1 204 No Content\r\n\r\n", "204 "),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "304 "),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", "500 no"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\nA;x=y\r\no, this is\r\n0\r\n\r\n",
                "200 hello, this is",
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "200 x"),
            ("HTTP/1.1 404 Not Found\nContent-Length: 1\n\nx", "404 x"),
            ("HTTP/1.1 200 OK\r\nX-Long: a\r\n  b\r\n\tc\r\nContent-Length: 1\r\n\r\nx", "200 x"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "200 x"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", "200 x"),
        ];
        for (text, expected) in cases {
            assert_eq!(body(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_http_is_refused() {
        for text in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nxx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1,\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nX: ",
        ] {
            assert!(body(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_head_without_end_and_a_body_without_end_are_cut() {
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        head.extend(b"A: b\r\n".repeat(100));
        head.extend(vec![b'x'; MOST_HEAD]);
        assert_eq!(read(&head, 8192), Err("the head does not end".into()));

        let mut reader = Reader::new(true);
        assert_eq!(reader.take(b"HTTP/1.1 200 OK\r\n\r\n"), Ok(None));
        let piece = vec![b'x'; 100_000];
        let answer = std::iter::repeat_with(|| reader.take(&piece).unwrap()).take(20).flatten().next();
        assert_eq!(answer.unwrap().body.len(), MOST_BODY);
    }

    #[test]
    fn a_great_many_headers_are_read() {
        let answer = |count: usize| {
            let headers = "X: y\r\n".repeat(count);
            body(&format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 1\r\n\r\nx"))
        };
        assert_eq!(answer(150).as_deref(), Ok("200 x"));
        assert!(answer(MOST_HEADERS).is_err(), "and not without end");
    }

    #[test]
    fn the_head_is_enough_when_no_body_is_wanted() {
        let answer = Reader::new(false).take(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(answer, Ok(Some(Answer { status: 200, body: Vec::new() })));
    }
}
