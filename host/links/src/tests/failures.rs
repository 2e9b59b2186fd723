//! Joins that fail: the reason is named, and nothing is left behind.

use super::*;
use crate::FarmErrorKind;
use bellwether_farm::invitation::Invitation;

/// Tries to join and fails; after that the node can join with another line.
async fn refused(node: &TestNode, line: &str) -> FarmError {
    let error = node.join(line).await.unwrap_err();
    node.assert_alone();
    assert!(node.links.published.node.load().is_none());
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_no_invitation_of_this_farm_is_refused_with_the_reason() {
    let (one, two) = (farm(&["node-a"]).await, farm(&["node-z"]).await);
    let node = TestNode::start("node-b").await;
    let line = one[0].invite().await;
    let good: Invitation = line.parse().unwrap();
    let of_two: Invitation = two[0].invite().await.parse().unwrap();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = unused.local_addr().unwrap().to_string();
    drop(unused);
    let other = |address: &str, authority, secret: &str| {
        Invitation { address: address.to_owned(), authority, secret: secret.to_owned() }.to_string()
    };
    for (line, kind, expected) in [
        ("bw1.cut".to_owned(), FarmErrorKind::Invalid, "farm invite"),
        (
            other(&nobody, good.authority, &good.secret),
            FarmErrorKind::NotReached,
            "nothing listens at 127.0.0.1:",
        ),
        (other(&of_two.address, good.authority, &good.secret), FarmErrorKind::Refused, "another farm"),
        (
            other(&good.address, good.authority, &"0".repeat(32)),
            FarmErrorKind::Refused,
            "does not know the invitation",
        ),
    ] {
        let error = refused(&node, &line).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.detail.contains(expected), "{error}");
    }
    node.join(&line).await.unwrap();
    node.until_hears(&[&one[0]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_invitation_expires() {
    let nodes = farm_of(vec![("node-a", Tuning { invitation_life: -1, ..Tuning::default() })]).await;
    let node = TestNode::start("node-b").await;
    let error = refused(&node, &nodes[0].invite().await).await;
    assert!(error.detail.contains("expired") && error.detail.contains("farm invite` on node-a"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wrong_clock_is_named_with_its_offset() {
    let nodes = farm(&["node-a"]).await;
    let node = TestNode::start("node-b").await;
    let line = nodes[0].invite().await;
    // With the last ones the certificate of the other node is not valid, at the time that this node shows.
    for (ms, expected) in [
        (2 * 3_600_000, "the clock of this node (node-b) is 2h ahead of the clock of node-a"),
        (-4 * 3_600_000, "is 2h behind the clock of node-a"),
        (800 * DAY_MS, "d 22h ahead of the clock of node-a"),
        (-1_600 * DAY_MS, "behind the clock of node-a"),
    ] {
        node.set_ahead(ms);
        let error = refused(&node, &line).await;
        assert_eq!(error.kind, FarmErrorKind::Refused);
        assert!(error.detail.contains(expected) && error.detail.contains("timedatectl"), "{error}");
    }
    // The invitation is as good as before.
    node.tuning.wall_off_ms.store(0, Ordering::Relaxed);
    node.join(&line).await.unwrap();
    node.until_hears(&[&nodes[0]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_answers_but_is_no_node_is_told_apart() {
    let nodes = farm(&["node-a"]).await;
    let node = TestNode::start("node-b").await;
    let mut line: Invitation = nodes[0].invite().await.parse().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    line.address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    let error = refused(&node, &line.to_string()).await;
    assert!(error.detail.contains("is not the node port of Bellwether"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_join_that_was_interrupted_leaves_nothing_behind() {
    let node = TestNode::start("node-b").await;
    let joining = crate::folder::joining(&node.folder);
    std::fs::create_dir_all(&joining).unwrap();
    std::fs::write(joining.join("node.key"), "half").unwrap();
    let node = node.restart().await;
    node.assert_alone();
}
