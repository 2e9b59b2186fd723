//! The confirmation of a command after which no node serves the module, by a user or a script.

use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::time::Duration;

use bellwether_api::ModuleStatus;
use bellwether_core::command::Command;
use bellwether_core::consequence::Consequence;
use bellwether_core::id::ModuleName;
use bellwether_core::permission::Authorization;
use bellwether_os::readiness::is_readable;

use crate::client::Client;
use crate::exit::{Exit, Failure};

/// The maximum length of the input, in bytes.
const MAX_TYPED: u64 = 256;
/// The time limit for the answer, because the question may become outdated.
const ANSWERED_WITHIN: Duration = Duration::from_mins(5);

/// The source of the confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// It is given: by `--yes`, or by the script on this node that runs the command.
    Given,
    /// The user at the terminal is asked.
    Asked,
    /// There is none, and no terminal to ask on.
    Missing,
}

impl Confirmation {
    /// With `--yes` or without it, over the local socket or from elsewhere.
    pub(crate) fn find(yes: bool, client: &Client) -> Self {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self::by(yes, terminal, client.is_local())
    }

    fn by(yes: bool, terminal: bool, local: bool) -> Self {
        match (yes, terminal, local) {
            // Scripts that were written for this node before `--yes` existed keep working.
            (true, ..) | (false, false, true) => Self::Given,
            (false, true, _) => Self::Asked,
            (false, false, false) => Self::Missing,
        }
    }
}

/// Shows the effect of the command on the terminal, and asks for the module's name. Returns the generation that was
/// shown: the command is rejected if the module changes in the meantime.
pub(crate) async fn ask(client: &Client, command: Command, module: &ModuleName) -> Result<u64, Failure> {
    // In this order: a change between the two is detected by the daemon.
    let shown: ModuleStatus = client.get(&format!("/modules/{module}")).await?;
    let consequences: Vec<Consequence> = client.get(&format!("/modules/{module}/consequences")).await?;
    let consequence = consequences.into_iter().find(|consequence| consequence.command == command);
    let sentences = consequence.map(|consequence| consequence.sentences).unwrap_or_default();
    let typed = typed(&sentences, module.as_str(), &format!("{command} it"))?;
    let confirmed = Authorization { confirmed: Some(typed), ..Authorization::of(super::ANY_ROLE) };
    if confirmed.confirms(module) {
        return Ok(shown.changed);
    }
    let what = format!("`{command} {module}` is not carried out: it was not confirmed");
    Err(Failure::new(Exit::Denied, what, "type the module's name, or add --yes"))
}

/// Says what will happen, and asks for a name as the confirmation. `goal` completes the sentence "Type NAME to".
pub(crate) fn type_the_name(sentences: &[String], name: &str, goal: &str) -> Result<(), Failure> {
    if typed(sentences, name, goal)?.trim() == name {
        return Ok(());
    }
    Err(Failure::new(Exit::Denied, "nothing is done: it was not confirmed", "type the name, or add --yes"))
}

/// What is typed as the answer on the terminal.
fn typed(sentences: &[String], name: &str, goal: &str) -> Result<String, Failure> {
    write_question(&mut io::stderr(), sentences, name, goal)?;
    let mut typed = String::new();
    if is_readable(&io::stdin(), ANSWERED_WITHIN)? {
        io::Read::take(io::stdin().lock(), MAX_TYPED).read_line(&mut typed)?;
    }
    end_line(&mut io::stderr(), &typed)?;
    Ok(typed)
}

fn write_question(to: &mut impl Write, sentences: &[String], name: &str, goal: &str) -> io::Result<()> {
    for sentence in sentences {
        writeln!(to, "{sentence}")?;
    }
    write!(to, "Type {name} to {goal}: ")?;
    to.flush()
}

/// Ends the line of the question if what was typed did not: Ctrl-D ends the input without one.
fn end_line(to: &mut impl Write, typed: &str) -> io::Result<()> {
    if typed.ends_with('\n') { Ok(()) } else { writeln!(to) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_asked_a_local_script_has_decided_and_one_elsewhere_says_yes() {
        let (local, elsewhere, terminal, script) = (true, false, true, false);
        for place in [local, elsewhere] {
            assert_eq!(Confirmation::by(false, terminal, place), Confirmation::Asked);
            assert_eq!(Confirmation::by(true, terminal, place), Confirmation::Given);
            assert_eq!(Confirmation::by(true, script, place), Confirmation::Given);
        }
        assert_eq!(Confirmation::by(false, script, local), Confirmation::Given);
        assert_eq!(Confirmation::by(false, script, elsewhere), Confirmation::Missing);
    }

    #[test]
    fn what_follows_the_question_begins_a_line() {
        for (typed, written) in [("web\n", ""), ("web", "\n"), ("", "\n")] {
            let mut to = Vec::new();
            end_line(&mut to, typed).unwrap();
            assert_eq!(String::from_utf8(to).unwrap(), written, "{typed:?}");
        }
    }

    #[test]
    fn the_question_says_what_will_happen_and_what_to_type() {
        let mut written = Vec::new();
        let sentences = ["The application is stopped.".to_owned(), "No node is left.".to_owned()];
        write_question(&mut written, &sentences, "web", "stop it").unwrap();
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text, "The application is stopped.\nNo node is left.\nType web to stop it: ");
    }
}
