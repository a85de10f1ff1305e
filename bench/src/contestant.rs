//! Who takes part: buses with their ways of waiting, and the machine's own limits.

use crate::contenders::Contender;
use crate::{contenders, limits};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A bus, or the bare machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Bus {
    Framebus,
    Iceoryx2,
    Ringfire,
    Zenoh,
    UnixSocket,
    PosixShm,
    MmapSync,
    Limits,
}

/// How a subscriber of framebus waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FramebusWait {
    Block,
    Spin,
    Predict,
}

/// How a subscriber of iceoryx2 waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Iceoryx2Wait {
    /// `receive` in a loop.
    Poll,
    /// A listener of an event service, which the publisher notifies.
    Event,
    /// The same listener in a wait set.
    WaitSet,
}

/// How a consumer of ringfire waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RingfireWait {
    Spin,
    Futex,
}

/// One line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    Framebus(FramebusWait),
    Iceoryx2(Iceoryx2Wait),
    Ringfire(RingfireWait),
    Zenoh,
    UnixSocket,
    PosixShm,
    MmapSync,
    /// A page of shared memory and nothing else, polled: a cache line that goes from core to core.
    SharedPage,
    /// The same page, slept on.
    BareFutex,
    /// One reading of the clock.
    Clock,
    /// One copy of a frame.
    Memcpy,
}

/// What may be compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Uses a core while it waits.
    Polling,
    /// Leaves the core to others while it waits.
    Sleeping,
}

impl Contestant {
    /// All, in the order of the tables.
    pub const ALL: [Self; 16] = [
        Self::Framebus(FramebusWait::Block),
        Self::Framebus(FramebusWait::Spin),
        Self::Framebus(FramebusWait::Predict),
        Self::Iceoryx2(Iceoryx2Wait::Poll),
        Self::Iceoryx2(Iceoryx2Wait::Event),
        Self::Iceoryx2(Iceoryx2Wait::WaitSet),
        Self::Ringfire(RingfireWait::Spin),
        Self::Ringfire(RingfireWait::Futex),
        Self::Zenoh,
        Self::UnixSocket,
        Self::PosixShm,
        Self::MmapSync,
        Self::SharedPage,
        Self::BareFutex,
        Self::Clock,
        Self::Memcpy,
    ];

    /// Whose it is.
    pub fn bus(self) -> Bus {
        match self {
            Self::Framebus(_) => Bus::Framebus,
            Self::Iceoryx2(_) => Bus::Iceoryx2,
            Self::Ringfire(_) => Bus::Ringfire,
            Self::Zenoh => Bus::Zenoh,
            Self::UnixSocket => Bus::UnixSocket,
            Self::PosixShm => Bus::PosixShm,
            Self::MmapSync => Bus::MmapSync,
            Self::SharedPage | Self::BareFutex | Self::Clock | Self::Memcpy => Bus::Limits,
        }
    }

    /// Whether it polls or sleeps.
    pub fn kind(self) -> Kind {
        match self {
            Self::Framebus(FramebusWait::Spin)
            | Self::Iceoryx2(Iceoryx2Wait::Poll)
            | Self::Ringfire(RingfireWait::Spin)
            | Self::MmapSync
            | Self::SharedPage
            | Self::Clock
            | Self::Memcpy => Kind::Polling,
            _ => Kind::Sleeping,
        }
    }

    /// Why it takes no part at all; `None`, it does.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Self::Iceoryx2(_) if !cfg!(feature = "iceoryx2") => Some("built without the feature `iceoryx2`"),
            Self::Ringfire(_) if !cfg!(feature = "ringfire") => Some("built without the feature `ringfire`"),
            Self::Zenoh if !cfg!(feature = "zenoh") => Some("built without the feature `zenoh`"),
            Self::MmapSync if !cfg!(feature = "mmap-sync") => Some("built without the feature `mmap-sync`"),
            _ => None,
        }
    }

    /// Does `visitor`'s work with this one's types; `None` for those that are not buses, or not built in.
    pub fn visit<V: Visit>(self, visitor: V) -> Option<V::Out> {
        match self {
            Self::Framebus(_) => Some(visitor.visit::<contenders::framebus::Framebus>()),
            #[cfg(feature = "iceoryx2")]
            Self::Iceoryx2(_) => Some(visitor.visit::<contenders::iceoryx2::Iceoryx2>()),
            #[cfg(feature = "ringfire")]
            Self::Ringfire(_) => Some(visitor.visit::<contenders::ringfire::Ringfire>()),
            #[cfg(feature = "zenoh")]
            Self::Zenoh => Some(visitor.visit::<contenders::zenoh::Zenoh>()),
            #[cfg(feature = "mmap-sync")]
            Self::MmapSync => Some(visitor.visit::<contenders::mmap_sync::MmapSync>()),
            Self::UnixSocket => Some(visitor.visit::<contenders::unix_socket::UnixSocket>()),
            Self::PosixShm => Some(visitor.visit::<contenders::posix_shm::PosixShm>()),
            Self::SharedPage | Self::BareFutex => Some(visitor.visit::<limits::shared_page::SharedPage>()),
            _ => None,
        }
    }
}

/// Work that is compiled anew for each contender, so that nothing between it and the bus costs anything.
pub trait Visit {
    /// What comes of it.
    type Out;
    /// Does it.
    fn visit<C: Contender>(self) -> Self::Out;
}

impl fmt::Display for Contestant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Framebus(FramebusWait::Block) => "framebus block",
            Self::Framebus(FramebusWait::Spin) => "framebus spin",
            Self::Framebus(FramebusWait::Predict) => "framebus predict",
            Self::Iceoryx2(Iceoryx2Wait::Poll) => "iceoryx2 poll",
            Self::Iceoryx2(Iceoryx2Wait::Event) => "iceoryx2 event",
            Self::Iceoryx2(Iceoryx2Wait::WaitSet) => "iceoryx2 waitset",
            Self::Ringfire(RingfireWait::Spin) => "ringfire spin",
            Self::Ringfire(RingfireWait::Futex) => "ringfire futex",
            Self::Zenoh => "zenoh shm",
            Self::UnixSocket => "unix socket",
            Self::PosixShm => "shm + mutex + condvar",
            Self::MmapSync => "mmap-sync, polled",
            Self::SharedPage => "limit: shared page, polled",
            Self::BareFutex => "limit: bare futex",
            Self::Clock => "limit: clock_gettime",
            Self::Memcpy => "limit: memcpy",
        })
    }
}
