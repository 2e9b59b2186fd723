//! The table of all nodes, worst first.

use std::io::Write as _;

use bellwether_api::farm::{FarmNode, FarmStatus, Hearing, Urgency};
use bellwether_core::attention::Attention;

use crate::output::{Output, Tone};
use crate::when::TimeFormat;

/// Prints the table, and below it what to do about nodes without contact.
pub(crate) fn print(farm: &FarmStatus, when: &TimeFormat, output: &mut Output) -> std::io::Result<()> {
    let zoned = farm.nodes.iter().any(|node| node.zone.is_some());
    let mut header = vec!["NODE", "ZONE", "STATE", "READY", "SINCE", "VERSION", "WHAT"];
    header.retain(|title| zoned || *title != "ZONE");
    let row = |node: &&FarmNode| row(node, zoned, when);
    output.table(&header, farm.worst_first().iter().map(row).collect())?;
    for node in farm.worst_first() {
        if !node.explanation.is_empty() {
            writeln!(output, "\n{}: {}", node.name, node.explanation)?;
        }
    }
    Ok(())
}

fn row(node: &FarmNode, zoned: bool, when: &TimeFormat) -> Vec<(Tone, String)> {
    let plain = |text: String| (Tone::Plain, text);
    let this = if node.hearing == Hearing::This { " (this)" } else { "" };
    let mut row = vec![plain(format!("{}{this}", node.name))];
    if zoned {
        row.push(plain(node.zone.clone().unwrap_or_else(|| "-".to_owned())));
    }
    row.extend([
        state(node),
        ready(node),
        plain(since(node, when)),
        plain(node.version.clone().unwrap_or_else(|| "-".to_owned())),
        plain(node.headline().unwrap_or("no current data").to_owned()),
    ]);
    row
}

/// The state of a node as shape and word. What was known before a loss of contact is not shown.
pub(crate) fn state(node: &FarmNode) -> (Tone, String) {
    let (tone, text) = match node.hearing {
        Hearing::Unknown => (Tone::Bad, "? unknown"),
        Hearing::Never => (Tone::Bad, "? no contact yet"),
        Hearing::CannotAuthenticate => (Tone::Bad, "✗ cannot authenticate"),
        Hearing::This | Hearing::Heard => match node.urgency() {
            Urgency::Known(Attention::Down) => (Tone::Bad, "✗ down"),
            Urgency::Known(Attention::Moving) => (Tone::Busy, "◐ in transition"),
            Urgency::Known(Attention::Held) => (Tone::Busy, "‖ held"),
            Urgency::Known(Attention::Warned) => (Tone::Busy, "! warned"),
            Urgency::Known(Attention::Well) => (Tone::Good, "● healthy"),
            Urgency::NoContact | Urgency::NoReport => (Tone::Quiet, "? no report yet"),
        },
    };
    (tone, text.to_owned())
}

fn ready(node: &FarmNode) -> (Tone, String) {
    match node.ready() {
        None => (Tone::Quiet, "-".to_owned()),
        Some((ready, all)) => {
            let tone = if ready == all { Tone::Plain } else { Tone::Bad };
            (tone, format!("{ready} of {all}"))
        }
    }
}

/// Since when there is no contact; nothing for nodes with contact.
fn since(node: &FarmNode, when: &TimeFormat) -> String {
    match &node.since {
        Some(since) if !node.hearing.is_current() => when.both(since),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bellwether_api::farm::NodeSummary;

    use super::*;

    fn node(name: &str, hearing: Hearing, attention: Option<Attention>) -> FarmNode {
        let summary = attention.map(|attention| NodeSummary {
            headline: "1 of 2 modules ready".into(),
            attention,
            modules: 2,
            ready: 1,
            at: "2026-11-22T21:31:00Z".into(),
        });
        FarmNode {
            name: name.parse().unwrap(),
            id: None,
            zone: None,
            address: None,
            version: None,
            hearing,
            since: Some("2026-11-22T21:31:00Z".into()),
            heard_by: Vec::new(),
            not_hearing: Vec::new(),
            explanation: String::new(),
            holds_authority_key: false,
            certificate_ends: None,
            clock_offset_s: None,
            summary,
            status: None,
            status_at: None,
        }
    }

    #[test]
    fn a_node_without_contact_is_never_shown_with_its_last_state() {
        for hearing in [Hearing::Unknown, Hearing::Never, Hearing::CannotAuthenticate] {
            let node = node("b", hearing, Some(Attention::Well));
            let row = row(&node, false, &TimeFormat::here());
            let texts: Vec<&str> = row.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!((row[1].0, texts[2], texts[5]), (Tone::Bad, "-", "no current data"), "{texts:?}");
        }
    }

    #[test]
    fn the_worst_node_comes_first() {
        let nodes = vec![
            node("a", Hearing::This, Some(Attention::Well)),
            node("b", Hearing::Heard, Some(Attention::Down)),
            node("c", Hearing::Unknown, Some(Attention::Well)),
            node("d", Hearing::Heard, None),
            node("e", Hearing::Heard, Some(Attention::Warned)),
        ];
        let farm = FarmStatus {
            farm: Some("f".into()),
            node: "a".parse().unwrap(),
            headline: String::new(),
            nodes,
            problems: Vec::new(),
        };
        let names: Vec<&str> = farm.worst_first().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "e", "a", "d"]);
        let states: Vec<String> = farm.worst_first().into_iter().map(|node| state(node).1).collect();
        assert_eq!(states, ["? unknown", "✗ down", "! warned", "● healthy", "? no report yet"]);
    }

    #[test]
    fn the_ready_modules_are_counted() {
        let ready = |hearing| ready(&node("b", hearing, Some(Attention::Down)));
        assert_eq!(ready(Hearing::Heard), (Tone::Bad, "1 of 2".to_owned()));
        assert_eq!(ready(Hearing::Unknown), (Tone::Quiet, "-".to_owned()));
    }
}
