//! The full-screen view on a terminal: `top`, and `status --watch` on an interactive terminal.
//!
//! ```text
//! feed (status, events, why) ─┐
//! keys, resizes, signals ─────┼─▶ Model::update ─▶ draw
//!                             │        │
//!                answers ◀────┴────────┴─▶ Effect: send a command, follow a module, suspend, quit
//! ```
//!
//! The content and the effects of keys are decided in [`model`] and [`keys`], which are pure; [`draw`] renders it;
//! the terminal and the daemon are accessed here and in [`feed`] and [`screen`].

use std::time::Duration;

use bellwether_api::{CommandAnswer, NodeStatus};
use bellwether_core::id::ModuleName;
use bellwether_os::signals::{Request, Signals};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::client::{ANSWER_WITHIN, Client};
use crate::commands::status;
use crate::exit::{Exit, Failure, Outcome};
use crate::when::TimeFormat;

mod detail;
mod dialog;
mod draw;
mod feed;
mod keys;
mod model;
mod paint;
mod screen;
#[cfg(test)]
mod tests;

use model::{Effect, Input, Model};
use paint::Paint;
use screen::Screen;

/// The maximum number of waiting keys, snapshots and records.
const INPUTS: usize = 64;
/// Ages such as "4m ago" advance even if nothing else changes.
const TICK: Duration = Duration::from_secs(1);

/// Shows the node until the user quits. `module`: begin with the details of this one.
pub(crate) async fn run(client: &Client, module: Option<ModuleName>, color: bool) -> Outcome {
    // Errors before the first status are reported as usual, without the full screen.
    let first: NodeStatus = client.get("/status").await?;
    if module.is_some() {
        status::only(first.clone(), module.as_ref())?;
    }
    let mut model = Model::new(module);
    let mut effects = model.update(Input::Status(first));
    let (tell, mut inputs) = mpsc::channel(INPUTS);
    let mut signals = Signals::catch_at_a_terminal().map_err(Failure::from)?;
    let mut screen = Screen::enter().map_err(Failure::from)?;
    screen::read_keys(tell.clone()).map_err(Failure::from)?;
    let mut tasks = Tasks::new(client.clone(), tell);
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(Exit::Done),
                Effect::Suspend => screen.suspend().map_err(Failure::from)?,
                other => tasks.carry_out(other),
            }
        }
        let paint = Paint { color, when: TimeFormat::here() };
        screen.draw(|frame| draw::draw(&mut model, &paint, frame)).map_err(Failure::from)?;
        effects = tokio::select! {
            input = inputs.recv() => match input {
                Some(input) => model.update(input),
                None => vec![Effect::Quit],
            },
            request = signals.next() => vec![match request {
                Request::Suspend => Effect::Suspend,
                Request::End | Request::Hangup => Effect::Quit,
            }],
            _ = ticker.tick() => Vec::new(),
        };
    }
}

/// The tasks beside the screen.
struct Tasks {
    client: Client,
    tell: mpsc::Sender<Input>,
    followed: Option<JoinHandle<()>>,
}

impl Tasks {
    fn new(client: Client, tell: mpsc::Sender<Input>) -> Self {
        tokio::spawn(feed::status(client.clone(), tell.clone()));
        Self { client, tell, followed: None }
    }

    fn carry_out(&mut self, effect: Effect) {
        let (client, tell) = (self.client.clone(), self.tell.clone());
        match effect {
            Effect::Follow(module) => {
                if let Some(before) = self.followed.take() {
                    before.abort();
                }
                self.followed = module.map(|module| tokio::spawn(feed::module(client, module, tell)));
            }
            Effect::Send { module, command, seen, confirmed } => {
                tokio::spawn(async move {
                    let path = format!("/modules/{module}/{command}?seen={seen}");
                    let answer = if confirmed {
                        client.give_confirmed(&path, &module).await
                    } else {
                        client.post::<CommandAnswer>(&path, ANSWER_WITHIN).await
                    };
                    let answer = answer.map_err(|failure| failure.said());
                    // There is no receiver: the screen is gone.
                    let _ = tell.send(Input::Answer { module, command, answer }).await;
                });
            }
            Effect::Quit | Effect::Suspend => {}
        }
    }
}
