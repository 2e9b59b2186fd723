//! Finds addresses and names by their form.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Kind;

/// A pattern that is compiled once.
pub(super) type Pattern = LazyLock<Regex>;

/// For a pattern in the code.
pub(super) fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the tests compile every pattern")
}

static IPV4: Pattern = Pattern::new(|| compiled(r"\d{1,3}(?:\.\d{1,3}){3}"));
static IPV6: Pattern = Pattern::new(|| compiled(r"(?i)[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*"));
static PAIRS: Pattern = Pattern::new(|| compiled(r"(?i)[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5,}"));
static URL: Pattern = Pattern::new(|| {
    compiled(
        r#"(?i)[a-z][a-z0-9+.-]*://(?:([^\s/@:"'<>]+)(?::[^\s/@"'<>]*)?@)?([^\s/:?#"'<>()\[\]{},;@\\]+)"#,
    )
});
static EMAIL: Pattern =
    Pattern::new(|| compiled(r"([\p{Alphabetic}\d._%+-]+)@([\p{Alphabetic}\d][\p{Alphabetic}\d.-]*)"));
static DOMAIN: Pattern = Pattern::new(|| {
    compiled(
        r"(/?)((?:[\p{Alphabetic}\d_](?:[\p{Alphabetic}\d_-]*[\p{Alphabetic}\d])?\.)+\p{Alphabetic}{2,})",
    )
});
/// `"db:5432"`: an address in a file.
static HOST_AND_PORT: Pattern =
    Pattern::new(|| compiled(r#"["']([\p{Alphabetic}\d][\p{Alphabetic}\d._-]*):\d{1,5}(?:/udp)?["']"#));
static HOME: Pattern = Pattern::new(|| compiled(r#"/(?:home|Users)/([^/\s"',:]+)"#));
/// `"by": "alice from 192.0.2.7"`, `"by": "token ci from …"`: a record.
static BY: Pattern = Pattern::new(|| compiled(r#""(?:by|user|who)"\s*:\s*"(?:token\s+)?([^\s"\\]+)"#));
static USER: Pattern = Pattern::new(|| {
    compiled(r#"(?i)\b(?:user|username|user-name|owner|login|run-as)\s*=\s*["']?([^\s"',}\]]+)"#)
});
static HOST: Pattern =
    Pattern::new(|| compiled(r#"(?i)\b(?:host|hostname|server-name)["']?\s*[:=]\s*["']([^\s"':/]+)["']"#));
static NODE: Pattern = Pattern::new(|| compiled(r#""node"\s*:\s*"([^"\\]+)""#));
static NAMES: Pattern = Pattern::new(|| compiled(r"(?m)^\s*names\s*=\s*\[([^\]]*)\]"));
static QUOTED: Pattern = Pattern::new(|| compiled(r#"["']([^"']+)["']"#));

/// Endings of files that are no domains of the Internet. What ends in another way is taken for a host.
const FILES: [&str; 33] = [
    "toml", "wasm", "json", "jsonl", "db", "sock", "socket", "lock", "log", "pid", "service", "timer",
    "target", "slice", "txt", "pem", "key", "crt", "conf", "cfg", "yml", "yaml", "html", "minisig", "sample",
    "secret", "env", "tmp", "new", "url", "gz", "tar", "xml",
];
/// Endings of files that are also those of countries: only at the end of a path they are files.
const SCRIPTS: [&str; 6] = ["sh", "py", "pl", "rs", "md", "so"];

/// Addresses and names in a text.
pub(super) fn names(text: &str) -> Vec<(Kind, String)> {
    let mut names = Vec::new();
    addresses(text, &mut names);
    for pattern in [&URL, &EMAIL] {
        for found in pattern.captures_iter(text) {
            push(&mut names, Kind::User, &found, 1);
            push(&mut names, Kind::Host, &found, 2);
        }
    }
    for (pattern, kind) in [
        (&HOME, Kind::User),
        (&BY, Kind::User),
        (&USER, Kind::User),
        (&NODE, Kind::Node),
        (&HOST, Kind::Host),
        (&HOST_AND_PORT, Kind::Host),
    ] {
        for found in pattern.captures_iter(text) {
            push(&mut names, kind, &found, 1);
        }
    }
    for list in NAMES.captures_iter(text).filter_map(|found| found.get(1)) {
        for found in QUOTED.captures_iter(list.as_str()) {
            push(&mut names, Kind::Host, &found, 1);
        }
    }
    for found in DOMAIN.captures_iter(text) {
        let in_path = found.get(1).is_some_and(|slash| !slash.is_empty());
        let end = found.get(0).map_or(0, |whole| whole.end());
        let is_last = !text.get(end..).is_some_and(|rest| rest.starts_with('/'));
        if found.get(2).is_some_and(|name| !is_file(name.as_str(), in_path && is_last)) {
            push(&mut names, Kind::Host, &found, 2);
        }
    }
    names
}

/// A name without what surrounds it. An address has a kind of its own.
fn push(names: &mut Vec<(Kind, String)>, kind: Kind, found: &Captures<'_>, group: usize) {
    let Some(name) = found.get(group).map(|name| name.as_str().trim_matches(['.', '-', '_', '%', '+']))
    else {
        return;
    };
    let is_other = name.parse::<IpAddr>().is_ok() || kind == Kind::Host && is_file(name, false);
    if !name.is_empty() && !is_other {
        names.push((kind, name.to_owned()));
    }
}

fn is_file(name: &str, at_the_end_of_a_path: bool) -> bool {
    let Some((_, end)) = name.rsplit_once('.') else { return false };
    let end = end.to_ascii_lowercase();
    FILES.contains(&end.as_str()) || at_the_end_of_a_path && SCRIPTS.contains(&end.as_str())
}

fn addresses(text: &str, names: &mut Vec<(Kind, String)>) {
    for found in IPV4.find_iter(text).filter(|found| is_word(text, found.start(), found.end())) {
        if let Ok(address) = found.as_str().parse::<IpAddr>() {
            names.extend(kind_of(address).map(|kind| (kind, found.as_str().to_owned())));
        }
    }
    for found in IPV6.find_iter(text) {
        let before = text.get(..found.start()).and_then(|before| before.chars().next_back());
        if before.is_some_and(char::is_alphanumeric) {
            continue;
        }
        let address =
            spellings(found.as_str()).find_map(|spelled| Some((spelled.parse::<Ipv6Addr>().ok()?, spelled)));
        if let Some((address, spelled)) = address {
            names.extend(kind_of(address.into()).map(|kind| (kind, spelled.to_owned())));
        }
    }
    for found in PAIRS.find_iter(text).filter(|found| is_word(text, found.start(), found.end())) {
        names.push((Kind::Id, found.as_str().to_owned()));
    }
}

/// The address, perhaps with a colon or a dot of the sentence around it.
fn spellings(found: &str) -> impl Iterator<Item = &str> {
    let end = found.trim_end_matches('.');
    let (left, right) = (end.strip_prefix(':'), end.strip_suffix(':'));
    let both = right.and_then(|right| right.strip_prefix(':'));
    [Some(end), right, left, both].into_iter().flatten()
}

fn is_word(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|before| before.chars().next_back());
    let after = text.get(end..).and_then(|after| after.chars().next());
    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
}

/// `None` for addresses that every host has.
fn kind_of(address: IpAddr) -> Option<Kind> {
    let address = address.to_canonical();
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let is_private = match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    Some(if is_private { Kind::PrivateIp } else { Kind::PublicIp })
}

/// The one spelling of an address, which may have several.
pub(super) fn canonical(name: &str) -> Option<String> {
    Some(name.parse::<IpAddr>().ok()?.to_canonical().to_string())
}
