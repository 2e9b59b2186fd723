//! Reads the operator's files.
//!
//! ```text
//!            structure            serde, module_file, node_file       cross_check
//!   text ──▶ tables without ──▶ a specification that makes sense ──▶ one that fits the
//!            what is wrong                                           other files and components
//!               │                        │                               │
//!               └──────────── mistakes, all of them at once ─────────────┘
//! ```
//! `validate`, the start of the daemon and a reload all use the same code.

pub mod certificate;
pub mod certificates;
mod config_complaint;
mod config_schema;
mod connections;
mod console;
pub mod cross_check;
mod definition;
pub mod effective;
pub mod execution;
mod farm;
mod field;
pub mod host_files;
mod http;
mod journal;
mod limits;
pub mod mistake;
mod module_file;
mod nearest;
pub mod node_changes;
mod node_file;
pub mod notify;
mod pair;
mod policy;
pub mod quantity;
pub mod read;
pub mod reference;
mod scenario_file;
pub mod schema;
pub mod source;
pub mod spec;
mod structure;
mod telemetry;
#[cfg(test)]
mod tests;
mod uses;

pub use self::config_complaint::config_mistakes;
pub use self::connections::{Unreachable, unreachable};
pub use self::cross_check::{ComponentKind, check_module, check_root};
pub use self::effective::{Effective, Origin};
pub use self::host_files::{AccountProblem, AnyHost, HostFiles, ProgramProblem, ThisHost};
pub use self::mistake::{Mistake, Mistakes};
pub use self::module_file::grant::add_grant;
pub use self::read::{
    MODULES_FOLDER, NODE_FILE, RootReport, parse_module, parse_module_of_any_host, parse_node, read_module,
    read_module_as, read_node, read_root, read_scenario,
};
pub use self::source::{Source, Sourced};
pub use self::uses::ComponentUse;
