//! A frame that stays: a copy of it, so that no slot is held by who looks at it for minutes.

use framebus::{Frame, FrameInfo, ImageShape, ImageView};
use framebus_picture::Still as Image;

use crate::picture::About;

/// Why something can not be made of a frame.
pub(crate) const NO_IMAGE: &str = "it carries no images";

/// A copy of a frame.
pub(crate) struct Still {
    info: FrameInfo,
    image: Image,
    latency_ns: Option<u64>,
}

impl Still {
    /// Copies a frame; `None` where it is no image.
    pub(crate) fn of(frame: &Frame, latency_ns: Option<u64>) -> Option<Self> {
        Some(Self { info: *frame.info(), image: Image::of(frame.image()?), latency_ns })
    }

    pub(crate) fn image(&self) -> Option<ImageView<'_>> {
        self.image.view()
    }

    /// Memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.image.view().map_or(0, |view| view.bytes().len())
    }

    pub(crate) fn about(&self) -> About {
        about(&self.info, self.image.shape(), self.latency_ns)
    }
}

impl std::fmt::Debug for Still {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Still").field("sequence", &self.info.sequence).finish_non_exhaustive()
    }
}

/// What is told of a frame.
pub(crate) fn about(info: &FrameInfo, shape: ImageShape, latency_ns: Option<u64>) -> About {
    let (width, height, format) = (shape.width(), shape.height(), shape.format().name());
    About { sequence: info.sequence, capture_ns: info.capture_ns, width, height, format, latency_ns }
}
