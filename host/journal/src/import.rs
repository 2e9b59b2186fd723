//! Imports the journal of earlier versions, `state/journal.jsonl`, once.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::record::Record;

use super::failure::StoreError;
use super::store::{Batch, Store};
use bellwether_bus::Entry;

/// The older one comes first.
fn files(root: &Path) -> [PathBuf; 2] {
    [root.join("state/journal.1.jsonl"), root.join("state/journal.jsonl")]
}

/// The number of records in one transaction.
const CHUNK: usize = 2_000;
/// The maximum length of the last record.
const TAIL: u64 = 256 << 10;

/// The number of the last record in them; 0 if there is none.
pub(super) fn last_seq(root: &Path) -> u64 {
    let last = |path: &PathBuf| -> io::Result<u64> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.take(TAIL).read_to_end(&mut tail)?;
        let records = tail.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        Ok(records.map(|record: Record| record.seq).max().unwrap_or(0))
    };
    files(root).iter().filter_map(|path| last(path).ok()).max().unwrap_or(0)
}

/// Imports their records, and removes the files. Damaged lines are skipped. Returns the number of records and of
/// damaged lines.
pub(super) fn import(root: &Path, store: &mut Store) -> Result<(u64, u64), StoreError> {
    let (mut taken, mut damaged) = (0, 0);
    for path in files(root) {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let mut lines = BufReader::new(file).split(b'\n');
        loop {
            let mut records = Vec::new();
            for line in lines.by_ref().take(CHUNK) {
                let line = line?;
                match serde_json::from_slice::<Record>(&line) {
                    // The wall-clock time of the record is not known more exactly.
                    Ok(record) => {
                        records.push(Arc::new(Entry { wall: record.at.as_micros(), record }));
                    }
                    Err(_) => damaged += u64::from(!line.is_empty()),
                }
            }
            if records.is_empty() {
                break;
            }
            taken += records.len() as u64;
            store.write(Batch { records: &records, ..Batch::default() })?;
        }
        fs::remove_file(path)?;
    }
    Ok((taken, damaged))
}
