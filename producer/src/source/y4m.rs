//! YUV4MPEG2 video: `y4m:PATH`, `y4m:-`.
//!
//! ```text
//! YUV4MPEG2 W768 H576 F10:1 Ip A0:0 C420jpeg\n   FRAME\n <frame's bytes>   FRAME\n <frame's bytes> …
//! ```
//! Source: yuv4mpeg(5) of mjpegtools, and ffmpeg's libavformat/yuv4mpegenc.c for `Cmono` and `Cmono16`. The planes of
//! C420 are those of i420, so a frame is read straight into its slot.
//!
//! A header in the place of a frame begins a video of another size, as in `cat one.y4m two.y4m`.

use framebus::{Content, ImageShape, PixelFormat, Rate};

use super::input::{Ended, Input};
use super::{Arrival, CutOff, Order, Told, Written, differ_in_padding_only, written};
use framebus_program::usage;

/// A header is one line; more than this is something else.
const MOST_HEADER_BYTES: usize = 1024;

/// What a header begins with.
pub(super) const HEADER_BEGIN: &[u8] = b"YUV4MPEG2 ";

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    shape: ImageShape,
    /// `None` where the header has none, or 0:0, which is "unknown".
    rate: Option<Rate>,
}

/// What a video is, if it is none that can be published.
fn parse_header(line: &[u8]) -> Result<Header, String> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    if words.next() != Some("YUV4MPEG2") {
        let begin: String = line.chars().take(16).collect();
        return Err(format!(
            "it begins with {begin:?}, expected \"YUV4MPEG2\": it is no y4m video; make one with ffmpeg -i FILE -pix_fmt \
             yuv420p -f yuv4mpegpipe -"
        ));
    }
    let (mut width, mut height, mut rate, mut chroma) = (None, None, None, "420jpeg");
    for word in words.filter(|word| !word.is_empty()) {
        let (tag, value) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        let side = || {
            let side = value.parse().ok().filter(|&side: &u32| side > 0);
            side.ok_or_else(|| format!("its header has {word:?}, expected {tag} and a number of pixels"))
        };
        match tag {
            "W" => width = Some(side()?),
            "H" => height = Some(side()?),
            "F" => {
                let parts = value.split_once(':').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
                let (numerator, denominator) =
                    parts.ok_or_else(|| format!("its header has {word:?}, expected a rate like F30000:1001"))?;
                rate = Rate::new(numerator, denominator).filter(|rate| Rate::from_hz(rate.hz()).is_some());
            }
            "C" => chroma = value,
            // Interlacing, aspect ratio and comments change no byte.
            _ => {}
        }
    }
    let format = match chroma {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => PixelFormat::I420,
        "mono" => PixelFormat::Mono8,
        "mono16" => PixelFormat::Mono16,
        other => {
            return Err(format!(
                "its pixels are C{other}, expected C420, Cmono or Cmono16: convert it with ffmpeg -i FILE -pix_fmt yuv420p \
                 -f yuv4mpegpipe -"
            ));
        }
    };
    let (Some(width), Some(height)) = (width, height) else {
        return Err("its header has no width or no height, expected W and H".to_owned());
    };
    let shape = ImageShape::new(width, height, format).map_err(|error| error.to_string())?;
    Ok(Header { shape, rate })
}

/// A video.
#[derive(Debug)]
pub(crate) struct Y4m {
    input: Input,
    header: Header,
    /// Where the first frame begins.
    data_at: u64,
    /// The shape of the frames in their slots, where rows may be further apart than the video's.
    shape: ImageShape,
    /// Both as they were at the file's beginning.
    first: (Header, ImageShape),
    start_over: bool,
    /// Number of the frame that is read, from 1, over all rounds.
    frame: u64,
    /// Whether there was a frame since the file was begun.
    any: bool,
}

impl Y4m {
    /// Reads the header; `None`: it was time to stop meanwhile.
    pub(crate) fn open(mut input: Input) -> anyhow::Result<Option<Self>> {
        let mut line = Vec::new();
        let ended = input.read_line(&mut line, MOST_HEADER_BYTES)?;
        match ended {
            Ended::Stopped => return Ok(None),
            Ended::Short(0) => anyhow::bail!("can not read {}: it is empty, expected a y4m video", input.name()),
            Ended::Whole | Ended::Short(_) => {}
        }
        let header = parse_header(&line).map_err(|why| {
            let why = format!("can not read {}: {why}", input.name());
            match ended {
                Ended::Short(..=MOST_HEADER_BYTES) => anyhow::Error::new(CutOff(why)),
                _ => anyhow::anyhow!(why),
            }
        })?;
        let (data_at, first) = (line.len() as u64 + 1, (header, header.shape));
        Ok(Some(Self { input, header, data_at, shape: header.shape, first, start_over: false, frame: 0, any: false }))
    }

