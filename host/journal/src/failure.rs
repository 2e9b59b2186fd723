//! Errors of the file or the disk.

use rusqlite::ErrorCode;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It is damaged, and is moved aside.
    #[error("{0}")]
    Useless(String),
    /// It may become usable later.
    #[error("{0}")]
    NotNow(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Useless(plain(&error)) } else { Self::NotNow(plain(&error)) }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::NotNow(error.to_string())
    }
}

/// Whether the file itself is damaged.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The error in plain words.
pub(crate) fn plain(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "disk full".to_owned(),
        Some(ErrorCode::ReadOnly) => "the disk is read-only".to_owned(),
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error".to_owned(),
        Some(ErrorCode::CannotOpen) => "the file cannot be opened".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has locked the file".to_owned()
        }
        Some(ErrorCode::NotADatabase) => "it is not a database".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged".to_owned(),
        _ => error.to_string(),
    }
}
