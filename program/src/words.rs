//! Words for people on standard error, beside the log: they begin with no time, and `FRAMEBUS_LOG` does not silence them.
//!
//! Whether anybody reads them or not, the program goes on: that standard error is closed is never a failure. The journal of
//! systemd gets each line with its level, as the log's.

use std::fmt::Display;
use std::io::{self, Write};

use crate::log::is_journal;

/// How much words matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as one would expect it.
    Warning,
    /// All is well.
    Note,
}

impl Level {
    /// As sd-daemon(3) has it.
    fn priority(self) -> u8 {
        match self {
            Level::Error => 3,
            Level::Warning => 4,
            Level::Note => 6,
        }
    }
}

/// Says something on standard error, in one line or several.
pub fn say(level: Level, words: impl Display) {
    // In one piece: others write there, too.
    let _ = io::stderr().write_all(lines(level, &words.to_string(), is_journal()).as_bytes());
}

/// The lines as they are written. The journal takes each for itself, and knows a level only where it stands before it.
fn lines(level: Level, words: &str, journal: bool) -> String {
    let level = if journal { format!("<{}>", level.priority()) } else { String::new() };
    words.lines().map(|line| format!("{level}{line}\n")).collect()
}

/// Standard output of a command that goes on with its work where nobody reads it any longer.
#[derive(Debug, Default)]
pub struct Output {
    /// Why it is written to no longer.
    failure: Option<io::Error>,
}

impl Output {
    /// Writes a line, unless one before it could not be written.
    pub fn line(&mut self, line: impl Display) {
        self.write(&mut io::stdout().lock(), line);
    }

    fn write(&mut self, out: &mut impl Write, line: impl Display) {
        if self.failure.is_none() {
            self.failure = writeln!(out, "{line}").err();
        }
    }

    /// When the work is done: whether all was written.
    ///
    /// # Errors
    /// The first line that could not be written.
    pub fn finish(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_the_level_with_each_line_and_nobody_else_does() {
        let words = "error: two mistakes\n  line 4\n\n  line 9";
        assert_eq!(lines(Level::Error, words, true), "<3>error: two mistakes\n<3>  line 4\n<3>\n<3>  line 9\n");
        assert_eq!(lines(Level::Error, words, false), format!("{words}\n"));
        assert_eq!(lines(Level::Warning, "kept", true), "<4>kept\n");
        assert_eq!(lines(Level::Note, "3 removed", true), "<6>3 removed\n");
    }

    /// Takes so many bytes.
    struct Pipe(usize);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_stops_no_work_and_is_known_at_the_end() {
        let (mut output, mut pipe) = (Output::default(), Pipe("removed a/b\n".len()));
        output.write(&mut pipe, "removed a/b");
        assert!(output.failure.is_none());
        output.write(&mut pipe, "removed a/c");
        // There would be room again, for a line without the one before it.
        output.write(&mut Pipe(100), "removed a/d");
        assert_eq!(output.finish().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
