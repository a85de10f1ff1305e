//! Why a bus or one of its streams could not be opened.

use crate::diagnostic::ConfigError;
use crate::suggest::nearest;
use framebus::{AttachError, NameError, OpenError};
use std::io;

/// Why a bus or one of its streams could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// There is no configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system knows no such group.
    #[error(
        "can not open bus {bus}: there is no group {group:?} on this machine; name one of those that getent group lists, \
         or create it"
    )]
    UnknownGroup {
        /// The bus.
        bus: String,
        /// The group in the configuration.
        group: String,
    },
    /// The system could not be asked for the group.
    #[error("can not open bus {bus}: looking up group {group:?} failed: {source}; give its number instead")]
    Group {
        /// The bus.
        bus: String,
        /// The group in the configuration.
        group: String,
        /// What the system said.
        source: io::Error,
    },
    /// Not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The configuration has no such stream.
    #[error("bus {bus} has no stream {found:?}: {} has {}{}", origin, known.join(", "), suggestion(found, known))]
    UnknownStream {
        /// The bus.
        bus: String,
        /// The name asked for.
        found: String,
        /// The configuration.
        origin: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Only the type can say how large the records are.
    #[error(
        "can not open stream {stream} without its type: {origin} gives type = {type_name:?} and no size; add size (bytes), \
         or open it with record_publisher"
    )]
    SizeUnknown {
        /// The stream.
        stream: String,
        /// The configuration.
        origin: String,
        /// The type that it names.
        type_name: String,
    },
    /// The program's type is not the one in the configuration.
    #[error(
        "can not open stream {stream} for {expected}: {origin} says {found}; correct the type there, or the one in the \
         program"
    )]
    RecordMismatch {
        /// The stream.
        stream: String,
        /// The configuration.
        origin: String,
        /// What the stream carries by the configuration.
        found: String,
        /// What the program's type is.
        expected: String,
    },
    /// The stream could not be opened for publishing.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stream could not be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

fn suggestion(found: &str, known: &[String]) -> String {
    nearest(found, known.iter().map(String::as_str))
        .map(|meant| format!("; did you mean {meant:?}?"))
        .unwrap_or_default()
}
