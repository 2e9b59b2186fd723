//! From text to specification or errors.

mod console;
mod cross;
mod effective;
mod every_key;
mod examples;
mod execution;
mod farm;
mod fuzz;
mod grants;
mod http;
mod limits;
mod many;
mod module;
mod node;
mod notify;
mod scenario;
mod structure;
mod torture;

use bellwether_core::id::ModuleName;

use super::host_files::AnyHost;
use super::mistake::Mistakes;
use super::read::parse_module;
use super::source::Sourced;
use super::spec::ModuleSpec;

/// A valid module file.
pub(super) const GOOD: &str = r#"
[restart]
script = "command"
budget = { restarts = 3, within = "24h" }
backoff = { first = "1s", max = "60s" }

[commands]
start = { run = ["/usr/sbin/nginx", "-g", "daemon off;"], keep = true }
stop  = { run = ["/usr/sbin/nginx", "-s", "quit"], timeout = "10s" }

[health]
drain = "15s"

[[checker]]
name = "nginx"
process = { name = "nginx", at-least = 1 }

[[checker]]
name = "home-page"
component = "http"
interval = "2s"
timeout = "1s"
fall = 3
rise = 2
on-down = "restart"
config = { url = "http://127.0.0.1:8080/", expect-status = 200 }
grant = { connect = ["127.0.0.1:8080"] }
"#;

fn parse(text: &str) -> Result<Sourced<ModuleSpec>, Mistakes> {
    parse_module(ModuleName::new("web").unwrap(), "modules/web.toml", text, &AnyHost)
}

/// The errors in a module's text, as a terminal shows them.
fn mistakes(text: &str) -> String {
    parse(text).expect_err("the text should have a mistake").render(false)
}
