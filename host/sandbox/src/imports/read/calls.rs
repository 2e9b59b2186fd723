//! The calls of `wasi:filesystem`: what is asked of WASI's own, what is resolved here, and what is refused.

use bellwether_os::file::beneath::{Search, count_names, open_found, read_link};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, File, FsPerms, OpenMode};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::{MAX_LISTED, Origin, Reading, blocking, readable};

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
        let only_directory = open_flags.contains(OpenFlags::DIRECTORY);
        let found = self.find(&handle, &path, Search { follow, only_directory }).await?;
        let (opened, is_directory) = blocking(&self.files.share, move || open_found(&found))
            .await
            .map_err(|denied| self.deny(&handle, &path, denied))?;
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

    /// What a link says. Following it is another matter.
    async fn readlink_at(&mut self, handle: Resource<Descriptor>, path: String) -> FsResult<String> {
        let link = self.find(&handle, &path, Search::default()).await?;
        let text = blocking(&self.files.share, move || read_link(&link)).await;
        let text = text.map_err(|denied| self.deny(&handle, &path, denied))?.ok_or(ErrorCode::Invalid)?;
        text.into_string().map_err(|_| ErrorCode::IllegalByteSequence.into())
    }

    async fn read_directory(
        &mut self,
        handle: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let directory = self.directory(&handle)?;
        let most = MAX_LISTED - self.files.listed;
        let names = blocking(&self.files.share, move || count_names(&directory, most)).await;
        let names = names.map_err(|denied| self.deny(&handle, "", denied))?;
        if names > most {
            return self.too_many("list so many names");
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

    /// Advice is heard and not passed on: it moves what the application has in the system's cache.
    async fn advise(
        &mut self,
        _handle: Resource<Descriptor>,
        _offset: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> FsResult<()> {
        Ok(())
    }

    /// Nothing was written, so nothing is flushed: it would be the application's own data.
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
