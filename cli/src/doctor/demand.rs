//! What a config asks of the machine: how many segments, how large, and with which rights.

use std::path::Path;

use anyhow::Context;
use framebus::{Backend, Content, Geometry, Prefault, StreamName, StreamOptions};
use framebus_config::{Config, StreamConfig};

/// Of all streams of a config.
#[derive(Clone, Debug)]
pub struct Demand {
    /// What the config is called.
    pub origin: String,
    /// What the streams are made of.
    pub backend: Backend,
    /// Permissions of the streams.
    pub mode: u32,
    /// Their group, by name or number.
    pub group: Option<String>,
    pub streams: Vec<StreamDemand>,
}

/// Of one stream.
#[derive(Clone, Debug)]
pub struct StreamDemand {
    pub name: StreamName,
    /// Its numbers; of a record whose size the program's type decides, with 1 byte a frame.
    pub geometry: Geometry,
    pub frames_bytes: u64,
    pub places_bytes: u64,
    /// Memory of the two segments that is really taken with quick viewers; of files, all.
    pub touched_bytes: u64,
    pub lock: bool,
    pub huge_pages: bool,
    pub prefault: Prefault,
    pub persist: bool,
}

impl Demand {
    /// What a config asks for.
    ///
    /// # Errors
    /// None with a config that was parsed, whose names and numbers were checked.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let streams = config.streams.iter().map(|(name, stream)| StreamDemand::of(&config.bus.name, name, stream));
        Ok(Self {
            origin: config.origin.clone(),
            backend: config.bus.backend.clone(),
            mode: config.bus.mode,
            group: config.bus.group.clone(),
            streams: streams.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Where the files are; `None` with System V.
    pub fn directory(&self) -> Option<&Path> {
        match &self.backend {
            Backend::File { directory } => Some(directory),
            _ => None,
        }
    }

    /// Number of streams that are System V segments.
    pub fn sysv_streams(&self) -> u64 {
        if self.backend == Backend::SysV { self.streams.len() as u64 } else { 0 }
    }

    /// Bytes of all segments, or files.
    pub fn all_bytes(&self) -> u64 {
        self.streams.iter().map(StreamDemand::all_bytes).sum()
    }

    /// Of these, bytes of memory that are taken with quick viewers.
    pub fn touched_bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.touched_bytes).sum()
    }

    /// Bytes of frames that are there twice for a moment, while the largest stream begins a new epoch: the new one's are made
    /// before the old one's go.
    pub fn epoch_bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.frames_bytes).max().unwrap_or(0)
    }

    /// Memory that is taken twice then: subscribers read the old frames while the new ones are prefaulted.
    pub fn epoch_touched_bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.touched_bytes).max().unwrap_or(0)
    }

    /// Whether a System V key is one of these streams'.
    pub fn has_key(&self, key: i32) -> bool {
        self.sysv_streams() > 0
            && self
                .streams
                .iter()
                .any(|StreamDemand { name, .. }| [name.key(), name.places_key(), name.trial_key()].contains(&key))
    }
}

impl StreamDemand {
    /// What a stream of a bus asks for.
    ///
    /// # Errors
    /// As for [`Demand::of`].
    pub fn of(bus: &str, name: &str, config: &StreamConfig) -> anyhow::Result<Self> {
        let name = StreamName::new(bus, name)?;
        let mut options = config.options.clone();
        if let Content::Record { bytes: bytes @ 0, .. } = &mut options.content {
            *bytes = 1;
        }
        let geometry = Geometry::of(&options).with_context(|| format!("the numbers of stream {name}"))?;
        Ok(Self {
            frames_bytes: geometry.frames_bytes() as u64,
            places_bytes: geometry.places_bytes() as u64,
            touched_bytes: touched_bytes(&geometry, &options),
            lock: options.lock,
            huge_pages: options.huge_pages,
            prefault: options.prefault,
            persist: options.persist,
            geometry,
            name,
        })
    }

    /// Bytes of both segments.
    pub fn all_bytes(&self) -> u64 {
        self.frames_bytes + self.places_bytes
    }
}

/// Slots that are used with quick viewers: the window, the frame before, the one being written. The publisher takes the lowest
/// free one, so the others are never touched.
pub fn touched_slots(geometry: &Geometry, options: &StreamOptions) -> usize {
    let all = options.backend != Backend::SysV || options.prefault == Prefault::All;
    if all { geometry.slots() } else { geometry.slots().min(geometry.history() + 2) }
}

fn touched_bytes(geometry: &Geometry, options: &StreamOptions) -> u64 {
    let payload = geometry.slots() * slot_stride(geometry);
    let headers = geometry.frames_bytes() - payload;
    (headers + touched_slots(geometry, options) * slot_stride(geometry) + geometry.places_bytes()) as u64
}

/// Bytes of a slot: a frame, in whole pages.
fn slot_stride(geometry: &Geometry) -> usize {
    geometry.slot_capacity_bytes().next_multiple_of(4096)
}
