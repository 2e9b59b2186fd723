//! This machine.

/// Its name in the network. Empty if the system does not say.
#[cfg(unix)]
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Its name in the network. Empty if the system does not say.
#[cfg(windows)]
pub fn name() -> String {
    use winapi_util::sysinfo::{ComputerNameKind, get_computer_name};
    let name = get_computer_name(ComputerNameKind::PhysicalDnsHostname).unwrap_or_default();
    name.to_string_lossy().into_owned()
}
