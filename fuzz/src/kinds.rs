//! The streams that are fuzzed.

use framebus::{Backend, Content, ImageShape, OnFull, PixelFormat, Rate, StreamOptions};
use std::time::Duration;

/// What is made for a world.
#[derive(Clone)]
pub enum Kind {
    /// A stream with these options.
    Stream(Box<StreamOptions>),
    /// A lone frames segment of so many bytes: the beginning of a stream's, or more than it.
    Odd(usize),
}

/// The options, small enough to be restored quickly, and each with something that the others do not have.
pub fn streams(backend: &Backend) -> Vec<StreamOptions> {
    let image = |width, height, format| Content::Image(ImageShape::new(width, height, format).expect("a small image"));
    let options = |content, change: fn(&mut StreamOptions)| {
        let mut options = StreamOptions::new(content);
        options.backend = backend.clone();
        // What the fuzzer takes over and lets go of shall stay there.
        options.persist = true;
        (options.max_subscribers, options.max_held) = (2, 2);
        change(&mut options);
        options
    };
    vec![
        options(Content::Bytes { capacity: 64 }, |_| {}),
        options(image(8, 4, PixelFormat::Rgb8), |options| {
            (options.history, options.max_subscribers, options.max_held) = (3, 1, 1);
            options.rate = Rate::new(30000, 1001);
        }),
        options(Content::Record { type_name: "ImuSample".to_owned(), bytes: 24 }, |options| {
            options.history = 4;
            options.on_full = OnFull::Wait(Duration::ZERO);
        }),
        options(image(5, 3, PixelFormat::I420), |options| {
            options.history = 2;
            options.slots = framebus::Slots::Exactly(4);
            options.prefault = framebus::Prefault::Off;
        }),
    ]
}

/// Sizes with nothing, too little, just enough for a header, a page and a byte, and a whole stream.
pub const ODD_SIZES: [usize; 6] = [1, 200, 4095, 4096, 4097, 40_960];
