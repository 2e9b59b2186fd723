//! Opens the journal at the daemon's start, whatever state the file is in.
//!
//! ```text
//!   good, absent, older ───────────────────────────────────▶ open
//!   damaged, newer, somebody else's ──set aside, salvaged──▶ open, begun anew
//!   disk full, read-only ──────────────────────────────────▶ without; tried again later
//! ```
//! In every case numbers continue after all that were used before: the file contains them, and if it cannot be
//! read, `state/journal.reserved` beside it does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use rusqlite::{Connection, OpenFlags};

use super::Settings;
use super::aside::{salvage, set_aside};
use super::failure::StoreError;
use super::import;
use super::rescue::put_in_place;
use super::search;
use super::store::{Boot, GivenOut, RESERVE, Store};
use super::waiting::LATEST;
use bellwether_bus::Entry;
use bellwether_os::boot_id;

/// The result of opening the file.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// The file, if it can be written.
    pub(super) store: Option<Store>,
    /// No number above this one was ever used.
    pub(super) last_seq: u64,
    pub(super) last_input: u64,
    /// The readable records of a file that was moved aside. To be written again.
    pub(super) salvaged: Vec<Arc<Entry>>,
    /// The files that were moved aside, and why.
    pub(super) notes: Vec<String>,
    /// Why the file cannot be written.
    pub(super) failing: Option<String>,
}

pub(super) fn open(path: &Path, settings: &Settings) -> Opened {
    let mut opened =
        Opened { last_seq: reserved_beside(path).max(import::last_seq(&settings.root)), ..Opened::default() };
    if let Err(error) = open_into(&mut opened, path, settings) {
        opened.store = None;
        opened.failing = Some(error.to_string());
        if let Some(reserved) = peek(path) {
            opened.last_seq = opened.last_seq.max(reserved);
        }
    }
    opened
}

fn open_into(opened: &mut Opened, path: &Path, settings: &Settings) -> Result<(), StoreError> {
    let (mut store, given) = match open_good(path) {
        Ok(found) => found,
        Err(StoreError::NotNow(why)) => return Err(StoreError::NotNow(why)),
        Err(StoreError::Useless(why)) => {
            let (note, salvaged) = replace(path, &why, wall(settings))?;
            opened.notes.push(note);
            opened.last_seq = opened.last_seq.max(salvaged.last().map_or(0, |last| last.seq));
            opened.salvaged = salvaged;
            open_good(path)?
        }
    };
    opened.last_seq = opened.last_seq.max(given.reserved);
    opened.last_input = given.input;
    store.begin(&boot(settings), opened.last_seq)?;
    opened.store = Some(store);
    Ok(())
}

/// Opens the file and reads what is needed to continue it.
pub(super) fn open_good(path: &Path) -> Result<(Store, GivenOut), StoreError> {
    // A previous daemon may have been killed, or the disk may have failed, just before.
    put_in_place(path)?;
    let store = Store::open(path, beside(path).exists())?;
    let given = store.given_out()?;
    Ok((store, given))
}

/// Whether a damaged file is valid without its full-text index, which is then rebuilt.
pub(super) fn mend(path: &Path) -> bool {
    let renewed = open_good(path).and_then(|(mut store, _)| Ok(search::renew(&mut store.connection)?));
    renewed.unwrap_or_else(|error| {
        tracing::debug!(%error, "the index of the journal could not be rebuilt");
        false
    })
}

/// Moves a file aside. Returns the message, and the readable records.
pub(super) fn replace(path: &Path, why: &str, wall: i64) -> io::Result<(String, Vec<Arc<Entry>>)> {
    let salvaged = salvage(path, LATEST);
    let aside = set_aside(path, wall)?;
    let name = aside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let note = format!(
        "state/journal.db could not be used ({why}): it was moved to state/{name}, and a new one was created"
    );
    Ok((note, salvaged))
}

pub(super) fn boot(settings: &Settings) -> Boot {
    let machine = boot_id::text().unwrap_or_default();
    Boot { machine, node: settings.node.to_string(), wall: wall(settings) }
}

fn wall(settings: &Settings) -> i64 {
    settings.clock.wall_micros(settings.clock.now())
}

/// Escapes characters with a special meaning in the URI of a database (`SQLite`, "URI Filenames").
const SPECIAL: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// The message for a file that cannot be written.
fn peek(path: &Path) -> Option<u64> {
    let read = |path: &Path, flags: OpenFlags| -> rusqlite::Result<u64> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | flags)?;
        let sql = "SELECT max(ifnull((SELECT value FROM facts WHERE name = 'reserved'), 0),
                              ifnull((SELECT max(seq) FROM records), 0))";
        let number: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let plain = percent_encode(path.as_os_str().as_encoded_bytes(), SPECIAL);
    let immutable = PathBuf::from(format!("file:{plain}?immutable=1"));
    read(path, OpenFlags::empty()).or_else(|_| read(&immutable, OpenFlags::SQLITE_OPEN_URI)).ok()
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("reserved")
}

/// Numbers up to this may have been used, according to the file beside the journal.
fn reserved_beside(path: &Path) -> u64 {
    let text = fs::read_to_string(beside(path)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Stores the number there. Not synced: the journal itself contains the same, and this is for its loss.
pub(super) fn reserve_beside(path: &Path, reserved: u64) -> io::Result<()> {
    let new = path.with_extension("reserved.new");
    fs::write(&new, format!("{reserved}\n"))?;
    fs::rename(new, beside(path))
}

/// The reservation that [`Store::begin`] makes.
pub(super) fn reservation(last: u64) -> u64 {
    last + RESERVE
}
