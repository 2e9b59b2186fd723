//! One file for each command.

use bellwether_core::access::Role;

/// The daemon knows the caller's role, and rejects what that does not allow: no check is made here.
pub(crate) const ANY_ROLE: Role = Role::Admin;

pub(crate) mod approve;
pub(crate) mod check;
pub(crate) mod compile_component;
pub(crate) mod completions;
mod confirmation;
pub(crate) mod console;
pub(crate) mod demo_app;
pub(crate) mod demo_node;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod farm;
mod grants;
pub(crate) mod hold_sockets;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod launch;
pub(crate) mod man;
pub(crate) mod notify;
pub(crate) mod order;
pub(crate) mod profile;
pub(crate) mod ready;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod support_bundle;
pub(crate) mod token;
pub(crate) mod top;
pub(crate) mod user;
pub(crate) mod validate;
pub(crate) mod why;
