//! Applications that run differently from what the files say, as sentences.
//!
//! A module's file may be removed or renamed while its application runs, and a command may be edited. In each case
//! the application is left as it is: it serves. But it must be shown.

use crate::id::{CommandName, ModuleName};

/// How a running process differs from what the files say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// There is no module of that name any more.
    NoModule,
    /// There is a file, but it is not active: it has errors, or is being read.
    NotInForce,
    /// The module's file no longer has such a kept command.
    NoCommand,
    /// The command was edited. Contains the words that the process was started with.
    Edited(String),
}

/// A running kept command that the files describe differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclaimed {
    /// The module that it was started for.
    pub module: ModuleName,
    /// The command that it was started as.
    pub command: CommandName,
    /// Its processes; at least one.
    pub pids: Vec<u32>,
    /// How it differs from the files.
    pub claim: Claim,
}

/// The maximum number of process ids that are shown.
const SHOWN: usize = 8;

/// `process 1`, or `processes 1, 2`.
fn processes(pids: &[u32]) -> String {
    let shown: Vec<String> = pids.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if pids.len() > SHOWN { format!(" and {} more", pids.len() - SHOWN) } else { String::new() };
    let word = if pids.len() == 1 { "process" } else { "processes" };
    format!("{word} {}{more}", shown.join(", "))
}

fn kill(pids: &[u32]) -> String {
    let all: Vec<String> = pids.iter().take(SHOWN).map(ToString::to_string).collect();
    format!("kill {}", all.join(" "))
}

impl Unclaimed {
    /// What runs, why that matters, and what to do.
    pub fn sentence(&self) -> String {
        let Self { module, command, pids, claim } = self;
        let who = processes(pids);
        let runs = if pids.len() == 1 { "runs" } else { "run" };
        match claim {
            Claim::NoModule => format!(
                "modules/{module}.toml is gone, and its application still {runs}, unmonitored: {who}, started by \
                 command `{command}`; put the file back, or end it: {}",
                kill(pids)
            ),
            Claim::NotInForce => format!(
                "modules/{module}.toml is not active, and its application still {runs}, unmonitored: {who}, started by \
                 command `{command}`; fix the file"
            ),
            Claim::NoCommand => format!(
                "modules/{module}.toml has no kept command `{command}` any more, and what it started still {runs}: \
                 {who}; the next stop or restart ends it: bellwether restart {module}"
            ),
            Claim::Edited(started_with) => format!(
                "modules/{module}.toml: command `{command}` was edited, which takes effect at the next start: \
                 bellwether restart {module}; what {runs} now ({who}) was started with {started_with}"
            ),
        }
    }
}

/// The same for an application that is not kept, of a module that is gone.
pub fn in_the_background(module: &ModuleName, name: &str, pids: &[u32]) -> String {
    format!(
        "modules/{module}.toml is gone, and its application still {}, unmonitored: {} (`{name}`); put the file back, \
         or end it: {}",
        if pids.len() == 1 { "runs" } else { "run" },
        processes(pids),
        kill(pids)
    )
}

/// A command line in the form in which it is typed: words that a shell would split are quoted.
pub fn command_line(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    let quoted = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.escape_debug())
        }
    };
    let line = words.iter().map(quoted).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    }
}

/// The maximum length of a command line, in characters.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn unclaimed(pids: &[u32], claim: Claim) -> String {
        let (module, command) = (ModuleName::new("web").unwrap(), CommandName::new("start").unwrap());
        Unclaimed { module, command, pids: pids.to_vec(), claim }.sentence()
    }

    #[test]
    fn each_sentence_says_who_runs_and_what_to_do() {
        assert_eq!(
            unclaimed(&[7], Claim::NoModule),
            "modules/web.toml is gone, and its application still runs, unmonitored: process 7, started by command \
             `start`; put the file back, or end it: kill 7"
        );
        assert!(
            unclaimed(&[7], Claim::NotInForce).starts_with("modules/web.toml is not active, and its app")
        );
        assert_eq!(
            unclaimed(&[7, 8], Claim::NoCommand),
            "modules/web.toml has no kept command `start` any more, and what it started still run: processes 7, 8; \
             the next stop or restart ends it: bellwether restart web"
        );
        assert_eq!(
            unclaimed(&[7], Claim::Edited("`/bin/sleep 5`".to_owned())),
            "modules/web.toml: command `start` was edited, which takes effect at the next start: bellwether restart \
             web; what runs now (process 7) was started with `/bin/sleep 5`"
        );
        let many: Vec<u32> = (1..=10).collect();
        assert!(unclaimed(&many, Claim::NoModule).contains("processes 1, 2, 3, 4, 5, 6, 7, 8 and 2 more"));
        let module = ModuleName::new("shop").unwrap();
        assert!(in_the_background(&module, "nginx", &[9]).contains("process 9 (`nginx`)"));
    }

    #[test]
    fn a_command_line_is_shown_as_one_would_type_it() {
        let line = |words: &[&str]| command_line(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(line(&["/bin/sh", "-c", "a b", ""]), "`/bin/sh -c 'a b' ''`");
        assert_eq!(line(&["a\u{1b}[0m\n"]), "`'a\\u{1b}[0m\\n'`");
        assert_eq!(line(&[&"x".repeat(500)]).chars().count(), LONGEST + 3);
    }
}