    pub(crate) fn told(&self) -> Told {
        Told { shape: Some(self.header.shape), rate: self.header.rate }
    }

    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        let (own_header, name) = (self.header, self.input.name());
        let own = own_header.shape;
        let Content::Image(shape) = &order.content else {
            return Err(usage!("can not publish {name} on stream {}: it carries {}", order.name, order.content));
        };
        if !differ_in_padding_only(shape, &own) {
            return Err(usage!(
                "can not publish {name} on stream {}: the video is {own}, the stream {shape}; convert the video, change the \
                 config, or give --width {} --height {} --format {}",
                order.name,
                own.width(),
                own.height(),
                own.format()
            ));
        }
        if order.start_over {
            self.input.check_can_rewind()?;
        }
        (self.shape, self.start_over) = (*shape, order.start_over);
        self.first = (own_header, *shape);
        Ok(())
    }

    pub(crate) fn arrive(&mut self) -> anyhow::Result<Arrival> {
        let mut line = Vec::new();
        loop {
            match self.input.read_line(&mut line, MOST_HEADER_BYTES)? {
                Ended::Whole if line.starts_with(HEADER_BEGIN) => {
                    self.change(&line)?;
                    line.clear();
                }
                Ended::Whole | Ended::Short(1..) => break,
                // A video without frames would start over for ever.
                Ended::Short(0) if self.start_over && self.any => {
                    self.input.rewind_to(self.data_at)?;
                    (self.header, self.shape) = self.first;
                    self.any = false;
                }
                Ended::Short(0) | Ended::Stopped => return Ok(Arrival::End),
            }
        }
        (self.frame, self.any) = (self.frame + 1, true);
        // What follows FRAME are parameters of this frame, none of which changes a byte.
        if line != b"FRAME" && !line.starts_with(b"FRAME ") {
            let begin = String::from_utf8_lossy(&line[..line.len().min(16)]).into_owned();
            anyhow::bail!(
                "frame {} of {} begins with {begin:?}, expected \"FRAME\": the frame before it was cut off, or is not {}",
                self.frame,
                self.input.name(),
                self.header.shape
            );
        }
        Ok(Arrival::Frame)
    }

    /// Goes on with another video.
    fn change(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let name = self.input.name();
        let header = parse_header(line)
            .map_err(|why| anyhow::anyhow!("can not read what comes behind frame {} of {name}: {why}", self.frame))?;
        if header.shape != self.header.shape {
            self.shape = header.shape;
        }
        self.header = header;
        Ok(())
    }

    /// The shape of the frame that has arrived, as it is written.
    pub(crate) fn shape(&self) -> ImageShape {
        self.shape
    }

    pub(crate) fn write(&mut self, bytes: &mut [u8]) -> anyhow::Result<Written> {
        let expected = self.header.shape.frame_bytes();
        if self.shape == self.header.shape {
            let ended = self.input.read_whole(bytes)?;
            let end = written(ended, &self.input, self.frame, 0, expected)?;
            self.to_native(bytes);
            return Ok(end);
        }
        let mut found = 0;
        for plane in self.shape.planes() {
            for row in 0..plane.rows {
                let ended = self.input.read_whole(&mut bytes[plane.row(row)])?;
                if written(ended, &self.input, self.frame, found, expected)? == Written::Stopped {
                    return Ok(Written::Stopped);
                }
                found += plane.row_bytes;
            }
        }
        self.to_native(bytes);
        Ok(Written::Whole)
    }

    /// Samples of 16 bits are little-endian in the file, and as the machine has them in a frame.
    fn to_native(&self, bytes: &mut [u8]) {
        if cfg!(target_endian = "big") && self.header.shape.format() == PixelFormat::Mono16 {
            bytes.chunks_exact_mut(2).for_each(|sample| sample.swap(0, 1));
        }
    }

    pub(crate) fn skip(&mut self) -> anyhow::Result<Written> {
        let expected = self.header.shape.frame_bytes();
        let ended = self.input.skip(expected)?;
        written(ended, &self.input, self.frame, 0, expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(width: u32, height: u32, format: PixelFormat, rate: Option<(u32, u32)>) -> Header {
        let shape = ImageShape::new(width, height, format).unwrap();
        Header { shape, rate: rate.map(|(numerator, denominator)| Rate::new(numerator, denominator).unwrap()) }
    }

    #[test]
    fn headers_say_shape_and_rate() {
        let parse = |line: &str| parse_header(line.as_bytes()).unwrap();
        let i420 = PixelFormat::I420;
        let line = "YUV4MPEG2 W768 H576 F30000:1001 Ip A0:0 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED";
        assert_eq!(parse(line), header(768, 576, i420, Some((30_000, 1001))));
        assert_eq!(parse("YUV4MPEG2 H3 W5"), header(5, 3, i420, None));
        assert_eq!(parse("YUV4MPEG2 W2 H2 F0:0"), header(2, 2, i420, None));
        assert_eq!(parse("YUV4MPEG2 W8 H8 F25:1 Cmono"), header(8, 8, PixelFormat::Mono8, Some((25, 1))));
        assert_eq!(parse("YUV4MPEG2 W8 H8 Cmono16").shape.format(), PixelFormat::Mono16);
    }

    #[test]
    fn headers_that_can_not_be_published_say_why() {
        let why = |line: &str| parse_header(line.as_bytes()).unwrap_err();
        assert_eq!(
            why("YUV4MPEG2 W8 H8 C422"),
            "its pixels are C422, expected C420, Cmono or Cmono16: convert it with ffmpeg -i FILE -pix_fmt yuv420p -f \
             yuv4mpegpipe -"
        );
        assert!(why("YUV4MPEG2 W8 H8 C420p10").starts_with("its pixels are C420p10"));
        assert!(why("RIFF\u{0}\u{1}AVI LIST").starts_with("it begins with \"RIFF\\0\\u{1}AVI LIST\""));
        assert_eq!(why("YUV4MPEG2 W8"), "its header has no width or no height, expected W and H");
        assert_eq!(why("YUV4MPEG2 W0 H8"), "its header has \"W0\", expected W and a number of pixels");
        assert_eq!(why("YUV4MPEG2 W8 H8 F25"), "its header has \"F25\", expected a rate like F30000:1001");
        assert!(why("YUV4MPEG2 W100000 H100000").contains("larger than 2 GiB"));
        assert!(why("").starts_with("it begins with \"\""));
    }
}
