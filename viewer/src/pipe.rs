//! `--pipe`: frames to standard output, row by row straight from the shared memory.
//!
//! y4m (YUV4MPEG2) is one text line, then each frame as `FRAME\n` and its planes without padding. i420, mono8 and mono16
//! frames lie in memory as they go out; nv12, yuyv and the rgb formats are converted to i420 first. raw is the payload
//! without padding, and nothing else.
//!
//! Neither can say that frames become others: where they do, the pipe ends, and the viewer with an error.

use crate::arguments::PipeFormat;
use anyhow::{Context, bail};
use framebus::{ImageShape, ImageView, PixelFormat, Plane, Rate};
use framebus_picture::I420;
use framebus_program::UsageError;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IsTerminal, Write};
use std::os::fd::AsFd;

/// The rate that is written where the stream has none: y4m must have one.
const NO_RATE: (u32, u32) = (25, 1);

/// Pieces of memory handed over in one system call (writev(2) takes 1024 at most).
const PIECES_A_CALL: usize = 64;

/// Where frames go.
#[derive(Debug)]
pub(crate) struct Pipe<W> {
    out: W,
    format: PipeFormat,
    /// Shape of the last frame, without stride; `None` before the first.
    shape: Option<ImageShape>,
    /// Whether it was said what bytes without a shape are.
    told_of_bytes: bool,
    converted: Option<I420>,
}

impl Pipe<File> {
    /// Standard output, past the buffer of the standard library, which would copy every frame.
    pub(crate) fn to_stdout(format: PipeFormat) -> anyhow::Result<Self> {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            let error = "--pipe writes frames to standard output, which is a terminal: pipe it into a program \
                         (| ffplay -) or send it to a file (> FILE)";
            return Err(UsageError(error.to_owned()).into());
        }
        let out = stdout.as_fd().try_clone_to_owned().context("opening standard output")?;
        Ok(Self::new(File::from(out), format))
    }
}

impl<W: Write> Pipe<W> {
    pub(crate) fn new(out: W, format: PipeFormat) -> Self {
        Self { out, format, shape: None, told_of_bytes: false, converted: None }
    }

    /// Writes a frame: `view` is it as an image, where it is one. Returns what there is to say about it.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        view: Option<ImageView<'_>>,
        rate: Option<Rate>,
    ) -> anyhow::Result<Option<String>> {
        match (self.format, view) {
            (PipeFormat::Raw, None) => {
                if let Some(shape) = self.shape {
                    bail!(changed(&format!("images of {shape}"), "frames that are no images"));
                }
                self.out.write_all(bytes).context("writing to the pipe")?;
                let is_new = !std::mem::replace(&mut self.told_of_bytes, true);
                let what = "bytes of no images, one frame after the other and nothing between them";
                Ok(is_new.then(|| format!("{what}; the first frame has {} bytes", bytes.len())))
            }
            (PipeFormat::Raw, Some(view)) => self.write_raw(view, rate),
            (PipeFormat::Y4m, Some(view)) => self.write_y4m(view, rate),
            (PipeFormat::Y4m, None) => bail!("can not pipe as y4m: the stream carries no images; use --pipe raw"),
        }
    }

    fn write_raw(&mut self, view: ImageView<'_>, rate: Option<Rate>) -> anyhow::Result<Option<String>> {
        let is_new = match self.shape {
            Some(shape) if is_same_picture(&shape, &view.shape()) => false,
            Some(shape) => bail!(changed(&format!("images of {shape}"), &format!("images of {}", view.shape()))),
            None if self.told_of_bytes => {
                bail!(changed("frames that are no images", &format!("images of {}", view.shape())))
            }
            None => true,
        };
        self.shape = Some(view.shape());
        write_pieces(&mut self.out, pieces(view)).context("writing to the pipe")?;
        Ok(is_new
            .then(|| format!("images of {}, to be read with: {}", view.shape(), reading_line(&view.shape(), rate))))
    }

    fn write_y4m(&mut self, view: ImageView<'_>, rate: Option<Rate>) -> anyhow::Result<Option<String>> {
        let mut remarks = Vec::new();
        match self.shape {
            Some(shape) if is_same_picture(&shape, &view.shape()) => {}
            Some(shape) => bail!(changed(&format!("images of {shape}"), &format!("images of {}", view.shape()))),
            None => {
                let header = y4m_header(&view.shape(), rate)?;
                self.out.write_all(header.as_bytes()).context("writing to the pipe")?;
                if I420::takes(view.shape().format()) {
                    self.converted = Some(I420::new(view.shape().width(), view.shape().height())?);
                }
                remarks.extend(y4m_remark(view.shape().format()));
                if rate.is_none() {
                    remarks.push(format!("the stream has no rate: y4m says {} frames a second", NO_RATE.0));
                }
                self.shape = Some(view.shape());
            }
        }
        let view = match &mut self.converted {
            Some(i420) => {
                i420.fill(view)?;
                i420.image().context("a converted image has its own size")?
            }
            None => view,
        };
        let frame = std::iter::once(&b"FRAME\n"[..]).chain(pieces(view));
        write_pieces(&mut self.out, frame).context("writing to the pipe")?;
        Ok((!remarks.is_empty()).then(|| remarks.join("\n")))
    }
}

