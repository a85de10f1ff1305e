//! What is made of a frame: the questions that an encoder answers, and their answers.

use axum::body::Bytes;
use framebus_picture::{Channel, FileKind, Look, Palette, Reading};
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::still::Still;
use std::sync::Arc;

/// Sides of a picture that somebody asks for; 0 is as large as the frame.
const SIDES: std::ops::RangeInclusive<u32> = 16..=8192;

/// How a picture is wanted. Two that want the same share one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    pub look: Look,
    /// Of the JPEG, 1 to 100.
    pub quality: u8,
}

/// A style as a browser or a script says it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct StyleWords {
    #[serde(default)]
    pub width: u32,
    #[serde(default)]
    pub height: u32,
    pub palette: Option<String>,
    pub quality: Option<u8>,
}

impl StyleWords {
    /// What they come to; `quality` where they do not say.
    ///
    /// # Errors
    /// What can not be, in words.
    pub(crate) fn style(&self, range: Option<[f32; 2]>, quality: u8) -> Result<Style, String> {
        let side = |pixels: u32| if pixels == 0 { 0 } else { pixels.clamp(*SIDES.start(), *SIDES.end()) };
        let palette = self.palette.as_deref().map_or(Ok(Palette::default()), str::parse)?;
        if let Some([low, high]) = range
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return Err(format!("a range from {low} to {high} is none: expected two numbers, the lower one first"));
        }
        let look = Look { max_width: side(self.width), max_height: side(self.height), palette, range };
        Ok(Style { look, quality: self.quality.unwrap_or(quality).clamp(1, 100) })
    }
}

/// What is told of a frame with everything that is made of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub sequence: u64,
    pub capture_ns: u64,
    /// Pixels of the frame.
    pub width: u32,
    pub height: u32,
    /// Name of the pixel format.
    pub format: &'static str,
    /// From its publication to our having it; `None` where it was there before us.
    pub latency_ns: Option<u64>,
}

/// A frame as a JPEG.
#[derive(Debug)]
pub(crate) struct Picture {
    pub about: About,
    pub style: Style,
    /// Pixels of the frame to one of the picture.
    pub step: u32,
    /// What is darkest and what is brightest, where the frame has one value a pixel.
    pub range: Option<[f32; 2]>,
    pub jpeg: Bytes,
}

/// Where an answer goes; an error is told in words.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, String>>;

/// Something to be made of a frame.
#[derive(Debug)]
pub(crate) enum Task {
    /// A JPEG to look at.
    Picture(Style, Reply<Arc<Picture>>),
    /// The value of a pixel; `None` outside.
    Pixel(u32, u32, Reply<(About, Option<Vec<Reading>>)>),
    /// How often each value comes.
    Histogram(Reply<(About, Vec<Channel>)>),
    /// A copy that stays.
    Still(Reply<Arc<Still>>),
    /// A file of the whole; of a still alone.
    Save(FileKind, Reply<(About, Bytes)>),
}

impl Task {
    /// Nobody waits for the answer any more.
    pub(crate) fn is_forgotten(&self) -> bool {
        match self {
            Task::Picture(_, reply) => reply.is_closed(),
            Task::Pixel(_, _, reply) => reply.is_closed(),
            Task::Histogram(reply) => reply.is_closed(),
            Task::Still(reply) => reply.is_closed(),
            Task::Save(_, reply) => reply.is_closed(),
        }
    }

    /// Answers that it can not be. Who asked may have gone meanwhile.
    pub(crate) fn refuse(self, error: &str) {
        let error = error.to_owned();
        match self {
            Task::Picture(_, reply) => drop(reply.send(Err(error))),
            Task::Pixel(_, _, reply) => drop(reply.send(Err(error))),
            Task::Histogram(reply) => drop(reply.send(Err(error))),
            Task::Still(reply) => drop(reply.send(Err(error))),
            Task::Save(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_and_quality_are_kept_within_what_there_is() {
        let words = StyleWords { width: 3, height: 1_000_000, palette: None, quality: Some(200) };
        let style = words.style(None, 75).unwrap();
        assert_eq!((style.look.max_width, style.look.max_height, style.quality), (16, 8192, 100));
        let style = StyleWords::default().style(Some([1.0, 2.0]), 75).unwrap();
        assert_eq!((style.look.max_width, style.look.range, style.quality), (0, Some([1.0, 2.0]), 75));
    }

    #[test]
    fn what_is_no_palette_and_no_range_is_refused_in_words() {
        let jet = StyleWords { palette: Some("jet".to_owned()), ..StyleWords::default() };
        assert!(jet.style(None, 75).unwrap_err().contains("expected one of grey"));
        for range in [[2.0, 1.0], [f32::NAN, 1.0], [0.0, f32::INFINITY]] {
            assert!(StyleWords::default().style(Some(range), 75).unwrap_err().contains("the lower one first"));
        }
    }
}
