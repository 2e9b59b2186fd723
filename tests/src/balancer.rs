//! Load balancers with the configurations of the guide (`docs/load-balancers.md`), in front of two nodes.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::eventually::eventually;
use crate::failed::keep_folder;
use crate::haproxy::server_of;
use crate::http;
use crate::process::{Guarded, is_alive, start};
use crate::program::find;
use crate::root::{beside, free_address};

const GUIDE: &str = include_str!("../../docs/load-balancers.md");

/// This many requests in a row reach every server that gets any.
const SAMPLE: usize = 12;

/// A load balancer of the guide.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its heading in the guide.
    pub title: &'static str,
    /// The program that is run.
    pub program: &'static str,
    /// The name of its configuration.
    file: &'static str,
    /// How it is run in the foreground, where the guide has no command for it: `FOLDER`, `FILE` and `FRONT` (its
    /// address) are placeholders.
    arguments: &'static [&'static str],
}

/// All load balancers of the guide.
pub const ALL: [Kind; 9] = [
    Kind {
        title: "HAProxy",
        program: "/usr/sbin/haproxy",
        file: "haproxy.cfg",
        arguments: &["-db", "-f", "FILE"],
    },
    Kind {
        title: "HAProxy with an agent",
        program: "/usr/sbin/haproxy",
        file: "haproxy.cfg",
        arguments: &["-db", "-f", "FILE"],
    },
    Kind {
        title: "Envoy",
        program: "envoy",
        file: "envoy.yaml",
        arguments: &["-c", "FILE", "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning"],
    },
    Kind {
        title: "Envoy by gRPC",
        program: "envoy",
        file: "envoy.yaml",
        arguments: &["-c", "FILE", "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning"],
    },
    Kind {
        title: "Caddy",
        program: "/usr/bin/caddy",
        file: "Caddyfile",
        arguments: &["run", "--config", "FILE", "--adapter", "caddyfile"],
    },
    Kind {
        title: "Varnish",
        program: "/usr/sbin/varnishd",
        file: "web.vcl",
        arguments: &[
            "-j",
            "none",
            "-F",
            "-a",
            "FRONT",
            "-f",
            "FILE",
            "-n",
            "FOLDER/varnish",
            "-s",
            "malloc,16m",
        ],
    },
    Kind {
        title: "nginx",
        program: "/usr/sbin/nginx",
        file: "nginx.conf",
        arguments: &[
            "-p",
            "FOLDER",
            "-c",
            "FILE",
            "-e",
            "FOLDER/error.log",
            "-g",
            "daemon off; pid nginx.pid;",
        ],
    },
    Kind { title: "pen", program: "/usr/bin/pen", file: "pen.sh", arguments: &[] },
    Kind {
        title: "Apache",
        program: "/usr/sbin/apache2",
        file: "apache.conf",
        arguments: &[
            "-X",
            "-d",
            "FOLDER",
            "-f",
            "FILE",
            "-c",
            "PidFile FOLDER/pid",
            "-c",
            "ErrorLog FOLDER/error.log",
        ],
    },
];

/// The blocks of a section of the guide, each with its language.
fn blocks(title: &str) -> Vec<(&'static str, &'static str)> {
    let section = GUIDE.split_once(&format!("\n## {title}\n")).expect("the guide has its section").1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let blocks = section.split("\n```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').expect("a language and a block")).collect()
}

/// The first block in a language of a section of the guide.
///
/// # Panics
/// If there is none in the guide.
pub fn block(title: &str, language: &str) -> &'static str {
    blocks(title).into_iter().find(|(of, _)| *of == language).expect("the section has such a block").1
}

/// The addresses of two nodes and their load balancer.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// The address for clients of the load balancer.
    pub front: SocketAddr,
    application: SocketAddr,
    health: SocketAddr,
    agent: SocketAddr,
    /// The address for commands to the load balancer.
    control: SocketAddr,
}

impl Places {
    /// Addresses that are free at present.
    pub fn free() -> Self {
        let [front, application, health, agent, control] = std::array::from_fn(|_| free_address());
        Self { front, application, health, agent, control }
    }

    fn of(first: SocketAddr, node: usize) -> SocketAddr {
        if node == 1 { first } else { beside(first) }
    }

    /// The address of the application of node 1 or 2.
    pub fn application(&self, node: usize) -> SocketAddr {
        Self::of(self.application, node)
    }

    /// The address of that node's health endpoint.
    pub fn health(&self, node: usize) -> SocketAddr {
        Self::of(self.health, node)
    }

