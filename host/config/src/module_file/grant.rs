//! `grant = { … }`

use std::collections::BTreeMap;

use bellwether_core::grant::{GrantKind, Grants, NotationError};
use bellwether_core::id::CommandName;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mistake::Findings;
use crate::nearest;
use crate::source::Located;
use bellwether_os::spawn::command::CommandSpec;

/// The permissions of a component. Nothing is allowed without a grant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct GrantTable {
    /// TCP connections to these hosts and ports (UDP with the prefix `udp:`): an address, a network or a host
    /// name, and a port. Unix sockets by their path, with the prefix `unix:`.
    #[schemars(example = ["127.0.0.1:8080", "[::1]:80", "10.0.0.0/8:443", "db.internal:5432", "udp:10.0.0.53:53", "unix:/run/app.sock"])]
    connect: Option<Vec<Located<String>>>,
    /// Host names that may be looked up, in addition to those in `connect` and `http`; the prefix `*.` stands
    /// for all names below the name.
    #[schemars(example = ["db.internal", "*.svc.internal"])]
    resolve: Option<Vec<Located<String>>>,
    /// Origins of HTTP requests, which the host makes. Without methods in front: GET, HEAD and OPTIONS.
    #[schemars(example = ["https://api.internal", "GET,POST http://127.0.0.1:8080"])]
    http: Option<Vec<Located<String>>>,
    /// Directories that may be read, absolute or relative to the root.
    #[schemars(example = ["/etc/app", "data"])]
    read: Option<Vec<Located<String>>>,
    /// Environment variables of the daemon.
    #[schemars(example = ["LANG", "APP_MODE"])]
    env: Option<Vec<Located<String>>>,
    /// Secrets: the name that the component uses, and the file with the value, absolute or relative to the
    /// root. Never logged, never shown.
    secrets: Option<BTreeMap<Located<String>, Located<String>>>,
    /// Commands of this module that may be run, by name. Kept commands are not allowed.
    #[schemars(example = ["probe"])]
    commands: Option<Vec<Located<String>>>,
    /// Facts about the processes of this module. Default: false.
    processes: Option<bool>,
    /// Hosts and networks that may be pinged.
    #[schemars(example = ["10.0.0.1", "gw.internal", "192.168.0.0/16"])]
    ping: Option<Vec<Located<String>>>,
}

impl GrantTable {
    pub(super) fn grants(
        &self,
        commands: &BTreeMap<CommandName, CommandSpec>,
        findings: &mut Findings<'_>,
    ) -> Grants {
        let mut grants = Grants { processes: self.processes == Some(true), ..Grants::default() };
        for (kind, list) in [
            (GrantKind::Connect, &self.connect),
            (GrantKind::Resolve, &self.resolve),
            (GrantKind::Http, &self.http),
            (GrantKind::Read, &self.read),
            (GrantKind::Env, &self.env),
            (GrantKind::Commands, &self.commands),
            (GrantKind::Ping, &self.ping),
        ] {
            for text in list.iter().flatten() {
                add(&mut grants, kind, text, text.get(), findings);
            }
        }
        for (name, file) in self.secrets.iter().flatten() {
            if file.get().is_empty() {
                findings
                    .at(file.span(), format!("the secret `{}` has no file", name.get()))
                    .expected("expected the file that holds its value");
                continue;
            }
            add(&mut grants, GrantKind::Secrets, name, &format!("{}={}", name.get(), file.get()), findings);
        }
        for text in self.commands.iter().flatten() {
            check_command(text, commands, findings);
        }
        grants
    }
}

fn add(
    grants: &mut Grants,
    kind: GrantKind,
    place: &Located<String>,
    value: &str,
    findings: &mut Findings<'_>,
) {
    if let Err(error) = grants.add(kind, value) {
        let text = place.get();
        let mistake = findings.at(place.span(), format!("`{text}` cannot be granted: {error}"));
        mistake.expected(kind.expected());
        mistake.help = error.help;
    }
}

/// A component may only run commands that the module declares, and no kept ones.
fn check_command(
    text: &Located<String>,
    commands: &BTreeMap<CommandName, CommandSpec>,
    findings: &mut Findings<'_>,
) {
    let Ok(name) = CommandName::new(text.get()) else { return };
    match commands.get(&name) {
        None => {
            let mistake = findings.at(text.span(), format!("no command `{name}`"));
            mistake.expected("expected the name of a command under `[commands]`");
            mistake.help = nearest::did_you_mean(name.as_str(), commands.keys().map(CommandName::as_str));
        }
        Some(command) if command.keep => {
            findings
                .at(text.span(), format!("`{name}` is a kept command"))
                .expected("expected a command that runs to completion")
                .help("only the restart script starts the application itself");
        }
        Some(_) => {}
    }
}

/// Why a text is not a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoGrant {
    /// There is no such kind of grant.
    #[error("it does not begin with one of {}", GrantKind::ALL.map(|kind| format!("`{kind}=`")).join(", "))]
    Kind,
    /// It is not valid for its kind.
    #[error("{}{}", .0.why, .0.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default())]
    Value(NotationError),
}

/// Adds a grant in the notation `KIND=VALUE`: `connect=127.0.0.1:80`, `secrets=NAME=FILE`.
pub fn add_grant(grants: &mut Grants, text: &str) -> Result<(), NoGrant> {
    let (kind, value) = text.split_once('=').unwrap_or((text, ""));
    let kind: GrantKind = kind.parse().map_err(|()| NoGrant::Kind)?;
    grants.add(kind, value).map_err(NoGrant::Value)
}
