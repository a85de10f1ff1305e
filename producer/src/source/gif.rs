//! Animated GIFs: `gif:PATH`.
//!
//! Every frame of the file is one frame of the stream, as a viewer would see it: whole, with what it leaves of the frames
//! before. The rate is that of the first frame's delay, or `--rate`. Frames whose delays differ from that are not shown
//! longer or shorter: a stream has one rate, and a frame that was published twice would count as two.
//!
//! Delays under 20 ms stand for "whatever you like" in files of old; as in browsers, they are 100 ms.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Context;
use framebus::{ImageShape, PixelFormat, Rate};
use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, Delay, DynamicImage, ImageDecoder, ImageError, Limits};

use super::decoded::{Decoded, Frames, check_size, frame_of, shape_of_stream};
use super::{Order, Told};
use crate::stop::Stop;

/// Shorter delays mean nothing.
const LEAST_DELAY_MS: u32 = 20;
const USUAL_DELAY_MS: u32 = 100;

/// An animation.
#[derive(Debug)]
pub(crate) struct Gif {
    path: PathBuf,
    shape: ImageShape,
    rate: Option<Rate>,
    decoded: Decoded,
}

impl Gif {
    /// Reads the first frame.
    pub(crate) fn open(path: &str, stop: &Stop) -> anyhow::Result<Self> {
        let path = PathBuf::from(path);
        let decoder = decoder(&path)?;
        let (width, height) = decoder.dimensions();
        let shape = ImageShape::new(width, height, PixelFormat::Rgb8).with_context(|| unreadable(&path))?;
        let Some(first) = decoder.into_frames().next() else {
            anyhow::bail!("{}: it has no frames, expected one at least", unreadable(&path));
        };
        let rate = rate_of(first.with_context(|| unreadable(&path))?.delay());
        Ok(Self { path, shape, rate, decoded: Decoded::new(stop) })
    }

    pub(crate) fn told(&self) -> Told {
        Told { shape: Some(self.shape), rate: self.rate }
    }

    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        let name = format!("gif:{}", self.path.display());
        let shape = shape_of_stream(order, &name)?;
        let own = (self.shape.width(), self.shape.height());
        check_size(format_args!("{name} on stream {}", order.name), own, &shape)?;
        let (path, start_over) = (self.path.clone(), order.start_over);
        self.decoded.start(move |frames| decode_all(&path, &shape, start_over, frames))
    }

    /// The frames, one after the other.
    pub(crate) fn frames(&mut self) -> &mut Decoded {
        &mut self.decoded
    }
}

fn unreadable(path: &Path) -> String {
    format!("can not read gif:{}", path.display())
}

fn decoder(path: &Path) -> anyhow::Result<GifDecoder<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("can not open gif:{}", path.display()))?;
    let open = || {
        let mut decoder = GifDecoder::new(BufReader::new(file))?;
        decoder.set_limits(Limits::default())?;
        Ok::<_, ImageError>(decoder)
    };
    open().with_context(|| unreadable(path))
}

/// Frames a second, where each is shown so long.
fn rate_of(delay: Delay) -> Option<Rate> {
    let (ms, parts) = match delay.numer_denom_ms() {
        (ms, parts) if u64::from(ms) < u64::from(LEAST_DELAY_MS) * u64::from(parts) => (USUAL_DELAY_MS, 1),
        delay => delay,
    };
    let per_second = 1000 * parts;
    if per_second.is_multiple_of(ms) { Rate::new(per_second / ms, 1) } else { Rate::new(per_second, ms) }
}

/// Decodes until the file or the readers are at their end.
fn decode_all(path: &Path, shape: &ImageShape, start_over: bool, frames: &Frames) {
    loop {
        match decode_once(path, shape, frames) {
            Ok(true) if start_over => {}
            Ok(_) => return,
            Err(error) => {
                // Where nobody takes it, nobody wants to know.
                let _ = frames.send(Err(error));
                return;
            }
        }
    }
}

