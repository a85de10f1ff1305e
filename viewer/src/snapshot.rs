//! `--snapshot`: one frame to a picture file.
//!
//! The frame is copied in the viewer's loop, and encoded and written on a thread of its own, so that the loop goes on
//! meanwhile. The file appears whole or not at all: it is written under another name beside, and renamed.

use crate::picture::{picture, remark};
use anyhow::{Context, anyhow, bail};
use framebus::ImageView;
use framebus_program::UsageError;
use image::{DynamicImage, ImageFormat};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Formats of picture files, by the ends of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Png,
    Jpeg,
}

impl FileKind {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let end = path.extension()?.to_str()?.to_ascii_lowercase();
        match end.as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }
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
        if number != self.after {
            return Ok(None);
        }
        let view = view.with_context(|| {
            format!("can not save {}: the stream carries no images, and only images have pictures", self.path.display())
        })?;
        let (picture, path) = (picture(view)?, self.path.clone());
        self.writing = Some(std::thread::spawn(move || save(&picture, &path)));
        let remark = remark(view.shape().format()).map(|remark| format!(" ({remark})")).unwrap_or_default();
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

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a picture to a file that appears whole or not at all.
fn save(picture: &DynamicImage, path: &Path) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = directory_of(path).join(format!(".{name}.{}", std::process::id()));
    let result = write(picture, FileKind::of(path), &beside)
        .and_then(|()| fs::rename(&beside, path).map_err(Into::into))
        .with_context(|| format!("can not save {}", path.display()));
    if result.is_err() {
        // The first error is the one to tell; a file that was never created can not be removed.
        let _ = fs::remove_file(&beside);
    }
    result
}

fn write(picture: &DynamicImage, kind: Option<FileKind>, path: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    match kind {
        Some(FileKind::Jpeg) => for_jpeg(picture).write_to(&mut file, ImageFormat::Jpeg)?,
        _ => picture.write_to(&mut file, ImageFormat::Png)?,
    }
    file.flush()?;
    Ok(())
}

/// JPEG has 8 bits and no transparency.
fn for_jpeg(picture: &DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_) => picture.to_luma8().into(),
        _ => picture.to_rgb8().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma, Rgba};

    #[test]
    fn sixteen_bits_survive_png_and_become_eight_in_jpeg() {
        let directory = tempfile::tempdir().unwrap();
        let deep = DynamicImage::from(ImageBuffer::from_pixel(16, 16, Luma([0x8081_u16])));
        let (png, jpeg) = (directory.path().join("a.png"), directory.path().join("a.jpeg"));
        save(&deep, &png).unwrap();
        save(&deep, &jpeg).unwrap();
        assert_eq!(image::open(&png).unwrap(), deep);
        let shallow = image::open(&jpeg).unwrap();
        assert!(shallow.as_luma8().unwrap().pixels().all(|pixel| pixel.0[0].abs_diff(0x80) <= 2));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left beside");
    }

    #[test]
    fn transparency_is_dropped_for_jpeg() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jpg");
        save(&ImageBuffer::from_pixel(16, 16, Rgba([10_u8, 200, 30, 0])).into(), &path).unwrap();
        assert_eq!(image::open(&path).unwrap().color(), image::ColorType::Rgb8);
    }

    #[test]
    fn a_failure_leaves_nothing_behind_and_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        // A directory can not be replaced by a file.
        let path = directory.path().join("a.png");
        fs::create_dir(&path).unwrap();
        let picture = DynamicImage::new_rgb8(2, 2);
        let error = save(&picture, &path).unwrap_err();
        assert!(error.to_string().contains("can not save"), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_snapshot_that_can_not_be_is_refused_before_the_first_frame() {
        assert!(Snapshot::new(Path::new("no/such/directory/a.png"), 1, None).is_err());
        assert!(Snapshot::new(Path::new("a.png"), 5, Some(4)).unwrap_err().0.contains("never comes"));
        let error = Snapshot::new(Path::new("a.png"), 5, None).unwrap().finish(3).unwrap_err().to_string();
        assert!(error.contains("frame 5 after attaching, and 3 came"), "{error}");
    }
}
