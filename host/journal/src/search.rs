//! Searches the texts of records without reading all of them.
//!
//! The table `sought` is an index of all sequences of three letters (the trigram tokenizer of FTS5,
//! <https://sqlite.org/fts5.html>). Few records contain all three-letter parts of a search text; whether they
//! contain the whole text is then checked in the text itself.
//!
//! Records are added and removed in batches: a trigger for each would take five times as long.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::schema;

/// The number of parts of a long text that are searched. Fewer suffice, and are faster.
const PARTS: usize = 16;

/// The query of the index for a text; `None` if the index cannot help: it contains no text with fewer than three
/// letters, and control characters cannot be expressed in its language.
pub(super) fn parts(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    if letters.iter().any(|letter| letter.is_control()) {
        return None;
    }
    let all: Vec<&[char]> = letters.windows(3).collect();
    // For a long text, parts from everywhere.
    let step = all.len().div_ceil(PARTS).max(1);
    let part = |part: &&[char]| format!("\"{}\"", part.iter().collect::<String>().replace('"', "\"\""));
    let parts: Vec<String> = all.iter().step_by(step).map(part).collect();
    (!parts.is_empty()).then(|| parts.join(" AND "))
}

/// Adds records that were just written; their numbers, ascending.
pub(super) fn enter(transaction: &Transaction<'_>, written: &[i64]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO sought(rowid, letters) SELECT seq, text FROM records WHERE seq BETWEEN ?1 AND ?2",
    )?;
    for run in written.chunk_by(|before, after| before + 1 == *after) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            statement.execute(params![first, last])?;
        }
    }
    // As much as was added, because otherwise segments would accumulate until they are merged all at once.
    let pages = MERGED + i64::try_from(written.len()).unwrap_or(i64::MAX) / ENTERED;
    if written.is_empty() { Ok(()) } else { merge_pages(transaction, pages) }
}

/// The approximate number of pages of the index that one step of merging writes.
const MERGED: i64 = 16;
/// The number of records for a page of the index, including repeated merges.
const ENTERED: i64 = 8;

/// One step of merging the entries of many batches (<https://www.sqlite.org/fts5.html#the_merge_command>).
pub(super) fn merge(connection: &Connection) -> rusqlite::Result<()> {
    merge_pages(connection, MERGED)
}

fn merge_pages(connection: &Connection, pages: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO sought(sought, rank) VALUES('merge', ?1)";
    connection.prepare_cached(sql)?.execute([pages]).map(|_| ())
}

/// Rebuilds the index empty, if nothing else in the file is damaged; otherwise nothing is changed. Existing records
/// are no longer in it, and are scanned instead. Returns whether the file is valid again.
pub(super) fn renew(connection: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("DROP TABLE sought; DELETE FROM facts WHERE name = 'sought_from'")?;
    transaction.execute_batch(schema::SEARCH)?;
    let found: String = transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    let good = found == "ok";
    let ended = if good { transaction.commit() } else { transaction.rollback() };
    ended.map(|()| good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_asked_for_each_three_letters() {
        for (text, asked) in [
            ("down", Some(r#""dow" AND "own""#)),
            (r#"a"b"#, Some(r#""a""b""#)),
            ("äöü", Some(r#""äöü""#)),
            ("up", None),
            ("", None),
            ("a\0bc", None),
        ] {
            assert_eq!(parts(text).as_deref(), asked, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_asks_for_parts_from_its_beginning_to_its_end() {
        let text: String = ('\u{100}'..).take(200).collect();
        let asked = parts(&text).unwrap();
        assert!(asked.split(" AND ").count() <= PARTS, "{asked}");
        assert!(asked.contains(&text.chars().take(3).collect::<String>()));
        assert!(asked.contains('\u{1c5}'), "{asked}");
    }
}
