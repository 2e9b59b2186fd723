//! Until when a certificate counts: the one field of X.509 that is of interest here.
//!
//! ```text
//!   Certificate ─▶ tbsCertificate ─▶ [version], serialNumber, signature, issuer, validity ─▶ notAfter
//! ```
//! RFC 5280, 4.1; DER as in X.690.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT Version`
const VERSION: u8 = 0xa0;

/// The moment of `notAfter`; nothing if the certificate is not understood.
pub fn ends(certificate: &[u8]) -> Option<Timestamp> {
    let mut outer = Reader(certificate);
    let mut certificate = Reader(outer.expect(SEQUENCE)?);
    let mut fields = Reader(certificate.expect(SEQUENCE)?);
    let (mut tag, _) = fields.next()?;
    if tag == VERSION {
        tag = fields.next()?.0;
    }
    if tag != INTEGER {
        return None;
    }
    let [_signature, _issuer, validity] =
        [fields.expect(SEQUENCE)?, fields.expect(SEQUENCE)?, fields.expect(SEQUENCE)?];
    let mut validity = Reader(validity);
    let _not_before = validity.next()?;
    let (tag, text) = validity.next()?;
    moment(tag, text)
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`
fn moment(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let digits = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = digits.split_at(2);
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = digits.split_at(4);
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |index: usize| rest.get(index * 2..index * 2 + 2)?.parse::<i8>().ok();
    let civil = DateTime::new(year, part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, 0).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Reads one value after the other.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    /// Its tag and its content.
    fn next(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_moment_are_understood_and_nothing_else() {
        let of = |tag, text: &str| moment(tag, text.as_bytes()).map(|at| at.to_string());
        assert_eq!(of(UTC_TIME, "261122213000Z").as_deref(), Some("2026-11-22T21:30:00Z"));
        assert_eq!(of(UTC_TIME, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(of(GENERALIZED_TIME, "20510102030405Z").as_deref(), Some("2051-01-02T03:04:05Z"));
        for (tag, text) in [
            (UTC_TIME, "20510102030405Z"),
            (UTC_TIME, "261322213000Z"),
            (UTC_TIME, "26112221300Z"),
            (UTC_TIME, "+6112221300Z"),
            (INTEGER, "261122213000Z"),
        ] {
            assert_eq!(of(tag, text), None, "{text}");
        }
    }

    #[test]
    fn whatever_the_bytes_nothing_breaks() {
        for text in [&b""[..], b"\x30", b"\x30\x82\xff", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x30\x01\x02"]
        {
            assert_eq!(ends(text), None);
        }
    }
}
