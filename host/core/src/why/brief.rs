//! The story of a module in a few lines: repetitions are combined, and what was already said is omitted.

use super::{Link, Role};

/// The story of a module in a few lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brief {
    /// Ordered by time, the latest last.
    pub lines: Vec<BriefLine>,
    /// The number of links of the chain that are in none of them.
    pub left_out: usize,
}

/// One line. It stands for one link of the chain, or for several equal ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefLine {
    /// The index of the first of them in the chain.
    pub first: usize,
    /// The index of the last of them in the chain.
    pub last: usize,
    /// The number of links that it stands for.
    pub times: usize,
    /// The text of the latest of them, without what is said elsewhere.
    pub text: String,
}

/// Links of one role that say the same, and become one line.
struct Group {
    line: BriefLine,
    role: Role,
    pattern: Vec<String>,
}

/// At most `most` lines of `chain`. `said` is already on the same page.
pub fn brief(said: &str, chain: &[Link], most: usize) -> Brief {
    let mut groups: Vec<Group> = Vec::new();
    for (place, link) in chain.iter().enumerate() {
        let (role, pattern) = (link.role, pattern(link));
        let same = |group: &&mut Group| group.role == role && group.pattern == pattern;
        if let Some(Group { line, .. }) = groups.iter_mut().find(same) {
            line.last = place;
            line.times += 1;
            line.text.clone_from(&link.text);
        } else {
            let line = BriefLine { first: place, last: place, times: 1, text: link.text.clone() };
            groups.push(Group { line, role, pattern });
        }
    }
    // Of equally important ones the latest counts, but of incidents the first: it was the beginning.
    groups.sort_by_key(|Group { line, role, .. }| {
        let (rank, first) = (rank(*role, &line.text), line.first);
        (rank, if *role == Role::Incident { first } else { chain.len() - first })
    });
    groups.truncate(most);
    groups.sort_by_key(|group| group.line.first);
    let told: usize = groups.iter().map(|group| group.line.times).sum();
    let mut said = vec![said.to_owned()];
    let shorter = |Group { line, role, .. }: Group| {
        // The first link and users' commands are shown in full.
        let whole = matches!(role, Role::Incident | Role::Command);
        let text = if whole { line.text.clone() } else { without(&line.text, &said) };
        said.push(line.text.clone());
        BriefLine { text, ..line }
    };
    Brief { lines: groups.into_iter().map(shorter).collect(), left_out: chain.len() - told }
}

/// The importance of a link's role, the most important first.
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

/// Stands for a number in which equal texts may differ.
const NUMBER: &str = "#";

/// The common part of the texts of links that become one line. A name in backticks and a significant number, such
/// as the status of an answer, are part of it; process ids, durations and counts are not.
fn pattern(link: &Link) -> Vec<String> {
    // Each incident and each command is shown in its own words.
    if matches!(link.role, Role::Incident | Role::Command) {
        return vec![link.text.clone()];
    }
    let mut pattern: Vec<String> = Vec::new();
    for (index, part) in link.text.split('`').enumerate() {
        if index % 2 == 1 {
            pattern.push(part.to_owned());
            continue;
        }
        let words: Vec<&str> = part.split_whitespace().collect();
        for (place, word) in words.iter().enumerate() {
            let before = place.checked_sub(1).and_then(|place| words.get(place)).copied().unwrap_or_default();
            let after = words.get(place + 1).copied().unwrap_or_default();
            if !varies(bare(before), bare(word), bare(after)) {
                pattern.push((*word).to_owned());
            } else if pattern.last().is_none_or(|last| last != NUMBER) {
                // A duration of two words, `2m 5s`, counts as one.
                pattern.push(NUMBER.to_owned());
            }
        }
    }
    pattern
}

fn bare(word: &str) -> &str {
    word.trim_matches(['(', ')', ',', ':', ';', '.'])
}

/// Whether a word is a process id, a duration or a count, according to the adjacent words.
fn varies(before: &str, word: &str, after: &str) -> bool {
    const BEFORE: [&str; 6] = ["pid", "process", "number", "try", "attempt", "of"];
    const AFTER: [&str; 6] = ["of", "time", "times", "tries", "automatic", "processes"];
    const UNITS: [&str; 6] = ["", "ms", "s", "m", "h", "d"];
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !word.starts_with(|c: char| c.is_ascii_digit()) || !UNITS.contains(&unit) {
        return false;
    }
    !unit.is_empty() || BEFORE.contains(&before) || AFTER.contains(&after)
}

/// `text` up to the first part of it that is already said. Its beginning always stays.
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

    /// An incident with two restarts, as the journal records it.
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
                "decided to stop: 2 automatic restarts within 1h are used up: the application is not up after 4s: checker `cart`: answered 500",
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
                "decided to stop: 2 automatic restarts within 1h are used up",
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
    fn what_differs_in_a_name_or_in_an_answer_is_told_each_time() {
        let chain: Vec<Link> = [
            (Role::Decision, "decided to restart: checker `replica-1` is down: answered 500"),
            (Role::Decision, "decided to restart: checker `replica-2` is down: answered 500"),
            (Role::Decision, "decided to restart: checker `replica-2` is down: answered 404"),
            (Role::Incident, "incident: checker `cart` is down: no answer within 2s"),
            (Role::Incident, "incident: checker `cart` is down: no answer within 3s"),
        ]
        .into_iter()
        .zip(1..)
        .map(|((role, text), at)| link(at, role, text))
        .collect();
        let brief = brief("", &chain, 9);
        assert_eq!(brief.lines.iter().map(|line| line.times).collect::<Vec<_>>(), [1; 5], "{brief:?}");
        assert!(brief.lines[0].text.contains("`replica-1`"), "{brief:?}");
        assert!(brief.lines[1].text.contains("`replica-2`"), "{brief:?}");
    }

    #[test]
    fn process_ids_durations_and_counts_are_numbers_that_do_not_matter() {
        let same =
            |a: &str, b: &str| pattern(&link(1, Role::Decision, a)) == pattern(&link(2, Role::Decision, b));
        assert!(same("`start` runs as pid 27019", "`start` runs as pid 8"));
        assert!(same("not up after 2m 5s", "not up after 59s"));
        assert!(same("restart (number 1 of 3 within 1h)", "restart (number 2 of 3 within 1h)"));
        assert!(!same("127.0.0.1:8080 refused", "127.0.0.1:8081 refused"));
        assert!(!same("port 8080 is taken", "port 8081 is taken"));
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
