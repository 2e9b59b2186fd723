//! Which boot of the machine this is.

use std::fmt;
use std::io;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// A random number that the kernel makes at each boot (`proc_sys_kernel(5)`, `random/boot_id`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BootId(u128);

impl BootId {
    /// Of this boot. Windows gives a boot no number.
    pub fn current() -> io::Result<Self> {
        static CURRENT: OnceLock<BootId> = OnceLock::new();
        if let Some(boot_id) = CURRENT.get() {
            return Ok(*boot_id);
        }
        let boot_id =
            Self::try_from(text()?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(*CURRENT.get_or_init(|| boot_id))
    }

    /// Another boot than this one.
    #[cfg(test)]
    pub(crate) fn other(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// That of this boot, as the kernel writes it.
#[cfg(target_os = "linux")]
pub fn text() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Windows gives a boot no number.
#[cfg(not(target_os = "linux"))]
pub fn text() -> io::Result<String> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not number its boots"))
}

/// A text that is no boot id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a boot id: 32 hexadecimal digits are expected")]
pub struct BootIdError(String);

impl TryFrom<String> for BootId {
    type Error = BootIdError;
    fn try_from(text: String) -> Result<Self, BootIdError> {
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        match u128::from_str_radix(&digits, 16) {
            Ok(number) if digits.len() == 32 => Ok(Self(number)),
            _ => Err(BootIdError(text)),
        }
    }
}

impl From<BootId> for String {
    fn from(boot_id: BootId) -> String {
        format!("{:032x}", boot_id.0)
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
