//! The text for several nodes behind the load balancer.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use bellwether_api::NodeStatus;
use bellwether_daemon::app::Ready;

use super::super::layout;
use super::super::visitor::Visitor;
use super::{own_name, print_commands, print_console, shell_word};
use crate::output::{self, Output, Tone};

/// A node that runs.
pub(in crate::demo) struct Shown<'a> {
    pub(in crate::demo) name: &'a str,
    pub(in crate::demo) root: &'a Path,
    /// The process of its daemon.
    pub(in crate::demo) process: Option<u32>,
    pub(in crate::demo) ready: &'a Ready,
    pub(in crate::demo) status: &'a NodeStatus,
}

impl Shown<'_> {
    /// `bellwether SUBCOMMAND --root DIR`
    fn command(&self, program: &str, subcommand: &str) -> String {
        format!("{program} {subcommand} --root {}", shell_word(&self.root.to_string_lossy()))
    }

    /// The first process of the application.
    fn application(&self) -> Option<u32> {
        self.status.modules.iter().flat_map(|module| &module.processes).map(|process| process.pid).next()
    }
}

/// All nodes, and what is in front of them.
pub(in crate::demo) struct ShownFarm<'a> {
    pub(in crate::demo) nodes: &'a [Shown<'a>],
    /// The address of the load balancer.
    pub(in crate::demo) traffic: SocketAddr,
    /// Whether the nodes form a farm, so that each shows all of them.
    pub(in crate::demo) joined: bool,
    /// Whether everything is removed at the end.
    pub(in crate::demo) temporary: bool,
}

/// Prints every address as a full URL, the first node's console first, and things to try.
pub(in crate::demo) fn print_farm(
    farm: &ShownFarm<'_>,
    visitor: Option<&Visitor>,
    output: &mut Output,
) -> io::Result<()> {
    let program = own_name();
    for node in farm.nodes {
        for problem in &node.status.problems {
            writeln!(output, "{} {}: {problem}", output.paint(Tone::Bad, "✗ refused:"), node.name)?;
        }
    }
    if let Some(first) = farm.nodes.first() {
        print_console(first.ready, visitor, &first.command(&program, "console"), output)?;
    }
    for node in farm.nodes {
        print_node(node, output)?;
    }
    let asks = "# the demo's load balancer: asks each health address once a second, and sends requests to nodes that say 200";
    writeln!(output, "\n  {}\n  traffic http://{}/", output.paint(Tone::Quiet, asks), farm.traffic)?;
    print_commands(&trials(farm, &program), output)?;
    let end = if farm.temporary { " and removes everything" } else { "" };
    writeln!(output, "\nWhenever traffic moves, a line is printed here.")?;
    writeln!(output, "Ctrl-C ends the demo, stops all nodes and their applications{end}.")?;
    output.flush()
}

fn print_node(node: &Shown<'_>, output: &mut Output) -> io::Result<()> {
    for module in &node.status.modules {
        let (tone, state) = output::state(module.state, module.ready);
        let state = output.paint(tone, &state);
        writeln!(output, "\nNode {}, module {}  {state}  {}\n", node.name, module.name, module.reason)?;
        writeln!(output, "  health         http://{}/health/{}", node.ready.health, module.name)?;
        if let Some(app) = layout::application(node.root, module.name.as_str()) {
            writeln!(output, "  application    http://{app}/")?;
        }
    }
    writeln!(output, "  commands       --root {}", shell_word(&node.root.to_string_lossy()))
}

/// Things to try: on the first node, while others take over.
fn trials(farm: &ShownFarm<'_>, program: &str) -> Vec<(&'static str, String)> {
    let ShownFarm { nodes, traffic, joined, .. } = farm;
    let mut trials = vec![(
        "watch which node answers",
        format!("while sleep 0.5; do curl -s http://{traffic}/node; done"),
    )];
    let Some(first) = nodes.first() else { return trials };
    if let Some(process) = first.application() {
        trials.push(("kill the application of the first node", format!("kill -9 {process}")));
    }
    if let Some(app) = layout::application(first.root, "web") {
        trials.push(("make it hang", format!("curl -X POST http://{app}/hang")));
        trials.push(("make it answer 500", format!("curl -X POST http://{app}/fail")));
    }
    if let Some(process) = first.process {
        trials.push(("kill the node's daemon: its application keeps running", format!("kill -9 {process}")));
    }
    trials.push(("what happened, and why", first.command(program, "why web")));
    trials.push(("full status, with the current PID", first.command(program, "status web")));
    trials.push(("drain the node, then stop its application", first.command(program, "stop web")));
    trials.push(("start it again", first.command(program, "start web")));
    match nodes.get(1) {
        Some(second) if *joined => {
            trials.push(("all nodes, as each of them sees them", first.command(program, "farm status")));
            let other = format!("status web --node {}", second.name);
            trials.push(("another node, through the first", first.command(program, &other)));
        }
        Some(second) => trials.push(("another node", second.command(program, "status web"))),
        None => {}
    }
    trials
}
