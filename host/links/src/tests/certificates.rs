//! The authority's key, and certificates that end.

use super::*;
use bellwether_farm::membership::Hearing;

/// Sets the clocks of all nodes ahead.
fn let_pass(nodes: &[TestNode], days: i64) {
    for node in nodes {
        node.set_ahead(days * DAY_MS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn certificates_are_renewed_while_connections_go_on() {
    let nodes = farm(&["node-a", "node-b", "node-c"]).await;
    let heard_since = |node: &TestNode| -> Vec<Hearing> {
        node.links.picture().nodes.iter().map(|node| node.view.hearing).collect()
    };
    let before: Vec<_> = nodes.iter().map(heard_since).collect();
    // Twice: the certificates of the beginning have expired long before the end.
    for round in 1..=2 {
        let ends: Vec<_> = nodes.iter().map(|node| node.links.picture().certificate_ends).collect();
        let_pass(&nodes, 300);
        for (node, before) in nodes.iter().zip(&ends) {
            let picture = node.until("a new certificate", |picture| picture.certificate_ends > *before).await;
            assert_eq!(picture.nodes.len(), 2, "round {round}");
        }
        // Connections that are made now use the new certificates.
        for node in &nodes {
            for other in nodes.iter().filter(|other| other.name != node.name) {
                let asked = node.links.ask(&other.name, post("/api/v1/echo?all=1", "x"), alice()).await;
                assert_eq!(asked.unwrap().status(), StatusCode::OK, "round {round}");
            }
        }
        // And so do the long streams, before the old certificates expire.
        let newest = nodes.iter().filter_map(|node| node.links.picture().certificate_ends);
        let newest = newest.min().unwrap().as_second();
        for node in &nodes {
            let is_current = || node.node().streams_until.load(Ordering::Relaxed) >= newest;
            eventually("the streams are renewed", is_current).await;
        }
    }
    assert_eq!(nodes.iter().map(heard_since).collect::<Vec<_>>(), before, "nobody was missed in between");
    for node in &nodes {
        assert!(node.problems.sentences().is_empty(), "{:?}", node.problems.sentences());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_expired_certificate_is_a_state_of_its_own() {
    let mut nodes = farm(&["node-a", "node-b", "node-c"]).await;
    // node-c, which cannot renew it alone, is away while its certificate expires.
    let c = nodes.pop().unwrap();
    let tuning = c.tuning.clone();
    let address = c.links.picture().this.as_ref().unwrap().address.clone();
    let root = c.stop().await;
    let_pass(&nodes, 400);
    tuning.wall_off_ms.fetch_add(400 * DAY_MS, Ordering::Relaxed);
    let c = TestNode::start_at(&address, root, "node-c", tuning).await;
    let why = |node: &NodePicture| match &node.link {
        LinkState::CannotAuthenticate { why } => Some(why.clone()),
        LinkState::Open | LinkState::Closed { .. } => None,
    };
    let cannot = |picture: &Picture| picture.nodes.iter().any(|node| why(node).is_some());
    for node in [&nodes[0], &nodes[1], &c] {
        let picture = node.until("that it cannot authenticate", cannot).await;
        let why = picture.nodes.iter().find_map(why).unwrap();
        assert!(why.contains("expired") && why.contains("--replace"), "{why}");
    }
    // The two that hold the key of the authority have renewed theirs, late as it was.
    for (one, other) in [(0, 1), (1, 0)] {
        let name = &nodes[other].name;
        let hears =
            |picture: &Picture| picture.nodes.iter().any(|node| node.member.name == *name && is_heard(node));
        nodes[one].until("the other holder", hears).await;
    }
    eventually("it is a problem", || c.problems.sentences().iter().any(|said| said.contains("expired at")))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_node_gets_the_key_of_one_that_is_gone() {
    let mut nodes = farm(&["node-a", "node-b", "node-c"]).await;
    nodes[1].kill();
    nodes[0].links.remove(&name("node-b"), "alice").await.unwrap();
    let holds = |picture: &Picture| picture.this.as_ref().is_some_and(|this| this.holds_ca_key);
    nodes[2].until("that it holds the key", holds).await;
    nodes[0]
        .until("that node-c holds the key", |picture| {
            picture.nodes.iter().all(|node| node.member.holds_ca_key)
        })
        .await;
    nodes[0].kill();
    let d = TestNode::start("node-d").await;
    d.join(&nodes[2].invite().await).await.unwrap();
    nodes[2].until("node-d", |picture| picture.nodes.iter().any(|node| node.member.name == d.name)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_key_comes_back_from_a_backup() {
    let mut nodes = farm(&["node-a", "node-b", "node-c"]).await;
    let other = farm(&["node-z"]).await;
    let backup = nodes[0].links.backup().await.unwrap();
    let error = nodes[2].links.backup().await.unwrap_err();
    assert!(error.detail.contains("node-a or node-b"), "{error}");
    // Both holders are lost at once.
    for gone in [0, 1] {
        nodes[gone].kill();
    }
    for gone in ["node-a", "node-b"] {
        nodes[2].links.remove(&name(gone), "alice").await.unwrap();
    }
    let error = nodes[2].links.invite("alice").await.unwrap_err();
    assert!(error.detail.contains("farm restore"), "{error}");
    for (pem, expected) in [
        (other[0].links.backup().await.unwrap(), "another farm"),
        (backup.replace("PRIVATE", "PUBLIC"), "no backup"),
        (backup[..backup.len() / 2].to_owned(), "no backup"),
    ] {
        let error = nodes[2].links.restore(&pem, "alice").await.unwrap_err();
        assert_eq!(error.kind, crate::FarmErrorKind::Invalid);
        assert!(error.detail.contains(expected), "{error}");
    }
    nodes[2].links.restore(&backup, "alice").await.unwrap();
    let d = TestNode::start("node-d").await;
    d.join(&nodes[2].invite().await).await.unwrap();
    d.until_hears(&[&nodes[2]]).await;
    // It outlives the daemon.
    let c = nodes.pop().unwrap().restart().await;
    assert_eq!(c.links.backup().await.unwrap(), backup);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_last_holder_of_the_key_does_not_leave_others_without_it() {
    let mut nodes = farm(&["node-a", "node-b"]).await;
    nodes[1].links.leave("bob").await.unwrap();
    let c = TestNode::start("node-c").await;
    c.join(&nodes[0].invite().await).await.unwrap();
    c.until_hears(&[&nodes[0]]).await;
    // There are two holders again; the other one is lost.
    nodes.push(c);
    nodes[2].kill();
    nodes[0].links.remove(&name("node-c"), "alice").await.unwrap();
    nodes[0].links.leave("alice").await.unwrap();
    nodes[0].assert_alone();
}
