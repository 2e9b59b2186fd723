//! The self-signed certificate of the daemon, for when the operator provides none.
//!
//! ```text
//!   none, damaged, for other names, or near its end ──▶ made anew ──▶ kept
//! ```
//! Two files in a separate folder, readable only by the daemon's user.

use std::fs;
use std::io;
use std::path::Path;

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::{Pair, PairFiles};
use bellwether_os::{atomic_file, file};

/// Its validity in days. Some clients reject longer ones.
const DAYS: i64 = 825;
/// It is renewed when it is valid for fewer days.
const RENEW: i64 = 30;
/// The maximum length of the certificate's own name (RFC 5280, ub-common-name).
const MAX_COMMON_NAME: usize = 50;
/// The comment above the certificate with the names that it was made for.
const NAMES: &str = "Names: ";

/// A self-signed certificate, as stored.
#[derive(Debug, Clone)]
pub struct Own {
    pub(crate) pair: Pair,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    #[error("it cannot be made: {0}")]
    Made(#[from] rcgen::Error),
    #[error("it cannot be kept: {0}")]
    Kept(#[from] io::Error),
    #[error("it cannot be read again: {0}")]
    Read(#[from] super::PairError),
}

impl Own {
    /// The one that is stored in this folder, or a new one.
    pub(crate) fn keep_in(folder: &Path, names: &[String], now: Timestamp) -> Result<Self, OwnError> {
        let files = files(folder);
        let pair = Pair::read(&files).ok().filter(|pair| serves(pair, &files, names, now));
        if let Some(pair) = pair {
            atomic_file::remember(&files.key);
            atomic_file::remember(&files.certificate);
            return Ok(Self { pair });
        }
        make(&files, folder, names, now)?;
        Ok(Self { pair: Pair::read(&files)? })
    }
}

/// The paths of both files.
pub fn files(folder: &Path) -> PairFiles {
    PairFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") }
}

fn serves(pair: &Pair, files: &PairFiles, names: &[String], now: Timestamp) -> bool {
    let renew = now.as_second() + RENEW * 86_400;
    let lasts = pair.ends.is_some_and(|ends| ends.as_second() > renew);
    let text = fs::read_to_string(&files.certificate).unwrap_or_default();
    lasts && text.lines().next() == Some(&*heading(names))
}

fn heading(names: &[String]) -> String {
    format!("{NAMES}{}", names.join(" "))
}

fn make(files: &PairFiles, folder: &Path, names: &[String], now: Timestamp) -> Result<(), OwnError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    let name: String =
        names.first().into_iter().flat_map(|name| name.chars()).take(MAX_COMMON_NAME).collect();
    params.distinguished_name.push(DnType::CommonName, format!("Bellwether {name}"));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // rcgen's time type has no name here.
    let midnight = |date: Date| {
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    // Clocks of clients may be a little slow.
    params.not_before = midnight(today.saturating_sub(Span::new().days(1)));
    params.not_after = midnight(today.saturating_add(Span::new().days(DAYS)));
    let certificate = params.self_signed(&key)?;
    file::create_private_dir_all(folder)?;
    file::make_private_dir(folder)?;
    atomic_file::replace(&files.key, key.serialize_pem().as_bytes())?;
    let text = format!("{}\n{}", heading(names), certificate.pem());
    atomic_file::replace(&files.certificate, text.as_bytes())?;
    Ok(())
}
