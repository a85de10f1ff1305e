//! Where frames lie. All that depends on it is asked for here, so that another backend is a matter of this file.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use framebus::{RemoveError, StreamName, StreamOptions, StreamStatus, SubscriberOptions, SystemError};

/// What `--backend` offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Backends {
    /// System V shared memory, the only one so far
    Sysv,
}

impl Backends {
    /// The streams take them in turn.
    pub(super) fn list(self) -> &'static [Backend] {
        match self {
            Backends::Sysv => &[Backend::SysV],
        }
    }
}

/// Where a stream's frames lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    SysV,
}

impl Backend {
    /// As the programs' `--backend` and the report have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Backend::SysV => "sysv",
        }
    }

    /// What else a producer or viewer is told.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Backend::SysV => &[],
        }
    }

    /// All streams that there are.
    pub(super) fn list(self) -> Result<Vec<StreamStatus>, SystemError> {
        match self {
            Backend::SysV => framebus::list(),
        }
    }

    /// Makes a stream's options those of this backend.
    pub(super) fn set(self, _options: &mut StreamOptions) {
        match self {
            Backend::SysV => {}
        }
    }

    /// Options of a subscriber of our own.
    pub(super) fn subscriber(self, label: &str, patience: Duration) -> SubscriberOptions {
        let mut options = SubscriberOptions::default();
        (options.label, options.patience) = (label.to_owned(), patience);
        match self {
            Backend::SysV => options,
        }
    }
}

/// A stream of the soak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub name: StreamName,
    pub backend: Backend,
}

impl Stream {
    /// As it is at this moment, if it is there.
    pub(super) fn status(&self) -> Result<Option<StreamStatus>, SystemError> {
        Ok(self.backend.list()?.into_iter().find(|status| status.name == self.name))
    }

    /// Removes what a producer left.
    pub(super) fn remove(&self) -> Result<(), RemoveError> {
        match self.backend {
            Backend::SysV => framebus::remove(&self.name, true),
        }
    }
}

/// `BUS/STREAM@BACKEND`, for the guard: there is no @ in a name.
impl fmt::Display for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.name, self.backend.name())
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('@') {
            Some((name, "sysv")) => {
                let name = name.parse().map_err(|error: framebus::NameError| error.to_string())?;
                Ok(Self { name, backend: Backend::SysV })
            }
            _ => Err("expected BUS/STREAM@sysv".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_reads_what_it_is_told() {
        let stream = Stream { name: StreamName::new("a", "b").unwrap(), backend: Backend::SysV };
        assert_eq!(stream.to_string().parse(), Ok(stream));
        assert!("a/b".parse::<Stream>().is_err() && "a/b@tape".parse::<Stream>().is_err());
    }
}
