//! Loads a component from its bytes.
//!
//! ```text
//!  bytes ──size, kind──▶ compile ──▶ link ──▶ which world? ──▶ describe() ──▶ Component
//! ```

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bellwether_core::about::About;
use bellwether_core::grant::GrantRequest;
use bellwether_core::text::{LONGEST, json, one_line};
use serde::Serialize;
use wasmtime::component::InstancePre;

use super::Sandbox;
use super::bindings::{Checker, CheckerPre, RestartScript, RestartScriptPre, types};
use super::facilities::NoModule;
use super::failure::{Ended, Failure};
use super::imports::state::StateHandle;
use super::output::Output;
use super::store::{Allowance, Run};

/// The two kinds of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It observes one resource.
    Checker,
    /// It answers incidents and commands with plans.
    RestartScript,
}

/// Why bytes could not be loaded as a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It has more bytes than [`MAX_SIZE`].
    #[error("the file has {0} bytes; a component has at most {MAX_SIZE}")]
    TooLarge(usize),
    /// It is something else, or damaged.
    #[error("not a component: {0}")]
    NotAComponent(String),
    /// It could not be compiled within the limits.
    #[error("cannot be compiled: {0}")]
    Compile(String),
    /// It is a component for another host.
    #[error("does not fit this host: {0}")]
    Incompatible(String),
    /// Its description of itself is invalid.
    #[error("its describe() gives a {0} with NUL characters in it: is that text UTF-8?")]
    NotText(&'static str),
    /// The call of `describe` failed.
    #[error("its describe() gave no answer: {0}")]
    Describe(#[source] Failure),
}

/// The maximum size of a component, in bytes. Large language runtimes have about 20 MB.
pub const MAX_SIZE: usize = 64 << 20;
/// The time limit of `describe`.
pub(super) const DESCRIBE_TIME: Duration = Duration::from_secs(1);

/// A component that is compiled, linked and described. Cheap to clone.
#[derive(Clone)]
pub struct Component(Arc<Loaded>);

struct Loaded {
    guest: Guest,
    about: About,
    digest: String,
    size: usize,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// The instance template, linked to its world.
#[derive(Clone)]
pub(super) enum Guest {
    Checker(CheckerPre<Run>),
    RestartScript(RestartScriptPre<Run>),
}

impl Component {
    /// Which kind of component it is.
    pub fn kind(&self) -> Kind {
        match self.0.guest {
            Guest::Checker(_) => Kind::Checker,
            Guest::RestartScript(_) => Kind::RestartScript,
        }
    }

    /// Its description of itself.
    pub fn about(&self) -> &About {
        &self.0.about
    }

    /// The BLAKE3 digest of the file, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// The size of the file, in bytes.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// The interfaces it imports, with versions.
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// The interfaces it exports, with versions.
    pub fn exports(&self) -> &[String] {
        &self.0.exports
    }

    pub(super) fn guest(&self) -> &Guest {
        &self.0.guest
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Component").field(&self.0.about.name).field(&self.0.digest).finish()
    }
}

impl Sandbox {
    /// Compiles, links and describes a component. Takes from milliseconds to seconds, all of it on this thread, so
    /// it must not be called on a thread that serves others.
    pub fn load(&self, bytes: impl AsRef<[u8]>) -> Result<Component, LoadError> {
        let bytes = bytes.as_ref();
        look(bytes)?;
        let digest = blake3::hash(bytes);
        let component = self.compiler.compile(&self.engine, bytes, &digest, self.cache.as_ref())?;
        let kind = component.component_type();
        let imports: Vec<_> = kind.imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<_> = kind.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let pre = self.linker.instantiate_pre(&component).map_err(|error| incompatible(&error))?;
        let guest = guest(pre, &exports)?;
        let about = self.describe(&guest).map_err(|failure| match failure {
            Failure::Incompatible(why) => LoadError::Incompatible(why),
            failure => LoadError::Describe(failure),
        })?;
        readable(&about)?;
        let about = About::from(about);
        let digest = digest.to_hex().to_string();
        Ok(Component(Arc::new(Loaded { guest, about, digest, size: bytes.len(), imports, exports })))
    }

    fn describe(&self, guest: &Guest) -> Result<types::About, Failure> {
        // One at a time: the pool has few spare places.
        let _turn = self.describing.lock().unwrap_or_else(PoisonError::into_inner);
        let allowance = Allowance {
            time: self.describe_time,
            limits: self.limits.run,
            grants: Arc::default(),
            facilities: Arc::new(NoModule),
            state: StateHandle::default().draft(self.limits.run.state),
            output: Output::new(&self.limits.run),
            share: Arc::default(),
        };
        let outcome = match guest.clone() {
            Guest::Checker(pre) => self.guests.run_blocking(allowance, |mut store| async move {
                let about = async {
                    let instance = pre.instance_pre().instantiate_async(&mut store).await?;
                    let guest = Checker::new(&mut store, &instance).map_err(|error| misshapen(&error))?;
                    guest.bellwether_guest_describe().call_describe(&mut store).await
                };
                let about = about.await;
                (store, about)
            }),
            Guest::RestartScript(pre) => self.guests.run_blocking(allowance, |mut store| async move {
                let about = async {
                    let instance = pre.instance_pre().instantiate_async(&mut store).await?;
                    let guest =
                        RestartScript::new(&mut store, &instance).map_err(|error| misshapen(&error))?;
                    guest.bellwether_guest_describe().call_describe(&mut store).await
                };
                let about = about.await;
                (store, about)
            }),
        };
        outcome.result.map(|answer| answer.value)
    }
}

/// Rejects text with NUL characters: text in another encoding contains them everywhere, and would look almost right
/// without them. All other control characters are stripped, as the interface promises.
fn readable(about: &types::About) -> Result<(), LoadError> {
    let grants = about.grants.iter().flat_map(|grant| [("grant", &grant.kind), ("grant", &grant.value)]);
    let texts = [
        ("name", &about.name),
        ("version", &about.version),
        ("summary", &about.summary),
        ("config schema", &about.config_schema),
    ];
    let unreadable = texts.into_iter().chain(grants).find(|(_, text)| text.contains('\0'));
    unreadable.map_or(Ok(()), |(what, _)| Err(LoadError::NotText(what)))
}

/// Examines the first bytes, for a better error than the parser's.
fn look(bytes: &[u8]) -> Result<(), LoadError> {
    // Core specification, binary modules; component model, Binary.md: a module has version 1 and
    // layer 0, a component layer 1.
    let why = match bytes {
        _ if bytes.len() > MAX_SIZE => return Err(LoadError::TooLarge(bytes.len())),
        [] => "the file is empty",
        [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => {
            "it is a core WebAssembly module; build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`"
        }
        [b'\0', b'a', b's', b'm', ..] => return Ok(()),
        _ => "the file is not WebAssembly",
    };
    Err(LoadError::NotAComponent(why.to_owned()))
}

fn guest(pre: InstancePre<Run>, exports: &[String]) -> Result<Guest, LoadError> {
    let exported = |interface: &str| exports.iter().any(|name| name.split('@').next() == Some(interface));
    match (exported("bellwether:guest/check"), exported("bellwether:guest/plan")) {
        (true, false) => CheckerPre::new(pre).map(Guest::Checker).map_err(|error| incompatible(&error)),
        (false, true) => {
            RestartScriptPre::new(pre).map(Guest::RestartScript).map_err(|error| incompatible(&error))
        }
        (true, true) => Err(LoadError::Incompatible(
            "it exports both bellwether:guest/check and bellwether:guest/plan; a component is either a checker or a restart script".to_owned(),
        )),
        (false, false) => Err(LoadError::Incompatible(format!(
            "it exports neither bellwether:guest/check nor bellwether:guest/plan, but {}",
            if exports.is_empty() { "nothing".to_owned() } else { one_line(&exports.join(", "), MAX_NAMES) }
        ))),
    }
}

fn incompatible(error: &wasmtime::Error) -> LoadError {
    LoadError::Incompatible(chain(error))
}

/// wasmtime compares the types of exports only on an instance.
fn misshapen(error: &wasmtime::Error) -> Ended {
    Ended(Failure::Incompatible(chain(error)))
}

pub(super) fn chain(error: &wasmtime::Error) -> String {
    one_line(&format!("{error:#}"), 1000)
}

impl From<types::About> for About {
    fn from(about: types::About) -> Self {
        Self {
            name: one_line(&about.name, 100),
            version: one_line(&about.version, 100),
            summary: one_line(&about.summary, 500),
            config_schema: json(&about.config_schema).into_owned(),
            grants: about.grants.iter().take(MAX_ENTRIES).map(grant_request).collect(),
            attributes: attributes(about.attributes),
        }
    }
}

fn grant_request(request: &types::GrantRequest) -> GrantRequest {
    GrantRequest {
        kind: one_line(&request.kind, 100),
        value: one_line(&request.value, 500),
        reason: one_line(&request.reason, 500),
    }
}

/// The maximum length of all names that a component exports, in bytes.
const MAX_NAMES: usize = 500;
/// The maximum length of any list that a guest provides.
pub(super) const MAX_ENTRIES: usize = 64;

pub(super) fn attributes(given: Vec<(String, String)>) -> Vec<(String, String)> {
    let fit = |(name, value): (String, String)| (one_line(&name, 100), one_line(&value, LONGEST));
    given.into_iter().take(MAX_ENTRIES).map(fit).collect()
}
