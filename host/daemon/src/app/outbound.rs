//! What the daemon sends out, and the text of the metrics page.

use std::sync::Arc;

use bellwether_config::spec::ConsoleSpec;
use bellwether_outbound::exposition::{Exposition, Sources};
use bellwether_outbound::notify::{self, Desk, Notify};
use bellwether_outbound::telemetry::{self, Telemetry};
use bellwether_server::metrics;
use tokio::net::TcpListener;

use super::base::Base;
use super::reloading::Reloading;
use super::storage::Storage;
use super::supervision::Supervision;
use super::tasks::Tasks;

/// Notifications, telemetry, and the sources of the metrics page.
pub(super) struct Outbound {
    notify: Notify,
    telemetry: Option<Telemetry>,
    sources: Sources,
    /// For those who show notifications and test them.
    pub(super) desk: Desk,
    /// What was found damaged.
    pub(super) damaged: Option<String>,
}

impl Outbound {
    pub(super) fn build(
        base: &Base,
        storage: &Storage,
        supervision: &Supervision,
        reloading: &Reloading,
    ) -> Self {
        let Base { root, node, clock, .. } = base;
        let journal = &storage.files.journal;
        let (notify, desk, damaged) = Notify::open(notify::Settings {
            root: root.clone(),
            node: node.name.clone(),
            clock: *clock,
            targets: node.notify.clone(),
            http: node.http.clone(),
            console: node.console.as_ref().and_then(ConsoleSpec::address),
            journal: journal.clone(),
            published: base.published.clone(),
            refused: reloading.refused.clone(),
            events: base.events.clone(),
        });
        let sources = Sources {
            metrics: base.metrics.clone(),
            snapshot: Arc::clone(&base.published.snapshot),
            heartbeat: base.heartbeat.clone(),
            clock: *clock,
            events: base.events.downgrade(),
            components: supervision.context.registry.counts().clone(),
            farm: base.farm_counts.clone(),
            board: desk.board().clone(),
            journal: journal.clone(),
        };
        let telemetry = node.telemetry.clone().map(|spec| {
            Telemetry::open(telemetry::Settings {
                root: root.clone(),
                node: node.name.clone(),
                spec,
                clock: *clock,
                http: node.http.clone(),
                journal: journal.clone(),
                sources: sources.clone(),
                problems: base.problems.clone(),
            })
        });
        Self { notify, telemetry, sources, desk, damaged }
    }

    /// Starts them. `scraped`: where Prometheus asks, if it does.
    pub(super) fn start(self, scraped: Option<TcpListener>, tasks: &mut Tasks) {
        let Self { notify, telemetry, sources, .. } = self;
        tasks.spawn(notify.run());
        if let Some(listener) = scraped {
            let exposition = Exposition::new(sources);
            tasks.spawn(metrics::serve(listener, Arc::new(move || exposition.page())));
        }
        if let Some(telemetry) = telemetry {
            tasks.spawn(telemetry.run());
        }
    }
}
