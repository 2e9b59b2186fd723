//! The folder of the farm on this node, `state/farm`.
//!
//! ```text
//!   farm.joining/  written, synced ──renamed──▶ farm/ ──renamed──▶ farm.left/ ──▶ removed
//!       └ found at the start: removed                                └ found at the start: removed
//! ```
//! It is there as a whole or not at all: a join or a start of a farm that fails leaves nothing behind, whenever the
//! daemon is killed.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bellwether_farm::invitation::Invitations;
use bellwether_farm::roster::Roster;
use bellwether_os::{atomic_file, file};

pub(crate) const NODE_KEY: &str = "node.key";
pub(crate) const CERTIFICATE: &str = "node.pem";
pub(crate) const AUTHORITIES: &str = "authority.pem";
pub(crate) const AUTHORITY_KEY: &str = "authority.key";
pub(crate) const ROSTER: &str = "roster.json";
pub(crate) const GENERATION: &str = "generation";
pub(crate) const INVITATIONS: &str = "invitations.json";

/// The generation of a node whose stored one is lost. It is above all that are counted one by one.
const AFTER_LOSS: u64 = 1 << 32;

/// What a member keeps.
#[derive(Clone)]
pub(crate) struct Stored {
    /// The key of this node, in PEM.
    pub(crate) node_key: String,
    /// The certificate of this node, in PEM.
    pub(crate) certificate: String,
    /// The certificates of the farm's authorities, in PEM.
    pub(crate) authorities: String,
    /// The key of the authority, in PEM, if this node holds it.
    pub(crate) authority_key: Option<String>,
    pub(crate) roster: Roster,
    /// Of the last start.
    pub(crate) generation: u64,
    pub(crate) invitations: Invitations,
}

/// A file that cannot be used. Displayed as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} {why}: this node takes no part in its farm. Bring the file back from a copy and restart the daemon, or make \
     this node a new member: `bellwether farm leave`, then `bellwether farm join LINE --replace NAME`. If this node holds \
     the key of the farm's authority, it keeps that in the file farm-authority.key beside the folder, for \
     `bellwether farm restore`",
    .file.display()
)]
pub(crate) struct Damaged {
    pub(crate) file: PathBuf,
    /// What is wrong with it, as the end of a sentence.
    pub(crate) why: String,
}

/// What the folder has.
pub(crate) enum Found {
    /// This node is in no farm.
    Nothing,
    /// This node is a member. The sentences say what was damaged and could be replaced.
    Member(Box<Stored>, Vec<String>),
    Damaged(Damaged),
}