/// Decodes the file; true: there were frames, and somebody took all of them.
fn decode_once(path: &Path, shape: &ImageShape, frames: &Frames) -> anyhow::Result<bool> {
    // Somebody may have written another file meanwhile, of another size.
    let decoder = decoder(path)?;
    let mut any = false;
    for (index, frame) in decoder.into_frames().enumerate() {
        let frame = frame.with_context(|| format!("can not read frame {} of gif:{}", index + 1, path.display()))?;
        let frame = frame_of(DynamicImage::from(frame.into_buffer()), shape).with_context(|| unreadable(path))?;
        if frames.send(Ok(frame)).is_err() {
            return Ok(false);
        }
        any = true;
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Arrival;
    use framebus::{Content, StreamName};
    use image::codecs::gif::{GifEncoder, Repeat};
    use image::{Frame, Rgba, RgbaImage};

    const RED: Rgba<u8> = Rgba([255, 0, 0, 255]);
    const BLUE: Rgba<u8> = Rgba([0, 0, 255, 255]);
    const NOTHING: Rgba<u8> = Rgba([0; 4]);

    /// A red picture, then one that changes its left half alone.
    fn animation(directory: &Path, delays_ms: [u32; 2]) -> String {
        let path = directory.join("two.gif");
        let mut encoder = GifEncoder::new(File::create(&path).unwrap());
        encoder.set_repeat(Repeat::Infinite).unwrap();
        let half = RgbaImage::from_fn(4, 2, |x, _| if x < 2 { BLUE } else { NOTHING });
        for (picture, delay) in [RgbaImage::from_pixel(4, 2, RED), half].into_iter().zip(delays_ms) {
            let frame = Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(delay, 1));
            encoder.encode_frame(frame).unwrap();
        }
        drop(encoder);
        // The encoder has every frame wiped before the next one; here they are to stay (GIF89a, section 23).
        let mut bytes = std::fs::read(&path).unwrap();
        let controls = bytes.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0x21, 0xF9, 0x04]);
        for at in controls.map(|(at, _)| at + 3).collect::<Vec<_>>() {
            bytes[at] = bytes[at] & !0x1C | 0x04;
        }
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn order(format: PixelFormat, start_over: bool) -> Order {
        let content = Content::Image(ImageShape::new(4, 2, format).unwrap());
        let (name, rate) = (StreamName::new("test", "gif").unwrap(), Rate::new(10, 1).unwrap());
        Order { name, content, rate, start_over, mark: false, sizes: Vec::new() }
    }

    fn open(path: &str) -> anyhow::Result<Gif> {
        Gif::open(path, &Stop::never())
    }

    #[test]
    fn frames_are_whole_and_the_rate_is_that_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let mut gif = open(&animation(directory.path(), [40, 500])).unwrap();
        let told = Told { shape: ImageShape::new(4, 2, PixelFormat::Rgb8).ok(), rate: Rate::new(25, 1) };
        assert_eq!(gif.told(), told);
        gif.prepare(&order(PixelFormat::Bgr8, false)).unwrap();
        let mut next = || {
            let arrival = gif.frames().arrive().unwrap();
            let mut bytes = [0; 24];
            (arrival == Arrival::Frame).then(|| {
                gif.frames().write(&mut bytes);
                bytes
            })
        };
        let (red, blue) = ([0, 0, 255], [255, 0, 0]);
        assert_eq!(next().unwrap().as_chunks().0, [red; 8]);
        // What the second one leaves out is what the first one was.
        assert_eq!(next().unwrap().as_chunks().0, [blue, blue, red, red, blue, blue, red, red]);
        assert_eq!(next(), None);
    }

    #[test]
    fn an_animation_starts_over_when_asked_to() {
        let directory = tempfile::tempdir().unwrap();
        let mut gif = open(&animation(directory.path(), [0, 0])).unwrap();
        assert_eq!(gif.told().rate, Rate::new(10, 1));
        gif.prepare(&order(PixelFormat::Mono8, true)).unwrap();
        for _ in 0..20 {
            assert_eq!(gif.frames().arrive().unwrap(), Arrival::Frame);
        }
    }

    #[test]
    fn delays_become_rates() {
        for (delay, expected) in [((50, 1), (20, 1)), ((70, 1), (1000, 70)), ((10, 1), (10, 1)), ((100, 3), (30, 1))] {
            let rate = rate_of(Delay::from_numer_denom_ms(delay.0, delay.1));
            assert_eq!(rate, Rate::new(expected.0, expected.1), "{delay:?}");
        }
    }

    #[test]
    fn what_is_no_animation_or_has_another_size_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("no.gif");
        std::fs::write(&path, "no GIF").unwrap();
        let error = open(path.to_str().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), format!("can not read gif:{}", path.display()));
        let error = open("/nonexistent.gif").unwrap_err();
        assert_eq!(error.to_string(), "can not open gif:/nonexistent.gif");
        let path = animation(directory.path(), [40, 40]);
        let mut gif = open(&path).unwrap();
        let content = Content::Image(ImageShape::new(5, 2, PixelFormat::Rgb8).unwrap());
        assert_eq!(
            gif.prepare(&Order { content, ..order(PixelFormat::Rgb8, false) }).unwrap_err().to_string(),
            format!(
                "can not publish gif:{path} on stream test/gif: it is 4 × 2, the stream begins with 5 × 2: scale it, \
                 change the config, or give --width 4 --height 2"
            )
        );
    }

    #[test]
    fn a_file_that_is_of_another_size_meanwhile_comes_in_that() {
        let directory = tempfile::tempdir().unwrap();
        let path = animation(directory.path(), [40, 40]);
        let mut gif = open(&path).unwrap();
        let other = RgbaImage::from_pixel(9, 9, RED);
        other.save_with_format(&path, image::ImageFormat::Gif).unwrap();
        gif.prepare(&order(PixelFormat::Rgb8, true)).unwrap();
        assert_eq!(gif.frames().arrive().unwrap(), Arrival::Frame);
        assert_eq!(gif.frames().shape(), ImageShape::new(9, 9, PixelFormat::Rgb8).ok());
    }
}
