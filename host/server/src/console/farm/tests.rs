use askama::Template as _;
use bellwether_api::farm::NodeSummary;
use bellwether_api::{ModuleStatus, NodeStatus};
use bellwether_core::state::StateName;
use bellwether_os::clock::Clock;
use serde_json::json;

use super::*;

const THEN: &str = "2026-11-22T21:31:00Z";

pub(super) fn module(name: &str, state: StateName) -> ModuleStatus {
    let ready = state == StateName::Up;
    let attention = if ready { "well" } else { "down" };
    serde_json::from_value(json!({
        "name": name, "attention": attention, "state": state, "ready": ready, "since": THEN, "ready_since": THEN,
        "reason": if ready { "" } else { "checker `home` is down" }, "suspended": false, "wanted": "started",
        "next": null, "restarts": 0, "budget": { "restarts": 3, "within": "1d", "within_s": 86400 },
        "plan": null, "processes": [], "checkers": [],
    }))
    .unwrap()
}

fn status(node: &str, modules: usize) -> NodeStatus {
    let modules: Vec<ModuleStatus> =
        (1..=modules).map(|number| module(&format!("app-{number:03}"), StateName::Up)).collect();
    serde_json::from_value(json!({
        "node": node, "generation": 1, "at": THEN, "headline": "All modules are ready", "modules": modules,
        "components": [], "problems": [],
    }))
    .unwrap()
}

/// A farm whose nodes all are in contact, and whose modules all are up. The first node is the one that answers.
pub(super) fn farm(nodes: usize, modules: usize) -> FarmStatus {
    let names: Vec<String> = (1..=nodes).map(|number| format!("node-{number:03}")).collect();
    let node = |(index, name): (usize, &String)| FarmNode {
        name: name.parse().unwrap(),
        id: Some(format!("{index:032x}")),
        zone: Some(format!("zone-{}", index % 3)),
        address: Some(format!("192.0.2.{index}:9013")),
        version: Some("0.1.0".into()),
        hearing: if index == 0 { Hearing::This } else { Hearing::Heard },
        since: Some(THEN.into()),
        heard_by: names.iter().filter(|other| *other != name).map(|name| name.parse().unwrap()).collect(),
        not_hearing: Vec::new(),
        explanation: String::new(),
        holds_authority_key: index < 2,
        certificate_ends: None,
        clock_offset_s: None,
        summary: Some(NodeSummary {
            headline: "All modules are ready".into(),
            attention: Attention::Well,
            modules: u32::try_from(modules).unwrap(),
            ready: u32::try_from(modules).unwrap(),
            at: THEN.into(),
        }),
        status: Some(status(name, modules)),
        status_at: Some(THEN.into()),
    };
    FarmStatus {
        farm: Some("0123".into()),
        node: "node-001".parse().unwrap(),
        headline: "All nodes are healthy".into(),
        nodes: names.iter().enumerate().map(node).collect(),
        problems: Vec::new(),
    }
}

/// The node that answers loses the contact with this one; node-002 still has it.
pub(super) fn lose(farm: &mut FarmStatus, index: usize) {
    let lost = &mut farm.nodes[index];
    lost.hearing = Hearing::Unknown;
    lost.heard_by.retain(|name| name.as_str() == "node-002");
    lost.explanation = format!("{} has not been heard from; check its network", lost.name);
}

fn overview(farm: &FarmStatus, q: &str) -> Overview {
    Overview::new(farm, q, &Times::new(Clock::start()), true)
}

fn page(farm: &FarmStatus, q: &str) -> String {
    page_for(farm, q, true)
}

fn page_for(farm: &FarmStatus, q: &str, may_manage: bool) -> String {
    let overview = Overview::new(farm, q, &Times::new(Clock::start()), may_manage);
    let frame = Frame::sample();
    FarmPage { frame, overview }.render().unwrap()
}

/// The element with this id, up to `end`.
fn part<'a>(page: &'a str, id: &str, end: &str) -> &'a str {
    let from = page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
    let rest = &page[from..];
    &rest[..rest.find(end).unwrap()]
}

#[test]
fn few_nodes_are_columns_and_the_worst_module_is_the_first_row() {
    let mut farm = farm(3, 3);
    farm.nodes[1].status.as_mut().unwrap().modules[2] = module("app-003", StateName::Failed);
    let page = page(&farm, "");
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(place("id=\"m/app-003\"") < place("id=\"m/app-001\""));
    assert!(place("id=\"m/app-001\"") < place("id=\"m/app-002\""));
    let cell = part(&page, "c/node-002/app-003", "</td>");
    assert!(cell.contains("failed") && cell.contains("<code>home</code> is down"), "{cell}");
    assert!(cell.contains("/nodes/node-002/modules/app-003"), "{cell}");
    let own = part(&page, "c/node-001/app-003", "</td>");
    assert!(own.contains("href=\"/modules/app-003\""), "{own}");
}

#[test]
fn a_node_without_contact_shows_no_state_as_current() {
    let mut farm = farm(3, 2);
    lose(&mut farm, 2);
    let page = page(&farm, "");
    for module in ["app-001", "app-002"] {
        let cell = part(&page, &format!("c/node-003/{module}"), "</td>");
        assert!(cell.contains("unknown") && cell.contains("last known: up"), "{cell}");
        assert!(!cell.contains("g-ready") && !cell.contains(" ok\""), "{cell}");
    }
    let head = part(&page, "n/node-003", "</td>");
    assert!(head.contains("unknown") && head.contains("still heard by node-002"), "{head}");
    assert!(!head.contains("2 of 2"), "{head}");
    let notice = part(&page, "lost/node-003", "</div></div>");
    assert!(notice.contains("check its network"), "{notice}");
    assert!(notice.contains("/farm/nodes/node-003/remove"), "{notice}");
    let for_others = page_for(&farm, "", false);
    let notice = part(&for_others, "lost/node-003", "</div></div>");
    assert!(
        notice.contains("bellwether farm remove node-003") && !notice.contains("data-confirm"),
        "{notice}"
    );
    assert!(!for_others.contains("/farm/invitations"));
}

