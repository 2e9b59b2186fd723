//! The small store that survives from run to run and across reloads.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::Host;

/// The store of this checker or restart script alone. It holds 64 KiB in all, keys included.
///
/// ```
/// use bellwether_guest::Run;
///
/// let run = Run::for_test();
/// run.state().set("last-size", &17_u64)?;
/// assert_eq!(run.state().get::<u64>("last-size")?, Some(17));
/// # Ok::<(), bellwether_guest::StateError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    host: &'a Host,
}

/// Why the store could not keep or return a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateError {
    /// The host rejects it, because it would exceed a limit, which is named.
    Refused(String),
    /// The value cannot be serialised as JSON, or has another type than the caller expects: an earlier version of
    /// the component may have stored it.
    Unfit {
        /// The key of the value.
        key: String,
        /// The error in one sentence.
        reason: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "the state was not kept: {reason}"),
            Self::Unfit { key, reason } => write!(f, "the state `{key}` does not fit: {reason}"),
        }
    }
}

impl Error for StateError {}

impl<'a> State<'a> {
    pub(crate) fn new(host: &'a Host) -> Self {
        Self { host }
    }

    /// Returns a value that was set as JSON, or None.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StateError> {
        let unfit =
            |error: serde_json::Error| StateError::Unfit { key: key.into(), reason: error.to_string() };
        self.get_bytes(key).map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(unfit)
    }

    /// Stores a value as JSON.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| StateError::Unfit { key: key.into(), reason: error.to_string() })?;
        self.set_bytes(key, &bytes)
    }

    /// Returns the bytes of a value.
    pub fn get_bytes(&self, key: &str) -> Option<Vec<u8>> {
        self.host.get(key)
    }

    /// Stores the bytes of a value.
    pub fn set_bytes(&self, key: &str, value: &[u8]) -> Result<(), StateError> {
        self.host.set(key, value).map_err(StateError::Refused)
    }

    /// Removes a value, if there is one.
    pub fn remove(&self, key: &str) {
        self.host.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_found_until_it_is_removed() {
        let host = Host::default();
        let state = State::new(&host);
        assert_eq!(state.get::<String>("a"), Ok(None));
        state.set("a", "eins").unwrap();
        assert_eq!(state.get::<String>("a"), Ok(Some("eins".to_owned())));
        assert_eq!(state.get_bytes("a"), Some(b"\"eins\"".to_vec()));
        state.remove("a");
        assert_eq!(state.get_bytes("a"), None);
    }

    #[test]
    fn a_value_of_another_type_is_an_error_that_names_the_key() {
        let host = Host::default();
        let state = State::new(&host);
        state.set_bytes("a", b"not json").unwrap();
        let error = state.get::<u32>("a").unwrap_err();
        assert!(error.to_string().contains("`a`"), "{error}");
    }

    #[test]
    fn no_more_is_kept_than_the_limit_and_the_old_value_stays() {
        let host = Host::default();
        let state = State::new(&host);
        state.set_bytes("a", &vec![1; 60 << 10]).unwrap();
        assert!(matches!(state.set_bytes("b", &vec![1; 5 << 10]), Err(StateError::Refused(_))));
        assert!(matches!(state.set_bytes("a", &vec![1; 65 << 10]), Err(StateError::Refused(_))));
        state.set_bytes("a", &vec![2; 63 << 10]).unwrap();
        assert_eq!(state.get_bytes("b"), None);
    }
}
