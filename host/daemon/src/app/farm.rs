//! The farm: links to other nodes, and what is shown of them.

use std::future::pending;
use std::sync::Arc;

use bellwether_bus::recorder::Recorder;
use bellwether_links::{self as links, Links};
use bellwether_server::api::{Daemon, farm as server};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::base::Base;
use super::tasks::Tasks;
use super::until_dropped;
use crate::farm::{Farm, ServeLater, Surroundings};
use crate::watchdog;

/// The folder of the farm's files, relative to the root.
const FOLDER: &str = "state/farm";

/// The links, not yet running, and what others need of them. Nothing if the farm's files cannot be used: the modules
/// of this node run nevertheless.
pub(super) struct FarmPart(Option<Opened>);

struct Opened {
    task: links::Task,
    serve: ServeLater,
    farm: Farm,
}

impl FarmPart {
    pub(super) async fn open(base: &Base) -> Self {
        let serve = ServeLater::default();
        let recorder = Recorder::new(base.events.clone());
        let settings = links::Settings {
            folder: base.root.join(FOLDER),
            node: base.node.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: base.node.farm.listen,
            address: base.node.farm.address.clone(),
            zone: base.node.farm.zone.clone(),
            clock: base.clock,
            recorder: recorder.clone(),
            problems: base.problems.clone(),
            serve: Arc::new(serve.clone()),
        };
        match Links::open(settings).await {
            Ok((links, task)) => {
                Self(Some(Opened { task, serve, farm: Farm::new(links, base.clock, recorder) }))
            }
            Err(error) => {
                tracing::error!(%error, "the farm cannot be opened");
                let why = format!(
                    "the farm: {error}; this node is alone until that is mended and its daemon restarted"
                );
                base.problems.set("farm's files", &[why]);
                Self(None)
            }
        }
    }

    pub(super) fn farm(&self) -> Option<&Farm> {
        self.0.as_ref().map(|opened| &opened.farm)
    }

    /// Starts it: other nodes are answered by `daemon` until the sender of `ending` is dropped.
    pub(super) fn start(
        self,
        base: &Base,
        daemon: &Arc<dyn Daemon>,
        ending: &watch::Receiver<()>,
        tasks: &mut Tasks,
    ) -> JoinHandle<()> {
        let Some(Opened { task, serve, farm }) = self.0 else { return tokio::spawn(std::future::ready(())) };
        farm.begin(daemon);
        serve.begin(server::forwarded(Arc::clone(daemon)));
        let around = Surroundings { problems: base.problems.clone(), counts: base.farm_counts.clone() };
        let heartbeat = tasks.heartbeat(watchdog::FARM, base.clock);
        tasks.spawn(farm.watch(around, heartbeat));
        // The others are told also while the applications are drained at the end.
        let say = farm.say(base.published.clone());
        let run = task.run(until_dropped(ending.clone()));
        tokio::spawn(async move {
            tokio::select! {
                () = run => {}
                () = async { say.await; pending().await } => {}
            }
        })
    }
}
