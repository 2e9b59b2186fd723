//! What led to it in a few lines: what was repeated is told once, and what was already said is left out.

use super::{Link, Role};

/// The story of a module in a few lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brief {
    /// The latest last.
    pub lines: Vec<BriefLine>,
    /// So many links of the chain are in none of them.
    pub left_out: usize,
}

/// One line. It stands for one link of the chain, or for several that say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefLine {
    /// The place of the first of them in the chain.
    pub first: usize,
    /// The place of the last of them in the chain.
    pub last: usize,
    /// So many links say it.
    pub times: usize,
    /// As the latest of them has it, without what is said elsewhere.
    pub text: String,
}

/// At most `most` lines of `chain`. `said` is on the same page already.
pub fn brief(said: &str, chain: &[Link], most: usize) -> Brief {
    let mut lines: Vec<(BriefLine, Role)> = Vec::new();
    for (place, link) in chain.iter().enumerate() {
        let same =
            |(line, role): &&mut (BriefLine, Role)| *role == link.role && alike(&line.text, &link.text);
        if let Some((line, _)) = lines.iter_mut().find(same) {
            line.last = place;
            line.times += 1;
            line.text.clone_from(&link.text);
        } else {
            let line = BriefLine { first: place, last: place, times: 1, text: link.text.clone() };
            lines.push((line, link.role));
        }
    }
    // Of what matters equally the latest counts, but of incidents the first: it began there.
    lines.sort_by_key(|(line, role)| {
        let (rank, first) = (rank(*role, &line.text), line.first);
        (rank, if *role == Role::Incident { first } else { chain.len() - first })
    });
    lines.truncate(most);
    lines.sort_by_key(|(line, _)| line.first);
    let told: usize = lines.iter().map(|(line, _)| line.times).sum();
    let mut said = vec![said.to_owned()];
    let shorter = |(line, role): (BriefLine, Role)| {
        // What it began with, and what a person said, is told whole.
        let whole = matches!(role, Role::Incident | Role::Command);
        let text = if whole { line.text.clone() } else { without(&line.text, &said) };
        said.push(line.text.clone());
        BriefLine { text, ..line }
    };
    Brief { lines: lines.into_iter().map(shorter).collect(), left_out: chain.len() - told }
}

/// How much a link tells, the most first.
fn rank(role: Role, text: &str) -> u8 {
    match role {
        Role::Command => 0,
        Role::Incident => 1,
        Role::Decision | Role::Note => 2,
        Role::Step if text.contains(": failed: ") => 2,
        Role::State => 3,
        Role::Verdict => 4,
        Role::Observation => 5,
        Role::Plan => 6,
        Role::Step => 7,
        Role::Omission => 8,
    }
}

/// Whether two texts differ in numbers only: process ids, ports, durations.
fn alike(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        text.split(|c: char| c.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    a == b || plain(a) == plain(b)
}

/// `text` up to the first part of it that is said already. Its beginning always stays.
fn without(text: &str, said: &[String]) -> String {
    let parts = text.match_indices(": ").map(|(at, sign)| (at, at + sign.len()));
    let known = |tail: &str| tail.len() > 8 && said.iter().any(|earlier| earlier.contains(tail));
    let cut = parts.into_iter().find(|(_, tail)| text.get(*tail..).is_some_and(known));
    cut.and_then(|(at, _)| text.get(..at)).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;

    const REASON: &str = "the application is not up after 4s: checker `cart`: answered 500";

    fn link(at: i64, role: Role, text: &str) -> Link {
        Link { at: Moment::from_micros(at), role, text: text.into() }
    }

    fn texts(brief: &Brief) -> Vec<&str> {
        brief.lines.iter().map(|line| line.text.as_str()).collect()
    }

    /// An incident with two restarts, as the journal tells it.
    fn story() -> Vec<Link> {
        vec![
            link(1, Role::Observation, "checker `cart` saw fail: answered 500 (3 times)"),
            link(2, Role::Verdict, "checker `cart`: up → down: answered 500"),
            link(2, Role::Incident, "incident: checker `cart` is down: answered 500"),
            link(
                2,
                Role::Decision,
                "decided to restart (number 1 of 2 within 1h): checker `cart` is down: answered 500",
            ),
            link(2, Role::State, "up → restarting: checker `cart` is down: answered 500"),
            link(3, Role::Step, "start `start`: `start` runs as pid 27019"),
            link(
                6,
                Role::Decision,
                "decided to try the start again: the application is not up after 4s: checker `cart`: answered 500",
            ),
            link(7, Role::Step, "start `start`: `start` runs as pid 27206"),
            link(
                9,
                Role::Decision,
                "decided to stop: 2 automatic restarts within 1h are spent: the application is not up after 4s: checker `cart`: answered 500",
            ),
            link(
                9,
                Role::State,
                "stopping → failed: the application is not up after 4s: checker `cart`: answered 500",
            ),
        ]
    }

    #[test]
    fn what_began_it_what_was_decided_and_what_came_of_it_are_told_without_what_is_said_already() {
        let brief = brief(REASON, &story(), 5);
        assert_eq!(
            texts(&brief),
            [
                "incident: checker `cart` is down: answered 500",
                "decided to restart (number 1 of 2 within 1h)",
                "decided to try the start again",
                "decided to stop: 2 automatic restarts within 1h are spent",
                "stopping → failed",
            ]
        );
        assert_eq!(brief.left_out, 5);
    }

    #[test]
    fn what_differs_in_numbers_only_is_told_once_with_its_count() {
        let chain: Vec<Link> = (0..4)
            .map(|try_| {
                link(try_, Role::Decision, &format!("decided to start again in {try_}s (pid {try_}4)"))
            })
            .collect();
        let brief = brief("", &chain, 5);
        let [line] = brief.lines.as_slice() else { panic!("{brief:?}") };
        assert_eq!((line.first, line.last, line.times, brief.left_out), (0, 3, 4, 0));
        assert_eq!(line.text, "decided to start again in 3s (pid 34)");
    }

    #[test]
    fn the_command_of_a_person_is_always_told() {
        let mut chain = story();
        chain.insert(0, link(0, Role::Command, "anna said `start`: starting the application"));
        let brief = brief(REASON, &chain, 2);
        assert_eq!(
            texts(&brief),
            ["anna said `start`: starting the application", "incident: checker `cart` is down: answered 500"]
        );
    }

    #[test]
    fn an_empty_story_has_no_line() {
        assert_eq!(brief("", &[], 5), Brief::default());
    }
}
