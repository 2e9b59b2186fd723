//! Read-only file access with `wasi:filesystem`, as far as `read` grants permit.
//!
//! ```text
//!   begin ──granted directories are opened──▶ preopens ──open-at──▶ open ──dropped──▶ closed
//!              │ not there: told, and gone on without
//! ```
//! WASI's own is asked only about what is open already. Every path is resolved
//! in one place, `bellwether_os::file::beneath`, and whatever would change something is refused here
//! without asking anybody.

mod calls;

use std::collections::BTreeMap;
use std::fs::File as SystemFile;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};

use bellwether_core::grant::{GrantKind, Grants, Refusal};
use bellwether_core::text::one_line;
use bellwether_os::file::beneath::{Denied, Search, find, open_directory};
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, FsPerms, OpenMode, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{self, ErrorCode, PathFlags};
use wasmtime_wasi::p2::{FsError, FsResult};

use crate::output::Output;
use crate::share::Share;
use crate::store::Run;

/// The maximum number of files and directories that are open in one run: each is a file descriptor of the daemon.
const MAX_OPEN: usize = 64;
/// The maximum number of directory entries that are listed in one run: they are kept in the host's memory until
/// they are read.
const MAX_LISTED: usize = 50_000;
/// The maximum length of a path that is shown, in bytes.
const MAX_SHOWN: usize = 300;
const ONLY_READ: &str = "components can read files, but not change them";

/// What one run may read, and its open files.
pub(crate) struct Files {
    /// The granted directories, each with its path as the component sees it.
    granted: Vec<(Dir, String)>,
    /// The origin of each open file, by handle.
    paths: BTreeMap<u32, Origin>,
    /// Counts open files; streams may keep a file open whose handle is closed.
    open: Vec<Weak<SystemFile>>,
    /// The number of entries listed so far.
    listed: usize,
    /// The checker's share of the threads for disk access.
    share: Arc<Share>,
}

/// The grant and path that something was opened with.
struct Origin {
    /// The path as the component sees it, escaped for display.
    path: String,
    /// The index of the grant it was reached by. The path does not determine it: one granted directory may be
    /// inside another.
    grant: usize,
}

impl Files {
    /// Opens the granted directories. The run continues without those that cannot be opened.
    pub(crate) async fn open(grants: &Grants, output: &Output, share: Arc<Share>) -> Self {
        let mut granted = Vec::new();
        for grant in &grants.read {
            let directory = grant.directory.clone();
            match blocking(&share, move || open_directory(&directory)).await {
                Ok(opened) => granted.push((readable(opened), grant.shown.clone())),
                Err(why) => {
                    let why = format!("the directory cannot be opened: {}", reason(&why));
                    let wanted = format!("read {}", grant.shown);
                    output.refuse(Refusal::unavailable(GrantKind::Read, wanted, why));
                }
            }
        }
        Self { granted, paths: BTreeMap::new(), open: Vec::new(), listed: 0, share }
    }

    fn has_room(&mut self) -> bool {
        self.open.retain(|file| file.strong_count() > 0);
        self.open.len() < MAX_OPEN
    }

    /// A path as the component sees it, escaped for display; an empty one means the open directory itself.
    fn shown(&self, directory: u32, path: &str) -> String {
        let directory = self.paths.get(&directory).map_or("", |origin| origin.path.as_str());
        let path = if path.is_empty() { directory.into() } else { Path::new(directory).join(path) };
        one_line(&path.display().to_string(), MAX_SHOWN)
    }
}

fn readable(directory: SystemFile) -> Dir {
    Dir::new(directory, FsPerms::ReadOnly, OpenMode::READ, false)
}

fn reason(denied: &Denied) -> String {
    match denied {
        Denied::Plain(error) => error.to_string(),
        denied => denied.to_string(),
    }
}

/// A disk may hang, and the deadlines of this run and of others must hold all the same.
async fn blocking<T: Send + 'static>(
    share: &Share,
    call: impl FnOnce() -> Result<T, Denied> + Send + 'static,
) -> Result<T, Denied> {
    let part = Arc::clone(&share.files).acquire_owned().await;
    let part = part.map_err(|closed| Denied::Unreadable(io::Error::other(closed)))?;
    let call = move || {
        let called = call();
        drop(part);
        called
    };
    let ended = tokio::task::spawn_blocking(call).await;
    ended.unwrap_or_else(|ended| Err(Denied::Unreadable(io::Error::other(ended))))
}

