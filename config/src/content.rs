//! What a stream carries: images (width, height, format, stride), records (type, size), or opaque bytes (size alone).

use crate::document::Section;
use framebus::{Content, ImageShape, PixelFormat, ShapeError};

pub(crate) const IMAGE_KEYS: [&str; 4] = ["width", "height", "format", "stride"];
pub(crate) const RECORD_KEYS: [&str; 2] = ["size", "type"];

/// Most bytes of a frame, and of the name of a type.
pub(crate) const MAX_FRAME_BYTES: u32 = 1 << 31;
const MAX_TYPE_NAME_BYTES: usize = 63;

/// Reads what the stream carries. A `type` without `size` becomes a record of 0 bytes.
pub(crate) fn read(section: &mut Section<'_, '_>) -> Option<Content> {
    let first_of = |keys: &[&'static str]| keys.iter().copied().find(|key| section.has(key));
    match (first_of(&IMAGE_KEYS), first_of(&RECORD_KEYS)) {
        (Some(_), None) => image(section).map(Content::Image),
        (None, Some(_)) => record(section),
        (Some(image_key), Some(_)) => {
            refuse_mixture(section, image_key);
            None
        }
        (None, None) => {
            let help = "add width, height and format for images, type and size for records, or size alone for bytes";
            section.refuse_all("the stream does not say what it carries", help);
            None
        }
    }
}

/// One report for each key of a record among those of an image.
fn refuse_mixture(section: &mut Section<'_, '_>, image_key: &str) {
    for key in RECORD_KEYS {
        if section.value(key).is_some() {
            let message = format!("`{key}` does not go with `{image_key}`");
            let help = "images have width, height and format, records have type and size; keep one of the two";
            section.refuse_key(key, message, help);
        }
    }
}

fn image(section: &mut Section<'_, '_>) -> Option<ImageShape> {
    const MAX_SIDE: u32 = i32::MAX as u32;
    section.require("width", "width = 1920 (pixels)");
    section.require("height", "height = 1080 (pixels)");
    section.require("format", "format = \"rgb8\"");
    let (width, height) = (section.integer("width", 1, MAX_SIDE), section.integer("height", 1, MAX_SIDE));
    let (format, stride) = (pixel_format(section), section.integer("stride", 1, MAX_FRAME_BYTES));
    let (width, height, format) = (width?, height?, format?);
    if section.value("stride").is_some() && stride.is_none() {
        return None;
    }
    let tight = ImageShape::new(width, height, format);
    let shape = match stride {
        Some(stride) => ImageShape::with_stride(width, height, format, stride),
        None => tight.clone(),
    };
    shape
        .inspect_err(|error| {
            let key = match error {
                ShapeError::TooLarge { .. } if tight.is_ok() => "stride",
                ShapeError::TooLarge { .. } if height > width => "height",
                ShapeError::TooLarge { .. } => "width",
                _ => "stride",
            };
            section.refuse_with(key, error);
        })
        .ok()
}

fn pixel_format(section: &mut Section<'_, '_>) -> Option<PixelFormat> {
    let text = section.text("format", "format = \"rgb8\"")?;
    if let Ok(format) = text.parse() {
        return Some(format);
    }
    // People know formats by other names, too.
    let elsewhere = PixelFormat::all().find(|format| {
        format.ros_encoding().is_some_and(|ros| ros.eq_ignore_ascii_case(text))
            || format.fourcc().is_some_and(|fourcc| fourcc.eq_ignore_ascii_case(text.as_bytes()))
    });
    let names: Vec<_> = PixelFormat::all().map(PixelFormat::name).collect();
    match elsewhere {
        Some(format) => {
            let help = format!("it is called \"{format}\" here");
            section.refuse("format", format!("format = {text:?} is unknown"), help);
        }
        None => section.refuse_word("format", text, &names),
    }
    None
}

fn record(section: &mut Section<'_, '_>) -> Option<Content> {
    let size = section.integer("size", 1, MAX_FRAME_BYTES);
    let type_name = section.text("type", "type = \"ImuSample\"");
    if section.value("size").is_some() && size.is_none() {
        return None;
    }
    match type_name {
        Some(name) if name.is_empty() || name.len() > MAX_TYPE_NAME_BYTES => {
            let message = format!("type = {name:?} has {} bytes", name.len());
            section.refuse("type", message, "expected 1 to 63: the TYPE_NAME of a framebus::Record");
            None
        }
        Some(name) if name.contains(char::is_control) => {
            let message = format!("type = {name:?} has a control character");
            section.refuse("type", message, "expected the TYPE_NAME of a framebus::Record");
            None
        }
        Some(name) => Some(Content::Record { type_name: name.to_owned(), bytes: size.unwrap_or(0) }),
        // A `type` that was refused is none.
        None if section.has("type") => None,
        None => Some(Content::Bytes { capacity: size? }),
    }
}
