//! The nodes of the demo form a farm, as on servers of their own: `farm init`, `farm invite`, `farm join`.

use std::time::Duration;

use bellwether_api::farm::{FarmStatus, InvitationAnswer, JoinRequest};
use hyper::Method;

use super::nodes::Node;
use crate::client::{ANSWER_WITHIN, Client};
use crate::exit::Failure;

/// The time limit of a join: the new node asks the other one several times.
const JOIN_WITHIN: Duration = Duration::from_secs(30);

/// Lets all other nodes join the farm of the first one, which is founded if it is in none. What has joined already, in
/// an earlier run on the same root, stays as it is.
pub(super) async fn join(nodes: &[Node]) -> Result<(), Failure> {
    let Some((first, others)) = nodes.split_first() else { return Ok(()) };
    let first = Client::new(&first.root);
    if is_alone(&first).await? {
        first.post::<FarmStatus>("/farm/init", ANSWER_WITHIN).await?;
    }
    for other in others {
        let other = Client::new(&other.root);
        if is_alone(&other).await? {
            let invitation: InvitationAnswer = first.post("/farm/invitations", ANSWER_WITHIN).await?;
            let body = JoinRequest { line: invitation.line, replace: None };
            other.send_body_within::<FarmStatus>(Method::POST, "/farm/join", &body, JOIN_WITHIN).await?;
        }
    }
    Ok(())
}

/// Whether a node is in no farm.
async fn is_alone(node: &Client) -> Result<bool, Failure> {
    Ok(node.get::<FarmStatus>("/farm?within_ms=0").await?.farm.is_none())
}