#[test]
fn every_kind_of_lost_contact_has_a_word_of_its_own() {
    let mut farm = farm(4, 1);
    for (index, hearing) in [(1, Hearing::Unknown), (2, Hearing::Never), (3, Hearing::CannotAuthenticate)] {
        farm.nodes[index].hearing = hearing;
    }
    let words: Vec<&str> = overview(&farm, "").lost.iter().map(|node| node.look.word).collect();
    assert_eq!(words, ["unknown", "no contact yet", "cannot authenticate"]);
    assert_eq!(overview(&farm, "").look.word, "unknown");
}

#[test]
fn two_hundred_healthy_modules_are_folded_and_the_broken_one_is_not() {
    let mut farm = farm(3, 200);
    farm.nodes[0].status.as_mut().unwrap().modules[149] = module("app-150", StateName::Backoff);
    let Arrangement::Matrix(matrix) = overview(&farm, "").arrangement else { panic!("no matrix") };
    let names = |rows: &[matrix::Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&matrix.rows), ["app-150"]);
    assert_eq!(matrix.quiet.len(), 199);
    assert!(matrix.quiet.iter().all(|row| row.cells.len() == 3));
    let page = page(&farm, "");
    assert!(page.contains("199 modules without problems"));
}

#[test]
fn two_hundred_nodes_are_rows_by_zone_with_the_healthy_ones_folded() {
    let mut farm = farm(200, 3);
    lose(&mut farm, 100);
    farm.nodes[50].status.as_mut().unwrap().modules[0] = module("app-001", StateName::Failed);
    let Arrangement::Rows { zones, modules, quiet } = overview(&farm, "").arrangement else {
        panic!("no rows")
    };
    // The zone with the unknown node, then the one with the broken module.
    let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["zone-1", "zone-2", "zone-0"]);
    let open: Vec<Vec<&str>> =
        zones.iter().map(|zone| zone.nodes.iter().map(|row| row.name.as_str()).collect()).collect();
    assert_eq!(open, [vec!["node-101"], vec!["node-051"], vec![]]);
    assert_eq!(zones.iter().map(|zone| zone.quiet.len()).sum::<usize>(), 198);
    assert!(zones[0].nodes[0].modules.is_empty(), "its modules are not known");
    assert_eq!(zones[1].nodes[0].modules[0].name, "app-001");
    assert_eq!((modules[0].name.as_str(), modules[0].ready, modules[0].nodes), ("app-001", 198, 199));
    assert_eq!((modules.len(), quiet.len()), (3, 0));
    let page = page(&farm, "");
    let row = part(&page, "n/node-101", "</tr>");
    assert!(row.contains("unknown") && row.contains("no current data") && !row.contains("3 of 3"), "{row}");
}

#[test]
fn the_search_finds_nodes_zones_and_modules() {
    let farm = farm(6, 3);
    let columns = |q: &str| -> Vec<String> {
        match overview(&farm, q).arrangement {
            Arrangement::Matrix(matrix) => matrix.columns.into_iter().map(|column| column.name).collect(),
            Arrangement::Rows { .. } => panic!("no matrix"),
        }
    };
    let rows = |q: &str| -> Vec<String> {
        match overview(&farm, q).arrangement {
            Arrangement::Matrix(matrix) => matrix.rows.into_iter().map(|row| row.name).collect(),
            Arrangement::Rows { .. } => panic!("no matrix"),
        }
    };
    assert_eq!(columns(" NODE-002 "), ["node-002"]);
    assert_eq!(columns("zone-1"), ["node-002", "node-005"]);
    assert_eq!((columns("app-002").len(), rows("app-002")), (6, vec!["app-002".to_owned()]));
    assert_eq!(rows("node-002").len(), 3);
    assert!(columns("nothing").is_empty());
    assert_eq!(overview(&farm, "zone-1").found.as_deref(), Some("2 nodes found"));
    assert_eq!(overview(&farm, "").found, None);
}

#[test]
fn texts_of_other_nodes_are_no_markup() {
    let mut farm = farm(3, 1);
    let evil = "<script>alert(1)</script>\"'&";
    farm.headline = evil.into();
    farm.problems = vec![evil.into()];
    farm.nodes[1].zone = Some(evil.into());
    farm.nodes[1].version = Some(evil.into());
    let status = farm.nodes[1].status.as_mut().unwrap();
    status.modules[0] = module("app-001", StateName::Failed);
    status.modules[0].reason = evil.into();
    lose(&mut farm, 2);
    farm.nodes[2].explanation = evil.into();
    for page in [page(&farm, evil), page(&farm, "")] {
        assert!(!page.contains("<script>alert"), "{page}");
    }
    assert!(page(&farm, "").contains("&#60;script&#62;"));
}

#[test]
fn a_node_that_has_not_reported_and_a_module_that_is_not_there_are_told_apart() {
    let mut farm = farm(3, 1);
    farm.nodes[1].status = None;
    farm.nodes[1].summary = None;
    farm.nodes[2].status.as_mut().unwrap().modules.clear();
    let page = page(&farm, "");
    assert!(part(&page, "c/node-002/app-001", "</td>").contains("no report yet"));
    assert!(part(&page, "c/node-003/app-001", "</td>").contains("not on this node"));
}
