//! Who is heard: nodes that end, are killed, and come back.

use super::*;
use bellwether_farm::membership::{Facts, Hearing};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_is_killed_is_not_heard_and_is_heard_again_when_it_returns() {
    let mut nodes = farm(&["node-a", "node-b", "node-c"]).await;
    let root = Arc::clone(&nodes[2].root);
    nodes[2].kill();
    for node in &nodes[..2] {
        let picture = node
            .until("that node-c is gone", |picture| {
                let c = picture.nodes.iter().find(|node| node.member.name.as_str() == "node-c").unwrap();
                matches!(c.view.hearing, Hearing::NotHeard { .. }) && c.link != LinkState::Open
            })
            .await;
        assert_eq!(picture.nodes.len(), 2, "it is a member nevertheless");
    }
    // It listens on another port now, which the others learn.
    let c = TestNode::start_in(root, "node-c", Tuning::default()).await;
    c.until_hears(&[&nodes[0], &nodes[1]]).await;
    for (node, peer) in [(0, 1), (1, 0)] {
        nodes[node].until_hears(&[&nodes[peer], &c]).await;
        let address = c.links.picture().this.as_ref().unwrap().address.clone();
        nodes[node].until("the new address", |picture| other(picture, &c).member.address == address).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_is_restarted_counts_its_starts_and_is_heard_again() {
    let mut nodes = farm(&["node-a", "node-b"]).await;
    let generation = |node: &TestNode| std::fs::read_to_string(node.folder.join("generation")).unwrap();
    assert_eq!(generation(&nodes[1]), "1");
    for expected in ["2", "3"] {
        let b = nodes.pop().unwrap().restart().await;
        assert_eq!(generation(&b), expected);
        b.until_hears(&[&nodes[0]]).await;
        nodes[0].until_hears(&[&b]).await;
        nodes.push(b);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_node_says_of_itself_reaches_all() {
    let nodes = farm(&["node-a", "node-b", "node-c"]).await;
    for (number, node) in (0..).zip(&nodes) {
        let headline = format!("all is well with {}", node.name);
        node.links.facts(Facts { headline, modules: number, ..Facts::default() });
    }
    for node in &nodes {
        node.until("what the others say", |picture| {
            picture.nodes.iter().all(|other| {
                let said = other.view.summary.as_ref().map(|said| said.summary.facts.headline.as_str());
                said == Some(&*format!("all is well with {}", other.member.name))
            })
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_damaged_file_is_named_and_a_node_can_begin_anew() {
    let mut nodes = farm(&["node-a", "node-b"]).await;
    let b = nodes.pop().unwrap();
    let roster = b.folder.join("roster.json");
    let root = b.stop().await;
    std::fs::write(&roster, "{ half").unwrap();
    let b = TestNode::start_in(root, "node-b", Tuning::default()).await;
    let error = b.links.invite("bob").await.unwrap_err();
    assert!(
        error.detail.contains("roster.json is damaged") && error.detail.contains("farm leave"),
        "{error}"
    );
    assert!(b.problems.sentences().iter().any(|problem| problem.contains("roster.json is damaged")));
    b.links.leave("bob").await.unwrap();
    // It may be the only copy.
    let kept = b.folder.with_file_name("farm-authority.key");
    assert!(std::fs::read_to_string(&kept).unwrap().contains("PRIVATE KEY"));
    std::fs::remove_file(kept).unwrap();
    b.assert_alone();
    assert!(b.problems.sentences().is_empty());
    b.links.join(&nodes[0].invite().await, Some(&name("node-b")), "bob").await.unwrap();
    nodes[0].until_hears(&[&b]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_can_be_replaced_is_set_aside() {
    let mut nodes = farm(&["node-a", "node-b"]).await;
    let b = nodes.pop().unwrap();
    let folder = b.folder.clone();
    let root = b.stop().await;
    for file in ["generation", "invitations.json"] {
        std::fs::write(folder.join(file), "???").unwrap();
    }
    let b = TestNode::start_in(root, "node-b", Tuning::default()).await;
    b.until_hears(&[&nodes[0]]).await;
    let problems = b.problems.sentences();
    for file in ["generation", "invitations.json"] {
        assert!(folder.join(format!("{file}.damaged")).exists());
        assert!(
            problems.iter().any(|problem| problem.contains(&format!("state/farm/{file} was moved aside")))
        );
    }
    assert_eq!(std::fs::read_to_string(folder.join("generation")).unwrap(), "4294967297");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_node_makes_no_more_than_a_few_connections() {
    let nodes = farm(&["node-a", "node-b"]).await;
    let (a, b) = (nodes[0].node(), nodes[1].node());
    let member = b.member(a.me).unwrap();
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(crate::dial::dial(&b, a.me, &member).await);
    }
    assert!(a.connections.count(b.me) <= 8 + 1, "{}", a.connections.count(b.me));
    // What is closed is forgotten. The others are that of the membership, and one for requests in each direction.
    for (connection, _) in connections.into_iter().flatten() {
        connection.closing.close();
    }
    eventually("they are forgotten", || a.connections.count(b.me) <= 3).await;
    nodes[0].until_hears(&[&nodes[1]]).await;
}