    /// A text of the guide, with these addresses in it, for that node.
    fn put_into(&self, text: &str, node: usize) -> String {
        let host = |node| self.application(node).ip().to_string();
        let (this, other) = (host(node), host(3 - node));
        let ports =
            [("8080", self.application), ("9010", self.health), ("9011", self.agent), ("8888", self.control)];
        let mut text = text
            .replace("10.0.0.10:80", "FRONT")
            .replace("http://:80", "http://:PORT")
            .replace("10.0.0.10, port_value: 80 ", "HOST, port_value: PORT ");
        for (index, (port, _)) in ports.iter().enumerate() {
            text = text.replace(port, &format!("PORT-{index}"));
        }
        for (index, (_, place)) in ports.iter().enumerate() {
            text = text.replace(&format!("PORT-{index}"), &place.port().to_string());
        }
        if node == 2 {
            text = text.replace("\"server\", \"0\"", "\"server\", \"1\"");
        }
        let front = self.front;
        for (mark, value) in [
            ("FRONT", front.to_string()),
            ("10.0.0.10", front.ip().to_string()),
            ("HOST", front.ip().to_string()),
            ("PORT", front.port().to_string()),
            ("10.0.0.11", this.clone()),
            ("10.0.0.12", other),
            ("0.0.0.0", this),
        ] {
            text = text.replace(mark, &value);
        }
        text
    }
}

impl Kind {
    /// The path of its program, if it is installed. Otherwise that is reported.
    pub fn installed(&self) -> Option<PathBuf> {
        let found = find(self.program);
        if found.is_none() {
            eprintln!("skipped: {} is not installed", self.program);
        }
        found
    }

    /// The blocks of its section, each with its language.
    fn blocks(&self) -> Vec<(&'static str, &'static str)> {
        blocks(self.title)
    }

    /// The guide's addition to the file of a node.
    pub fn node_file(&self, places: &Places, node: usize) -> String {
        let blocks = self.blocks();
        let block =
            blocks.iter().find(|(language, text)| *language == "toml" && text.contains("[[agent-check]]"));
        block.map_or_else(String::new, |(_, text)| places.put_into(text, node) + "\n")
    }

    /// The guide's addition to the file of the module on a node, after the line `[commands]`.
    pub fn module_file(&self, places: &Places, node: usize) -> String {
        let blocks = self.blocks();
        let more = blocks
            .iter()
            .filter(|(language, _)| *language == "toml")
            .find_map(|(_, text)| text.strip_prefix("[commands]\n"));
        more.map_or_else(String::new, |more| places.put_into(more, node) + "\n")
    }
}

/// A running load balancer. It ends with its test.
#[derive(Debug)]
pub struct Balancer {
    child: Guarded,
    front: SocketAddr,
    folder: TempDir,
}

impl Balancer {
    /// With the configuration of the guide.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(kind: &Kind, program: &Path, places: &Places) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let blocks = kind.blocks();
        let (language, text) =
            blocks.iter().find(|(language, _)| *language != "toml").expect("a configuration");
        let file = folder.path().join(kind.file);
        let text = places.put_into(text, 1) + "\n";
        fs::write(&file, &text).expect("a configuration");
        let log = fs::File::create(folder.path().join("log")).expect("a log file");
        let said = |argument: &str| {
            let argument = argument.replace("FOLDER", &folder.path().display().to_string());
            argument.replace("FILE", &file.display().to_string()).replace("FRONT", &places.front.to_string())
        };
        let mut command = Command::new(program);
        if *language == "sh" {
            command.args(text.split_whitespace().skip(1));
        } else {
            command.args(kind.arguments.iter().map(|argument| said(argument)));
        }
        command.current_dir(folder.path());
        for home in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(home, folder.path());
        }
        // Caddy's default address for commands is always the same.
        command.env("CADDY_ADMIN", format!("unix/{}", folder.path().join("admin.sock").display()));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        Self { child: start(&mut command), front: places.front, folder }
    }

    /// Waits until requests are sent to exactly these nodes.
    ///
    /// # Panics
    /// If that never happens.
    pub fn until_served_by(&self, nodes: &[&str]) {
        let wanted: BTreeSet<String> = nodes.iter().map(ToString::to_string).collect();
        eventually(&format!("requests go to {wanted:?}"), || {
            assert!(is_alive(self.child.0.id()), "the load balancer has ended: {}", self.log());
            (served_by(self.front) == wanted).then_some(())
        });
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        keep_folder(self.folder.path(), "balancer");
    }
}

/// The servers that get requests at present; empty if none does.
pub fn served_by(front: SocketAddr) -> BTreeSet<String> {
    (0..SAMPLE).filter_map(|_| server_of(&http::get(front, "/")?)).collect()
}
