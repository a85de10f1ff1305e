//! `--snapshot`: one frame to a picture file.
//!
//! The frame is copied in the viewer's loop, and encoded and written on a thread of its own, so that the loop goes on
//! meanwhile. The file appears whole or not at all: it is written under another name beside, and renamed.

use anyhow::{Context, anyhow, bail};
use framebus::ImageView;
use framebus_picture::{FileKind, Still, save};
use framebus_program::UsageError;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A snapshot on its way.
#[derive(Debug)]
pub(crate) struct Snapshot {
    path: PathBuf,
    /// Number of the frame since attaching, from 1.
    after: u64,
    writing: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Snapshot {
    /// Takes frame number `after` into this file, later.
    pub(crate) fn new(path: &Path, after: u64, frames: Option<u64>) -> Result<Self, UsageError> {
        let directory = directory_of(path);
        if !directory.is_dir() {
            return Err(UsageError(format!(
                "can not save {}: there is no directory {}; create it first",
                path.display(),
                directory.display()
            )));
        }
        if let Some(frames) = frames.filter(|frames| *frames < after) {
            return Err(UsageError(format!(
                "--snapshot-after {after} never comes with --frames {frames}: expected at most {frames}"
            )));
        }
        Ok(Self { path: path.to_owned(), after, writing: None })
    }

    /// Offers frame number `number`; where it is the one, begins to save it, and returns what there is to say.
    pub(crate) fn offer(&mut self, number: u64, view: Option<ImageView<'_>>) -> anyhow::Result<Option<String>> {
        if number != self.after || self.is_begun() {
            return Ok(None);
        }
        let view = view.with_context(|| {
            format!("can not save {}: the stream carries no images, and only images have pictures", self.path.display())
        })?;
        let (still, path) = (Still::of(view), self.path.clone());
        let thread = std::thread::Builder::new().name("snapshot".to_owned());
        let writing = thread.spawn(move || save(&still.picture()?, &path));
        self.writing = Some(writing.context("can not start a thread to save a snapshot")?);
        let remark = FileKind::of(&self.path).and_then(|kind| kind.remark(view.shape().format()));
        let remark = remark.map(|remark| format!(" ({remark})")).unwrap_or_default();
        Ok(Some(format!("saving a snapshot of {} to {}{remark}", view.shape(), self.path.display())))
    }

    /// Whether its frame has come.
    pub(crate) fn is_begun(&self) -> bool {
        self.writing.is_some()
    }

    /// Waits until the file is there. `frames`: how many came.
    pub(crate) fn finish(self, frames: u64) -> anyhow::Result<()> {
        match self.writing {
            Some(writing) => writing.join().unwrap_or_else(|_| Err(anyhow!("the thread that saved it panicked"))),
            None => bail!(
                "{} was not saved: it was to be frame {} after attaching, and {frames} came; use more --frames or \
                 --seconds",
                self.path.display(),
                self.after
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_can_not_be_is_refused_before_the_first_frame() {
        assert!(Snapshot::new(Path::new("no/such/directory/a.png"), 1, None).is_err());
        assert!(Snapshot::new(Path::new("a.png"), 5, Some(4)).unwrap_err().0.contains("never comes"));
        let error = Snapshot::new(Path::new("a.png"), 5, None).unwrap().finish(3).unwrap_err().to_string();
        assert!(error.contains("frame 5 after attaching, and 3 came"), "{error}");
    }
}
