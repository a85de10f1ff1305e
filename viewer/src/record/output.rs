//! Where a frame of a recording goes: to a picture of its own, or behind the others in a raw file.

use super::Job;
use super::folder::Folder;
use crate::arguments::RecordKind;
use anyhow::Context;
use framebus::{ImageShape, ImageView};
use framebus_picture::{FileKind, picture, save};
use std::fs::{self, File, OpenOptions};
use std::io::Write;

/// Where a frame is.
#[derive(Debug)]
pub(super) struct Place {
    /// Name in the folder.
    pub file: String,
    /// Where it begins there; 0 in a picture.
    pub offset_bytes: u64,
}

/// A thread's way of writing.
#[derive(Debug)]
pub(super) enum Output {
    Pictures(FileKind),
    /// The file that is written; `None` before the first frame.
    Raw(Option<RawFile>),
}

impl Output {
    pub(super) fn new(kind: RecordKind) -> Self {
        kind.picture().map_or(Self::Raw(None), Self::Pictures)
    }

    /// Writes a frame, whole or not at all.
    pub(super) fn write(&mut self, folder: &Folder, job: &Job) -> anyhow::Result<Place> {
        match self {
            Self::Pictures(kind) => write_picture(*kind, folder, job),
            Self::Raw(file) => {
                // Frames of another shape are read with other options.
                if file.as_ref().is_none_or(|file| file.shape != job.shape) {
                    *file = Some(RawFile::create(folder, job)?);
                }
                file.as_mut().context("a raw file was just opened")?.append(folder, job)
            }
        }
    }
}

fn write_picture(kind: FileKind, folder: &Folder, job: &Job) -> anyhow::Result<Place> {
    let view = job.shape.and_then(|shape| ImageView::new(shape, &job.bytes));
    let view = view.context("the stream carries no images any more; only --record-kind raw records other frames")?;
    let file = folder.name(job.sequence, kind.end());
    save(&picture(view)?, &folder.path().join(&file))?;
    Ok(Place { file, offset_bytes: 0 })
}

/// Frames one after the other, without padding, and nothing between them.
#[derive(Debug)]
pub(super) struct RawFile {
    file: File,
    name: String,
    shape: Option<ImageShape>,
    /// Whole frames.
    bytes: u64,
}

impl RawFile {
    fn create(folder: &Folder, job: &Job) -> anyhow::Result<Self> {
        let name = folder.name(job.sequence, "raw");
        let path = folder.path().join(&name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.with_context(|| format!("can not make {}", path.display()))?;
        Ok(Self { file, name, shape: job.shape, bytes: 0 })
    }

    fn append(&mut self, folder: &Folder, job: &Job) -> anyhow::Result<Place> {
        if let Err(error) = self.file.write_all(&job.bytes) {
            let path = folder.path().join(&self.name);
            // The first error is the one to tell.
            let _ = match self.bytes {
                0 => fs::remove_file(&path),
                whole => self.file.set_len(whole),
            };
            return Err(error).with_context(|| format!("can not write {}", path.display()));
        }
        let place = Place { file: self.name.clone(), offset_bytes: self.bytes };
        self.bytes += job.bytes.len() as u64;
        Ok(place)
    }
}
