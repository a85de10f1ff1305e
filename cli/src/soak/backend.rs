//! Which backends a soak runs on, and its streams, each on one of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use framebus::{Backend, RemoveError, StreamName, StreamStatus, SubscriberOptions, SystemError};

/// What `--backend` says: one, or both in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backends(Vec<Backend>);

impl Backends {
    /// The streams take them in turn.
    pub(super) fn list(&self) -> &[Backend] {
        &self.0
    }
}

impl FromStr for Backends {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "both" {
            return Ok(Self(vec![Backend::SysV, Backend::default_file()]));
        }
        let backend = text.parse().map_err(|error| format!("{error}; or \"both\""))?;
        Ok(Self(vec![backend]))
    }
}

/// Options of a subscriber of our own.
pub(super) fn subscriber(backend: &Backend, label: &str, patience: Duration) -> SubscriberOptions {
    let mut options = SubscriberOptions::default();
    (options.backend, options.label, options.patience) = (backend.clone(), label.to_owned(), patience);
    options
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
        Ok(framebus::list(&self.backend)?.into_iter().find(|status| status.name == self.name))
    }

    /// Removes what a producer left.
    pub(super) fn remove(&self) -> Result<(), RemoveError> {
        framebus::remove(&self.backend, &self.name, true)
    }
}

/// `BUS/STREAM@BACKEND`, for the guard: there is no @ in a name.
impl fmt::Display for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.name, self.backend)
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, backend) = text.split_once('@').ok_or("expected BUS/STREAM@BACKEND")?;
        let name = name.parse().map_err(|error: framebus::NameError| error.to_string())?;
        let backend = backend.parse().map_err(|error: framebus::BackendError| error.to_string())?;
        Ok(Self { name, backend })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_reads_what_it_is_told() {
        for backend in "both".parse::<Backends>().unwrap().list() {
            let stream = Stream { name: StreamName::new("a", "b").unwrap(), backend: backend.clone() };
            assert_eq!(stream.to_string().parse(), Ok(stream));
        }
        assert!("a/b".parse::<Stream>().is_err() && "a/b@tape".parse::<Stream>().is_err());
        assert!("tape".parse::<Backends>().is_err());
    }
}
