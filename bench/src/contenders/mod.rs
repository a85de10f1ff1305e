//! The buses, each behind the same few calls.
//!
//! A contender is what somebody would write who has read that bus's documentation and wants the work done well. What is
//! between the work and the bus is generic, not dynamic: it is compiled away.

use crate::contestant::Contestant;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub mod framebus;
#[cfg(feature = "iceoryx2")]
pub mod iceoryx2;
#[cfg(feature = "mmap-sync")]
pub mod mmap_sync;
pub mod posix_shm;
#[cfg(feature = "ringfire")]
pub mod ringfire;
pub mod unix_socket;
#[cfg(feature = "zenoh")]
pub mod zenoh;

/// A stamp that no clock shows: the publisher's last frame.
pub const LAST: u64 = u64::MAX;

/// A stamp that no clock shows: a frame that nobody counts.
pub const WARM_UP: u64 = 1;

/// How long a subscriber waits for what it shall attach to.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a subscriber may miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// All but the newest frame.
    Latest,
    /// Nothing: the publisher waits.
    Lossless,
}

/// Where publisher and subscribers meet, and what they shall do there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Site {
    pub contestant: Contestant,
    /// Begins every name that is made; unique to the run.
    pub run: String,
    /// The run's own directory.
    pub directory: PathBuf,
    /// What all processes of one measurement share.
    pub link: String,
    /// One direction.
    pub topic: String,
    /// Whether this process is the one that the others of the link connect to, where that makes a difference.
    pub hosts: bool,
    /// Size of a frame.
    pub bytes: usize,
    /// Most subscribers at a time.
    pub subscribers: usize,
    pub delivery: Delivery,
    /// Nominal rate, where there is one.
    pub hz: Option<f64>,
}

impl Site {
    /// The name of all that belongs to this topic.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.run, self.link, self.topic)
    }

    /// A file in shared memory, under that name.
    pub fn shm_path(&self) -> PathBuf {
        PathBuf::from("/dev/shm").join(self.name())
    }
}

/// What was seen of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its stamp: `CLOCK_MONOTONIC` just before it was published.
    pub stamp: u64,
    /// When it could be read; 0 where nobody asked.
    pub at: u64,
}

/// Looks at a frame as soon as it is there: first at the clock, then at the stamp.
#[inline]
pub fn look_at_clock(frame: &[u8]) -> Seen {
    let at = crate::clock::now_ns();
    Seen { stamp: stamp_of(frame), at }
}

/// Looks at the stamp alone.
#[inline]
pub fn look(frame: &[u8]) -> Seen {
    Seen { stamp: stamp_of(frame), at: 0 }
}

/// A frame begins with its stamp.
#[inline]
pub fn stamp_of(frame: &[u8]) -> u64 {
    u64::from_ne_bytes(*frame.first_chunk().expect("frames have at least 64 bytes"))
}

/// A bus.
pub trait Contender {
    type Publisher: Publish;
    type Subscriber: Subscribe;

    /// Makes the topic.
    fn publisher(site: &Site) -> Result<Self::Publisher>;

    /// Attaches to the topic, and waits for it if it is not there yet.
    fn subscriber(site: &Site) -> Result<Self::Subscriber>;

    /// Sends every frame that comes `there` `back`, until the last one.
    fn answer(there: &Site, back: &Site, ready: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut publisher = Self::publisher(back)?;
        let mut subscriber = Self::subscriber(there)?;
        ready()?;
        publisher.settle(1)?;
        while !crate::actor::stopped() {
            match subscriber.wait(Instant::now() + Duration::from_millis(100), look)? {
                Some(seen) if seen.stamp == LAST => break,
                Some(seen) => publisher.publish(|| seen.stamp)?,
                None => {}
            }
        }
        Ok(())
    }
}

/// The one who writes.
pub trait Publish {
    /// Publishes a frame that begins with what `stamp` returns, which is called as late as possible. The rest of the frame
    /// is whatever is there.
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()>;

    /// Returns when so many subscribers are connected, where a bus connects them.
    fn settle(&mut self, _subscribers: usize) -> Result<()> {
        Ok(())
    }
}

/// One who reads.
pub trait Subscribe {
    /// Waits, in the contestant's way, for a frame that was not taken yet; lossless: the next, otherwise: the newest.
    fn wait(&mut self, deadline: Instant, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>>;

    /// Takes a frame that is known to be there: the same thread has just published it.
    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>>;
}

/// Asks until there is something, or until the deadline.
#[inline(always)]
pub fn poll<T>(deadline: Instant, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let mut asked = 0_u32;
    loop {
        if let Some(found) = ask()? {
            return Ok(Some(found));
        }
        std::hint::spin_loop();
        asked = asked.wrapping_add(1);
        // The clock is much dearer than a look.
        if asked.is_multiple_of(64) && Instant::now() >= deadline {
            return Ok(None);
        }
    }
}

/// Tries until it works, or until patience ends.
pub fn patiently<T>(what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() >= end => return Err(error).with_context(|| format!("no {what} in time")),
            Err(_) if crate::actor::stopped() => bail!("stopped while waiting for {what}"),
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}
