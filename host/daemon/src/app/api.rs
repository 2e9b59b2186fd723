//! The API and the console: who may use them, what they ask the daemon, and the listeners that serve them.

use std::sync::Arc;

use bellwether_core::record::RecordKind;
use bellwether_os::socket::LocalListener;
use bellwether_server::access::Access;
use bellwether_server::api::{self, Daemon};
use bellwether_server::site::{self, Site};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::base::Base;
use super::farm::FarmPart;
use super::listeners::Listeners;
use super::outbound::Outbound;
use super::reloading::Reloading;
use super::storage::Storage;
use super::supervision::Supervision;
use super::tasks::Tasks;
use super::until_dropped;
use crate::api_backend::{self, ApiBackend};

/// What answers the API and the console.
pub(super) struct Api {
    backend: Arc<ApiBackend>,
    /// What was found damaged.
    pub(super) damaged: Option<String>,
}

/// The listeners at work.
pub(super) struct Serving {
    console: JoinHandle<()>,
    local: JoinHandle<()>,
    access: Access,
}

impl Api {
    pub(super) fn build(
        base: &Base,
        storage: &Storage,
        supervision: &Supervision,
        reloading: &Reloading,
        outbound: &Outbound,
        farm: &FarmPart,
        listeners: &Listeners,
    ) -> Self {
        let (access, damaged) = Access::open(&base.root, base.clock, base.events.clone());
        let backend = ApiBackend {
            context: supervision.context.clone(),
            access,
            published: base.published.clone(),
            heartbeat: base.heartbeat.clone(),
            log_readers: Arc::new(Semaphore::new(api_backend::LOG_READERS)),
            journal: storage.files.journal.clone(),
            persisted_state: storage.files.persisted_state.clone(),
            guest_stores: storage.files.guest_stores.clone(),
            refused: reloading.refused.clone(),
            problems: base.problems.clone(),
            events: base.events.clone(),
            commands: base.commands.clone(),
            approve: reloading.approve.clone(),
            notify: outbound.desk.clone(),
            farm: farm.farm().cloned(),
            console: listeners.console.as_ref().map(Site::console_address).unwrap_or_default(),
        };
        Self { backend: Arc::new(backend), damaged }
    }

    /// The daemon, as the API sees it.
    pub(super) fn daemon(&self) -> Arc<dyn Daemon> {
        Arc::clone(&self.backend) as Arc<dyn Daemon>
    }

    /// Answers clients until the sender of `ending` is dropped.
    pub(super) fn start(
        self,
        console: Option<Site>,
        local: Option<LocalListener>,
        ending: &watch::Receiver<()>,
        tasks: &mut Tasks,
    ) -> Serving {
        let access = self.backend.access.clone();
        tasks.spawn({
            let access = access.clone();
            async move { access.keep_forever().await }
        });
        Serving {
            console: tokio::spawn(serve_console(console, Arc::clone(&self.backend), ending.clone())),
            local: tokio::spawn(serve_local(local, self.backend, ending.clone())),
            access,
        }
    }
}

impl Serving {
    /// Returns when the last client has been answered, once the sender of `ending` is dropped.
    pub(super) async fn ended(&mut self) {
        drop(tokio::join!(&mut self.local, &mut self.console));
    }

    /// Writes down who used what last.
    pub(super) async fn finish(self) {
        self.access.keep().await;
    }
}

async fn serve_local(listener: Option<LocalListener>, backend: Arc<ApiBackend>, ending: watch::Receiver<()>) {
    let Some(listener) = listener else { return };
    api::serve(listener, backend, until_dropped(ending)).await;
}

async fn serve_console(console: Option<Site>, backend: Arc<ApiBackend>, ending: watch::Receiver<()>) {
    let Some(console) = console else { return };
    let daemon: Arc<dyn Daemon> = Arc::clone(&backend) as Arc<dyn Daemon>;
    let router = site::router(&daemon, console.console_address().names());
    let certificates = console.certificates();
    let looking_after = async {
        if let Some(certificates) = certificates {
            let say = |message| backend.note(None, RecordKind::Daemon { message });
            certificates.look_after(backend.problems.clone(), say).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = console.serve(router, until_dropped(ending)) => {}
        () = looking_after => {}
    }
}