/// Whoever reads the pipe was told once what comes, and would take the new frames for old ones.
fn changed(from: &str, to: &str) -> String {
    format!(
        "the stream changed from {from} to {to}, and a pipe can not say so: start again for the new ones, or record them \
         (--record), each in its size"
    )
}

/// Whether readers can not tell one from the other: the stride does not go out.
fn is_same_picture(one: &ImageShape, other: &ImageShape) -> bool {
    (one.width(), one.height(), one.format()) == (other.width(), other.height(), other.format())
}

/// The first line of a y4m file. Pixels of unknown aspect, progressive.
fn y4m_header(shape: &ImageShape, rate: Option<Rate>) -> anyhow::Result<String> {
    let colours = match shape.format() {
        PixelFormat::Mono8 => "mono",
        PixelFormat::Mono16 => "mono16",
        PixelFormat::I420 => "420jpeg",
        format if I420::takes(format) => "420jpeg",
        _ => bail!(
            "can not pipe images of {shape} as y4m, which has no such pixels: use --pipe raw, and read it with {}",
            reading_line(shape, rate)
        ),
    };
    let (numerator, denominator) = rate.map_or(NO_RATE, |rate| (rate.numerator(), rate.denominator()));
    let (width, height) = (shape.width(), shape.height());
    Ok(format!("YUV4MPEG2 W{width} H{height} F{numerator}:{denominator} Ip A0:0 C{colours}\n"))
}

/// What becomes of a format in y4m, where it does not stay what it is for everybody.
fn y4m_remark(format: PixelFormat) -> Option<String> {
    match format {
        PixelFormat::Mono16 => {
            Some("y4m of 16 bits (Cmono16): ffmpeg reads it, and framebus; few others do".to_owned())
        }
        PixelFormat::Nv12 => None,
        format if I420::takes(format) => {
            let remark = "converted to i420, colours at half the resolution; --pipe raw leaves them as they are";
            Some(format!("{format} is {remark}"))
        }
        _ => None,
    }
}

/// The command that reads raw frames of this shape.
fn reading_line(shape: &ImageShape, rate: Option<Rate>) -> String {
    let rate = rate.map(|rate| format!(" -framerate {}/{}", rate.numerator(), rate.denominator())).unwrap_or_default();
    let pixels = ffmpeg_pixels(shape.format());
    format!("ffmpeg -f rawvideo -pix_fmt {pixels} -s {}x{}{rate} -i -", shape.width(), shape.height())
}

/// ffmpeg's name for a format (`ffmpeg -pix_fmts`).
fn ffmpeg_pixels(format: PixelFormat) -> &'static str {
    use PixelFormat as F;
    const LITTLE: bool = cfg!(target_endian = "little");
    match format {
        F::Mono8 => "gray",
        F::Mono16 if LITTLE => "gray16le",
        F::Mono16 => "gray16be",
        F::Rgb8 => "rgb24",
        F::Bgr8 => "bgr24",
        F::Rgba8 => "rgba",
        F::Bgra8 => "bgra",
        F::Yuyv => "yuyv422",
        F::Nv12 => "nv12",
        F::I420 => "yuv420p",
        F::BayerRggb8 => "bayer_rggb8",
        F::BayerBggr8 => "bayer_bggr8",
        F::BayerGbrg8 => "bayer_gbrg8",
        F::BayerGrbg8 => "bayer_grbg8",
        F::BayerRggb16 if LITTLE => "bayer_rggb16le",
        F::BayerRggb16 => "bayer_rggb16be",
        F::BayerBggr16 if LITTLE => "bayer_bggr16le",
        F::BayerBggr16 => "bayer_bggr16be",
        F::BayerGbrg16 if LITTLE => "bayer_gbrg16le",
        F::BayerGbrg16 => "bayer_gbrg16be",
        F::BayerGrbg16 if LITTLE => "bayer_grbg16le",
        F::BayerGrbg16 => "bayer_grbg16be",
        F::DepthF32 if LITTLE => "grayf32le",
        F::DepthF32 => "grayf32be",
    }
}

/// An image in as few pieces as there can be without padding: a plane in one where it has none, else its rows.
fn pieces(view: ImageView<'_>) -> impl Iterator<Item = &[u8]> {
    let bytes = view.bytes();
    view.shape().planes().flat_map(move |plane| {
        let plane = match plane.stride_bytes == plane.row_bytes {
            true => {
                let whole = plane.row_bytes * plane.rows;
                Plane { rows: 1, row_bytes: whole, stride_bytes: whole, ..plane }
            }
            false => plane,
        };
        (0..plane.rows).map(move |row| &bytes[plane.row(row)])
    })
}

/// Writes all pieces, many a system call, none of them copied.
fn write_pieces<'a>(out: &mut impl Write, pieces: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let mut batch = [IoSlice::new(&[]); PIECES_A_CALL];
    let mut count = 0;
    for piece in pieces {
        batch[count] = IoSlice::new(piece);
        count += 1;
        if count == PIECES_A_CALL {
            write_batch(out, &mut batch)?;
            count = 0;
        }
    }
    write_batch(out, &mut batch[..count])
}

fn write_batch(out: &mut impl Write, mut batch: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Empty pieces at the front would look like a pipe that takes nothing.
    IoSlice::advance_slices(&mut batch, 0);
    while !batch.is_empty() {
        match out.write_vectored(batch) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut batch, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