/// Removes what an interrupted join or leave has left behind.
pub(crate) fn clean(folder: &Path) -> io::Result<()> {
    for left in [joining(folder), left(folder)] {
        match fs::remove_dir_all(&left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn joining(folder: &Path) -> PathBuf {
    atomic_file::with_ending(folder, ".joining")
}

fn left(folder: &Path) -> PathBuf {
    atomic_file::with_ending(folder, ".left")
}

/// Reads the folder at the start of the daemon. The generation is counted, and stored before it is used.
pub(crate) fn start(folder: &Path) -> Found {
    let (mut stored, mut problems) = match read(folder) {
        Found::Member(stored, problems) => (stored, problems),
        other => return other,
    };
    stored.generation += 1;
    let path = folder.join(GENERATION);
    if let Err(error) = atomic_file::replace(&path, stored.generation.to_string().as_bytes()) {
        problems.push(format!(
            "{} cannot be written: {error}; other nodes may take long to hear this one after its next start",
            path.display()
        ));
    }
    Found::Member(stored, problems)
}

/// Reads the folder.
fn read(folder: &Path) -> Found {
    let has_any =
        [NODE_KEY, CERTIFICATE, ROSTER, AUTHORITY_KEY].iter().any(|name| folder.join(name).exists());
    if !has_any {
        return Found::Nothing;
    }
    let mut problems = Vec::new();
    match read_all(folder, &mut problems) {
        Ok(stored) => {
            for name in [NODE_KEY, CERTIFICATE, AUTHORITIES, AUTHORITY_KEY, ROSTER, GENERATION, INVITATIONS] {
                atomic_file::remember(&folder.join(name));
            }
            Found::Member(Box::new(stored), problems)
        }
        Err(damaged) => Found::Damaged(damaged),
    }
}

fn read_all(folder: &Path, problems: &mut Vec<String>) -> Result<Stored, Damaged> {
    let damaged = |name: &str, why: String| Damaged { file: folder.join(name), why };
    let text = |name: &'static str| {
        fs::read_to_string(folder.join(name))
            .map_err(|error| damaged(name, format!("cannot be read: {error}")))
    };
    let roster: Roster = serde_json::from_str(&text(ROSTER)?)
        .map_err(|error| damaged(ROSTER, format!("is damaged: {error}")))?;
    let authority_key = match fs::read_to_string(folder.join(AUTHORITY_KEY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read.map_err(|error| damaged(AUTHORITY_KEY, format!("cannot be read: {error}")))?),
    };
    Ok(Stored {
        node_key: text(NODE_KEY)?,
        certificate: text(CERTIFICATE)?,
        authorities: text(AUTHORITIES)?,
        authority_key,
        roster,
        generation: generation(folder, problems),
        invitations: invitations(folder, problems),
    })
}

fn generation(folder: &Path, problems: &mut Vec<String>) -> u64 {
    let path = folder.join(GENERATION);
    let read = fs::read_to_string(&path).map_err(|error| error.to_string());
    let parsed = read.and_then(|text| text.trim().parse().map_err(|_| "it is not a number".to_owned()));
    parsed.unwrap_or_else(|why| {
        let aside = atomic_file::set_aside(&path);
        problems
            .push(format!("state/farm/{GENERATION} {aside}: {why}; starts are counted from {AFTER_LOSS}"));
        AFTER_LOSS
    })
}

fn invitations(folder: &Path, problems: &mut Vec<String>) -> Invitations {
    let path = folder.join(INVITATIONS);
    let read = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Invitations::default(),
        read => read.map_err(|error| error.to_string()),
    };
    let parsed = read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    parsed.unwrap_or_else(|why| {
        let aside = atomic_file::set_aside(&path);
        problems.push(format!("state/farm/{INVITATIONS} {aside}: {why}; invitations have to be issued anew"));
        Invitations::default()
    })
}

/// Makes the folder, all at once.
pub(crate) fn create(folder: &Path, stored: &Stored) -> io::Result<()> {
    let new = joining(folder);
    clean(folder)?;
    if let Some(parent) = folder.parent() {
        file::create_private_dir_all(parent)?;
    }
    let written = fill(&new, stored).and_then(|()| take_place(&new, folder));
    if written.is_err() {
        // What is left of it is removed at the next start.
        drop(fs::remove_dir_all(&new));
        return written;
    }
    for name in [NODE_KEY, CERTIFICATE, AUTHORITIES, AUTHORITY_KEY, ROSTER, GENERATION, INVITATIONS] {
        atomic_file::remember(&folder.join(name));
    }
    Ok(())
}

fn fill(new: &Path, stored: &Stored) -> io::Result<()> {
    file::create_private_dir(new)?;
    let roster = serde_json::to_vec(&stored.roster)?;
    let invitations = serde_json::to_vec(&stored.invitations)?;
    let generation = stored.generation.to_string();
    let authority_key = stored.authority_key.as_deref().map(|key| (AUTHORITY_KEY, key.as_bytes()));
    let files = [
        (NODE_KEY, stored.node_key.as_bytes()),
        (CERTIFICATE, stored.certificate.as_bytes()),
        (AUTHORITIES, stored.authorities.as_bytes()),
        (ROSTER, &roster),
        (INVITATIONS, &invitations),
        (GENERATION, generation.as_bytes()),
    ];
    for (name, content) in files.into_iter().chain(authority_key) {
        let mut file = file::private().write(true).create_new(true).open(new.join(name))?;
        file.write_all(content)?;
        file.sync_all()?;
    }
    file::sync_dir(new)
}

/// A folder that has nothing of a member may be in the way.
fn take_place(new: &Path, folder: &Path) -> io::Result<()> {
    if folder.exists() {
        atomic_file::forget(folder);
        fs::rename(folder, left(folder))?;
    }
    fs::rename(new, folder)?;
    if let Some(parent) = folder.parent() {
        file::sync_dir(parent)?;
    }
    // Otherwise at the next start.
    drop(fs::remove_dir_all(left(folder)));
    Ok(())
}

/// Takes the key of the authority out of a folder that is about to be removed although it could not be read: it may be
/// the only copy. Returns where it is now, if there was one.
pub(crate) fn rescue_authority_key(folder: &Path) -> io::Result<Option<PathBuf>> {
    let rescued = atomic_file::with_ending(folder, "-authority.key");
    match fs::rename(folder.join(AUTHORITY_KEY), &rescued) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    if let Some(parent) = folder.parent() {
        file::sync_dir(parent)?;
    }
    Ok(Some(rescued))
}

/// Removes the folder, all at once.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    atomic_file::forget(folder);
    clean(folder)?;
    match fs::rename(folder, left(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    if let Some(parent) = folder.parent() {
        file::sync_dir(parent)?;
    }
    fs::remove_dir_all(left(folder))
}
