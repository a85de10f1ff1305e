//! What people write by hand: a file in /dev/shm, a process-shared mutex and condition variable, and two copies.
//!
//! The publisher copies its frame in under the lock and broadcasts; a subscriber waits on the condition and copies the frame
//! out under the lock, for while it looked at it in place, nobody else could.

use super::{Contender, Publish, Seen, Site, Subscribe, patiently};
use anyhow::{Result, bail, ensure};
use memmap2::{MmapOptions, MmapRaw};
use std::cell::UnsafeCell;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

pub struct PosixShm;

/// Where the frame begins.
const FRAME_OFFSET: usize = 4096;

/// What lies at the mapping's beginning.
#[repr(C)]
struct Shared {
    /// 1 as soon as the rest is made.
    ready: AtomicU32,
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    condition: UnsafeCell<libc::pthread_cond_t>,
    /// Guarded by the mutex, as the frame is.
    sequence: UnsafeCell<u64>,
}

/// The mapping, as both sides have it.
struct Store {
    map: MmapRaw,
    bytes: usize,
}

impl Store {
    fn shared(&self) -> &Shared {
        // SAFETY: the mapping is page aligned and larger than a `Shared`, of which all zeros is a value, and lives as long as
        // self; what changes behind the reference is atomic, or in an `UnsafeCell`.
        unsafe { &*self.map.as_ptr().cast::<Shared>() }
    }

    /// Runs `work` under the lock, with the sequence and the frame.
    fn locked<T>(&self, work: impl FnOnce(&Shared, &mut u64, &mut [u8]) -> T) -> Result<T> {
        let shared = self.shared();
        // SAFETY: the mutex was made before `ready` was set, which both sides have seen.
        let failed = unsafe { libc::pthread_mutex_lock(shared.mutex.get()) };
        ensure!(failed == 0, "pthread_mutex_lock: {failed}");
        // SAFETY: both are only touched under the lock, which we have; the frame lies inside the mapping (its file has this
        // size), behind all of `Shared`.
        let done = unsafe {
            let frame = std::slice::from_raw_parts_mut(self.map.as_mut_ptr().add(FRAME_OFFSET), self.bytes);
            work(shared, &mut *shared.sequence.get(), frame)
        };
        // SAFETY: locked above, by this thread.
        unsafe { libc::pthread_mutex_unlock(shared.mutex.get()) };
        Ok(done)
    }
}

impl Contender for PosixShm {
    type Publisher = ShmPublisher;
    type Subscriber = ShmSubscriber;

    fn publisher(site: &Site) -> Result<ShmPublisher> {
        let path = site.shm_path();
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        file.set_len((FRAME_OFFSET + site.bytes) as u64)?;
        let store = Store { map: MmapOptions::new().map_raw(&file)?, bytes: site.bytes };
        let shared = store.shared();
        // SAFETY: nobody else looks at these before `ready` is set; the attributes are initialised before they are used.
        let failed = unsafe {
            let mut mutex: libc::pthread_mutexattr_t = std::mem::zeroed();
            let mut condition: libc::pthread_condattr_t = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut mutex)
                | libc::pthread_mutexattr_setpshared(&mut mutex, libc::PTHREAD_PROCESS_SHARED)
                | libc::pthread_mutex_init(shared.mutex.get(), &mutex)
                | libc::pthread_condattr_init(&mut condition)
                | libc::pthread_condattr_setpshared(&mut condition, libc::PTHREAD_PROCESS_SHARED)
                | libc::pthread_condattr_setclock(&mut condition, libc::CLOCK_MONOTONIC)
                | libc::pthread_cond_init(shared.condition.get(), &condition)
        };
        ensure!(failed == 0, "process-shared mutex and condition: {failed}");
        shared.ready.store(1, Ordering::Release);
        Ok(ShmPublisher { store, frame: vec![0; site.bytes], path })
    }

    fn subscriber(site: &Site) -> Result<ShmSubscriber> {
        let store = patiently("shared memory", || {
            let file = OpenOptions::new().read(true).write(true).open(site.shm_path())?;
            let bytes = (FRAME_OFFSET + site.bytes) as u64;
            ensure!(file.metadata()?.len() == bytes, "not all of its memory is there");
            let store = Store { map: MmapOptions::new().map_raw(&file)?, bytes: site.bytes };
            ensure!(store.shared().ready.load(Ordering::Acquire) == 1, "its mutex is not made yet");
            Ok(store)
        })?;
        Ok(ShmSubscriber { store, frame: vec![0; site.bytes], last: 0 })
    }
}

pub struct ShmPublisher {
    store: Store,
    frame: Vec<u8>,
    path: PathBuf,
}

impl Publish for ShmPublisher {
    #[inline]
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()> {
        self.frame[..8].copy_from_slice(&stamp().to_ne_bytes());
        self.store.locked(|shared, sequence, frame| {
            frame.copy_from_slice(&self.frame);
            *sequence += 1;
            // SAFETY: made before `ready` was set.
            unsafe { libc::pthread_cond_broadcast(shared.condition.get()) };
        })
    }
}

impl Drop for ShmPublisher {
    fn drop(&mut self) {
        // The run looks for what is left once more at its end.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub struct ShmSubscriber {
    store: Store,
    frame: Vec<u8>,
    last: u64,
}

impl Subscribe for ShmSubscriber {
    #[inline]
    fn wait(&mut self, deadline: Instant, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        let (own, last) = (&mut self.frame, &mut self.last);
        let outcome = self.store.locked(|shared, sequence, frame| {
            let sequence = std::ptr::from_mut(sequence);
            // SAFETY: a plain word under the lock. It changes while we wait, without the lock, so it is read anew.
            while unsafe { sequence.read_volatile() } == *last {
                let left = deadline.saturating_duration_since(Instant::now());
                let until = crate::clock::now_ns() + left.as_nanos() as u64;
                let time =
                    libc::timespec { tv_sec: (until / 1_000_000_000) as i64, tv_nsec: (until % 1_000_000_000) as i64 };
                // SAFETY: made before `ready` was set, and we have the lock.
                match unsafe { libc::pthread_cond_timedwait(shared.condition.get(), shared.mutex.get(), &time) } {
                    0 => {}
                    libc::ETIMEDOUT => return Ok(false),
                    failed => return Err(failed),
                }
            }
            // SAFETY: as above.
            *last = unsafe { sequence.read_volatile() };
            own.copy_from_slice(frame);
            Ok(true)
        })?;
        match outcome {
            Ok(true) => Ok(Some(look(&self.frame))),
            Ok(false) => Ok(None),
            Err(failed) => bail!("pthread_cond_timedwait: {failed}"),
        }
    }

    #[inline]
    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        self.wait(Instant::now(), look)
    }
}
