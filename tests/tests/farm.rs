//! Several daemons in one farm: founding and joining it, what each shows of the others, commands for another node, and
//! nodes that are gone.

use std::net::SocketAddr;

use bellwether_tests::answers::{Hearing, State};
use bellwether_tests::eventually::eventually;
use bellwether_tests::farm::{Member, found, found_apart, until_recorded};
use bellwether_tests::http::{self, Response};
use bellwether_tests::process::signal;
use rustix::process::Signal;

const NAMES: [&str; 3] = ["node-1", "node-2", "node-3"];

/// A request to the API on the console's listener, with a token.
fn ask(console: SocketAddr, method: &str, path: &str, token: &str) -> Response {
    let head = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: {console}\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    );
    http::request(console, &head).expect("the console answers")
}

/// The standard error of a client that is expected to fail.
fn refusal(output: &std::process::Output) -> String {
    let [out, error] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(!output.status.success(), "it did not fail: {out}");
    error
}

#[test]
fn three_nodes_that_were_joined_by_command_are_shown_on_each_of_them() {
    let members = found(&NAMES);
    for member in &members {
        let farm = member.farm();
        assert_eq!(farm.farm, members[0].farm().farm, "they are in one farm");
        assert_eq!((farm.names(), farm.node.as_str()), (NAMES.to_vec(), member.name.as_str()));
        for name in NAMES {
            let node = member.until_sees(name, "up and hearing all others", |node| {
                let web = node.status.as_ref().and_then(|status| status.module("web"));
                web.is_some_and(|web| web.state == State::Up) && node.not_hearing.is_empty()
            });
            let expected = if name == member.name { Hearing::This } else { Hearing::Heard };
            assert_eq!(node.hearing, expected, "{node:#?}");
            assert!(node.version.is_some(), "{node:#?}");
        }
        let shown = member.daemon.tell(&["status"]);
        assert!(NAMES.iter().all(|name| shown.contains(name)), "{shown}");
    }
    // A second node holds the authority's key as well, so the farm outlives the loss of one.
    let farm = members[2].until_farm("with two holders of the key", |farm| {
        farm.nodes.iter().filter(|node| node.holds_authority_key).count() == 2
    });
    assert!(farm.find("node-1").is_some_and(|node| node.holds_authority_key), "{farm:#?}");
    until_recorded(&members[0], "farm", "node-3");
}

#[test]
fn a_daemon_that_is_killed_is_unknown_to_the_others_until_it_is_back() {
    let mut members = found(&NAMES);
    let mut third = members.pop().expect("three nodes");
    third.daemon.kill();
    for member in &members {
        let gone = member.until_sees("node-3", "heard by nobody", |node| {
            node.hearing == Hearing::Unknown && node.heard_by.is_empty()
        });
        let (since, at) = (gone.since.expect("since when"), gone.status_at.expect("a picture from before"));
        assert!(at <= since, "a picture of {at} is shown of a node that has not been heard since {since}");
        assert!(gone.explanation.contains("not heard"), "{}", gone.explanation);
        let shown = member.daemon.tell(&["status"]);
        let line = shown.lines().find(|line| line.starts_with("node-3")).expect("a line about it");
        assert!(line.contains("unknown"), "{shown}");
        until_recorded(member, "farm", "node-3 is not heard");
        eventually("the metrics count it", || {
            (member.metric("bellwether_farm_nodes{state=\"unknown\"}") == Some(1.0)).then_some(())
        });
        // Its application runs on, and its daemon cannot be asked.
        let refused = refusal(&member.daemon.client(&["stop", "web", "--node", "node-3", "--yes"]));
        assert!(refused.contains("node-3"), "{refused}");
    }
    third.daemon.run_again();
    members.push(third);
    for member in &members {
        member.until_hears_all(&NAMES);
    }
    until_recorded(&members[0], "farm", "node-3 is heard again");
    let ends = members[0].metric("bellwether_farm_certificate_expiry_time_seconds{certificate=\"node\"}");
    assert!(ends.is_some_and(|ends| ends > 1.7e9), "{ends:?}");
}

