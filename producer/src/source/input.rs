//! Bytes from a file, a named pipe or standard input, in a way that Ctrl-C can interrupt.
//!
//! A blocking read(2) is restarted after a signal, so it is never begun before poll(2) says that it will not block; and
//! poll is called with a short timeout, so a signal that comes just before it is seen too.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::pipe::fcntl_setpipe_size;
use rustix::time::Timespec;

use crate::stop::Stop;
use framebus_program::usage;

/// What is read ahead at most, for lines; payloads are read to where they belong.
const AHEAD_BYTES: usize = 4096;

/// Longest time without a look at the stop.
const SLICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Room for whoever writes into the pipe to be ahead; what an unprivileged process may ask for by default (pipe(7)).
const PIPE_BYTES: usize = 1 << 20;

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All that was asked for is there.
    Whole,
    /// The input was at its end after so many bytes.
    Short(usize),
    /// It is time to stop.
    Stopped,
}

/// An input.
#[derive(Debug)]
pub(crate) struct Input {
    reader: Reader,
    ahead: Box<[u8]>,
    /// The bytes of `ahead` that were not taken yet.
    begin: usize,
    end: usize,
}

/// A file, and what ends the wait for it.
#[derive(Debug)]
struct Reader {
    /// As the user wrote it, for messages.
    name: String,
    file: File,
    stop: Stop,
}

impl Reader {
    /// Waits for bytes, and reads some; `Some(0)` at the end, `None`: it is time to stop.
    fn read(&self, bytes: &mut [u8]) -> anyhow::Result<Option<usize>> {
        while !self.stop.is_due() {
            // A file is always ready; a pipe whose writer is gone is too, and the read says that it is at its end.
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&SLICE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error).with_context(|| format!("can not wait for {}", self.name)),
            }
            match (&self.file).read(bytes) {
                // WouldBlock: another reader of the same pipe was quicker.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                result => return result.map(Some).with_context(|| format!("can not read {}", self.name)),
            }
        }
        Ok(None)
    }
}