/// Replaces WASI's own implementation.
pub(super) fn add_to_linker(linker: &mut Linker<Run>) -> wasmtime::Result<()> {
    types::add_to_linker::<Run, HasFiles>(linker, reading)?;
    preopens::add_to_linker::<Run, HasFiles>(linker, reading)
}

fn reading(run: &mut Run) -> Reading<'_> {
    Reading {
        files: &mut run.files,
        output: &run.output,
        wasi: WasiFilesystemCtxView { ctx: run.wasi.filesystem(), table: &mut run.table },
    }
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Reading<'a>;
}

struct Reading<'a> {
    files: &'a mut Files,
    output: &'a Output,
    /// Has no preopened directories: it is used for open files only.
    wasi: WasiFilesystemCtxView<'a>,
}

impl Reading<'_> {
    fn directory(&self, handle: &Resource<Descriptor>) -> FsResult<Arc<SystemFile>> {
        match self.wasi.table.get(handle)? {
            Descriptor::Dir(directory) => Ok(Arc::clone(&directory.dir)),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    /// Finds what a path leads to, without opening it.
    async fn find(
        &mut self,
        handle: &Resource<Descriptor>,
        path: &str,
        search: Search,
    ) -> FsResult<SystemFile> {
        let directory = self.directory(handle)?;
        let asked = path.to_owned();
        let found = blocking(&self.files.share, move || find(&directory, &asked, search)).await;
        if found.is_ok() {
            self.used(handle);
        }
        found.map_err(|denied| self.deny(handle, path, denied))
    }

    /// Records that the grant of an open file has been used.
    fn used(&self, handle: &Resource<Descriptor>) {
        let origin = self.files.paths.get(&handle.rep());
        if let Some((_, shown)) = origin.and_then(|origin| self.files.granted.get(origin.grant)) {
            self.output.used(GrantKind::Read, shown);
        }
    }

    /// The same handle for functions that WASI implements.
    async fn found(
        &mut self,
        handle: &Resource<Descriptor>,
        path: &str,
        flags: PathFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let found = self.find(handle, path, Search { follow, only_directory: false }).await?;
        let found = File::new(found, FsPerms::ReadOnly, OpenMode::empty(), false);
        Ok(self.wasi.table.push(Descriptor::File(found))?)
    }

    /// The guest's error; the operator is told, unless it is nobody's business but the guest's.
    fn deny(&self, handle: &Resource<Descriptor>, path: &str, denied: Denied) -> FsError {
        let wanted = || format!("read {}", self.files.shown(handle.rep(), path));
        let refusal = match denied {
            Denied::Plain(error) => return error.into(),
            Denied::LeadsOut => Refusal::never(wanted(), denied.to_string()),
            _ => Refusal::unavailable(GrantKind::Read, wanted(), denied.to_string()),
        };
        self.output.refuse(refusal);
        ErrorCode::NotPermitted.into()
    }

    /// The answer to every operation that would change something.
    fn change<T>(&self, what: &str, handle: &Resource<Descriptor>, path: &str) -> FsResult<T> {
        let wanted = format!("{what} {}", self.files.shown(handle.rep(), path));
        self.output.refuse(Refusal::never(wanted, ONLY_READ));
        Err(ErrorCode::NotPermitted.into())
    }

    fn too_many<T>(&self, what: &str) -> FsResult<T> {
        self.output.refuse(Refusal::never(what, "a run may not hold more of the host"));
        Err(ErrorCode::InsufficientMemory.into())
    }

    fn push(&mut self, opened: Descriptor, origin: Origin) -> FsResult<Resource<Descriptor>> {
        let file = match &opened {
            Descriptor::File(file) => Arc::downgrade(&file.file),
            Descriptor::Dir(directory) => Arc::downgrade(&directory.dir),
        };
        let handle = self.wasi.table.push(opened)?;
        self.files.open.push(file);
        self.files.paths.insert(handle.rep(), origin);
        Ok(handle)
    }
}
