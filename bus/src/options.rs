//! What a stream is to be: content, rate, numbers of slots, and what happens when they are all in use.

use crate::backend::Backend;
use crate::format::ImageShape;
use crate::layout::content;
use std::fmt;
use std::time::Duration;

/// What a stream's frames are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Images; the shape says how large a slot is.
    Image(ImageShape),
    /// One plain-data record a frame: the name of its type, and its size in bytes.
    Record {
        /// Name of the type, 1 to 63 bytes.
        type_name: String,
        /// Size of the type.
        bytes: u32,
    },
    /// Opaque bytes, up to so many a frame.
    Bytes {
        /// Most bytes of a frame.
        capacity: u32,
    },
}

impl Content {
    /// Most payload bytes of a frame.
    pub fn capacity_bytes(&self) -> usize {
        match self {
            Content::Image(shape) => shape.frame_bytes(),
            Content::Record { bytes, .. } => *bytes as usize,
            Content::Bytes { capacity } => *capacity as usize,
        }
    }

    pub(crate) fn code(&self) -> u32 {
        match self {
            Content::Image(_) => content::IMAGE,
            Content::Record { .. } => content::RECORD,
            Content::Bytes { .. } => content::BYTES,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Image(shape) => write!(out, "images of {shape}"),
            Content::Record { type_name, bytes } => write!(out, "records {type_name} of {bytes} bytes"),
            Content::Bytes { capacity } => write!(out, "up to {capacity} bytes a frame"),
        }
    }
}

/// A nominal rate in frames a second, as a fraction: 60/1, or 30000/1001.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    numerator: u32,
    denominator: u32,
}

impl Rate {
    /// `numerator / denominator` frames a second; `None` where one of them is 0.
    pub const fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if numerator == 0 || denominator == 0 { None } else { Some(Self { numerator, denominator }) }
    }

    /// The fraction nearest to `hz` with thousandths of a frame; `None` where it is none (0.001 to 1,000,000 Hz).
    pub fn from_hz(hz: f64) -> Option<Self> {
        if !(0.001..=1_000_000.0).contains(&hz) {
            return None;
        }
        let thousandths = (hz * 1000.0).round() as u32;
        if thousandths.is_multiple_of(1000) { Self::new(thousandths / 1000, 1) } else { Self::new(thousandths, 1000) }
    }

    /// Frames a second, numerator.
    pub fn numerator(&self) -> u32 {
        self.numerator
    }

    /// Frames a second, denominator.
    pub fn denominator(&self) -> u32 {
        self.denominator
    }

    /// Frames a second.
    pub fn hz(&self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// Time of a frame, ns.
    pub(crate) fn period_ns(&self) -> f64 {
        1e9 / self.hz()
    }

    /// Time of `frames` frames.
    pub fn time_of(&self, frames: u64) -> Duration {
        let ns = u128::from(frames) * u128::from(self.denominator) * 1_000_000_000 / u128::from(self.numerator);
        Duration::from_nanos(ns.min(u64::MAX.into()) as u64)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 { write!(out, "{} Hz", self.numerator) } else { write!(out, "{:.3} Hz", self.hz()) }
    }
}

/// What [`Publisher::set_content`](crate::Publisher::set_content) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentChange {
    /// Nothing: it was so already.
    None,
    /// The next frames are so, in the slots that there are.
    InPlace,
    /// A new epoch of the stream was begun, whose slots have room for them. Subscribers move there by themselves.
    NewEpoch,
}

/// How many slots a stream has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slots {
    /// `history + 1 + max_subscribers × max_held`: the publisher finds a free one whatever subscribers do.
    #[default]
    Auto,
    /// So many.
    Exactly(u32),
}

/// What a publisher does when no slot is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// Refuse the frame at once, count it, and say who held the slots.
    #[default]
    Drop,
    /// Wait for a slot, and for lossless subscribers, so long; then as `Drop`, or as [`OnStuck`] says.
    Wait(Duration),
}

/// With [`OnFull::Wait`], what becomes of a lossless subscriber that has been waited for so long in vain. Either way one frame can not
/// be had by all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStuck {
    /// It is waited for no longer: it loses what it was too slow for, and is told so; all others go on.
    #[default]
    Evict,
    /// The new frame is refused, for all, and so is each one after it for which the time is waited in vain.
    Refuse,
}

/// Which slots get their memory before the first frame, and are mapped: by the publisher when it opens the stream, by each
/// subscriber when it attaches. The pages of headers, records and places always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefault {
    /// None: a process's first access to each page of a slot costs it a page fault.
    Off,
    /// The first three: with quick subscribers, no others are ever used.
    #[default]
    Warm,
    /// All: no page fault at all, for the memory of all slots.
    All,
}

/// Everything that the creator of a stream decides. Begin with [`StreamOptions::new`]; the fields are the settings.
///
/// ```
/// use framebus::{Content, ImageShape, PixelFormat, Rate, StreamOptions};
/// let shape = ImageShape::new(1280, 720, PixelFormat::Bgr8)?;
/// let mut options = StreamOptions::new(Content::Image(shape));
/// options.rate = Rate::new(30, 1);
/// options.history = 4;
/// # Ok::<(), framebus::ShapeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// What the stream is made of.
    pub backend: Backend,
    /// What the frames are, to begin with: [`Publisher::set_content`](crate::Publisher::set_content) changes it.
    pub content: Content,
    /// Images and bytes: least room of a slot, in bytes, so that frames of up to this size need no new epoch; 0: that of `content`.
    pub capacity_bytes: u32,
    /// Nominal rate, for those who want to know; nothing enforces it.
    pub rate: Option<Rate>,
    /// Newest frames that can be acquired (1 = latest only).
    pub history: u32,
    /// Number of slots.
    pub slots: Slots,
    /// Most subscribers at a time, 1 to 255.
    pub max_subscribers: u32,
    /// Most frames that a subscriber may hold at a time, 1 to 28.
    pub max_held: u32,
    /// What happens when no slot is free.
    pub on_full: OnFull,
    /// Who pays for a lossless subscriber that is stuck.
    pub on_stuck: OnStuck,
    /// Which slots get their memory at once.
    pub prefault: Prefault,
    /// Ask for huge pages; the kernel may refuse ([`Publisher::memory`](crate::Publisher::memory) tells).
    pub huge_pages: bool,
    /// Keep the frames out of swap, for all who read them too (`SHM_LOCK`; files: mlock(2)). Limited by RLIMIT_MEMLOCK.
    pub lock: bool,
    /// Keep the stream when its publisher ends cleanly.
    pub persist: bool,
    /// Permissions of the segments, as of a file: read and write for each who may subscribe.
    pub mode: u32,
    /// Group of the segments, by id.
    pub group: Option<u32>,
}

impl StreamOptions {
    /// The defaults: latest frame only, up to 8 subscribers of 2 frames each, as many slots as that takes, own user only.
    pub fn new(content: Content) -> Self {
        Self {
            backend: Backend::default(),
            content,
            capacity_bytes: 0,
            rate: None,
            history: 1,
            slots: Slots::default(),
            max_subscribers: 8,
            max_held: 2,
            on_full: OnFull::default(),
            on_stuck: OnStuck::default(),
            prefault: Prefault::default(),
            huge_pages: false,
            lock: false,
            persist: false,
            mode: 0o600,
            group: None,
        }
    }
}
