//! The demo with one node: the daemon runs in this process, and nothing is in front of it.

use bellwether_daemon::app::{self, Ready};
use tokio::sync::oneshot;

use super::place::DemoRoot;
use super::visitor::Visitor;
use super::{daemon_options, explain_here, guide, say_unchanged, settle};
use crate::client::Client;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::signals;

pub(super) async fn serve(place: &DemoRoot, fresh: bool, output: &mut Output) -> Outcome {
    let told = signals::listen()?;
    let (say, said) = oneshot::channel::<Ready>();
    let on_ready = move |ready: &Ready| {
        // There is no receiver if the demo is just shutting down.
        let _ = say.send(ready.clone());
    };
    let daemon = app::run(daemon_options(place.root()), on_ready, told);
    let guide = async {
        let Ok(ready) = said.await else { return Ok(()) };
        // Only now: another daemon may run on this root, and then nothing is started.
        if !fresh {
            say_unchanged(place.root(), output)?;
        }
        let client = Client::new(place.root());
        let status = settle(&client).await?;
        let visitor = Visitor::admit(&client, &ready).await?;
        guide::print(&ready, &status, visitor.as_ref(), place.temporary(), output)?;
        Ok::<(), Failure>(())
    };
    let (ended, guided) = tokio::join!(daemon, guide);
    ended.map_err(|error| explain_here(error, place.root()))?;
    guided?;
    Ok(Exit::Done)
}
