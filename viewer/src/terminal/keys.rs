//! The keyboard of a terminal in raw mode: bytes become keys.
//!
//! Not by crossterm's events: they lose a key that comes together with a change of size, until the next key comes.

use crate::face::{Direction, Key};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A byte of escape that nothing follows within this time is the key.
const ESCAPE_ALONE: Duration = Duration::from_millis(60);

const ESCAPE: u8 = 0x1B;

/// Where keys come from: standard input, or the terminal of the session where that is none. `None` without either.
#[derive(Debug)]
pub(crate) struct Keyboard {
    terminal: Option<File>,
    /// What is not whole yet, and since when.
    pending: Vec<u8>,
    since: Instant,
}

impl Keyboard {
    pub(crate) fn open() -> Self {
        let stdin = io::stdin();
        let terminal = match stdin.is_terminal() {
            true => stdin.as_fd().try_clone_to_owned().map(File::from).ok(),
            false => File::open("/dev/tty").ok(),
        };
        Self { terminal, pending: Vec::new(), since: Instant::now() }
    }

    /// Bytes as they come, none after so long; `None` where there is no keyboard.
    ///
    /// # Errors
    /// A terminal that is gone.
    pub(crate) fn read(&mut self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        let Some(terminal) = &mut self.terminal else { return Ok(None) };
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&patience)) {
            Ok(1..) => {}
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Some(Vec::new())),
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 256];
        match terminal.read(&mut bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => Ok(Some(bytes[..length].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Some(Vec::new())),
            Err(error) => Err(error),
        }
    }

    /// Keys since the last call.
    ///
    /// # Errors
    /// A terminal that is gone.
    pub(crate) fn keys(&mut self) -> io::Result<Vec<Key>> {
        let bytes = self.read(Duration::ZERO)?.unwrap_or_default();
        if !bytes.is_empty() {
            self.pending.extend(bytes);
            self.since = Instant::now();
        }
        let mut keys = Vec::new();
        let used = take_keys(&self.pending, &mut keys);
        self.pending.drain(..used);
        if !self.pending.is_empty() && self.since.elapsed() > ESCAPE_ALONE {
            keys.extend((self.pending == [ESCAPE]).then_some(Key::Quit));
            self.pending.clear();
        }
        Ok(keys)
    }
}

/// Finds keys in bytes; returns how many bytes are used up. What may go on is left.
fn take_keys(bytes: &[u8], keys: &mut Vec<Key>) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let Some(length) = length_of(rest) else { break };
        keys.extend(match &rest[..length] {
            [ESCAPE, b'[' | b'O', .., b'C'] => Some(Key::Step),
            [byte] => meaning(*byte),
            _ => None,
        });
        at += length;
    }
    at
}

/// How many bytes the first key has, or the first answer to a question; `None` where it is not whole.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let behind = |found: Option<usize>, more: usize| found.map(|at| 2 + at + more);
    match bytes {
        [ESCAPE, b'[' | b'O', rest @ ..] => behind(rest.iter().position(|byte| (0x40..0x7F).contains(byte)), 1),
        // Strings, which end with ESC \.
        [ESCAPE, b'_' | b'P' | b']', rest @ ..] => behind(rest.windows(2).position(|end| end == b"\x1b\\"), 2),
        [ESCAPE, ESCAPE, ..] => Some(1),
        [ESCAPE, _, ..] => Some(2),
        [ESCAPE] | [] => None,
        _ => Some(1),
    }
}

fn meaning(byte: u8) -> Option<Key> {
    Some(match byte {
        b' ' => Key::Pause,
        b'.' => Key::Step,
        b's' => Key::Snapshot,
        b'n' => Key::Turn(Direction::Next),
        b'p' => Key::Turn(Direction::Previous),
        b'o' => Key::Overlay,
        b'c' => Key::Palette,
        b'f' => Key::ActualSize,
        // Ctrl-C is a key in raw mode, and no signal; and escape twice is escape.
        b'q' | 0x03 | ESCAPE => Key::Quit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> (Vec<Key>, &[u8]) {
        let mut keys = Vec::new();
        let used = take_keys(bytes, &mut keys);
        (keys, &bytes[used..])
    }

    #[test]
    fn keys_are_found_in_what_a_terminal_sends() {
        assert_eq!(keys(b" .sx"), (vec![Key::Pause, Key::Step, Key::Snapshot], &b""[..]));
        assert_eq!(keys(b"\x1b[C\x1bOC\x1b[1;2Cq"), (vec![Key::Step, Key::Step, Key::Step, Key::Quit], &b""[..]));
        assert_eq!(keys(b"\x03"), (vec![Key::Quit], &b""[..]));
        // Other arrows, a key with alt, and late answers are no keys.
        assert_eq!(keys(b"\x1b[A\x1bq\x1b[?62;4;22c\x1b_Gi=1;OK\x1b\\"), (vec![], &b""[..]));
    }

    #[test]
    fn what_may_go_on_is_waited_for() {
        assert_eq!(keys(b"n\x1b"), (vec![Key::Turn(Direction::Next)], &b"\x1b"[..]));
        assert_eq!(keys(b"\x1b["), (vec![], &b"\x1b["[..]));
        assert_eq!(keys(b"\x1b_Gi=1;OK"), (vec![], &b"\x1b_Gi=1;OK"[..]));
    }
}
