//! What is wrong with the farm, apart from nodes that are not heard.

use std::time::Duration;

use bellwether_core::moment::plain;
use bellwether_links::{NodePicture, Picture};
use bellwether_os::clock::timestamp;
use jiff::Timestamp;

use super::clocks::{Clocks, TOO_FAR};

/// What expires within this time is a problem. Certificates are renewed long before.
const EXPIRES_SOON: Duration = Duration::from_hours(24 * 60);

/// One sentence for each problem. `wall`: this node's clock, in seconds since the Unix epoch.
pub(super) fn problems(picture: &Picture, clocks: &Clocks, version: &str, wall: u64) -> Vec<String> {
    if let Some(removal) = &picture.removed {
        let at = i64::try_from(removal.at).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        return vec![format!(
            "this node was removed from the farm by {} at {}: no other node answers it; `bellwether farm leave` forgets the \
             farm, and after `bellwether farm invite` on another node it can join again",
            removal.by,
            timestamp(at),
        )];
    }
    let mut problems = expiring(picture, wall);
    for name in &picture.conflicts {
        problems.push(format!(
            "two nodes of the farm are called `{name}`: commands for it are refused until one of them has another `name` \
             in bellwether.toml and its daemon was restarted, or is removed (`bellwether farm remove`)"
        ));
    }
    problems.extend(picture.nodes.iter().filter_map(|node| other_version(node, version)));
    problems.extend(picture.nodes.iter().filter_map(|node| wrong_clock(node, clocks)));
    problems
}

/// What expires soon, one sentence each.
pub(super) fn expiring(picture: &Picture, wall: u64) -> Vec<String> {
    let own = picture.certificate_ends.and_then(|ends| {
        let left = left(ends, wall)?;
        let holders: Vec<&str> = holders(picture).collect();
        let who = match holders.as_slice() {
            _ if picture.this.as_ref().is_some_and(|this| this.holds_ca_key) => {
                "by this node itself".to_owned()
            }
            [] => "by a node with the authority's key, and none is known: see `bellwether farm restore`"
                .to_owned(),
            holders => format!("as soon as one of these nodes is reached: {}", holders.join(", ")),
        };
        Some(format!("the certificate of this node for the farm {left}; it is renewed {who}"))
    });
    let authority = picture.authority_ends.and_then(|ends| {
        let left = left(ends, wall)?;
        Some(format!(
            "the authority of the farm {left}: after that no node accepts another; found a new farm with \
             `bellwether farm leave` on every node, `bellwether farm init` and new invitations"
        ))
    });
    own.into_iter().chain(authority).collect()
}

/// Nodes that may renew certificates.
fn holders(picture: &Picture) -> impl Iterator<Item = &str> {
    picture.nodes.iter().filter(|node| node.member.holds_ca_key).map(|node| node.member.name.as_str())
}

/// The end of a sentence about something that has expired or does so soon.
fn left(ends: Timestamp, wall: u64) -> Option<String> {
    let wall = i64::try_from(wall).unwrap_or(i64::MAX);
    let left = ends.as_second().saturating_sub(wall);
    match u64::try_from(left) {
        Ok(left) if Duration::from_secs(left) > EXPIRES_SOON => None,
        Ok(left) => Some(format!("expires in {}", plain(Duration::from_secs(left)))),
        Err(_) => Some(format!("expired {} ago", plain(Duration::from_secs(left.unsigned_abs())))),
    }
}

/// Nodes of versions N and N+1 form one farm.
fn other_version(node: &NodePicture, version: &str) -> Option<String> {
    let name = &node.member.name;
    if node.view.other_version.is_some() {
        return Some(format!(
            "{name} runs a version that this node does not understand: upgrade the older one of the two"
        ));
    }
    let other = &node.view.summary.as_ref()?.summary.facts.version;
    let major = |version: &str| version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let (own, theirs) = (major(version)?, major(other)?);
    (own.abs_diff(theirs) > 1).then(|| {
        format!(
            "{name} runs version {other}, and this node {version}: only consecutive major versions form one farm; upgrade \
             the older one"
        )
    })
}

fn wrong_clock(node: &NodePicture, clocks: &Clocks) -> Option<String> {
    let is_heard = node.view.hearing.is_heard();
    let ahead = clocks.ahead(node.id).filter(|ahead| is_heard && ahead.abs() > TOO_FAR.as_secs_f64())?;
    let word = if ahead > 0.0 { "ahead of" } else { "behind" };
    let offset = plain(Duration::try_from_secs_f64(ahead.abs()).unwrap_or(Duration::MAX));
    Some(format!(
        "the clock of {} is {offset} {word} that of this node: times of the two cannot be compared; set the clocks, for \
         example with chrony",
        node.member.name
    ))
}
