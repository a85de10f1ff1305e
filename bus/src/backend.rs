//! What a stream is made of: System V objects, or files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The directory of the file backend where none is given.
pub const DEFAULT_DIRECTORY: &str = "/dev/shm/framebus";

/// What a stream is made of. Its publisher and its subscribers must use the same.
///
/// ```
/// use framebus::Backend;
/// let backend: Backend = "file:/run/robot".parse()?;
/// assert_eq!(backend, Backend::File { directory: "/run/robot".into() });
/// assert_eq!("file".parse::<Backend>()?.to_string(), "file:/dev/shm/framebus");
/// # Ok::<(), framebus::BackendError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Backend {
    /// Two System V segments and a semaphore set: not bounded by the size of `/dev/shm`, and nobody can truncate a
    /// segment. Slots that are never used take no memory. Needs one IPC namespace.
    #[default]
    SysV,
    /// Three files in `directory/BUS/STREAM`, mapped: for containers that share a directory and no IPC namespace. All
    /// slots get their memory at creation. Who may truncate the files can crash their readers (SIGBUS, mmap(2)).
    File {
        /// Where the buses are. It should be in memory (tmpfs), as `/dev/shm` is; it is made where it is missing.
        directory: PathBuf,
    },
}

impl Backend {
    /// Files in [`DEFAULT_DIRECTORY`].
    pub fn default_file() -> Self {
        Backend::File { directory: Path::new(DEFAULT_DIRECTORY).to_owned() }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::SysV => write!(out, "sysv"),
            Backend::File { directory } => write!(out, "file:{}", directory.display()),
        }
    }
}

/// A text that names no backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "backend {found:?} is unknown: expected \"sysv\", \"file\", or \"file:\" and an absolute directory, as in \
     file:{DEFAULT_DIRECTORY}"
)]
#[non_exhaustive]
pub struct BackendError {
    /// The text.
    pub found: String,
}

impl FromStr for Backend {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Self, BackendError> {
        match (text, text.strip_prefix("file:")) {
            ("sysv", _) => Ok(Backend::SysV),
            ("file", _) => Ok(Backend::default_file()),
            (_, Some(directory)) if directory.starts_with('/') => Ok(Backend::File { directory: directory.into() }),
            _ => Err(BackendError { found: text.to_owned() }),
        }
    }
}
