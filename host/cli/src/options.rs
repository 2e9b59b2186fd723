//! Options that every command has, and that are of no use to some: they are not shown there, and refused.

use clap::Command;

use crate::exit::{Exit, Failure};
use crate::root::RootArg;

/// Commands that work on files of this host, or on nothing but their own arguments: they never ask a daemon of another
/// host.
const LOCAL: [&str; 15] = [
    "run",
    "demo",
    "ready",
    "inspect",
    "validate",
    "doctor",
    "support-bundle",
    "install",
    "simulate",
    "replay",
    "completions",
    "man",
    "demo-app",
    "demo-node",
    "compile-component",
];
/// Commands that use no root.
const WITHOUT_ROOT: [&str; 6] = ["install", "profile", "completions", "man", "demo-app", "compile-component"];
/// Commands that ask only the daemon itself, besides those that ask none.
const THIS_NODE_ONLY: [&str; 2] = ["profile", "console"];
const NODE: [&str; 1] = ["node"];
/// The options that are about a daemon on another host.
const REMOTE: [&str; 5] = ["url", "profile", "token_file", "fingerprint", "ca"];
const ROOT: [&str; 1] = ["root"];

/// Hides the options of no use.
pub(crate) fn hide_useless(mut command: Command) -> Command {
    let hidden = |options: &[&str]| -> Vec<clap::Arg> {
        let found = command.get_arguments().filter(|argument| options.contains(&argument.get_id().as_str()));
        found.map(|argument| argument.clone().hide(true)).collect()
    };
    let (remote, root, profile) = (hidden(&REMOTE), hidden(&ROOT), hidden(&["profile"]));
    let node = hidden(&NODE);
    // A global option is not given to a command that has one of this name already.
    for own in command.get_subcommands_mut() {
        let name = own.get_name().to_owned();
        if LOCAL.contains(&name.as_str()) {
            *own = std::mem::take(own).args(remote.clone());
        }
        if asks_no_other_node(&name) {
            *own = std::mem::take(own).args(node.clone());
        }
        if WITHOUT_ROOT.contains(&name.as_str()) {
            *own = std::mem::take(own).args(root.clone());
        }
        // The profiles themselves are made of the other options.
        if name == "profile" {
            *own = std::mem::take(own).args(profile.clone());
        }
    }
    command
}

/// Refuses the options of no use: what was meant for another host or another root must not be done here.
pub(crate) fn refuse_useless(name: &str, root: &RootArg) -> Result<(), Failure> {
    if LOCAL.contains(&name)
        && let Some(option) = root.remote().any_option()
    {
        return Err(useless(name, option));
    }
    if asks_no_other_node(name) && root.node().is_some() {
        let what = format!("`{name}` is about this node and does not support --node");
        return Err(Failure::new(Exit::Usage, what, "omit --node, or run the command on that node"));
    }
    if WITHOUT_ROOT.contains(&name) && root.is_option() {
        let what = format!("`{name}` uses no root and does not support --root");
        return Err(Failure::new(Exit::Usage, what, "omit --root"));
    }
    Ok(())
}

fn asks_no_other_node(name: &str) -> bool {
    LOCAL.contains(&name) || THIS_NODE_ONLY.contains(&name)
}

/// Such an option was given to a command that it is of no use to.
pub(crate) fn useless(command: &str, option: &str) -> Failure {
    let what = format!("`{command}` works on files of this host and does not support {option}");
    Failure::new(Exit::Usage, what, format!("omit {option}, or run the command on that host"))
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::Arguments;

    fn help(command: &str) -> String {
        let mut arguments = crate::arguments();
        arguments.build();
        let found = arguments.find_subcommand_mut(command).unwrap();
        found.clone().render_long_help().to_string()
    }

    #[test]
    fn every_name_is_that_of_a_command() {
        let arguments = crate::arguments();
        for name in LOCAL.iter().chain(&WITHOUT_ROOT).chain(&THIS_NODE_ONLY) {
            assert!(arguments.find_subcommand(name).is_some(), "{name}");
        }
    }

    #[test]
    fn an_option_is_shown_where_it_is_of_use() {
        for (command, root, url) in [
            ("status", true, true),
            ("why", true, true),
            ("profile", false, true),
            ("validate", true, false),
            ("inspect", true, false),
            ("man", false, false),
        ] {
            let help = help(command);
            assert_eq!((help.contains("--root"), help.contains("--url")), (root, url), "{command}:\n{help}");
            assert_eq!(help.contains("--token-file"), url, "{command}:\n{help}");
            let node = url && command != "profile";
            assert_eq!(help.contains("--node "), node, "{command}:\n{help}");
        }
    }

    #[test]
    fn an_option_of_no_use_is_refused_wherever_it_stands() {
        for (line, option) in [
            (&["validate", "--url", "https://node-1:9013"][..], Some("--url")),
            (&["--profile", "node-1", "validate"], Some("--profile")),
            (&["inspect", "http", "--ca", "ca.pem"], Some("--ca")),
            (&["demo", "--url", "https://node-1:9013"], Some("--url")),
            (&["man", "--token-file", "token"], Some("--token-file")),
            (&["--root", "/tmp", "man"], Some("--root")),
            (&["status", "--url", "https://node-1:9013"], None),
            (&["validate", "--node", "node-2"], Some("--node")),
            (&["console", "--node", "node-2"], Some("--node")),
            (&["status", "--node", "node-2"], None),
            (&["validate", "--root", "/tmp"], None),
            (&["man"], None),
        ] {
            let arguments = ["bellwether"].iter().chain(line).copied();
            let matches = crate::arguments().try_get_matches_from(arguments).unwrap();
            let name = matches.subcommand_name().unwrap().to_owned();
            let Arguments { root, .. } = Arguments::from_arg_matches(&matches).unwrap();
            let refused = refuse_useless(&name, &root);
            let told = refused.as_ref().err().map(ToString::to_string);
            assert_eq!(told.is_some(), option.is_some(), "{line:?}: {told:?}");
            if let (Some(told), Some(option), Err(failure)) = (told, option, refused) {
                assert!(told.contains(&format!("does not support {option}")), "{told}");
                assert_eq!(failure.exit(), Exit::Usage);
            }
        }
    }
}