#[test]
fn a_daemon_that_is_frozen_is_unknown_until_it_goes_on() {
    let members = found(&NAMES);
    assert!(signal(members[2].daemon.pid(), Signal::STOP));
    for member in &members[..2] {
        member.until_hearing("node-3", Hearing::Unknown);
    }
    assert!(signal(members[2].daemon.pid(), Signal::CONT));
    for member in &members {
        member.until_hears_all(&NAMES);
    }
}

#[test]
fn a_command_for_another_node_is_carried_out_and_recorded_there() {
    let members = found(&["node-1", "node-2"]);
    let [first, second] = members.as_slice() else { panic!("two nodes") };
    second.daemon.until_state("web", State::Up);
    first.daemon.tell(&["stop", "web", "--node", "node-2", "--yes"]);
    second.daemon.until_state("web", State::Stopped);
    first.daemon.until_state("web", State::Up);
    let by = |member: &Member| {
        let events = member.daemon.events();
        events.iter().rev().find(|event| event.kind == "command").and_then(|event| event.by.clone())
    };
    assert_eq!(by(second).as_deref(), Some("root through node-1"));
    assert_eq!(by(first), None, "nothing was asked of this node");
    assert_eq!(first.status_of("node-2").module("web").map(|web| web.state), Some(State::Stopped));
    let why = first.daemon.tell(&["why", "web", "--node", "node-2"]);
    assert!(why.contains("stopped"), "{why}");
    // What others show of it follows.
    first.until_sees("node-2", "stopped", |node| {
        let web = node.status.as_ref().and_then(|status| status.module("web"));
        web.is_some_and(|web| web.state == State::Stopped)
    });
}

#[test]
fn roles_are_enforced_by_the_node_that_is_acted_on() {
    let members = found(&["node-1", "node-2"]);
    let [first, second] = members.as_slice() else { panic!("two nodes") };
    second.daemon.until_state("web", State::Up);
    let (console, watcher) = (first.daemon.console(), first.daemon.token("watcher", "monitor", &[]));
    let seen = ask(console, "GET", "/nodes/node-2/modules/web", &watcher);
    assert_eq!(seen.status, 200, "{}", seen.body);
    let restart = |token: &str| ask(console, "POST", "/nodes/node-2/modules/web/restart?confirm=web", token);
    let refused = restart(&watcher);
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(ask(console, "GET", "/nodes/node-9/status", &watcher).status, 404);
    assert!(!second.daemon.events().iter().any(|event| event.kind == "command"));
    let operator = first.daemon.token("operator", "control", &[]);
    let done = restart(&operator);
    assert_eq!(done.status, 200, "{}", done.body);
    until_recorded(second, "command", "token operator through node-1");
    // Control of modules is not control of the farm.
    let removal = ask(console, "DELETE", "/farm/nodes/node-2", &operator);
    assert_eq!(removal.status, 403, "{}", removal.body);
}

#[test]
fn a_node_that_is_removed_is_gone_at_once_and_says_so() {
    let members = found(&NAMES);
    members[0].daemon.tell(&["farm", "remove", "node-3", "--yes"]);
    for member in &members[..2] {
        member.until_hears_all(&["node-1", "node-2"]);
    }
    let told = members[2].until_farm("told of its removal", |farm| {
        farm.problems.iter().any(|problem| problem.contains("removed"))
    });
    assert!(told.problems.iter().any(|problem| problem.contains("root")), "{:?}", told.problems);
    eventually("the status shows it as a problem", || {
        members[2].daemon.problems().contains("removed").then_some(())
    });
    until_recorded(&members[1], "farm", "node-3");
}

#[test]
fn a_dead_node_can_be_removed_and_is_refused_when_it_returns() {
    let mut members = found(&NAMES);
    members[1].daemon.kill();
    members[0].until_hearing("node-2", Hearing::Unknown);
    members[0].daemon.tell(&["farm", "remove", "node-2", "--yes"]);
    for member in [0, 2] {
        members[member].until_hears_all(&["node-1", "node-3"]);
    }
    members[1].daemon.run_again();
    members[1].until_farm("told of its removal", |farm| {
        farm.problems.iter().any(|problem| problem.contains("removed"))
    });
    assert_eq!(members[0].farm().names(), ["node-1", "node-3"]);
    // It can join again once it has left what it was removed from.
    members[1].daemon.tell(&["farm", "leave", "--yes"]);
    assert!(members[1].is_without_traces());
    members[1].daemon.tell(&["farm", "join", &members[0].invite()]);
    for member in &members {
        member.until_hears_all(&NAMES);
    }
}

