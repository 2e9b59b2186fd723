//! Feeds the model with snapshots, and with the events of one module.

use std::time::Duration;

use bellwether_api::{EventLine, NodeStatus, WhyAnswer};
use bellwether_core::id::ModuleName;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::model::{Input, Lost};
use crate::client::Client;
use crate::exit::Failure;

/// The delay before reconnecting to a daemon that is gone.
const RETRY: Duration = Duration::from_secs(1);
/// The number of records from before the module was selected.
const PAST: usize = 50;

/// Sends every snapshot, and every loss of the connection. Ends when there is no receiver.
pub(super) async fn status(client: Client, tell: mpsc::Sender<Input>) {
    let mut heard = Timestamp::now();
    loop {
        let Err(failure) = snapshots(&client, &tell, &mut heard).await else { return };
        let lost = Lost { since: heard.to_string(), why: failure.said() };
        if tell.send(Input::Lost(lost)).await.is_err() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Ok if there is no receiver any more.
async fn snapshots(
    client: &Client,
    tell: &mpsc::Sender<Input>,
    heard: &mut Timestamp,
) -> Result<(), Failure> {
    let mut lines = client.lines("/status/stream").await?;
    loop {
        let Some(line) = lines.next().await? else { return Err(ended()) };
        *heard = Timestamp::now();
        // An empty line means that nothing has changed.
        if line.is_empty() {
            continue;
        }
        let status: NodeStatus = read(&line)?;
        lines.keep_fresh(&status);
        if tell.send(Input::Status(status)).await.is_err() {
            return Ok(());
        }
    }
}

/// Past and new events of `module`, and the explanation of its state. Ends when there is no receiver.
pub(super) async fn module(client: Client, module: ModuleName, tell: mpsc::Sender<Input>) {
    let mut after = None;
    while records(&client, &module, &tell, &mut after).await.is_err() {
        tokio::time::sleep(RETRY).await;
        if tell.is_closed() {
            return;
        }
    }
}

/// Ok if there is no receiver any more. `after`: the last record that was shown, so that none is repeated.
async fn records(
    client: &Client,
    module: &ModuleName,
    tell: &mpsc::Sender<Input>,
    after: &mut Option<u64>,
) -> Result<(), Failure> {
    if after.is_none() {
        let past: Vec<EventLine> = client.get(&format!("/events?limit={PAST}&module={module}")).await?;
        *after = Some(past.last().map_or(0, |event| event.seq));
        if tell.send(Input::Events(module.clone(), past)).await.is_err() {
            return Ok(());
        }
    }
    let since = after.unwrap_or_default();
    let mut lines = client.lines(&format!("/events/stream?after={since}&module={module}")).await?;
    loop {
        let why: WhyAnswer = client.get(&format!("/modules/{module}/why")).await?;
        if tell.send(Input::Why(why)).await.is_err() {
            return Ok(());
        }
        let Some(line) = lines.next_said().await? else { return Err(ended()) };
        let event: EventLine = read(&line)?;
        *after = Some(event.seq);
        if tell.send(Input::Events(module.clone(), vec![event])).await.is_err() {
            return Ok(());
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(line: &str) -> Result<T, Failure> {
    serde_json::from_str(line)
        .map_err(|error| anyhow::anyhow!("the daemon's answer is invalid: {error}").into())
}

fn ended() -> Failure {
    anyhow::anyhow!("the daemon has exited").into()
}
