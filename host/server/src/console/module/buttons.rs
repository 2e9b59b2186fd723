//! The buttons for what can be done with a module now.

use bellwether_core::access::Role;
use bellwether_core::command::Command;
use bellwether_core::consequence::Consequence;
use bellwether_core::permission::{OTHER_READY_NODES, Permission};
use bellwether_core::snapshot::ModuleView;

use super::super::node::capitalised;

#[derive(Debug)]
pub(super) struct CommandButton {
    pub(super) word: String,
    pub(super) href: String,
    /// Whether it takes the module out of the load balancer.
    pub(super) danger: bool,
    /// Whether it is the most useful action now.
    pub(super) first: bool,
}

/// The actions that are possible now. `next` is the recommended one, in the form of the command line: `start web`.
pub(super) fn buttons(module: &ModuleView, role: Role, next: Option<&str>) -> Vec<CommandButton> {
    let proposed = next.and_then(|next| next.split(' ').next()).and_then(|word| word.parse::<Command>().ok());
    let button = |consequence: Consequence| CommandButton {
        word: capitalised(consequence.command.word()),
        href: format!("/modules/{}/{}", module.name, consequence.command),
        danger: consequence.takes_out,
        first: proposed == Some(consequence.command),
    };
    let offered =
        |consequence: &Consequence| Permission::shown(consequence.command, role, module).is_offered();
    let possible = Consequence::of_all(module, OTHER_READY_NODES).into_iter().filter(offered);
    let mut buttons: Vec<CommandButton> = possible.map(button).collect();
    buttons.sort_by_key(|button| !button.first);
    buttons
}

#[cfg(test)]
mod tests {
    use bellwether_core::state::StateName;

    use super::*;

    #[test]
    fn only_what_can_be_done_has_a_button_and_what_is_proposed_is_the_first() {
        let words = |state, role, next| {
            let module = ModuleView::empty("web".parse().unwrap(), state);
            buttons(&module, role, next).into_iter().map(|b| (b.word, b.first)).collect::<Vec<_>>()
        };
        let failed = words(StateName::Failed, Role::Control, Some("start web"));
        assert_eq!(failed.first(), Some(&("Start".to_owned(), true)));
        assert!(!failed.iter().any(|(word, _)| word == "Resume" || word == "Confirm"), "{failed:?}");
        let up = words(StateName::Up, Role::Admin, None);
        let up: Vec<&str> = up.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(up, ["Stop", "Restart", "Suspend"]);
        assert!(words(StateName::Up, Role::Monitor, None).is_empty());
    }
}
