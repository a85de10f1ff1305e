//! mmap-sync: the newest value in one of two files. Each write hashes and copies the value; reads are in place. (Each write is flushed,
//! too; in /dev/shm that costs one system call.)
//!
//! Readers can only ask for the version, so they poll. The value here is the frame's bytes with the stamp once more at their
//! end, which is where rkyv looks for a value's root. The writer sleeps in steps while a reader is still in the file that it
//! wants: 1 µs instead of the default second.

use super::{Contender, Publish, Seen, Site, Subscribe, patiently, poll};
use anyhow::Result;
use mmap_sync::instance::InstanceVersion;
use mmap_sync::locks::LockDisabled;
use mmap_sync::synchronizer::Synchronizer;
use std::ffi::OsString;
use std::time::{Duration, Instant};

type Store = Synchronizer<wyhash::WyHash, LockDisabled, 1024, 1_000>;

/// After which a reader is taken for dead.
const GRACE: Duration = Duration::from_secs(1);

pub struct MmapSync;

fn prefix(site: &Site) -> OsString {
    site.shm_path().into_os_string()
}

impl Contender for MmapSync {
    type Publisher = MmapPublisher;
    type Subscriber = MmapSubscriber;

    fn publisher(site: &Site) -> Result<MmapPublisher> {
        let store = Store::with_params(&prefix(site));
        let mut publisher = MmapPublisher { store, frame: vec![0; site.bytes], prefix: prefix(site) };
        // The first write makes the files; a stamp of 0 is no frame to anybody.
        publisher.publish(|| 0)?;
        Ok(publisher)
    }

    fn subscriber(site: &Site) -> Result<MmapSubscriber> {
        let mut store = Store::with_params(&prefix(site));
        patiently("first value", || Ok(store.version().map(drop)?))?;
        Ok(MmapSubscriber { store, seen: None })
    }
}

pub struct MmapPublisher {
    store: Store,
    frame: Vec<u8>,
    prefix: OsString,
}

impl Publish for MmapPublisher {
    #[inline]
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()> {
        let stamp = stamp().to_ne_bytes();
        self.frame[..8].copy_from_slice(&stamp);
        let end = self.frame.len() - 8;
        self.frame[end..].copy_from_slice(&stamp);
        self.store.write_raw::<u64>(&self.frame, GRACE)?;
        Ok(())
    }
}

impl Drop for MmapPublisher {
    fn drop(&mut self) {
        for suffix in ["_state", "_data_0", "_data_1"] {
            let mut path = self.prefix.clone();
            path.push(suffix);
            let _ = std::fs::remove_file(path);
        }
    }
}

pub struct MmapSubscriber {
    store: Store,
    seen: Option<InstanceVersion>,
}

impl MmapSubscriber {
    #[inline]
    fn read_newer(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        let version = self.store.version()?;
        if self.seen.as_ref() == Some(&version) {
            return Ok(None);
        }
        self.seen = Some(version);
        // SAFETY: the publisher writes values that end with a `u64`, which is what is read here, and of which every pattern of
        // bits is one; the guard is dropped long before the writer's grace ends.
        let value = unsafe { self.store.read::<u64>(false)? };
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&(*value).to_ne_bytes());
        Ok(Some(look(&bytes)).filter(|seen| seen.stamp != 0))
    }
}

impl Subscribe for MmapSubscriber {
    #[inline]
    fn wait(&mut self, deadline: Instant, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        poll(deadline, || self.read_newer(&look))
    }

    #[inline]
    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        self.read_newer(look)
    }
}
