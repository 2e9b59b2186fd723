//! Requests that one node forwards to another.

use super::*;
use crate::NotAsked;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_and_its_answer_pass_as_they_are() {
    let nodes = farm(&["node-a", "node-b"]).await;
    let big = Bytes::from(vec![7; 3 << 20]);
    let asked = nodes[0].links.ask(&name("node-b"), post("/api/v1/echo?all=1", big.clone()), alice()).await;
    let response = asked.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), big);
    // A refusal of the API is an answer.
    let asked = nodes[0].links.ask(&name("node-b"), post("/api/v1/modules/web/stop", "x"), alice()).await;
    let response = asked.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "not allowed");
    let callers = nodes[1].api.callers.lock().unwrap().clone();
    let expected = ForwardedCaller { name: "alice".to_owned(), role: Role::Control, through: name("node-a") };
    let paths = ["/api/v1/echo?all=1", "/api/v1/modules/web/stop"];
    assert_eq!(callers, paths.map(|path| (path.to_owned(), expected.clone())));
    // One for requests in each direction, beside that of the membership.
    assert!(nodes[1].node().connections.count(nodes[0].node().me) <= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_passes_as_it_comes() {
    let nodes = farm(&["node-a", "node-b"]).await;
    let (frames, body) = channel();
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let request = Request::post("/api/v1/echo?all=1").body(body).unwrap();
    let mut answer = nodes[0].links.ask(&name("node-b"), request, alice()).await.unwrap().into_body();
    // Each part is sent only after the one before it has come back.
    for part in [&b"one"[..], b"two", b"three"] {
        frames.send(part);
        let mut received = Vec::new();
        while received.len() < 4 + part.len() {
            let frame = timeout(PATIENCE, answer.frame()).await.unwrap().unwrap().unwrap();
            received.extend_from_slice(&frame.into_data().unwrap());
        }
        assert_eq!(&received[4..], part);
    }
    drop(frames);
    assert!(timeout(PATIENCE, answer.collect()).await.unwrap().unwrap().to_bytes().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_ends_with_the_node_that_sends_it() {
    let mut nodes = farm(&["node-a", "node-b"]).await;
    let asked = nodes[0].links.ask(&name("node-b"), post("/api/v1/silent", ""), alice()).await;
    let mut answer = asked.unwrap().into_body();
    nodes[1].kill();
    assert!(timeout(PATIENCE, answer.frame()).await.unwrap().is_none_or(|frame| frame.is_err()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_cannot_be_asked_is_told_with_the_reason() {
    let mut nodes = farm(&["node-a", "node-b"]).await;
    let ask = async |node: &TestNode, of: &str| {
        let asked = node.links.ask(&name(of), post("/api/v1/echo?all=1", "x"), alice()).await;
        asked.map(|response| response.status()).unwrap_err()
    };
    let error = ask(&nodes[0], "node-x").await;
    assert_eq!(error.to_string(), "no node of the farm is called `node-x`; the nodes are node-a, node-b");
    nodes[1].kill();
    nodes[0].until("that node-b is gone", |picture| !picture.nodes[0].view.hearing.is_heard()).await;
    let error = ask(&nodes[0], "node-b").await;
    let NotAsked::NotHeard { since: Some(_), why, .. } = &error else { panic!("{error:?}") };
    // The port may be open for a moment longer than the connections.
    assert!(
        why.contains("nothing listens at 127.0.0.1:") || why.contains("Connection reset by peer"),
        "{why}"
    );
    assert!(
        error.to_string().starts_with("node-b was not asked, because this node does not hear it any more")
    );
    let alone = TestNode::start("node-z").await;
    assert_eq!(ask(&alone, "node-a").await, NotAsked::NoFarm);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_go_on_after_the_other_node_was_restarted() {
    let mut nodes = farm(&["node-a", "node-b"]).await;
    for _ in 0..2 {
        let asked = nodes[0].links.ask(&name("node-b"), post("/api/v1/echo?all=1", "x"), alice()).await;
        assert_eq!(asked.unwrap().status(), StatusCode::OK);
        let b = nodes.pop().unwrap().restart().await;
        nodes[0].until_hears(&[&b]).await;
        let address = b.links.picture().this.as_ref().unwrap().address.clone();
        nodes[0].until("the new address", |picture| other(picture, &b).member.address == address).await;
        nodes.push(b);
    }
}
