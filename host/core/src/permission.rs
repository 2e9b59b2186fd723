//! Whether a command may be given to a module now. This is the only place that decides it: the driver, the API, the
//! console and the terminal view ask here.
//!
//! ```text
//! the role is not enough ────────────────────────────────────▶ Forbidden
//! the module has changed since it was seen ──────────────────▶ Moved
//! nothing would come of it in the present state ─────────────▶ Idle
//! no node would serve then, and the name was not repeated ───▶ Unconfirmed
//! otherwise ─────────────────────────────────────────────────▶ Granted
//! ```
//! The driver asks last, in the same iteration in which the module handles the command, so nothing can change in
//! between.

use crate::access::Role;
use crate::command::{Command, DeniedReason};
use crate::consequence::Consequence;
use crate::id::ModuleName;
use crate::snapshot::{ModuleView, Snapshot};

/// The role that commands need.
pub const COMMANDS_NEED: Role = Role::Control;

/// The number of other nodes that are ready for a module. A node does not know that for sure of any other, so it has to
/// assume that it is the last.
pub const OTHER_READY_NODES: usize = 0;

/// The caller of a command, and the state that the caller decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The role that the caller has.
    pub role: Role,
    /// The generation of the snapshot that the caller saw. Without it, later changes are not checked.
    pub seen: Option<u64>,
    /// The name of the module, repeated by the caller to confirm the command.
    pub confirmed: Option<String>,
}

impl Authorization {
    /// A caller with this role who has seen and confirmed nothing.
    pub fn of(role: Role) -> Self {
        Self { role, seen: None, confirmed: None }
    }

    /// Whether a command to this module is confirmed.
    pub fn confirms(&self, module: &ModuleName) -> bool {
        self.confirmed.as_ref().is_some_and(|name| name.trim() == module.as_str())
    }
}

/// The decision about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// It is allowed without a confirmation.
    Granted,
    /// It needs a confirmation with the module's name: no node would serve the module.
    Unconfirmed,
    /// It would have no effect, for this reason. It is passed on all the same: the module then gives the reason
    /// itself.
    Idle(String),
    /// The module has changed since the caller saw it. Describes its present state.
    Moved(String),
    /// The caller's role does not include [`COMMANDS_NEED`].
    Forbidden,
}

impl Permission {
    /// The decision about giving `command` to `module`, as the snapshot of `generation` shows it, while `others`
    /// more nodes are ready for it.
    pub fn of(
        command: Command,
        authorization: &Authorization,
        module: &ModuleView,
        generation: u64,
        others: usize,
    ) -> Self {
        if !authorization.role.may(COMMANDS_NEED) {
            return Self::Forbidden;
        }
        if authorization.seen.is_some_and(|seen| is_outdated(seen, module, generation)) {
            let ready = if module.ready { "ready" } else { "not ready" };
            return Self::Moved(format!("{} and {ready}", module.state));
        }
        let Consequence { idle, last_ready, .. } = Consequence::of(module, command, others);
        match idle {
            Some(why) => Self::Idle(why),
            None if last_ready && !authorization.confirms(&module.name) => Self::Unconfirmed,
            None => Self::Granted,
        }
    }

    /// The decision about giving `command` to the module with this name. `None` if there is no such module.
    pub fn on(
        snapshot: &Snapshot,
        module: &str,
        command: Command,
        authorization: &Authorization,
    ) -> Option<Self> {
        let view = snapshot.module(module)?;
        Some(Self::of(command, authorization, view, snapshot.generation, OTHER_READY_NODES))
    }

    /// The decision about giving `command` to `module` as it is shown now, by a caller who has confirmed nothing
    /// yet: for buttons, pages and dialogs that offer it.
    pub fn shown(command: Command, role: Role, module: &ModuleView) -> Self {
        Self::of(command, &Authorization::of(role), module, module.changed, OTHER_READY_NODES)
    }

    /// Why the command is not passed to the module; `None` if it is.
    pub fn denial(self) -> Option<DeniedReason> {
        match self {
            Self::Granted | Self::Idle(_) => None,
            Self::Unconfirmed => Some(DeniedReason::Unconfirmed),
            Self::Moved(now) => Some(DeniedReason::Moved(now)),
            Self::Forbidden => Some(DeniedReason::Forbidden),
        }
    }

