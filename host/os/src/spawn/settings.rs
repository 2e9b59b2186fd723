//! The attributes that a process changes before it executes a command's program.
//!
//! ```text
//!   daemon: names of users become numbers ──▶ one argument ──▶ launcher: applies them, and is the program
//! ```
//! The launcher has a single thread, so system calls that change a thread change all of it, and it shares no memory
//! with the daemon. It performs no look-ups: errors that can be reported in plain words before the process exists
//! are reported by the daemon.

use std::ffi::{OsStr, OsString};
use std::io;

use anyhow::Context as _;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Gid, Resource, Rlimit, Uid, geteuid, setpriority_process, setrlimit, umask};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_thread_gid,
    set_thread_groups, set_thread_uid,
};
use serde::{Deserialize, Serialize};

use crate::process::account::{Accounts, Login};
use crate::process::capability;
use crate::process::open_files;
use crate::spawn::execution::{Bound, Execution, ResourceLimits};

/// The settings that the launcher applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// The limit that the daemon was started with; it has raised its own since.
    usual_open_files: Option<u64>,
    umask: Option<u32>,
    limits: ResourceLimits,
    nice: Option<i32>,
    oom_score: Option<i32>,
    identity: Option<Identity>,
    /// The only capabilities that remain, as bits.
    capabilities: Option<u64>,
}

/// The user and groups to change to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    /// Without one, the user is not changed.
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Vec<u32>,
}

/// The setting that could not be applied, and the error.
#[derive(Debug)]
pub(super) struct NotApplied {
    pub(super) doing: String,
    pub(super) error: io::Error,
}

impl Settings {
    /// The declaration resolved on this host, and the login whose variables it gets.
    pub(super) fn of(execution: &Execution) -> anyhow::Result<(Self, Option<Login>)> {
        let (identity, login) = identity(execution)?;
        let settings = Self {
            usual_open_files: open_files::of_others(),
            umask: execution.umask,
            limits: execution.limits,
            nice: execution.nice,
            oom_score: execution.oom_score,
            identity,
            capabilities: execution.capabilities.as_deref().map(bits),
        };
        Ok((settings, login))
    }

    /// Serialises the settings as an argument of the launcher.
    pub(super) fn argument(&self) -> io::Result<OsString> {
        Ok(serde_json::to_string(self)?.into())
    }

    /// Parses the launcher's argument.
    pub(super) fn from_argument(argument: &OsStr) -> Option<Self> {
        serde_json::from_str(argument.to_str()?).ok()
    }

    /// Applies the settings to this process. Those that need root come before the user is changed.
    pub(super) fn apply(&self) -> Result<(), NotApplied> {
        if let Some(mask) = self.umask {
            umask(Mode::from_raw_mode(mask));
        }
        if let Some(most) = self.usual_open_files {
            open_files::lower_to(most);
        }
        self.apply_limits()?;
        if let Some(nice) = self.nice {
            setpriority_process(None, nice).or_else(|error| failed(format!("set nice to {nice}"), error))?;
        }
        if let Some(score) = self.oom_score {
            std::fs::write("/proc/self/oom_score_adj", score.to_string())
                .or_else(|error| failed(format!("set the OOM score to {score}"), error))?;
        }
        let kept = self.capabilities.map(CapabilitySet::from_bits_retain);
        if let Some(kept) = kept {
            drop_all_but(kept)?;
        }
        self.become_user()?;
        kept.map_or(Ok(()), keep)
    }

    fn become_user(&self) -> Result<(), NotApplied> {
        let Some(Identity { uid, gid, groups }) = &self.identity else { return Ok(()) };
        let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        set_thread_groups(&groups).or_else(|error| failed("set the groups".to_owned(), error))?;
        if let Some(gid) = *gid {
            set_thread_gid(Gid::from_raw(gid))
                .or_else(|error| failed(format!("become group {gid}"), error))?;
        }
        if let Some(uid) = *uid {
            set_thread_uid(Uid::from_raw(uid))
                .or_else(|error| failed(format!("become user {uid}"), error))?;
        }
        Ok(())
    }

    fn apply_limits(&self) -> Result<(), NotApplied> {
        let ResourceLimits { open_files, core, memory, processes } = self.limits;
        let limits = [
            ("open files", Resource::Nofile, open_files.map(Some)),
            ("core size", Resource::Core, core.map(Bound::bytes)),
            ("processes", Resource::Nproc, processes.map(Some)),
            // Last, because little memory is left after it.
            ("memory", Resource::As, memory.map(Bound::bytes)),
        ];
        for (what, resource, limit) in limits {
            let Some(limit) = limit else { continue };
            setrlimit(resource, Rlimit { current: limit, maximum: limit }).or_else(|error| {
                let limit = limit.map_or_else(|| "infinity".to_owned(), |limit| limit.to_string());
                failed(format!("set the limit of {what} to {limit}"), error)
            })?;
        }
        Ok(())
    }
}

