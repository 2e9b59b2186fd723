//! Commands for modules, which may need a confirmation.

use bellwether_api::{CommandAnswer, UNCONFIRMED};
use bellwether_core::id::ModuleName;
use hyper::Method;
use hyper::body::Bytes;

use super::refused::{refusal, understood};
use super::{ANSWER_WITHIN, Client};
use crate::exit::Failure;

/// The outcome of a command.
#[derive(Debug)]
pub(crate) enum Given {
    /// The daemon has answered it.
    Answered(CommandAnswer),
    /// Nothing was done: it has to be confirmed first, as the failure says.
    Unconfirmed(Failure),
}

impl Client {
    /// Whether the daemon that is asked is reached over the local socket, and not through another node.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.place, super::Destination::Root(_)) && self.node.is_none()
    }

    /// Sends the command with this path.
    pub(crate) async fn give(&self, path: &str) -> Result<Given, Failure> {
        let (status, body) = self.exchange(Method::POST, path, Bytes::new(), ANSWER_WITHIN).await?;
        if status.is_success() {
            return understood(&self.place, &body).map(Given::Answered);
        }
        let failure = refusal(&self.place, status, &body);
        if status.as_u16() == UNCONFIRMED { Ok(Given::Unconfirmed(failure)) } else { Err(failure) }
    }

    /// Sends the command with this path, and confirms it if that is required. A daemon of an earlier version never
    /// requires a confirmation, and does not accept one.
    pub(crate) async fn give_confirmed(
        &self,
        path: &str,
        module: &ModuleName,
    ) -> Result<CommandAnswer, Failure> {
        match self.give(path).await? {
            Given::Answered(answer) => Ok(answer),
            Given::Unconfirmed(_) => self.post(&confirmed(path, module), ANSWER_WITHIN).await,
        }
    }
}

/// The path with the confirmation in its query.
fn confirmed(path: &str, module: &ModuleName) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}confirm={module}")
}

#[cfg(test)]
mod tests {
    use super::confirmed;

    #[test]
    fn the_confirmation_is_added_to_the_query() {
        let web = "web".parse().unwrap();
        assert_eq!(confirmed("/modules/web/stop", &web), "/modules/web/stop?confirm=web");
        assert_eq!(confirmed("/modules/web/stop?seen=7", &web), "/modules/web/stop?seen=7&confirm=web");
    }
}
