//! The module `web`: the demo's application, kept and monitored, with intervals for tests.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::binary::bellwether;
use crate::http::{self, Response};
use crate::root::{Root, free_address};

/// The application of the module, and the text of the module's file.
#[derive(Debug, Clone, Copy)]
pub struct Web {
    /// The address of the application once it runs.
    pub address: SocketAddr,
}

impl Web {
    /// Adds the module to a root.
    pub fn lay_out(root: &Root) -> Self {
        let web = Self { address: free_address() };
        web.write(root, "");
        web
    }

    /// Writes the module's file, with `more` checkers.
    pub fn write(&self, root: &Root, more: &str) -> PathBuf {
        root.write("modules/web.toml", self.file(more))
    }

    /// The module's file: a process checker, an `http` checker, and `more`.
    pub fn file(&self, more: &str) -> String {
        let Self { address } = self;
        format!(
            "{}{}{}{more}",
            self.application("200ms"),
            CHECK_PROCESS,
            format_args!(
                r#"
[[checker]]
name = "home"
component = "http"
interval = "200ms"
timeout = "10s"
fall = 2
rise = 1
grace = "5s"
config = {{ url = "http://{address}/" }}
grant = {{ connect = ["{address}"] }}
"#
            )
        )
    }

    /// The part of the file without checkers.
    pub fn application(&self, drain: &str) -> String {
        let (program, address) = (bellwether().display(), self.address);
        format!(
            r#"
[restart]
budget = {{ restarts = 20, within = "1h" }}
backoff = {{ first = "100ms", max = "500ms" }}
[commands]
start = {{ run = ["{program}", "demo-app", "--listen", "{address}"], keep = true, timeout = "3s" }}
[health]
drain = "{drain}"
"#
        )
    }

    /// The application's own answer.
    pub fn ask(&self) -> Option<Response> {
        http::get(self.address, "/")
    }
}

/// Detects the exit of the kept application immediately.
pub const CHECK_PROCESS: &str = r#"
[[checker]]
name = "process"
process = { kept = "start", at-least = 1 }
"#;
