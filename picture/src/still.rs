//! A copy of an image, so that a frame can be given back before anything slow is done with what was in it.

use anyhow::Context;
use framebus::{ImageShape, ImageView};

use crate::whole::{Picture, picture};

/// An image in memory of its own, as it lay in its slot.
#[derive(Clone, Debug)]
pub struct Still {
    shape: ImageShape,
    /// Padding included.
    bytes: Vec<u8>,
}

impl Still {
    /// Copies an image.
    pub fn of(view: ImageView<'_>) -> Self {
        Self { shape: view.shape(), bytes: view.bytes().to_vec() }
    }

    /// Size and format.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// The copy; `None` where its bytes were too few for its shape, which no view's are.
    pub fn view(&self) -> Option<ImageView<'_>> {
        ImageView::new(self.shape, &self.bytes)
    }

    /// The picture of it, for a file.
    ///
    /// # Errors
    /// An image that does not fit its own size.
    pub fn picture(&self) -> anyhow::Result<Picture> {
        picture(self.view().with_context(|| format!("a copy of {} does not fit its own size", self.shape))?)
    }
}
