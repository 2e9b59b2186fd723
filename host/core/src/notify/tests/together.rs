//! What is told in one notification.

use super::world::{World, down, policy, said, said_at, same_content_under_a_key, state, up};
use crate::command::Command;
use crate::notify::{ItemState, Topic};
use crate::record::RecordKind;
use crate::state::StateName;

#[test]
fn what_happens_together_is_told_together_and_its_end_once() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", down("home"));
    world.passes(4);
    world.happens("web", down("process"));
    world.happens("web", state(StateName::Up, StateName::Failed));
    world.passes(60);
    world.happens("web", up("home"));
    world.happens("web", up("process"));
    world.passes(5);
    world.happens("web", state(StateName::Starting, StateName::Up));
    world.passes(1000);
    let told = [
        said_at(10, "[FIRING] web on n1: it is failed (and 2 more)"),
        said_at(79, "[RESOLVED] web on n1: recovered"),
    ];
    assert_eq!(world.said(), told);
    let text = world.arrived().nth(1).unwrap().1.text();
    assert!(text.contains("- failed: it is failed (over after 1m 5s: it is up again)"), "{text}");
}

#[test]
fn what_happens_to_many_modules_at_once_is_told_once_and_their_end_too() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    for module in 0..20 {
        world.happens(&format!("m{module:02}"), down("home"));
        if module % 5 == 0 {
            world.passes(1);
        }
    }
    world.happens("m07", state(StateName::Up, StateName::Failed));
    world.passes(60);
    assert_eq!(world.said(), [said_at(10, "[FIRING] 20 modules on n1: m07: it is failed (and 20 more)")]);
    let told = world.arrived().next().unwrap().1.clone();
    assert!(told.module.is_none() && told.modules().len() == 20 && told.items.len() == 21, "{told:?}");
    assert!(
        told.text().contains("\n- m19: incident: checker `home` is down: refused (for "),
        "{}",
        told.text()
    );
    // Well again over half a minute: each within twice the wait.
    for module in 0..20 {
        world.happens(&format!("m{module:02}"), up("home"));
        world.happens(&format!("m{module:02}"), state(StateName::Starting, StateName::Up));
        world.passes(1);
    }
    world.passes(60);
    let said = world.said();
    assert_eq!(said[1..].iter().map(|(when, _)| *when).collect::<Vec<_>>(), [84, 93], "{said:?}");
    assert_eq!(said[1].1, "[RESOLVED] 11 modules on n1: recovered: m00, m01, m02, m03, m04 and 6 more");
    assert_eq!(said.len(), 3, "{said:?}");
}

#[test]
fn one_module_that_lasts_keeps_no_other_one_from_being_told_and_the_node_stands_for_itself() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("web", down("home"));
    world.happens("", RecordKind::Daemon { message: "something is damaged".into() });
    world.happens("db", down("home"));
    world.passes(20);
    world.happens("db", up("home"));
    world.passes(20);
    world.happens("cache", said(Command::Suspend));
    world.passes(20);
    let mut said = world.said();
    said.sort();
    let told = [
        said_at(10, "[FIRING] 2 modules on n1: db: checker `home` is down: refused (and 1 more)"),
        said_at(10, "[HAPPENED] n1: something is damaged"),
        said_at(30, "[RESOLVED] db on n1: recovered"),
        said_at(50, "[FIRING] cache on n1: root has suspended it: no automatic action is taken"),
    ];
    assert_eq!(said, told);
}

#[test]
fn what_waits_about_several_modules_is_not_said_to_be_over_by_news_of_one_of_them() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    world.happens("web", down("home"));
    world.happens("db", down("home"));
    world.passes(60);
    world.happens("web", up("home"));
    world.passes(60);
    world.broken = false;
    world.passes(600);
    let said = world.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].1, "[FIRING] 2 modules on n1: db: checker `home` is down: refused");
    let told = world.arrived().next().unwrap().1;
    let web =
        told.items.iter().find(|item| item.module.as_ref().is_some_and(|module| module.as_str() == "web"));
    assert_eq!(web.unwrap().state, ItemState::Over);
    same_content_under_a_key(&world);
}

#[test]
fn the_worst_of_what_lasts_is_the_title() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("web", said(Command::Suspend));
    world.happens("web", down("home"));
    world.happens("web", state(StateName::Up, StateName::Waiting));
    world.happens("web", state(StateName::Waiting, StateName::Restarting));
    world.passes(10);
    world.happens("web", state(StateName::Restarting, StateName::Failed));
    world.passes(10);
    let titles: Vec<String> = world.said().into_iter().map(|(_, title)| title).collect();
    assert!(titles[0].contains("checker `home` is down"), "{titles:?}");
    assert!(titles[1].contains("it is failed (and 2 more)"), "{titles:?}");
}
