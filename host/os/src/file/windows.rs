//! Files of Windows: access lists, and what stands for inodes.
#![allow(unsafe_code, reason = "the system takes access lists by pointers alone")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr;

use winapi_util::file::information;
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR,
    SECURITY_ATTRIBUTES, SetFileSecurityW,
};
use windows_sys::Win32::Storage::FileSystem::{CreateDirectoryW, FILE_FLAG_BACKUP_SEMANTICS};

use super::{FileId, Stamp};

/// All rights for the owner, the system and its administrators, also to what will lie in the folder; none for others,
/// whatever the folder above grants (Security Descriptor Definition Language).
const PRIVATE: &str = "D:P(A;OICI;FA;;;OW)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
/// Of one unit of a file's times, in nanoseconds.
const TICK: i128 = 100;

pub(super) fn private() -> OpenOptions {
    OpenOptions::new()
}

pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    let (path, private) = (wide(path)?, Descriptor::private()?);
    let length = u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).map_err(io::Error::other)?;
    let attributes =
        SECURITY_ATTRIBUTES { nLength: length, lpSecurityDescriptor: private.0, bInheritHandle: 0 };
    // SAFETY: the path ends with a zero, and the descriptor is whole; both outlive the call.
    done(unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) })
}

pub(super) fn create_private_dir_all(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_private_dir_all(parent)?;
    }
    match create_private_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

pub(super) fn make_private_dir(path: &Path) -> io::Result<()> {
    let (path, private) = (wide(path)?, Descriptor::private()?);
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: the path ends with a zero, and the descriptor is whole; both outlive the call.
    done(unsafe { SetFileSecurityW(path.as_ptr(), what, private.0) })
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?.sync_all()
}

pub(super) fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Windows does not exchange two files in one step"))
}

pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    // Unlike a rename, a second name never replaces a file.
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

pub(super) fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    // No right is needed to look at it; without the flag a folder could not be opened.
    let file = OpenOptions::new().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
    let found = information(&file)?;
    let written = i128::from(found.last_write_time().unwrap_or(0)) * TICK;
    Ok(Stamp {
        id: FileId { device: found.volume_serial_number(), number: found.file_index() },
        is_file: file.metadata()?.is_file(),
        size: found.file_size(),
        modified: written,
        changed: written,
    })
}

/// A security descriptor that the system has made, and frees.
struct Descriptor(PSECURITY_DESCRIPTOR);

impl Descriptor {
    fn private() -> io::Result<Self> {
        let text: Vec<u16> = PRIVATE.encode_utf16().chain([0]).collect();
        let mut made = ptr::null_mut();
        // SAFETY: the text ends with a zero and outlives the call, which sets the pointer if it succeeds.
        done(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut made,
                ptr::null_mut(),
            )
        })?;
        Ok(Self(made))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system has made it for us, and nothing uses it any more.
        unsafe { LocalFree(self.0) };
    }
}

/// As the system takes paths: UTF-16 with a zero at the end.
fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let mut wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    if wide.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path contains a NUL character"));
    }
    wide.push(0);
    Ok(wide)
}

/// What a call of the system returns.
fn done(result: windows_sys::core::BOOL) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
