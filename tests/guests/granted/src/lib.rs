//! A checker that uses what a grant opens, and reports the result.

use bellwether_guest::prelude::*;

/// The granted interface to use, and its arguments.
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// The kind of request.
    ask: Ask,
    /// The name of the secret, the command or the host.
    #[serde(default)]
    name: String,
    /// Arguments for the command.
    #[serde(default)]
    arguments: Vec<String>,
    /// The input of the command.
    #[serde(default)]
    stdin: Option<String>,
}

/// The kinds of requests.
#[bellwether_guest::config]
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    /// Reads a secret, and prints it everywhere.
    Secret,
    /// For the run of a command.
    Command,
    /// For the processes of the module.
    Processes,
    /// Pings the named host.
    Ping,
}

/// Uses what a grant opens, and reports the result.
#[bellwether_guest::checker(grants(
    secrets = "to tell everybody",
    commands("probe") = "to see what it says",
    processes = "to count them",
    ping("127.0.0.1") = "to hear it answer"
))]
pub fn check(config: Config, run: &Run) -> Observation {
    let answer = match config.ask {
        Ask::Secret => run.secret(&config.name).map(|secret| tell_everybody(run, &secret)),
        Ask::Command => run_command(&config, run),
        Ask::Processes => run.processes().map(|processes| describe(&processes)),
        Ask::Ping => run.ping(&config.name).map(|reply| {
            Observation::pass(format!("{} answers", reply.address)).measure(
                "round-trip",
                reply.round_trip.as_secs_f64() * 1000.0,
                "ms",
            )
        }),
    };
    answer.unwrap_or_else(|error| {
        let summary = format!("[{}] {error}", error.code);
        Observation { summary, ..Observation::from(error) }
    })
}

fn tell_everybody(run: &Run, secret: &str) -> Observation {
    run.error(format!("the secret is {secret}"));
    println!("the secret is {secret}");
    Observation::warn(format!("the secret is {secret}"))
        .measure(secret, count(secret.len()), secret)
        .attribute("secret", secret)
}

fn run_command(config: &Config, run: &Run) -> Result<Observation, HostError> {
    let mut command = run.command(&config.name);
    for argument in &config.arguments {
        command = command.argument(argument);
    }
    if let Some(text) = &config.stdin {
        command = command.stdin(text.as_bytes());
    }
    let output = command.run()?;
    let ended = match (output.exit, output.signal) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "has ended".to_owned(),
    };
    let status = if output.success() { Status::Pass } else { Status::Fail };
    let more = if output.truncated { ", and more" } else { "" };
    let (out, err) = (output.stdout_text(), output.stderr_text());
    let said: String = out.chars().take(100).collect();
    Ok(Observation::new(status, format!("{ended}: {said}{more} / {err}")).measure(
        "stdout",
        count(output.stdout.len()),
        "bytes",
    ))
}

/// `PID command/checker name`, with a mark if its usage is known.
fn describe(processes: &[Process]) -> Observation {
    let one = |process: &Process| {
        let by = [process.commands.join(","), process.checkers.join(",")].join("/");
        let known = process.resident_bytes > 0 && process.threads > 0 && process.open_files.is_some();
        format!("{} {by} {}{}", process.pid, process.name, if known { "!" } else { "?" })
    };
    let all: Vec<_> = processes.iter().map(one).collect();
    Observation::pass(all.join("; "))
}

fn count(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::INFINITY, f64::from)
}
