//! The errors of Windows.

use std::io;

use windows_sys::Win32::Foundation::{
    ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED, ERROR_HANDLE_DISK_FULL,
    ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES,
    ERROR_WRITE_PROTECT,
};
use windows_sys::Win32::Networking::WinSock::{WSAEMFILE, WSAENOBUFS};

use super::Exhaustion;

pub(super) fn of(error: &io::Error) -> Option<Exhaustion> {
    let code = error.raw_os_error()?;
    if [WSAEMFILE, WSAENOBUFS].contains(&code) {
        return Some(if code == WSAEMFILE { Exhaustion::Descriptors } else { Exhaustion::Memory });
    }
    Some(match u32::try_from(code).ok()? {
        ERROR_TOO_MANY_OPEN_FILES => Exhaustion::Descriptors,
        ERROR_NOT_ENOUGH_MEMORY | ERROR_OUTOFMEMORY | ERROR_COMMITMENT_LIMIT | ERROR_NO_SYSTEM_RESOURCES => {
            Exhaustion::Memory
        }
        ERROR_DISK_FULL | ERROR_HANDLE_DISK_FULL | ERROR_DISK_QUOTA_EXCEEDED => Exhaustion::Disk,
        ERROR_WRITE_PROTECT => Exhaustion::ReadOnly,
        _ => return None,
    })
}

pub(super) fn most_open_files() -> Option<u64> {
    None
}
