//! Frames as pictures: whole ones for files, previews for browsers, windows and terminals, and what the pixels say.
//!
//! ```text
//!                  ┌─ whole    every pixel, every bit  ─▸ file    PNG, JPEG, TIFF
//! ImageView ───────┼─ preview  8 bits, made to fit     ─▸ jpeg    for browsers; png, for screens
//! (a frame in      │           └ palette: false colours for depth and 16 bits
//!  its slot)       │           └ scale: in exactly so many pixels, for windows and terminals
//!                  ├─ measure  the value of a pixel, histograms
//!                  └─ i420     for y4m
//! ```
//! All of them read the frame where it lies, once, and nothing here keeps it but a copy that was asked for, a `Still`.
#![forbid(unsafe_code)]

mod bayer;
mod file;
mod i420;
mod jpeg;
mod measure;
mod palette;
mod png;
mod preview;
mod scale;
mod still;
mod whole;

pub use file::{FileKind, save, save_new};
pub use i420::I420;
pub use jpeg::write_jpeg;
pub use measure::{Channel, Reading, histogram, pixel};
pub use palette::Palette;
pub use png::write_png;
pub use preview::{Look, Preview};
pub use scale::{Part, Scaler, fitting};
pub use still::Still;
pub use whole::{Depth, Picture, picture};
