//! Detects the protocol of a connection by its first bytes.

/// The first bytes of an HTTP/2 client (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first byte of a TLS record with a handshake (RFC 8446, section 5.1).
pub(super) const HANDSHAKE: u8 = 22;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1, or something that is not HTTP at all.
    Http1,
    /// HTTP/2 without TLS, by a client with prior knowledge.
    Http2,
    Tls,
    /// More data is needed to decide.
    Undecided,
}

/// Examines the first bytes of a connection, after a PROXY header.
pub(super) fn protocol(input: &[u8]) -> Protocol {
    match input.first() {
        None => Protocol::Undecided,
        Some(&HANDSHAKE) => Protocol::Tls,
        Some(_) if input.starts_with(PREFACE) => Protocol::Http2,
        Some(_) if PREFACE.starts_with(input) => Protocol::Undecided,
        Some(_) => Protocol::Http1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_told_by_its_first_bytes_however_few_have_come() {
        for (input, expected) in [
            (&b""[..], Protocol::Undecided),
            (b"P", Protocol::Undecided),
            (b"POST / HTTP/1.1\r\n", Protocol::Http1),
            (b"PRI * HTTP/1.1\r\n", Protocol::Http1),
            (b"GET / HTTP/1.1\r\n", Protocol::Http1),
            (&PREFACE[..23], Protocol::Undecided),
            (PREFACE, Protocol::Http2),
            (b"\x16\x03\x01", Protocol::Tls),
        ] {
            assert_eq!(protocol(input), expected, "{input:?}");
        }
    }
}
