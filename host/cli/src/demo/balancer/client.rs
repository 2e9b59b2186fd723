//! A client that asks all the time, for `--traffic`.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HOST;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::exchange::exchange;

/// How often it asks.
const EVERY: Duration = Duration::from_millis(200);
/// Longer than the load balancer takes in any case.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How many answers it waits for at the same time: more than are due within that time.
const WAITING: usize = 200;

/// Asks until it is dropped. The load balancer counts the answers.
pub(in crate::demo) async fn ask_all_the_time(traffic: SocketAddr) {
    let mut due = tokio::time::interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut waiting = JoinSet::new();
    loop {
        due.tick().await;
        while waiting.try_join_next().is_some() {}
        let request = Request::get("/").header(HOST, traffic.to_string()).body(Full::new(Bytes::new()));
        if let Ok(request) = request
            && waiting.len() < WAITING
        {
            waiting.spawn(async move {
                let _ = exchange(traffic, request, Instant::now() + ANSWER_WITHIN).await;
            });
        }
    }
}
