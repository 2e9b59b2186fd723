//! The root that a command uses.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bellwether_core::id::NodeName;
use clap::Args;

use crate::client::{Client, RemoteArgs};
use crate::exit::{Exit, Failure};

/// The configuration folder of packages.
const SYSTEM_ROOT: &str = "/etc/bellwether";

/// The variable that names the root.
const ROOT: &str = "BELLWETHER_ROOT";

/// The options of every command.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RootArg {
    /// The root: the folder with bellwether.toml, modules/ and added components
    ///
    /// Default: the folder that the variable `BELLWETHER_ROOT` names, else /etc/bellwether if it
    /// exists, else the current folder if it has a bellwether.toml or a modules/ folder.
    // The variable is not the argument's `env`: clap would take it for an option beside `--url` or `--profile`, which
    // conflict with `--root`.
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Ask this node of the farm, through the daemon
    #[arg(long, global = true, value_name = "NAME")]
    node: Option<NodeName>,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl RootArg {
    /// The given root: with `--root`, or with the variable.
    pub(crate) fn given(&self) -> Option<PathBuf> {
        self.given_beside(std::env::var_os(ROOT))
    }

    /// Whether it was given with `--root`.
    pub(crate) fn is_option(&self) -> bool {
        self.root.is_some()
    }

    /// What follows a command that is to be given to the same daemon: ` --root DIR`, ` --profile NAME --node NAME`.
    pub(crate) fn suffix(&self) -> String {
        let daemon = match (self.remote.named(), self.given()) {
            (Some((option, value)), _) => format!(" {option} {value}"),
            (None, Some(root)) => format!(" --root {}", root.display()),
            (None, None) => String::new(),
        };
        let node = self.node.as_ref().map(|node| format!(" --node {node}")).unwrap_or_default();
        daemon + &node
    }

    /// As it was given where the variable has this value. An empty one counts as none.
    fn given_beside(&self, variable: Option<OsString>) -> Option<PathBuf> {
        let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
        self.root.clone().or(variable)
    }

    /// The given options for a daemon on another host.
    pub(crate) fn remote(&self) -> &RemoteArgs {
        &self.remote
    }

    /// The node of the farm that was given with `--node`.
    pub(crate) fn node(&self) -> Option<&NodeName> {
        self.node.as_ref()
    }

    /// The daemon to connect to: the one of the root, or the one that `--url` or `--profile` names; with `--node`,
    /// another node through it.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let client = match self.remote.find()? {
            Some(remote) => Client::of(remote),
            None => Client::new(&self.find()?),
        };
        Ok(client.at(self.node.clone()))
    }

    /// The root as an absolute path. It exists.
    pub(crate) fn find(&self) -> Result<PathBuf, Failure> {
        if let Some(option) = self.remote.option() {
            let what = format!("this command works on files of this host and does not support {option}");
            let next = format!("omit {option}, or run the command on that host");
            return Err(Failure::new(Exit::Usage, what, next));
        }
        self.remote.refuse_unrelated()?;
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let root = choose(self.given().as_deref(), Path::new(SYSTEM_ROOT), &here)?;
        std::fs::canonicalize(&root)
            .map_err(|error| Failure::from(anyhow::Error::from(error).context(root.display().to_string())))
    }
}

fn choose(given: Option<&Path>, system: &Path, here: &Path) -> Result<PathBuf, Failure> {
    if let Some(root) = given {
        if root.is_dir() {
            return Ok(root.to_owned());
        }
        let next = format!(
            "create it with a folder modules/ in it, or create an example: bellwether demo --root {}",
            root.display()
        );
        return Err(Failure::new(Exit::Error, format!("there is no folder {}", root.display()), next));
    }
    if system.is_dir() {
        return Ok(system.to_owned());
    }
    if here.join("bellwether.toml").is_file() || here.join("modules").is_dir() {
        return Ok(here.to_owned());
    }
    Err(Failure::new(
        Exit::Error,
        format!(
            "no root found: there is no {}, and {} has neither bellwether.toml nor modules/",
            system.display(),
            here.display()
        ),
        "set it with --root DIR or BELLWETHER_ROOT=DIR; to try an example first: bellwether demo",
    ))
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    #[test]
    fn the_root_is_the_given_one_then_the_systems_then_the_current_folder() {
        let place = tempfile::tempdir().unwrap();
        let [given, system, here] = ["given", "system", "here"].map(|name| place.path().join(name));
        std::fs::create_dir(&given).unwrap();
        std::fs::create_dir_all(here.join("modules")).unwrap();
        assert_eq!(choose(Some(&given), &system, &here).unwrap(), given);
        assert_eq!(choose(None, &system, &here).unwrap(), here);
        std::fs::create_dir(&system).unwrap();
        assert_eq!(choose(None, &system, &here).unwrap(), system);
    }

    /// How `bellwether` interprets these options.
    fn parsed(options: &[&str]) -> RootArg {
        let command = RootArg::augment_args(clap::Command::new("bellwether"));
        let matches = command.try_get_matches_from(["bellwether"].iter().chain(options).copied()).unwrap();
        RootArg::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn what_follows_a_command_names_the_daemon_and_the_node() {
        assert_eq!(parsed(&["--root", "/r", "--node", "node-2"]).suffix(), " --root /r --node node-2");
    }

    #[test]
    fn the_variable_counts_unless_a_root_is_given_and_is_no_option() {
        let of = |options: &[&str], variable: Option<&str>| {
            parsed(options).given_beside(variable.map(OsString::from))
        };
        assert_eq!(of(&[], None), None);
        assert_eq!(of(&[], Some("")), None);
        assert_eq!(of(&[], Some("/variable")), Some(PathBuf::from("/variable")));
        assert_eq!(of(&["--root", "/option"], Some("/variable")), Some(PathBuf::from("/option")));
        let command = RootArg::augment_args(clap::Command::new("bellwether"));
        let with_variable: Vec<_> = command
            .get_arguments()
            .filter(|argument| argument.get_env().is_some())
            .map(clap::Arg::get_id)
            .collect();
        assert!(with_variable.is_empty(), "clap would report a conflict: {with_variable:?}");
    }

    #[test]
    fn options_of_another_host_do_not_lead_to_this_one() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().to_str().unwrap();
        assert!(parsed(&["--root", root]).find().is_ok());
        let fingerprint = "AB".repeat(32);
        for (option, value) in
            [("--token-file", "token"), ("--fingerprint", fingerprint.as_str()), ("--ca", "ca.pem")]
        {
            let args = parsed(&["--root", root, option, value]);
            for failure in [args.find().unwrap_err(), args.client().unwrap_err()] {
                assert_eq!(failure.exit(), Exit::Usage);
                assert!(failure.said().starts_with(option), "{failure}");
            }
        }
    }

    #[test]
    fn without_any_root_the_error_says_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let none = place.path().join("none");
        let error = choose(None, &none, place.path()).unwrap_err().to_string();
        assert!(error.contains("set it with --root DIR"), "{error}");
        let error = choose(Some(&none), &none, place.path()).unwrap_err().to_string();
        assert!(error.contains("there is no folder") && error.contains("bellwether demo --root"), "{error}");
    }
}
