//! Read-only file access with `wasi:filesystem`, as far as `read` grants permit.
//!
//! ```text
//!   begin ──granted directories are opened──▶ preopens ──open-at──▶ open ──dropped──▶ closed
//!              │ not there: told, and gone on without
//! ```
//! WASI's own implementation is used only for open files. Every path is resolved in one place, `beneath`, and every
//! operation that would change something is rejected here.

mod beneath;

use std::collections::BTreeMap;
use std::fs::File as SystemFile;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};

use bellwether_core::grant::{GrantKind, Grants, Refusal};
use bellwether_core::text::one_line;
use rustix::fs::{Mode, OFlags};
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, FsPerms, OpenMode, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream,
    ErrorCode, Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use self::beneath::{Denied, find, open_found};
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

fn open_directory(path: &Path) -> Result<SystemFile, Denied> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn readable(directory: SystemFile) -> Dir {
    Dir::new(directory, FsPerms::ReadOnly, OpenMode::READ, false)
}

fn reason(denied: &Denied) -> String {
    match denied {
        Denied::Plain(error) => io::Error::from(*error).to_string(),
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
        follow: bool,
        only: OFlags,
    ) -> FsResult<SystemFile> {
        let directory = self.directory(handle)?;
        let asked = path.to_owned();
        let found = blocking(&self.files.share, move || find(&directory, &asked, follow, only)).await;
        if found.is_ok() {
            self.used(handle);
        }
        found.map_err(|denied| self.deny(handle, path, &denied))
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
        let found = self.find(handle, path, follow, OFlags::empty()).await?;
        let found = File::new(found, FsPerms::ReadOnly, OpenMode::empty(), false);
        Ok(self.wasi.table.push(Descriptor::File(found))?)
    }

    /// The error for the guest; the operator is informed as well, unless only the guest is concerned.
    fn deny(&self, handle: &Resource<Descriptor>, path: &str, denied: &Denied) -> FsError {
        let wanted = || format!("read {}", self.files.shown(handle.rep(), path));
        let refusal = match denied {
            Denied::Plain(error) => return io::Error::from(*error).into(),
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

impl preopens::Host for Reading<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut directories = Vec::new();
        for (grant, (directory, shown)) in self.files.granted.clone().into_iter().enumerate() {
            let handle = self.wasi.table.push(Descriptor::Dir(directory))?;
            self.files.paths.insert(handle.rep(), Origin { path: shown.clone(), grant });
            directories.push((handle, shown));
        }
        Ok(directories)
    }
}

impl HostDescriptor for Reading<'_> {
    async fn open_at(
        &mut self,
        handle: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        if open_flags.intersects(OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE)
            || flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY)
        {
            return self.change("write", &handle, &path);
        }
        if !self.files.has_room() {
            return self.too_many("open more files at once");
        }
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let only = open_flags.contains(OpenFlags::DIRECTORY);
        let only = if only { OFlags::DIRECTORY } else { OFlags::empty() };
        let found = self.find(&handle, &path, follow, only).await?;
        let (opened, is_directory) = blocking(&self.files.share, move || open_found(&found))
            .await
            .map_err(|denied| self.deny(&handle, &path, &denied))?;
        let opened = if is_directory {
            Descriptor::Dir(readable(opened))
        } else {
            Descriptor::File(File::new(opened, FsPerms::ReadOnly, OpenMode::READ, false))
        };
        let Some(grant) = self.files.paths.get(&handle.rep()).map(|origin| origin.grant) else {
            return Err(ErrorCode::BadDescriptor.into());
        };
        let path = self.files.shown(handle.rep(), &path);
        self.push(opened, Origin { path, grant })
    }

    async fn stat_at(
        &mut self,
        handle: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let found = self.found(&handle, &path, flags).await?;
        let stat = self.wasi.stat(Resource::new_own(found.rep())).await;
        self.wasi.table.delete(found)?;
        stat
    }

    async fn metadata_hash_at(
        &mut self,
        handle: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let found = self.found(&handle, &path, flags).await?;
        let hash = self.wasi.metadata_hash(Resource::new_own(found.rep())).await;
        self.wasi.table.delete(found)?;
        hash
    }

    /// The target of a link. Following it is a separate check.
    async fn readlink_at(&mut self, handle: Resource<Descriptor>, path: String) -> FsResult<String> {
        let link = self.find(&handle, &path, false, OFlags::empty()).await?;
        let text =
            blocking(&self.files.share, move || Ok(rustix::fs::readlinkat(&link, "", Vec::new())?)).await;
        let text = text.map_err(|denied| match denied {
            // Linux reports this for something that is not a link (readlinkat(2), ENOENT for an empty path).
            Denied::Plain(rustix::io::Errno::NOENT) => ErrorCode::Invalid.into(),
            denied => self.deny(&handle, &path, &denied),
        })?;
        text.into_string().map_err(|_| ErrorCode::IllegalByteSequence.into())
    }

    async fn read_directory(
        &mut self,
        handle: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let directory = self.directory(&handle)?;
        let most = MAX_LISTED - self.files.listed;
        let names = blocking(&self.files.share, move || {
            Ok(rustix::fs::Dir::read_from(&directory)?.take(most + 1).count())
        })
        .await;
        let names = names.map_err(|denied| self.deny(&handle, "", &denied))?;
        if names > most {
            return self.too_many("list more names");
        }
        self.files.listed += names;
        self.used(&handle);
        self.wasi.read_directory(handle).await
    }

    async fn read(
        &mut self,
        handle: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.wasi.read(handle, length, offset).await
    }

    fn read_via_stream(
        &mut self,
        handle: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        self.wasi.read_via_stream(handle, offset)
    }

    async fn get_flags(&mut self, handle: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        self.wasi.get_flags(handle).await
    }

    async fn get_type(&mut self, handle: Resource<Descriptor>) -> FsResult<DescriptorType> {
        self.wasi.get_type(handle).await
    }

    async fn stat(&mut self, handle: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        self.wasi.stat(handle).await
    }

    async fn metadata_hash(&mut self, handle: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash(handle).await
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        self.wasi.is_same_object(one, other).await
    }

    /// Advice is accepted and ignored: it would affect the application's data in the page cache.
    async fn advise(
        &mut self,
        _handle: Resource<Descriptor>,
        _offset: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> FsResult<()> {
        Ok(())
    }

    /// Nothing was written, so nothing is flushed: that would flush the application's own data.
    async fn sync_data(&mut self, _handle: Resource<Descriptor>) -> FsResult<()> {
        Ok(())
    }

    async fn sync(&mut self, _handle: Resource<Descriptor>) -> FsResult<()> {
        Ok(())
    }

    async fn set_size(&mut self, handle: Resource<Descriptor>, _size: Filesize) -> FsResult<()> {
        self.change("set the size of", &handle, "")
    }

    async fn set_times(
        &mut self,
        handle: Resource<Descriptor>,
        _accessed: NewTimestamp,
        _modified: NewTimestamp,
    ) -> FsResult<()> {
        self.change("set the times of", &handle, "")
    }

    async fn set_times_at(
        &mut self,
        handle: Resource<Descriptor>,
        _flags: PathFlags,
        path: String,
        _accessed: NewTimestamp,
        _modified: NewTimestamp,
    ) -> FsResult<()> {
        self.change("set the times of", &handle, &path)
    }

    async fn write(
        &mut self,
        handle: Resource<Descriptor>,
        _bytes: Vec<u8>,
        _offset: Filesize,
    ) -> FsResult<Filesize> {
        self.change("write", &handle, "")
    }

    fn write_via_stream(
        &mut self,
        handle: Resource<Descriptor>,
        _offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.change("write", &handle, "")
    }

    fn append_via_stream(&mut self, handle: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        self.change("write", &handle, "")
    }

    async fn create_directory_at(&mut self, handle: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.change("create", &handle, &path)
    }

    async fn link_at(
        &mut self,
        _handle: Resource<Descriptor>,
        _flags: PathFlags,
        _path: String,
        new: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        self.change("create", &new, &new_path)
    }

    async fn symlink_at(
        &mut self,
        handle: Resource<Descriptor>,
        _text: String,
        path: String,
    ) -> FsResult<()> {
        self.change("create", &handle, &path)
    }

    async fn rename_at(
        &mut self,
        handle: Resource<Descriptor>,
        path: String,
        _new: Resource<Descriptor>,
        _new_path: String,
    ) -> FsResult<()> {
        self.change("rename", &handle, &path)
    }

    async fn remove_directory_at(&mut self, handle: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.change("remove", &handle, &path)
    }

    async fn unlink_file_at(&mut self, handle: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.change("remove", &handle, &path)
    }

    fn drop(&mut self, handle: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.files.paths.remove(&handle.rep());
        HostDescriptor::drop(&mut self.wasi, handle)
    }
}

impl HostDirectoryEntryStream for Reading<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.wasi.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.wasi, stream)
    }
}

impl Host for Reading<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.filesystem_error_code(error)
    }
}
