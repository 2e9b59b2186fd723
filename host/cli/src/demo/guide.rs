//! The text that the demo prints for new users.

use std::io::{self, Write as _};
use std::path::Path;

use bellwether_api::{ModuleStatus, NodeStatus};
use bellwether_core::moment::plain;
use bellwether_daemon::app::Ready;

use super::layout;
use super::visitor::{GOOD_FOR, Visitor};
use crate::output::{self, Output, Tone};

mod several;

pub(super) use several::{Shown, ShownFarm, print_farm};

/// Prints every address as a full URL, the console's first, and things to try.
/// The commands name `root` if they have to.
pub(super) fn print(
    ready: &Ready,
    status: &NodeStatus,
    visitor: Option<&Visitor>,
    temporary: Option<&Path>,
    output: &mut Output,
) -> io::Result<()> {
    let root = ready.socket.parent().unwrap_or(Path::new("."));
    let program = own_name();
    let tail = format!(" --root {}", shell_word(&root.to_string_lossy()));
    for problem in &status.problems {
        writeln!(output, "{} {problem}", output.paint(Tone::Bad, "✗ refused:"))?;
    }
    print_console(ready, visitor, &format!("{program} console{tail}"), output)?;
    for module in &status.modules {
        print_module(ready, module, root, output)?;
        print_trials(ready, module, root, &format!("{program} {{}}{tail}"), output)?;
    }
    for (address, module) in &ready.agents {
        let who = module.as_ref().map_or("all modules", |module| module.as_str());
        writeln!(output, "  agent-check of {who}   tcp://{address}")?;
    }
    let end = if temporary.is_some() {
        ", stops its application and removes everything"
    } else {
        " and stops its application"
    };
    writeln!(output, "\nCtrl-C ends the demo{end}.")?;
    output.flush()
}

fn print_module(ready: &Ready, module: &ModuleStatus, root: &Path, output: &mut Output) -> io::Result<()> {
    let (tone, state) = output::state(module.state, module.ready);
    writeln!(output, "\nModule {}  {}  {}\n", module.name, output.paint(tone, &state), module.reason)?;
    writeln!(output, "  health         http://{}/health/{}", ready.health, module.name)?;
    if let Some(app) = layout::application(root, module.name.as_str()) {
        writeln!(output, "  application    http://{app}/")?;
    }
    writeln!(output, "  all modules    http://{}/health", ready.health)?;
    writeln!(output, "  SafeKit path   http://{}/var/modules/{}/ready.txt", ready.health, module.name)
}

/// The console's link. `command` prints another one-time link.
pub(super) fn print_console(
    ready: &Ready,
    visitor: Option<&Visitor>,
    command: &str,
    output: &mut Output,
) -> io::Result<()> {
    let Some(console) = &ready.console else { return Ok(()) };
    if let Some(Visitor { name, address }) = visitor {
        writeln!(
            output,
            "\nThe console, in a browser (one-time link for {name}, valid for {}):",
            plain(GOOD_FOR)
        )?;
        writeln!(output, "\n  {address}")?;
        return writeln!(
            output,
            "\n  {}\n    {command}",
            output.paint(Tone::Quiet, "# another one-time link")
        );
    }
    writeln!(output, "\nThe console, in a browser:\n\n  {}", console.url)?;
    writeln!(output, "\n  {}\n    {command}", output.paint(Tone::Quiet, "# a link that signs you in"))
}

/// Things to try. `command` has `{}` as a placeholder for the subcommand.
fn print_trials(
    ready: &Ready,
    module: &ModuleStatus,
    root: &Path,
    command: &str,
    output: &mut Output,
) -> io::Result<()> {
    let name = &module.name;
    let ask = |what: &str| command.replace("{}", what);
    let mut trials =
        vec![("what the load balancer sees", format!("curl -i http://{}/health/{name}", ready.health))];
    if let Some(process) = module.processes.first() {
        trials.push(("kill the application", format!("kill -9 {}", process.pid)));
    }
    if let Some(app) = layout::application(root, name.as_str()) {
        trials.push(("make it hang", format!("curl -X POST http://{app}/hang")));
        trials.push(("make it answer 500", format!("curl -X POST http://{app}/fail")));
    }
    trials.push(("what happened, and why", ask(&format!("why {name}"))));
    trials.push(("full status, with the current PID", ask(&format!("status {name}"))));
    trials.push(("watch the status meanwhile", ask("status --watch")));
    trials.push(("drain it, then stop it", ask(&format!("stop {name}"))));
    trials.push(("start it again", ask(&format!("start {name}"))));
    print_commands(&trials, output)
}

fn print_commands(trials: &[(&str, String)], output: &mut Output) -> io::Result<()> {
    writeln!(output, "\nTry in another terminal:")?;
    for (what, command) in trials {
        writeln!(output, "\n  {}\n    {command}", output.paint(Tone::Quiet, &format!("# {what}")))?;
    }
    Ok(())
}

/// How to call this program again: by its name if the shell finds it there.
pub(super) fn own_name() -> String {
    let Ok(own) = std::env::current_exe() else { return "bellwether".into() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("bellwether"))
        .find(|candidate| candidate.is_file());
    match found.and_then(|found| std::fs::canonicalize(found).ok()) {
        Some(found) if found == own => "bellwether".into(),
        _ => shell_word(&own.to_string_lossy()),
    }
}

/// Quoted for a shell as one word.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_copied_whatever_the_path() {
        assert_eq!(shell_word("/tmp/bellwether-demo-x1"), "/tmp/bellwether-demo-x1");
        assert_eq!(shell_word("/home/it's me"), r"'/home/it'\''s me'");
    }
}
