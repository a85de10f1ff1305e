//! Picture files: whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use framebus::PixelFormat;
use image::{DynamicImage, GrayImage, ImageFormat};
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray32Float;

use crate::jpeg;
use crate::whole::{Depth, Picture, in_millimetres};

/// Millimetres of depth that a grey of a JPEG stands for: 255 are 10.2 m.
const MILLIMETRES_A_GREY: u16 = 40;

/// Formats of picture files, by the ends of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// 8 or 16 bits, lossless.
    Png,
    /// 8 bits, without transparency, and not quite what it was.
    Jpeg,
    /// 8 or 16 bits or floats, lossless, not compressed, and quicker written than PNG.
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

    /// The end of such files' names, without the dot.
    pub fn end(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Tiff => "tiff",
        }
    }

    /// What becomes of a format's pixels in such a file, where they do not stay what they are.
    pub fn remark(self, format: PixelFormat) -> Option<&'static str> {
        use PixelFormat as F;
        match (format, self) {
            (F::DepthF32, Self::Png) => {
                Some("depth in millimetres, 16 bits, 0 where there is none; TIFF keeps the metres")
            }
            (F::DepthF32, Self::Tiff) => Some("depth in metres, 32-bit floats"),
            (F::DepthF32, Self::Jpeg) => Some("depth in steps of 40 mm, 8 bits, up to 10.2 m: PNG and TIFF keep more"),
            (F::Mono16, Self::Jpeg) => Some("the upper 8 of 16 bits: PNG and TIFF keep them all"),
            (F::BayerRggb16 | F::BayerBggr16 | F::BayerGbrg16 | F::BayerGrbg16, Self::Jpeg) => {
                Some("colours between the sensor's made up, the upper 8 of 16 bits: PNG and TIFF keep them all")
            }
            (F::Yuyv | F::Nv12 | F::I420, _) => Some("colours by BT.601, limited range"),
            (F::Rgba8 | F::Bgra8, Self::Jpeg) => Some("without transparency, which JPEG has not"),
            (F::Mono8 | F::Mono16 | F::Rgb8 | F::Bgr8 | F::Rgba8 | F::Bgra8, _) => None,
            // What is left is Bayer.
            _ => Some("colours between the sensor's made up"),
        }
    }

    /// Writes a picture so.
    ///
    /// # Errors
    /// Where it can not be written, or has no such form.
    pub fn encode(self, picture: &Picture, mut out: impl Write + Seek) -> anyhow::Result<()> {
        match (self, picture) {
            (Self::Png, Picture::Samples(image)) => image.write_to(&mut out, ImageFormat::Png)?,
            (Self::Png, Picture::Metres(depth)) => in_millimetres(depth).write_to(&mut out, ImageFormat::Png)?,
            (Self::Jpeg, Picture::Samples(image)) => jpeg::write_picture(image, out)?,
            (Self::Jpeg, Picture::Metres(depth)) => jpeg::write_picture(&in_greys(depth), out)?,
            (Self::Tiff, Picture::Samples(image)) => image.write_to(&mut out, ImageFormat::Tiff)?,
            (Self::Tiff, Picture::Metres(depth)) => {
                TiffEncoder::new(out)?.write_image::<Gray32Float>(depth.width(), depth.height(), depth.as_raw())?;
            }
        }
        Ok(())
    }
}

/// Depth for eyes, the same from frame to frame.
fn in_greys(depth: &Depth) -> DynamicImage {
    let millimetres = in_millimetres(depth).into_luma16();
    let grey = |millimetres: &u16| (millimetres / MILLIMETRES_A_GREY).min(255) as u8;
    let greys = millimetres.as_raw().iter().map(grey).collect();
    GrayImage::from_raw(depth.width(), depth.height(), greys).unwrap_or_default().into()
}

/// Writes a picture to a file that appears whole or not at all: under another name beside, and then renamed.
///
/// # Errors
/// Where it can not be written; then what was there is still there. A name that says no kind is written as PNG.
pub fn save(picture: &Picture, path: &Path) -> anyhow::Result<()> {
    save_as(picture, path, |beside| fs::rename(beside, path))
}

/// [`save`], but never over what is there: where the name is taken, `-2`, `-3` … come behind it. Returns the file's path.
///
/// # Errors
/// Where it can not be written.
pub fn save_new(picture: &Picture, path: &Path) -> anyhow::Result<PathBuf> {
    save_as(picture, path, |beside| name_anew(beside, path))
}

