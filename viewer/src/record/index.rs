//! The index of a recording: a CSV file beside the frames, one row a frame, in the order in which they were taken.
//!
//! A row is written when its frame's file is whole, so what the index names is there. Threads end in any order; a row
//! waits until those before it are written.

use super::folder::Folder;
use super::output::Place;
use super::{Job, Newest};
use anyhow::{Context, bail};
use framebus::StreamName;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;

/// Its first line.
const HEADER: &str =
    "file,stream,sequence,captured_at,capture_ns,publish_ns,width,height,format,offset_bytes,payload_bytes\n";

/// What a row says of a frame.
pub(super) struct Row<'a> {
    pub place: Place,
    pub job: &'a Job,
}

impl Row<'_> {
    /// No field needs quotes: names of streams, formats and files have neither commas nor spaces.
    pub(super) fn text(&self, stream: &StreamName) -> String {
        let Self { place: Place { file, offset_bytes }, job } = self;
        let Job { sequence, capture_ns, publish_ns, .. } = job;
        let captured_at = humantime::format_rfc3339_nanos(job.captured_at);
        let shape = job
            .shape
            .map_or(",,".to_owned(), |shape| format!("{},{},{}", shape.width(), shape.height(), shape.format()));
        let bytes = job.bytes.len();
        format!("{file},{stream},{sequence},{captured_at},{capture_ns},{publish_ns},{shape},{offset_bytes},{bytes}\n")
    }
}

/// The stream and the frame of a row.
fn read(row: &str) -> Option<(&str, Newest)> {
    let mut fields = row.split(',').skip(1);
    let stream = fields.next()?;
    let sequence = fields.next()?.parse().ok()?;
    let at = humantime::parse_rfc3339(fields.next()?).ok()?;
    Some((stream, Newest { sequence, at }))
}

/// The file, which is ours alone as long as it is open.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    path: PathBuf,
    /// Length of the file, in bytes: whole rows.
    bytes: u64,
    /// Rows written by this run.
    rows: u64,
    /// The ticket whose row is the next one.
    next: u64,
    waiting: BTreeMap<u64, String>,
}

impl Index {
    /// Opens the folder's index, or makes it; also returns the newest frame in it.
    pub(super) fn open(folder: &Folder, stream: &StreamName) -> anyhow::Result<(Self, Option<Newest>)> {
        let path = folder.index_file();
        let context = || format!("can not open the index {}", path.display());
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).with_context(context)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                bail!("can not record to {}: another viewer records stream {} there", folder.path().display(), stream)
            }
            Err(error) => return Err(error).with_context(context),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(context)?;
        let (bytes, rows, next, waiting) = (0, 0, 0, BTreeMap::new());
        let mut index = Self { file, path: path.clone(), bytes, rows, next, waiting };
        // What a killed run left without an end is no row.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        // Nothing yet, or the beginning of a header: what else has no line's end is not ours to cut.
        if whole.is_empty() && HEADER.starts_with(&text) {
            index.file.set_len(0).with_context(context)?;
            index.write(HEADER)?;
            return Ok((index, None));
        }
        let Some(earlier) = whole.strip_prefix(HEADER) else {
            bail!(
                "can not go on with the index {}: it is no index of a recording, or of another version",
                path.display()
            );
        };
        let mut newest: Option<Newest> = None;
        for (number, row) in earlier.lines().enumerate() {
            let Some((found, row)) = read(row) else {
                bail!("can not go on with the index {}: line {} is no row: {row:?}", path.display(), number + 2);
            };
            if found != stream.to_string() {
                bail!(
                    "can not record stream {stream} to {}: stream {found} was recorded there; choose another folder",
                    folder.path().display()
                );
            }
            newest = newest.filter(|newest| newest.sequence > row.sequence).or(Some(row));
        }
        index.bytes = whole.len() as u64;
        index.file.set_len(index.bytes).with_context(context)?;
        Ok((index, newest))
    }

    /// Rows written by this run.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a row, as soon as all before it are there.
    pub(super) fn add(&mut self, ticket: u64, row: String) -> anyhow::Result<()> {
        self.waiting.insert(ticket, row);
        while let Some(row) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.write(&row)?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Writes the rows that wait for one that never came, because its frame could not be written.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        for row in std::mem::take(&mut self.waiting).into_values() {
            self.write(&row)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn write(&mut self, row: &str) -> anyhow::Result<()> {
        if let Err(error) = self.file.write_all(row.as_bytes()) {
            // Half a row, on a full disk. The first error is the one to tell.
            let _ = self.file.set_len(self.bytes);
            return Err(error).with_context(|| format!("can not write the index {}", self.path.display()));
        }
        self.bytes += row.len() as u64;
        Ok(())
    }
}
