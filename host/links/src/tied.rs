//! The tasks of one dialled connection, so that closing it ends all of them.
//!
//! hyper runs the connection itself, and each body that is sent, in tasks of their own. Without this, a stream that is
//! under way would keep the socket of a closed connection open.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::rt::Executor;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Spawns the tasks of one connection. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Tied {
    tasks: Tasks,
    /// Nothing is ever sent: that all senders are gone means that all tasks have ended.
    alive: mpsc::Sender<Infallible>,
}

/// The tasks of one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

/// Tells when all tasks have ended.
#[derive(Debug)]
pub(crate) struct Ended(mpsc::Receiver<Infallible>);

/// An executor for one connection.
pub(crate) fn tied() -> (Tied, Tasks, Ended) {
    let (alive, ended) = mpsc::channel(1);
    let tasks = Tasks::default();
    (Tied { tasks: tasks.clone(), alive }, tasks, Ended(ended))
}

impl<F> Executor<F> for Tied
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let alive = self.alive.clone();
        let handle = tokio::spawn(async move {
            task.await;
            drop(alive);
        });
        let mut tasks = self.tasks.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(handle.abort_handle());
    }
}

impl Tasks {
    /// Ends all of them.
    pub(crate) fn abort(&self) {
        for task in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl Ended {
    /// Completes once all tasks have ended, and there is no executor that could begin another one.
    pub(crate) async fn all(mut self) {
        // Nothing is received: nobody can send it.
        let _ = self.0.recv().await;
    }
}
