//! The PROXY line in front of the first request (`HAProxy`'s `doc/proxy-protocol.txt`, versions 1 and 2).
//!
//! A balancer that sends the line on every connection also sends it for its checks (`check-send-proxy`, AWS target
//! groups with `proxy_protocol_v2`). The addresses in it are ignored: the answer is the same for every client, and
//! the client's address is that of the connection itself.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The maximum length including its end, in bytes.
const MAX_LINE: usize = 107;
const LINE: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family, and the length of the rest.
const HEADER: usize = 16;
/// The maximum length of the addresses and extensions after a binary header, in bytes.
const MAX_REST: usize = 2048;

/// The beginning of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preamble {
    /// A PROXY header with this number of bytes.
    Whole(usize),
    /// It may be the beginning of a PROXY header.
    Partial,
    /// It is not a PROXY header.
    Absent,
    /// An invalid PROXY header.
    Malformed,
}

/// Examines the first bytes of a connection.
pub(super) fn preamble(input: &[u8]) -> Preamble {
    for (begin, rest) in [(LINE, line as fn(&[u8]) -> Preamble), (SIGNATURE, binary)] {
        if input.starts_with(begin) {
            return rest(input);
        }
        if begin.starts_with(input) {
            return Preamble::Partial;
        }
    }
    Preamble::Absent
}

fn line(input: &[u8]) -> Preamble {
    let Some(end) = input.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return if input.len() < MAX_LINE { Preamble::Partial } else { Preamble::Malformed };
    };
    let text = input[..end].strip_suffix(b"\r").and_then(|text| std::str::from_utf8(text).ok());
    let words: Vec<&str> = text.unwrap_or_default().split(' ').skip(1).collect();
    let known = match words.as_slice() {
        ["TCP4", rest @ ..] => are_addresses::<Ipv4Addr>(rest),
        ["TCP6", rest @ ..] => are_addresses::<Ipv6Addr>(rest),
        ["UNKNOWN", ..] => true,
        _ => false,
    };
    if known { Preamble::Whole(end + 1) } else { Preamble::Malformed }
}

fn are_addresses<Address: FromStr>(words: &[&str]) -> bool {
    let [from, to, from_port, to_port] = words else { return false };
    [from, to].iter().all(|word| word.parse::<Address>().is_ok())
        && [from_port, to_port].iter().all(|word| word.parse::<u16>().is_ok())
}

fn binary(input: &[u8]) -> Preamble {
    let Some((&[version_and_command, _, high, low], _)) =
        input.get(SIGNATURE.len()..).and_then(<[u8]>::split_first_chunk)
    else {
        return Preamble::Partial;
    };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    // Version 2; a check of the balancer itself (LOCAL), or a connection that it forwards (PROXY).
    if !matches!(version_and_command, 0x20 | 0x21) || rest > MAX_REST {
        return Preamble::Malformed;
    }
    if input.len() < HEADER + rest { Preamble::Partial } else { Preamble::Whole(HEADER + rest) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn local() -> Vec<u8> {
        [SIGNATURE, &[0x20, 0, 0, 0]].concat()
    }

    fn of_ipv4() -> Vec<u8> {
        [SIGNATURE, &[0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 2, 0, 80, 0, 81]].concat()
    }

    #[test]
    fn a_header_ends_where_the_request_begins() {
        let lines = [
            b"PROXY TCP4 127.0.0.1 127.0.0.2 40000 9010\r\n".to_vec(),
            b"PROXY TCP6 ::1 ::1 40000 9010\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
            local(),
            of_ipv4(),
        ];
        for line in lines {
            assert_eq!(preamble(&line), Preamble::Whole(line.len()), "{line:?}");
            let with_request = [&line, &b"GET / HTTP/1.1\r\n"[..]].concat();
            assert_eq!(preamble(&with_request), Preamble::Whole(line.len()), "{line:?}");
            for end in 0..line.len() {
                assert_eq!(preamble(&line[..end]), Preamble::Partial, "{end} of {line:?}");
            }
        }
    }

    #[test]
    fn what_only_claims_to_be_one_is_refused() {
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; MAX_LINE]].concat();
        let version_one = [SIGNATURE, &[0x11, 0x11, 0, 0]].concat();
        let too_long = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
        for input in [
            b"PROXY / HTTP/1.1\r\n".as_slice(),
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1\r\n",
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 70000\r\n",
            b"PROXY UNKNOWN\n",
            &long,
            &version_one,
            &too_long,
        ] {
            assert_eq!(preamble(input), Preamble::Malformed, "{input:?}");
        }
    }

    #[test]
    fn requests_begin_with_something_else() {
        for input in [b"GET / HTTP/1.1\r\n".as_slice(), b"POST", b"PUT", b"\r\nGET", b"OPTIONS *"] {
            assert_eq!(preamble(input), Preamble::Absent, "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn more_bytes_never_change_what_was_said(input in proptest::collection::vec(any::<u8>(), 0..200), more in any::<u8>()) {
            let said = preamble(&input);
            let longer = [input.as_slice(), &[more]].concat();
            prop_assert!(said == Preamble::Partial || preamble(&longer) == said);
        }
    }
}
