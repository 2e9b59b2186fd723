//! The expiry of a certificate.

use jiff::Timestamp;
use x509_parser::nom::Parser as _;
use x509_parser::prelude::X509CertificateParser;

/// The moment of `notAfter`; `None` if the certificate (DER) cannot be parsed.
///
/// RFC 5280, section 4.1.2.5: a certificate that does not expire has `99991231235959Z`. That is later than the last
/// [`Timestamp`], which is returned in its place.
pub fn ends(certificate: &[u8]) -> Option<Timestamp> {
    // The extensions are irrelevant here, even if one cannot be parsed.
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    let (_, certificate) = parser.parse(certificate).ok()?;
    let ends = certificate.validity().not_after.timestamp();
    Timestamp::from_second(ends.min(Timestamp::MAX.as_second())).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn valid_until(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1960, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    /// RFC 5280, section 4.1.2.5: `UTCTime` has a two-digit year, from 1950 to 2049.
    #[test]
    fn both_notations_of_time_are_understood() {
        for (year, month, day, expected) in [
            (1970, 1, 1, "1970-01-01T00:00:00Z"),
            (1999, 12, 31, "1999-12-31T00:00:00Z"),
            (2026, 11, 22, "2026-11-22T00:00:00Z"),
            (2049, 12, 31, "2049-12-31T00:00:00Z"),
            (2050, 1, 1, "2050-01-01T00:00:00Z"),
            (9999, 12, 30, "9999-12-30T00:00:00Z"),
            (9999, 12, 31, "9999-12-30T22:00:00Z"),
        ] {
            let certificate = valid_until(year, month, day);
            assert_eq!(ends(&certificate).map(|at| at.to_string()).as_deref(), Some(expected));
            assert_eq!(ends(&certificate[..certificate.len() / 2]), None, "half of a certificate");
        }
    }

    #[test]
    fn no_bytes_make_reading_panic() {
        for text in [&b""[..], b"\x30", b"\x30\x82\xff", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x30\x01\x02"]
        {
            assert_eq!(ends(text), None);
        }
        let seeds = [valid_until(2026, 11, 22), valid_until(2051, 1, 2)];
        bellwether_testing::fuzz::run("certificates", &seeds, |bytes| {
            let _any = ends(bytes);
        });
    }
}
