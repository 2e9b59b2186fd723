//! The `bellwether` binary: `run`, and every client command, one file for each.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod client;
mod commands;
mod demo;
mod exit;
mod logging;
mod options;
mod output;
mod root;
mod signals;
mod standard;
mod terminal;
mod when;

use commands::{
    approve, check, compile_component, completions, console, demo_app, demo_node, doctor, events, farm,
    hold_sockets, inspect, install, launch, man, notify, order, profile, ready, replay, run, simulate,
    status, support_bundle, token, top, user, validate, why,
};
use exit::{Failure, Outcome};
use output::Output;
use root::RootArg;

/// Keeps an application running behind a load balancer
///
/// One daemon on each server monitors the application with checkers, restarts it with restart
/// scripts, and answers health checks of load balancers. To try it: bellwether demo
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, after_help = exit::HELP, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    root: RootArg,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Demo(demo::DemoArgs),
    Status(status::StatusArgs),
    Top(top::TopArgs),
    #[command(flatten)]
    Order(order::Order),
    Ready(ready::ReadyArgs),
    Why(why::WhyArgs),
    Events(events::EventsArgs),
    Check(check::CheckArgs),
    Approve(approve::ApproveArgs),
    Inspect(inspect::InspectArgs),
    Farm(farm::FarmArgs),
    Console(console::ConsoleArgs),
    User(user::UserArgs),
    Token(token::TokenArgs),
    Profile(profile::ProfileArgs),
    Notify(notify::NotifyArgs),
    Validate(validate::ValidateArgs),
    Doctor(doctor::DoctorArgs),
    SupportBundle(support_bundle::SupportBundleArgs),
    Install(install::InstallArgs),
    Simulate(simulate::SimulateArgs),
    Replay(replay::ReplayArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    #[command(hide = true)]
    DemoApp(demo_app::DemoAppArgs),
    #[command(hide = true)]
    DemoNode(demo_node::DemoNodeArgs),
    /// The daemon's own: compile the component on the standard input
    #[command(hide = true)]
    CompileComponent,
}

fn main() -> ExitCode {
    if let Some(ended) = launch::if_asked_for().or_else(hold_sockets::if_asked_for) {
        return ended;
    }
    let mut matches = arguments().get_matches();
    let name = matches.subcommand_name().unwrap_or_default().to_owned();
    let Arguments { root, command } = match Arguments::from_arg_matches_mut(&mut matches) {
        Ok(arguments) => arguments,
        Err(error) => error.format(&mut arguments()).exit(),
    };
    let mut output = Output::standard();
    let refused = options::refuse_useless(&name, &root);
    exit::finish(refused.and_then(|()| carry_out(&root, command, &mut output)))
}

/// The command line. Options that are for other commands only are not shown.
fn arguments() -> clap::Command {
    options::hide_useless(Arguments::command())
}

fn carry_out(root: &RootArg, command: Command, output: &mut Output) -> Outcome {
    if let Command::CompileComponent = command {
        return compile_component::run();
    }
    let runtime = match &command {
        Command::Run(_) | Command::Demo(_) | Command::DemoNode(_) => bellwether_os::runtime::runtime(),
        Command::DemoApp(_) => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let runtime = runtime.map_err(Failure::from)?;
    runtime.block_on(async {
        match command {
            Command::Run(args) => run::run(&args, root, output).await,
            Command::Demo(args) => demo::run(&args, root, output).await,
            Command::Status(args) => status::run(&args, root, output).await,
            Command::Top(args) => top::run(&args, root, output).await,
            Command::Order(order) => order::run(order, root, output).await,
            Command::Ready(args) => ready::run(&args, root, output),
            Command::Why(args) => why::run(&args, root, output).await,
            Command::Events(args) => events::run(&args, root, output).await,
            Command::Check(args) => check::run(&args, root, output).await,
            Command::Approve(args) => approve::run(&args, root, output).await,
            Command::Inspect(args) => inspect::run(&args, root, output),
            Command::Farm(args) => farm::run(&args, root, output).await,
            Command::Console(args) => console::run(&args, root, output).await,
            Command::User(args) => user::run(&args, root, output).await,
            Command::Token(args) => token::run(&args, root, output).await,
            Command::Profile(args) => profile::run(&args, root, output).await,
            Command::Notify(args) => notify::run(&args, root, output).await,
            Command::Validate(args) => validate::run(&args, root, output).await,
            Command::Simulate(args) => simulate::run(&args, root, output).await,
            Command::Replay(args) => replay::run(&args, root, output),
            Command::Completions(args) => completions::run(&args, &mut arguments(), output),
            Command::Man(args) => man::run(&args, arguments(), output),
            Command::Doctor(args) => doctor::run(&args, root, output).await,
            Command::SupportBundle(args) => support_bundle::run(&args, root, output).await,
            Command::Install(args) => install::run(&args, output),
            Command::DemoNode(args) => demo_node::run(&args, root, output).await,
            Command::DemoApp(args) => demo_app::run(&args, output).await,
            Command::CompileComponent => compile_component::run(),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Users rely on the whole help: a change of it is noticed here.
    #[test]
    fn the_help_is_as_it_was() {
        let mut command = arguments().term_width(100);
        command.build();
        let mut text = command.render_long_help().to_string();
        for subcommand in command.get_subcommands_mut() {
            let help = subcommand.clone().term_width(100).render_long_help();
            write!(text, "\n\n==== {} ====\n\n{help}", subcommand.get_name()).unwrap();
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_command_line_is_consistent() {
        arguments().debug_assert();
    }
}
