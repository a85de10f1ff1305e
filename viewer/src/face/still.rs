//! A frame that was given back: the copy that is looked at while the picture stands still.

use framebus::{Frame, ImageShape, ImageView};

/// A copy of a frame.
#[derive(Debug)]
pub(crate) struct Still {
    shape: ImageShape,
    bytes: Vec<u8>,
    pub sequence: u64,
    pub capture_ns: u64,
}

impl Still {
    /// `None` where the frame is no image.
    pub(crate) fn of(frame: &Frame) -> Option<Self> {
        let (view, info) = (frame.image()?, frame.info());
        Some(Self {
            shape: view.shape(),
            bytes: view.bytes().to_vec(),
            sequence: info.sequence,
            capture_ns: info.capture_ns,
        })
    }

    pub(crate) fn view(&self) -> Option<ImageView<'_>> {
        ImageView::new(self.shape, &self.bytes)
    }
}