fn bits(names: &[String]) -> u64 {
    names.iter().filter_map(|name| capability::named(name)).fold(0, |all, one| all | one)
}

/// No program that it ever executes gets another capability.
fn drop_all_but(kept: CapabilitySet) -> Result<(), NotApplied> {
    // Including those that this program has no name for: the kernel may be newer.
    for bit in (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
        if kept.contains(bit) {
            continue;
        }
        match remove_capability_from_bounding_set(bit) {
            // This kernel does not support it.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => {
                let name = bit.iter_names().next().map_or("of this kernel", |(name, _)| name);
                return failed(format!("give up CAP_{name}"), error);
            }
        }
    }
    // The next system call would clear all of them when it changes from root to another user.
    set_keep_capabilities(true).or_else(|error| failed("keep capabilities".to_owned(), error))
}

/// The program that it executes has them as well, even as another user.
fn keep(kept: CapabilitySet) -> Result<(), NotApplied> {
    let permitted = capabilities(None).map(|sets| sets.permitted);
    let lacking = permitted.map_or(CapabilitySet::empty(), |permitted| kept.difference(permitted));
    if !lacking.is_empty() {
        let names: Vec<String> = lacking.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
        let doing = format!("keep {}, which the daemon itself does not have", names.join(", "));
        return failed(doing, io::Error::from(io::ErrorKind::PermissionDenied));
    }
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
    set_capabilities(None, sets)
        .or_else(|error| failed("keep the capabilities that its file names".to_owned(), error))?;
    for (name, one) in kept.iter_names() {
        configure_capability_in_ambient_set(one, true)
            .or_else(|error| failed(format!("keep CAP_{name}"), error))?;
    }
    Ok(())
}

fn failed(doing: String, error: impl Into<io::Error>) -> Result<(), NotApplied> {
    Err(NotApplied { doing, error: error.into() })
}

/// `None` if the user need not be changed: the file does not set it, or the daemon runs as that user.
fn identity(execution: &Execution) -> anyhow::Result<(Option<Identity>, Option<Login>)> {
    let Execution { user, group, supplementary_groups, .. } = execution;
    if user.is_none() && group.is_none() && supplementary_groups.is_empty() {
        return Ok((None, None));
    }
    let accounts = Accounts::read().context("cannot look for its user")?;
    let gid_of = |name: &String| {
        accounts.group(name).with_context(|| format!("there is no group `{name}` on this host any more"))
    };
    let user = user
        .as_ref()
        .map(|name| {
            accounts.user(name).with_context(|| format!("there is no user `{name}` on this host any more"))
        })
        .transpose()?;
    let gid = match (group, &user) {
        (Some(group), _) => Some(gid_of(group)?),
        (None, Some(user)) => Some(user.gid.with_context(|| {
            format!("user {} is not in /etc/passwd, so its group is unknown: set `group`", user.uid)
        })?),
        (None, None) => None,
    };
    let login = user.as_ref().and_then(|user| user.login.clone());
    // Only root can set groups. Without root, the user can only stay the same (the check of the file ensures that).
    if !geteuid().is_root() {
        return Ok((None, login));
    }
    let mut groups = supplementary_groups.iter().map(gid_of).collect::<anyhow::Result<Vec<u32>>>()?;
    groups.extend(login.iter().flat_map(|login| accounts.groups_of(&login.name)));
    groups.extend(gid);
    groups.sort_unstable();
    groups.dedup();
    Ok((Some(Identity { uid: user.map(|user| user.uid), gid, groups }), login))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_launcher_is_given_is_what_the_file_says() {
        let execution = Execution {
            user: Some("root".to_owned()),
            umask: Some(0o027),
            limits: ResourceLimits { core: Some(Bound::Infinity), ..ResourceLimits::default() },
            nice: Some(-5),
            ..Execution::default()
        };
        let (settings, login) = Settings::of(&execution).unwrap();
        assert_eq!(login.unwrap().name, "root");
        let given = Settings::from_argument(&settings.argument().unwrap()).unwrap();
        assert_eq!(given, settings);
        assert_eq!(
            (given.umask, given.nice, given.limits.core),
            (Some(0o027), Some(-5), Some(Bound::Infinity))
        );
        assert_eq!(Settings::from_argument(OsStr::new("1024")), None);
    }

    #[test]
    fn a_user_or_group_that_is_gone_is_said() {
        let why = |execution: &Execution| format!("{:#}", Settings::of(execution).unwrap_err());
        let user = Execution { user: Some("nobody-of-this-name".to_owned()), ..Execution::default() };
        assert_eq!(why(&user), "there is no user `nobody-of-this-name` on this host any more");
        let group = Execution { group: Some("no-such-group".to_owned()), ..Execution::default() };
        assert_eq!(why(&group), "there is no group `no-such-group` on this host any more");
        let unlisted = Execution { user: Some("4000000".to_owned()), ..Execution::default() };
        assert!(why(&unlisted).ends_with("set `group`"));
    }
}
