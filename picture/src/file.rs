//! Picture files: whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use anyhow::Context;
use image::{DynamicImage, ImageFormat};

/// Formats of picture files, by the ends of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// 8 or 16 bits, lossless.
    Png,
    /// 8 bits, without transparency.
    Jpeg,
    /// 8 or 16 bits, lossless, and quicker written than PNG.
    Tiff,
}

impl FileKind {
    /// That of a file's name.
    pub fn of(path: &Path) -> Option<Self> {
        let end = path.extension()?.to_str()?.to_ascii_lowercase();
        match end.as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "tif" | "tiff" => Some(Self::Tiff),
            _ => None,
        }
    }

    /// Writes a picture so.
    ///
    /// # Errors
    /// Where it can not be written, or has no such form.
    pub fn encode(self, picture: &DynamicImage, mut out: impl Write + Seek) -> anyhow::Result<()> {
        match self {
            Self::Png => picture.write_to(&mut out, ImageFormat::Png)?,
            Self::Jpeg => for_jpeg(picture).write_to(&mut out, ImageFormat::Jpeg)?,
            Self::Tiff => picture.write_to(&mut out, ImageFormat::Tiff)?,
        }
        Ok(())
    }
}

/// Writes a picture to a file that appears whole or not at all: under another name beside, and then renamed.
///
/// # Errors
/// Where it can not be written; then what was there is still there. A name that says no kind is written as PNG.
pub fn save(picture: &DynamicImage, path: &Path) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let result = write(picture, FileKind::of(path).unwrap_or(FileKind::Png), &beside)
        .and_then(|()| fs::rename(&beside, path).map_err(Into::into))
        .with_context(|| format!("can not save {}", path.display()));
    if result.is_err() {
        // The first error is the one to tell; a file that was never created can not be removed.
        let _ = fs::remove_file(&beside);
    }
    result
}

fn write(picture: &DynamicImage, kind: FileKind, path: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    kind.encode(picture, &mut file)?;
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
    use image::{ImageBuffer, Luma, Rgb, Rgba};

    #[test]
    fn sixteen_bits_survive_png_and_tiff_and_become_eight_in_jpeg() {
        let directory = tempfile::tempdir().unwrap();
        let deep = DynamicImage::from(ImageBuffer::from_pixel(16, 16, Luma([0x8081_u16])));
        let colour = DynamicImage::from(ImageBuffer::from_pixel(16, 16, Rgb([0x8081_u16, 1, 0xFFFF])));
        for name in ["a.png", "a.tif", "a.TIFF"] {
            for picture in [&deep, &colour] {
                let path = directory.path().join(name);
                save(picture, &path).unwrap();
                assert_eq!(image::open(&path).unwrap(), *picture, "{name}");
            }
        }
        let jpeg = directory.path().join("a.jpeg");
        save(&deep, &jpeg).unwrap();
        let shallow = image::open(&jpeg).unwrap();
        assert!(shallow.as_luma8().unwrap().pixels().all(|pixel| pixel.0[0].abs_diff(0x80) <= 2));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4, "nothing is left beside");
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
}
