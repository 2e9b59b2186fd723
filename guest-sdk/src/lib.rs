//! Write Bellwether checkers and restart scripts in Rust.
//!
//! A **checker** observes one resource, once, and returns an observation. It is
//! one function with one attribute:
//!
//! ```
//! use bellwether_guest::prelude::*;
//! use bellwether_guest::net::Connection;
//!
//! /// What this checker needs to know.
//! #[bellwether_guest::config]
//! pub struct Config {
//!     /// Where the printer listens: `10.0.0.7:9100`.
//!     address: String,
//! }
//!
//! /// Asks whether the printer takes connections.
//! #[bellwether_guest::checker(grants(connect = "the printer"))]
//! pub fn check(config: Config, run: &Run) -> Observation {
//!     match Connection::open(run, &config.address) {
//!         Ok(_) => Observation::pass("the printer takes connections")
//!             .measure("response-time", run.elapsed_ms(), "ms"),
//!         Err(error) => error.into(), // refused, no answer: fail; not granted: unknown
//!     }
//! }
//!
//! // In a test, on your own machine, it is an ordinary function:
//! let printer = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let config = Config { address: printer.local_addr()?.to_string() };
//! assert_eq!(check(config, &Run::for_test()).status, Status::Pass);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A **restart script** answers a command or an incident with a [`Plan`]. It
//! executes nothing itself: the host shows the plan, and carries it out.
//!
//! ```
//! use bellwether_guest::prelude::*;
//!
//! /// Reloads the name server for an incident, and keeps it otherwise.
//! #[bellwether_guest::restart_script]
//! pub fn plan(_config: NoConfig, request: &PlanRequest) -> Result<Plan, String> {
//!     match request.occasion {
//!         Occasion::Start => Ok(Plan::new("start named").then(Step::keep("named"))),
//!         Occasion::Incident(_) if request.restarts == 1 => Ok(Plan::new("reload named")
//!             .then(Step::signal(Target::command("named"), Signal::Hup))),
//!         _ => Err("this example only starts and reloads".into()),
//!     }
//! }
//!
//! let made = plan(NoConfig {}, &PlanRequest::for_test(Occasion::Start));
//! assert_eq!(made.map(|plan| plan.steps), Ok(vec![Step::keep("named")]));
//! ```
//!
//! Compiled for `wasm32-wasip2` the crate is a component of the package
//! `bellwether:guest@1.1.0` (`wit/guest.wit`); compiled for anything else it is
//! an ordinary library whose log and state stay in memory. `README.md` leads
//! from an empty folder to a running checker.
//!
//! # What a component may use
//! Of the standard library: clocks, random numbers, and what the operator
//! grants: TCP and UDP (`connect`), names (`resolve`), files to read (`read`),
//! variables (`env`). Anything else is refused with
//! [`PermissionDenied`](std::io::ErrorKind::PermissionDenied), or does not exist.
//! There are no threads. Each call uses a fresh instance; keep persistent data
//! in [`Run::state`]. A panic makes the observation unknown, with the
//! panic's message.
//!
//! And of the host, if granted: [`Run::secret`] (`secrets`),
//! [`Run::command`] (`commands`), [`Run::processes`] (`processes`),
//! [`Run::ping`] (`ping`) and requests by [`http`] (`http`). A missing grant is a [`HostError`] that names
//! the grant to add; as an observation it is unknown. A component that calls
//! none of these does not even import them.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
mod command;
#[doc(hidden)]
#[allow(missing_docs, reason = "only the attributes use it")]
pub mod component;
mod config;
mod granted;
mod host;
pub mod http;
pub mod net;
mod observation;
mod ping;
mod plan;
mod process;
mod request;
mod run;
mod state;

/// Makes `fn(config: Config, run: &Run) -> Observation` a checker.
///
/// The function may also return anything that becomes an [`Observation`], such
/// as `Result<Observation, E>`: an error is then unknown. `Config` implements
/// `Deserialize` and `JsonSchema`; [`macro@config`] sees to that. A
/// configuration that does not fit is unknown, and the function is not called.
///
/// The description of the component: the summary is the first paragraph of
/// the function's doc comment, the version is the crate's, and the name is the
/// library's, unless the attribute says `name = "…"`. `grants(connect = "…")`
/// requests a grant with a reason; with a fixed value it is
/// `grants(connect("10.0.0.1:53") = "…")`. The kinds are `connect`, `resolve`,
/// `http`, `read`, `env`, `secrets`, `commands`, `processes` and `ping`. The
/// requests are shown to the operator, who decides.
pub use bellwether_guest_macros::checker;

/// Makes a struct or an enum a configuration.
///
/// It derives `Deserialize` and `JsonSchema`, refuses unknown keys and spells
/// keys with dashes; `#[serde(…)]` on fields works as always. The doc comments
/// become the descriptions in the JSON Schema.
pub use bellwether_guest_macros::config;

/// Makes `fn(config: Config, request: &PlanRequest) -> Result<Plan, String>` a
/// restart script. It accepts the same arguments as [`macro@checker`]. An error
/// says why there is no plan.
pub use bellwether_guest_macros::restart_script;

pub use command::{Command, CommandOrder, CommandOutput};
pub use config::{NoConfig, config_schema, parse_config};
pub use granted::HostError;
pub use host::Level;
pub use observation::{Measurement, Observation, Status};
pub use ping::PingReply;
pub use plan::{OnFailure, Plan, Signal, Step, StepAction, Target, Verdict};
pub use process::Process;
pub use request::{
    DeclaredCommand, Incident, Occasion, PastIncident, PastObservation, PlanRequest, StepFailure,
};
pub use run::Run;
/// The version of schemars that configurations derive from, for a hand-written `JsonSchema`.
pub use schemars;
/// The version of serde that configurations derive from, for a hand-written `Deserialize`.
pub use serde;
pub use state::{State, StateError};

/// What most components need: `use bellwether_guest::prelude::*;`
pub mod prelude {
    pub use crate::{
        CommandOutput, DeclaredCommand, HostError, NoConfig, Observation, Occasion, OnFailure, Plan,
        PlanRequest, Process, Run, Signal, Status, Step, StepAction, Target, Verdict,
    };
}