/// Writes a picture beside, and leaves it to `name` to give the file its name.
fn save_as<T>(picture: &Picture, path: &Path, name: impl FnOnce(&Path) -> io::Result<T>) -> anyhow::Result<T> {
    let beside = beside(path);
    let result = write(picture, FileKind::of(path).unwrap_or(FileKind::Png), &beside)
        .and_then(|()| name(&beside).map_err(Into::into))
        .with_context(|| format!("can not save {}", path.display()));
    if result.is_err() {
        // The first error is the one to tell; a file that was never created can not be removed.
        let _ = fs::remove_file(&beside);
    }
    result
}

/// A name that no other file has that is being written, in this process or another: `.NAME.PID-COUNT`.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// Gives a file this name, or the first one behind it that is free.
fn name_anew(beside: &Path, path: &Path) -> io::Result<PathBuf> {
    let (stem, end) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    let (stem, end) = (stem.to_string_lossy(), end.to_string_lossy());
    let mut free = path.to_owned();
    for number in 2_u64.. {
        // Unlike a new name, a second one never replaces what is there.
        match fs::hard_link(beside, &free) {
            Ok(()) => return fs::remove_file(beside).map(|()| free),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            // A file system without second names.
            Err(_) if fs::symlink_metadata(&free).is_err() => return fs::rename(beside, &free).map(|()| free),
            Err(_) => {}
        }
        free.set_file_name(format!("{stem}-{number}.{end}"));
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn write(picture: &Picture, kind: FileKind, path: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    kind.encode(picture, &mut file)?;
    file.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma, Rgb, Rgba};

    fn save_image(image: impl Into<DynamicImage>, path: &Path) -> anyhow::Result<()> {
        save(&image.into().into(), path)
    }

    #[test]
    fn sixteen_bits_survive_png_and_tiff_and_become_eight_in_jpeg() {
        let directory = tempfile::tempdir().unwrap();
        let deep = DynamicImage::from(ImageBuffer::from_pixel(16, 16, Luma([0x8081_u16])));
        let colour = DynamicImage::from(ImageBuffer::from_pixel(16, 16, Rgb([0x8081_u16, 1, 0xFFFF])));
        for name in ["a.png", "a.tif", "a.TIFF"] {
            for picture in [&deep, &colour] {
                let path = directory.path().join(name);
                save_image(picture.clone(), &path).unwrap();
                assert_eq!(image::open(&path).unwrap(), *picture, "{name}");
            }
        }
        let jpeg = directory.path().join("a.jpeg");
        save_image(deep, &jpeg).unwrap();
        let shallow = image::open(&jpeg).unwrap();
        assert!(shallow.as_luma8().unwrap().pixels().all(|pixel| pixel.0[0].abs_diff(0x80) <= 2));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4, "nothing is left beside");
    }

    #[test]
    fn depth_stays_metres_in_tiff_and_has_a_scale_of_its_own_elsewhere() {
        let metres = [0.0, 0.12345, 1.5, 4.999, 10.3, 70.0, f32::NAN, f32::INFINITY];
        let depth = Picture::Metres(Depth::from_raw(4, 2, metres.to_vec()).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let [tiff, png, jpeg] = ["a.tiff", "a.png", "a.jpg"].map(|name| directory.path().join(name));
        [&tiff, &png, &jpeg].into_iter().for_each(|path| save(&depth, path).unwrap());

        let mut decoder = tiff::decoder::Decoder::new(File::open(tiff).unwrap()).unwrap();
        assert_eq!((decoder.dimensions().unwrap(), decoder.colortype().unwrap()), ((4, 2), tiff::ColorType::Gray(32)));
        let tiff::decoder::DecodingResult::F32(found) = decoder.read_image().unwrap() else { panic!("no floats") };
        assert_eq!(found.map_bits(), metres.to_vec().map_bits());

        let millimetres = image::open(png).unwrap();
        assert_eq!(millimetres.as_luma16().unwrap().as_raw()[..], [0, 123, 1500, 4999, 10300, 65535, 0, 65535]);

        // JPEG is not exact.
        let greys = image::open(jpeg).unwrap();
        for (grey, expected) in greys.as_luma8().unwrap().as_raw().iter().zip([0, 3, 37, 124, 255, 255, 0, 255]) {
            assert!(grey.abs_diff(expected) <= 9, "{greys:?}");
        }
    }

    /// Floats that are no numbers are not equal to themselves.
    trait Bits {
        fn map_bits(&self) -> Vec<u32>;
    }

    impl Bits for Vec<f32> {
        fn map_bits(&self) -> Vec<u32> {
            self.iter().map(|value| value.to_bits()).collect()
        }
    }

    #[test]
    fn every_format_comes_back_from_every_kind_of_file_with_its_bits() {
        use PixelFormat as F;
        let directory = tempfile::tempdir().unwrap();
        for format in F::all() {
            let shape = framebus::ImageShape::new(18, 10, format).unwrap();
            // Floats and integers alike: small, and different from pixel to pixel.
            let bytes: Vec<u8> = match format {
                F::DepthF32 => (0..180).flat_map(|at| (at as f32 / 16.0).to_ne_bytes()).collect(),
                _ => (0..shape.frame_bytes()).map(|at| (at * 3 % 251) as u8).collect(),
            };
            let picture = crate::picture(framebus::ImageView::new(shape, &bytes).unwrap()).unwrap();
            let expected = picture.clone().into_image();
            for kind in [FileKind::Png, FileKind::Jpeg, FileKind::Tiff] {
                let path = directory.path().join(format!("{format}.{}", kind.end()));
                save(&picture, &path).unwrap();
                if (format, kind) == (F::DepthF32, FileKind::Tiff) {
                    continue; // It has a test of its own.
                }
                let found = image::open(&path).unwrap();
                match kind {
                    FileKind::Jpeg => assert_eq!((found.width(), found.height()), (18, 10), "{format}"),
                    _ => assert_eq!(found, expected, "{format} {kind:?}"),
                }
            }
        }
    }

    #[test]
    fn what_does_not_stay_what_it_is_is_said() {
        use PixelFormat as F;
        assert_eq!(FileKind::Png.remark(F::Mono16), None);
        assert_eq!(FileKind::Tiff.remark(F::Rgba8), None);
        assert!(FileKind::Jpeg.remark(F::Mono16).unwrap().contains("upper 8"));
        assert!(FileKind::Png.remark(F::DepthF32).unwrap().contains("millimetres, 16 bits"));
        assert!(FileKind::Tiff.remark(F::DepthF32).unwrap().contains("metres, 32-bit floats"));
        assert!(FileKind::Png.remark(F::BayerGrbg8).unwrap().contains("made up"));
        assert!(FileKind::Jpeg.remark(F::BayerGrbg16).unwrap().contains("upper 8"));
    }

    #[test]
    fn transparency_is_dropped_for_jpeg() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jpg");
        save_image(ImageBuffer::from_pixel(16, 16, Rgba([10_u8, 200, 30, 0])), &path).unwrap();
        assert_eq!(image::open(&path).unwrap().color(), image::ColorType::Rgb8);
    }

    #[test]
    fn a_new_file_replaces_none_and_two_at_once_are_both_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.b.png");
        let picture = |grey| Picture::from(DynamicImage::from(GrayImage::from_pixel(300, 200, Luma([grey]))));
        save(&picture(0), &path).unwrap();
        let savers: Vec<_> = (1..=8)
            .map(|grey| {
                let (picture, path) = (picture(grey), path.clone());
                std::thread::spawn(move || (grey, save_new(&picture, &path).unwrap()))
            })
            .collect();
        let mut names: Vec<PathBuf> = vec![path.clone()];
        for saver in savers {
            let (grey, path) = saver.join().unwrap();
            assert_eq!(Picture::from(image::open(&path).unwrap()), picture(grey), "{}", path.display());
            names.push(path);
        }
        assert_eq!(Picture::from(image::open(path).unwrap()), picture(0));
        names.sort();
        let expected = ["a.b-2", "a.b-3", "a.b-4", "a.b-5", "a.b-6", "a.b-7", "a.b-8", "a.b-9", "a.b"];
        assert_eq!(names, expected.map(|stem| directory.path().join(format!("{stem}.png"))));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 9, "nothing is left beside");
    }

    #[test]
    fn a_file_that_is_being_written_has_a_name_of_its_own() {
        assert_ne!(beside(Path::new("a.png")), beside(Path::new("a.png")));
    }

    #[test]
    fn a_failure_leaves_nothing_behind_and_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        // A directory can not be replaced by a file.
        let path = directory.path().join("a.png");
        fs::create_dir(&path).unwrap();
        let error = save_image(DynamicImage::new_rgb8(2, 2), &path).unwrap_err();
        assert!(error.to_string().contains("can not save"), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
