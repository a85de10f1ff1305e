//! Names of streams, and the System V keys that are made of them.

use crate::error::NameError;
use std::fmt;

/// The longest bus or stream name, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// The full name of a stream, `bus/stream`.
///
/// Both parts have 1 to [`MAX_NAME_BYTES`] characters out of `a-z A-Z 0-9 _ - .` and begin with a letter or digit.
///
/// ```
/// let name: framebus::StreamName = "robot/front".parse()?;
/// assert_eq!((name.bus(), name.stream()), ("robot", "front"));
/// # Ok::<(), framebus::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName {
    bus: String,
    stream: String,
}

impl StreamName {
    /// Joins a bus name and a stream name.
    ///
    /// # Errors
    /// [`NameError`] names the part and the character at fault.
    pub fn new(bus: &str, stream: &str) -> Result<Self, NameError> {
        check_part("bus", bus)?;
        check_part("stream", stream)?;
        Ok(Self { bus: bus.to_owned(), stream: stream.to_owned() })
    }

    /// The part before the slash.
    pub fn bus(&self) -> &str {
        &self.bus
    }

    /// The part behind the slash.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The System V key of the frames segment and of the semaphore set: FNV-1a (32 bit) of `bus/stream` without its
    /// top bit, and 1 where that is 0 (`IPC_PRIVATE`).
    ///
    /// Two names may share a key; the full name in the header tells them apart.
    pub fn key(&self) -> i32 {
        self.key_with(b"")
    }

    fn key_with(&self, suffix: &[u8]) -> i32 {
        let bytes = self.bus.bytes().chain(*b"/").chain(self.stream.bytes()).chain(suffix.iter().copied());
        let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        ((hash & 0x7fff_ffff) as i32).max(1)
    }

    /// The System V key of the places segment: [`key`](Self::key) with its top bit set.
    pub fn places_key(&self) -> i32 {
        self.key() | i32::MIN
    }

    /// The System V key of a segment that a publisher makes and removes at once, to see whether there is memory for another
    /// geometry: as [`key`](Self::key), of `bus/stream/new`.
    pub fn trial_key(&self) -> i32 {
        self.key_with(b"/new")
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.bus, self.stream)
    }
}

impl std::str::FromStr for StreamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((bus, stream)) => Self::new(bus, stream),
            None => Err(NameError::NoSlash { found: text.to_owned() }),
        }
    }
}

/// Checks one part of a name; `part` says which one in the error.
///
/// # Errors
/// [`NameError`] names the part and the character at fault.
pub fn check_part(part: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        return Err(NameError::Length { part, found: text.to_owned() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text.char_indices().find(|&(at, c)| !allowed(c) || (at == 0 && !c.is_ascii_alphanumeric())) {
        Some((at, character)) => Err(NameError::Character { part, found: text.to_owned(), character, at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_never_private_and_tell_the_segments_apart() {
        for stream in ["a", "front", "x.y-z_0"] {
            let name = StreamName::new("robot", stream).unwrap();
            assert!(name.key() > 0);
            assert!(name.places_key() < 0);
            assert!(name.trial_key() > 0 && name.trial_key() != name.key());
        }
    }

    #[test]
    fn odd_names_are_refused_with_the_character_at_fault() {
        assert_eq!(
            StreamName::new("robot", "fr ont").unwrap_err().to_string(),
            "stream name \"fr ont\" has ' ' at byte 2: a name has letters, digits, '_', '-' and '.' and begins with \
             a letter or digit"
        );
        assert!(StreamName::new("", "front").is_err());
        assert!(StreamName::new(".robot", "front").is_err());
        assert!(StreamName::new("robot", &"x".repeat(64)).is_err());
        assert!("front".parse::<StreamName>().is_err());
        assert!("robot/front/x".parse::<StreamName>().is_err());
    }
}