impl Input {
    /// Opens a path, `-` being standard input; `name` is what messages call it.
    pub(crate) fn open(path: &str, name: String, stop: &Stop) -> anyhow::Result<Self> {
        let file = match path {
            "-" => std::io::stdin().as_fd().try_clone_to_owned().map(File::from),
            // Without O_NONBLOCK, opening a named pipe would wait for its writer.
            path => OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path),
        };
        let file = file.with_context(|| format!("can not open {name}"))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            anyhow::bail!("can not read {name}: it is a directory, expected a file or a pipe");
        }
        // Not a pipe, or not allowed: then it stays as it is.
        let _ = fcntl_setpipe_size(&file, PIPE_BYTES);
        Ok(Self::new(Reader { name, file, stop: stop.clone() }))
    }

    /// The end of a pipe into which somebody else writes.
    pub(crate) fn from_pipe(file: File, name: String, stop: &Stop) -> Self {
        let _ = fcntl_setpipe_size(&file, PIPE_BYTES);
        Self::new(Reader { name, file, stop: stop.clone() })
    }

    fn new(reader: Reader) -> Self {
        Self { reader, ahead: vec![0; AHEAD_BYTES].into(), begin: 0, end: 0 }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.reader.name
    }

    /// Fails where the input can not be read twice.
    pub(crate) fn check_can_rewind(&mut self) -> anyhow::Result<()> {
        match self.reader.file.stream_position() {
            Ok(_) => Ok(()),
            Err(_) => Err(usage!(
                "can not start {} over (--loop): it is a pipe, expected a file; leave out --loop",
                self.reader.name
            )),
        }
    }

    /// Goes to byte `position` of the file.
    pub(crate) fn rewind_to(&mut self, position: u64) -> anyhow::Result<()> {
        (self.begin, self.end) = (0, 0);
        self.reader
            .file
            .seek(SeekFrom::Start(position))
            .with_context(|| format!("can not start {} over", self.name()))?;
        Ok(())
    }

    /// Waits for the next byte, and leaves it there; `Short(0)` at the end.
    pub(crate) fn peek(&mut self) -> anyhow::Result<Ended> {
        if self.begin < self.end {
            return Ok(Ended::Whole);
        }
        let count = self.reader.read(&mut self.ahead)?;
        (self.begin, self.end) = (0, count.unwrap_or(0));
        Ok(match count {
            None => Ended::Stopped,
            Some(0) => Ended::Short(0),
            Some(_) => Ended::Whole,
        })
    }

    /// Waits until it is clear whether the input begins with `prefix` (at most [`AHEAD_BYTES`]), and takes nothing:
    /// `Whole` if it does, else how many bytes were there, the first that differs included.
    pub(crate) fn begins_with(&mut self, prefix: &[u8]) -> anyhow::Result<Ended> {
        loop {
            let ahead = &self.ahead[self.begin..self.end];
            if ahead.starts_with(prefix) {
                return Ok(Ended::Whole);
            }
            if !prefix.starts_with(ahead) {
                return Ok(Ended::Short(ahead.len()));
            }
            self.ahead.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            match self.reader.read(&mut self.ahead[self.end..])? {
                None => return Ok(Ended::Stopped),
                Some(0) => return Ok(Ended::Short(self.end)),
                Some(count) => self.end += count,
            }
        }
    }

    /// Appends to `line` what comes before the next newline, which is taken and left out; `Short` where the input, or the
    /// patience of `most` bytes, ends before one.
    pub(crate) fn read_line(&mut self, line: &mut Vec<u8>, most: usize) -> anyhow::Result<Ended> {
        loop {
            match self.peek()? {
                Ended::Whole => {}
                Ended::Short(_) => return Ok(Ended::Short(line.len())),
                Ended::Stopped => return Ok(Ended::Stopped),
            }
            let ahead = &self.ahead[self.begin..self.end];
            let newline = ahead.iter().position(|&byte| byte == b'\n');
            let taken = newline.unwrap_or(ahead.len());
            line.extend_from_slice(&ahead[..taken]);
            self.begin += taken + usize::from(newline.is_some());
            if line.len() > most {
                return Ok(Ended::Short(line.len()));
            }
            if newline.is_some() {
                return Ok(Ended::Whole);
            }
        }
    }

    /// Fills `bytes`, but for what was read ahead without a copy in between.
    pub(crate) fn read_whole(&mut self, bytes: &mut [u8]) -> anyhow::Result<Ended> {
        let mut filled = bytes.len().min(self.end - self.begin);
        bytes[..filled].copy_from_slice(&self.ahead[self.begin..self.begin + filled]);
        self.begin += filled;
        while filled < bytes.len() {
            match self.reader.read(&mut bytes[filled..])? {
                None => return Ok(Ended::Stopped),
                Some(0) => return Ok(Ended::Short(filled)),
                Some(count) => filled += count,
            }
        }
        Ok(Ended::Whole)
    }

    /// Takes `bytes` bytes and forgets them.
    pub(crate) fn skip(&mut self, bytes: usize) -> anyhow::Result<Ended> {
        let mut scratch = vec![0; bytes.min(1 << 16)];
        let mut skipped = 0;
        while skipped < bytes {
            let part = scratch.len().min(bytes - skipped);
            match self.read_whole(&mut scratch[..part])? {
                Ended::Whole => skipped += part,
                Ended::Short(count) => return Ok(Ended::Short(skipped + count)),
                Ended::Stopped => return Ok(Ended::Stopped),
            }
        }
        Ok(Ended::Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn input(content: &[u8]) -> Input {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        Input::open(file.path().to_str().unwrap(), "test".to_owned(), &Stop::never()).unwrap()
    }

    #[test]
    fn lines_and_payloads_follow_each_other() {
        let mut input = input(b"one\nPAYLOADtwo\nrest");
        let (mut line, mut payload) = (Vec::new(), [0; 7]);
        assert_eq!(input.read_line(&mut line, 100).unwrap(), Ended::Whole);
        assert_eq!(input.read_whole(&mut payload).unwrap(), Ended::Whole);
        assert_eq!((line.as_slice(), &payload), (&b"one"[..], b"PAYLOAD"));
        line.clear();
        assert_eq!(input.read_line(&mut line, 100).unwrap(), Ended::Whole);
        assert_eq!(line, b"two");
        assert_eq!(input.peek().unwrap(), Ended::Whole);
        assert_eq!(input.read_whole(&mut payload).unwrap(), Ended::Short(4));
        assert_eq!(input.peek().unwrap(), Ended::Short(0));
    }

    #[test]
    fn a_payload_larger_than_what_is_read_ahead_comes_whole() {
        let content: Vec<u8> = (0..3 * AHEAD_BYTES + 5).map(|at| at as u8).collect();
        let mut input = input(&content);
        assert_eq!(input.peek().unwrap(), Ended::Whole);
        let mut found = vec![0; content.len() - 9];
        assert_eq!(input.read_whole(&mut found).unwrap(), Ended::Whole);
        assert_eq!(found, content[..found.len()]);
        assert_eq!(input.skip(100).unwrap(), Ended::Short(9));
        input.rewind_to(1).unwrap();
        assert_eq!(input.skip(content.len() - 1).unwrap(), Ended::Whole);
        assert_eq!(input.peek().unwrap(), Ended::Short(0));
    }

    #[test]
    fn what_an_input_begins_with_is_told_and_left_there() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        let mut piped = Input::from_pipe(file, "pipe".to_owned(), &Stop::never());
        writer.write_all(b"YUV").unwrap();
        assert_eq!(piped.peek().unwrap(), Ended::Whole);
        writer.write_all(b"4MPEG2 W8\n").unwrap();
        assert_eq!(piped.begins_with(b"YUV4MPEG2 ").unwrap(), Ended::Whole);
        let mut line = Vec::new();
        piped.read_line(&mut line, 100).unwrap();
        assert_eq!(line, b"YUV4MPEG2 W8");
        assert!(matches!(input(b"YUX and so on").begins_with(b"YUV4MPEG2 ").unwrap(), Ended::Short(3..)));
        assert_eq!(input(b"YUV").begins_with(b"YUV4MPEG2 ").unwrap(), Ended::Short(3));
        assert_eq!(input(b"").begins_with(b"YUV4MPEG2 ").unwrap(), Ended::Short(0));
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut input = input(&[b'x'; 300]);
        assert_eq!(input.read_line(&mut Vec::new(), 200).unwrap(), Ended::Short(300));
    }

    #[test]
    fn a_stop_ends_the_wait_for_a_pipe_to_which_nobody_writes() {
        let (reader, writer) = std::io::pipe().unwrap();
        let stop = Stop::never();
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        let mut input = Input::new(Reader { name: "pipe".to_owned(), file, stop: stop.clone() });
        let asker = std::thread::spawn(move || stop.ask());
        assert_eq!(input.read_whole(&mut [0; 1]).unwrap(), Ended::Stopped);
        asker.join().unwrap();
        drop(writer);
    }
}
