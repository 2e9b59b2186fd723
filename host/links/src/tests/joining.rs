//! How nodes become members, and leave.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn three_nodes_join_and_each_sees_all() {
    let nodes = farm(&["node-a", "node-b", "node-c"]).await;
    let pictures: Vec<_> = nodes.iter().map(|node| node.links.picture()).collect();
    for (node, picture) in nodes.iter().zip(&pictures) {
        assert_eq!(picture.farm, pictures[0].farm);
        let this = picture.this.as_ref().unwrap();
        assert_eq!(
            (&this.name, this.zone.as_deref()),
            (&node.name, Some(&*format!("zone of {}", node.name)))
        );
        let ends = picture.certificate_ends.unwrap();
        assert!(picture.authority_ends.unwrap() > ends);
    }
    let ids: std::collections::BTreeSet<_> = pictures.iter().map(|picture| picture.me.unwrap()).collect();
    assert_eq!(ids.len(), 3);
    let holders = nodes.iter().map(|node| node.folder.join("authority.key").exists());
    assert_eq!(holders.collect::<Vec<_>>(), [true, true, false], "the key lies on two nodes");
    for node in &nodes {
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&node.folder), 0o700);
        assert_eq!(mode(&node.folder.join("node.key")), 0o600);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_invitation_serves_once() {
    let nodes = farm(&["node-a"]).await;
    let (b, thief) = (TestNode::start("node-b").await, TestNode::start("node-x").await);
    let line = nodes[0].invite().await;
    b.join(&line).await.unwrap();
    let error = thief.join(&line).await.unwrap_err();
    assert_eq!(error.kind, crate::FarmErrorKind::Refused);
    assert!(error.detail.contains("used already") && error.detail.contains("farm invite"), "{error}");
    thief.assert_alone();
    nodes[0].until_hears(&[&b]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_key_of_another_node_makes_a_second_inviter() {
    let nodes = farm(&["node-a", "node-b", "node-c"]).await;
    let error = nodes[2].links.invite("alice").await.unwrap_err();
    assert!(error.detail.contains("node-a or node-b"), "{error}");
    let d = TestNode::start("node-d").await;
    d.join(&nodes[1].invite().await).await.unwrap();
    d.until_hears(&[&nodes[0], &nodes[1], &nodes[2]]).await;
    nodes[0].until_hears(&[&nodes[1], &nodes[2], &d]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_takes_the_place_of_another() {
    let mut nodes = farm(&["node-a", "node-b", "node-c"]).await;
    let before = nodes[2].links.picture().me;
    let line = nodes[0].invite().await;
    let mistaken = TestNode::start("node-b").await;
    for running in ["node-a", "node-b"] {
        let error = mistaken.links.join(&line, Some(&name(running)), "bob").await.unwrap_err();
        assert!(error.detail.contains("is running"), "{error}");
    }
    mistaken.assert_alone();
    nodes[2].kill();
    let is_lost = |picture: &Picture| {
        picture.nodes.iter().any(|node| node.member.name == name("node-c") && !is_heard(node))
    };
    nodes[0].until("does not hear node-c", is_lost).await;
    let new = TestNode::start("node-c").await;
    let error = new.join(&line).await.unwrap_err();
    assert!(error.detail.contains("--replace node-c") && error.detail.contains("`name`"), "{error}");
    new.assert_alone();
    // The invitation was not used up.
    let picture = new.links.join(&line, Some(&name("node-c")), "bob").await.unwrap();
    assert_ne!(picture.me, before);
    new.until_hears(&[&nodes[0], &nodes[1]]).await;
    let seen = nodes[1].until_hears(&[&nodes[0], &new]).await;
    assert_eq!(Some(other(&seen, &new).id), picture.me);
    assert!(seen.conflicts.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_leaves_and_joins_again_as_another_one() {
    let nodes = farm(&["node-a", "node-b", "node-c"]).await;
    let before = nodes[1].links.picture().me;
    nodes[1].links.leave("bob").await.unwrap();
    nodes[1].assert_alone();
    nodes[0].until_hears(&[&nodes[2]]).await;
    nodes[2].until_hears(&[&nodes[0]]).await;
    let error = nodes[1].links.leave("bob").await.unwrap_err();
    assert!(error.detail.contains("in no farm"), "{error}");
    let picture = nodes[1].join(&nodes[0].invite().await).await.unwrap();
    assert_ne!(picture.me, before);
    nodes[1].until_hears(&[&nodes[0], &nodes[2]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_is_in_one_farm() {
    let (one, other) = (farm(&["node-a"]).await, farm(&["node-b"]).await);
    let line = other[0].invite().await;
    for error in [one[0].join(&line).await.unwrap_err(), one[0].links.init("alice").await.unwrap_err()] {
        assert_eq!(error.kind, crate::FarmErrorKind::Conflict);
        assert!(error.detail.contains("farm leave"), "{error}");
    }
    one[0].links.leave("alice").await.unwrap();
    one[0].join(&line).await.unwrap();
    one[0].until_hears(&[&other[0]]).await;
}