    /// Whether to show a button for the command: it is allowed, possibly after a confirmation.
    pub fn is_offered(&self) -> bool {
        matches!(self, Self::Granted | Self::Unconfirmed)
    }
}

/// Something relevant of the module has changed since `seen`, or that snapshot was another daemon's.
fn is_outdated(seen: u64, module: &ModuleView, generation: u64) -> bool {
    seen < module.changed || seen > generation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateName;

    /// Changed last in generation 5; the snapshot is of generation 9.
    fn module(state: StateName) -> ModuleView {
        ModuleView { changed: 5, ..ModuleView::empty("web".parse().unwrap(), state) }
    }

    fn asked(role: Role, seen: Option<u64>, confirmed: Option<&str>) -> Authorization {
        Authorization { role, seen, confirmed: confirmed.map(str::to_owned) }
    }

    fn permission(command: Command, authorization: &Authorization, state: StateName) -> Permission {
        Permission::of(command, authorization, &module(state), 9, 0)
    }

    #[test]
    fn the_table() {
        use Command::{Restart, Start, Stop, Suspend};
        use Permission::{Forbidden, Granted, Unconfirmed};
        use Role::{Admin, Control, Monitor};
        use StateName::{Failed, Stopped, Up};
        let idle = |why: &str| Permission::Idle(why.to_owned());
        let moved = |now: &str| Permission::Moved(now.to_owned());
        for (command, role, seen, confirmed, state, expected) in [
            // The role is checked first, because a rejection must reveal nothing about the module.
            (Stop, Monitor, Some(5), Some("web"), Up, Forbidden),
            (Start, Monitor, Some(4), None, Failed, Forbidden),
            // Next, whether the caller has seen the present state.
            (Stop, Control, Some(4), Some("web"), Up, moved("up and ready")),
            (Start, Admin, Some(4), None, Failed, moved("failed and not ready")),
            (Stop, Control, Some(10), Some("web"), Up, moved("up and ready")),
            (Start, Control, Some(5), None, Failed, Granted),
            (Start, Control, Some(9), None, Failed, Granted),
            // Next, the state of the module.
            (Start, Control, None, None, Up, idle("it is up")),
            (Stop, Control, None, None, Stopped, idle("it is stopped")),
            (Restart, Control, Some(9), None, Stopped, idle("it is stopped: start it")),
            // Last, whether this is the last ready node.
            (Stop, Control, None, None, Up, Unconfirmed),
            (Stop, Admin, Some(9), Some("we"), Up, Unconfirmed),
            (Restart, Control, Some(9), Some(""), Up, Unconfirmed),
            (Restart, Control, Some(9), Some(" web "), Up, Granted),
            (Stop, Control, None, Some("web"), Up, Granted),
            // A command to a module that does not serve, or continues to serve, takes no node out.
            (Stop, Control, None, None, Failed, Granted),
            (Suspend, Control, None, None, Up, Granted),
        ] {
            let given = asked(role, seen, confirmed);
            assert_eq!(permission(command, &given, state), expected, "{command} {state} by {given:?}");
        }
    }

    #[test]
    fn while_another_node_is_ready_nothing_has_to_be_confirmed() {
        let control = Authorization::of(Role::Control);
        let with = |others| Permission::of(Command::Stop, &control, &module(StateName::Up), 9, others);
        assert_eq!((with(0), with(1)), (Permission::Unconfirmed, Permission::Granted));
    }

    #[test]
    fn what_would_come_to_nothing_is_still_handed_to_the_module_and_gets_no_button() {
        let idle = permission(Command::Start, &Authorization::of(Role::Control), StateName::Up);
        assert!(!idle.is_offered());
        assert_eq!(idle.denial(), None);
        assert_eq!(Permission::Unconfirmed.denial(), Some(DeniedReason::Unconfirmed));
        assert!(Permission::Unconfirmed.is_offered() && !Permission::Forbidden.is_offered());
    }

    #[test]
    fn a_module_that_is_not_there_has_no_permission() {
        let snapshot = Snapshot::empty("n1".parse().unwrap(), crate::moment::Moment::default());
        let admin = Authorization::of(Role::Admin);
        assert_eq!(Permission::on(&snapshot, "web", Command::Stop, &admin), None);
    }
}