#[test]
fn a_node_that_leaves_is_alone_again() {
    let members = found(&["node-1", "node-2"]);
    members[1].daemon.tell(&["farm", "leave", "--yes"]);
    assert!(members[1].is_without_traces());
    members[1].until_farm("none", |farm| farm.farm.is_none());
    members[0].until_farm("of one node", |farm| farm.names() == ["node-1"]);
}

#[test]
fn a_join_that_fails_says_why_and_leaves_nothing_behind() {
    let members = found(&["node-1", "node-2"]);
    let stranger = Member::run("node-3");
    let used = {
        let line = members[0].invite();
        let other = Member::run("node-4");
        other.daemon.tell(&["farm", "join", &line]);
        line
    };
    let told = refusal(&stranger.join(&used, &[]));
    assert!(told.contains("used") && told.contains("bellwether farm invite"), "{told}");
    assert!(stranger.is_without_traces());
    let cut_off = &used[..used.len() / 2];
    assert!(!refusal(&stranger.join(cut_off, &[])).is_empty());
    // The name of another node is not given twice.
    let double = Member::run("node-2");
    let told = refusal(&double.join(&members[0].invite(), &[]));
    assert!(told.contains("node-2") && told.contains("--replace"), "{told}");
    assert!(stranger.is_without_traces() && double.is_without_traces());
    assert!(stranger.farm().farm.is_none());
    // A node that is in a farm already keeps it.
    let told = refusal(&members[1].join(&members[0].invite(), &[]));
    assert!(told.contains("farm leave"), "{told}");
    stranger.daemon.tell(&["farm", "join", &members[0].invite()]);
    members[0].until_hearing("node-3", Hearing::Heard);
}

#[test]
fn a_new_server_replaces_one_that_is_gone_for_good() {
    let mut members = found(&["node-1", "node-2"]);
    members[1].daemon.kill();
    members[0].until_hearing("node-2", Hearing::Unknown);
    let replacement = Member::run("node-2");
    let line = members[0].invite();
    replacement.daemon.tell(&["farm", "join", &line, "--replace", "node-2"]);
    members[0].until_hears_all(&["node-1", "node-2"]);
    members[1].daemon.run_again();
    members[1].until_farm("told of its removal", |farm| {
        farm.problems.iter().any(|problem| problem.contains("removed"))
    });
    assert_eq!(members[0].farm().names(), ["node-1", "node-2"]);
}

#[test]
fn a_node_that_is_cut_off_is_unknown_on_both_sides_until_the_network_is_whole() {
    let Some((members, network)) = found_apart(&NAMES) else { return };
    network.cut_off(2);
    for member in &members[..2] {
        member.until_sees("node-3", "heard by nobody", |node| {
            node.hearing == Hearing::Unknown && node.heard_by.is_empty()
        });
    }
    for name in &NAMES[..2] {
        members[2].until_hearing(name, Hearing::Unknown);
    }
    // Those that hear each other go on.
    assert_eq!(members[0].farm().find("node-2").map(|node| node.hearing), Some(Hearing::Heard));
    network.heal();
    for member in &members {
        member.until_hears_all(&NAMES);
    }
}

#[test]
fn a_link_that_is_cut_in_one_direction_is_told_by_the_node_that_hears_both_ends() {
    let Some((members, network)) = found_apart(&NAMES) else { return };
    network.cut(0, 2);
    members[0].until_sees("node-3", "heard by node-2 only", |node| {
        node.hearing == Hearing::Unknown && node.heard_by == ["node-2"]
    });
    let sees = |node: &str, other: &str| {
        members[1].until_sees(node, &format!("not hearing {other}"), |node| {
            node.hearing == Hearing::Heard && node.not_hearing.iter().any(|not| not.node == other)
        });
    };
    sees("node-1", "node-3");
    sees("node-3", "node-1");
    network.heal();
    for member in &members {
        let farm = member.until_hears_all(&NAMES);
        drop(farm);
        member.until_farm("without one that is not heard", |farm| {
            farm.nodes.iter().all(|node| node.not_hearing.is_empty())
        });
    }
}
