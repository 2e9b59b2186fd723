//! The core's input in the file: the archive deserialises it, these tests compare it row by row.

use std::ops::RangeInclusive;

use rusqlite::{OptionalExtension as _, Row, params};

use super::super::store::signed;
use super::*;

/// A row with its number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbered<T> {
    id: u64,
    /// The daemon's start that it belongs to.
    boot: i64,
    row: T,
}

pub(super) fn rows(world: &World, ids: RangeInclusive<u64>) -> Vec<Numbered<InputRow>> {
    let connection = Connection::open(world.file()).unwrap();
    let sql = "SELECT id, boot, at, module, body FROM inputs WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
    let mut statement = connection.prepare(sql).unwrap();
    let read = |row: &Row<'_>| {
        let module = row.get::<_, Option<String>>(3)?.and_then(|module| ModuleName::new(&module).ok());
        let input = InputRow { at: Moment::from_micros(row.get(2)?), module, body: row.get(4)? };
        Ok(Numbered { id: id(row)?, boot: row.get(1)?, row: input })
    };
    let range = params![signed(*ids.start()), signed(*ids.end())];
    statement.query_map(range, read).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// The last checkpoint that includes no input after `input`.
fn checkpoint_before(world: &World, input: u64) -> Option<Numbered<Checkpoint>> {
    let connection = Connection::open(world.file()).unwrap();
    let sql = "SELECT id, boot, at, input, body FROM checkpoints WHERE input <= ?1
               ORDER BY input DESC, id DESC LIMIT 1";
    let read = |row: &Row<'_>| {
        let input = row.get::<_, i64>(3)?.unsigned_abs();
        let checkpoint = Checkpoint { at: Moment::from_micros(row.get(2)?), input, body: row.get(4)? };
        Ok(Numbered { id: id(row)?, boot: row.get(1)?, row: checkpoint })
    };
    connection.query_row(sql, [signed(input)], read).optional().unwrap()
}

fn id(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(0)?.unsigned_abs())
}

#[tokio::test]
async fn inputs_and_checkpoints_come_back_as_they_went() {
    let world = World::new();
    let journal = world.journal();
    let input = |n: i64| InputRow {
        at: Moment::from_micros(n),
        module: "web".parse().ok(),
        body: format!("input {n}"),
    };
    assert_eq!((journal.input(input(1)), journal.input(input(2))), (1, 2));
    let checkpoint = Checkpoint { at: Moment::from_micros(2), input: 2, body: vec![0, 1, 255] };
    journal.checkpoint(checkpoint.clone());
    assert_eq!(journal.input(input(3)), 3);
    journal.end().await;

    let journal = world.journal();
    assert_eq!(journal.input(input(4)), 4);
    journal.flush().await;
    let found_rows = rows(&world, 2..=3);
    assert_eq!(found_rows.iter().map(|row| row.id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(found_rows[0].row, input(2));
    let found = checkpoint_before(&world, 3).unwrap();
    assert_eq!((found.row, found.boot), (checkpoint, found_rows[0].boot));
    assert_eq!(checkpoint_before(&world, 1), None);
    let boots = rows(&world, 3..=4);
    assert_ne!(boots[0].boot, boots[1].boot, "they belong to different daemons");
}
