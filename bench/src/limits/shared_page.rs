//! One page of shared memory, with a number and a stamp in one cache line, and nothing else: polled, or slept on by a bare
//! futex(2).
//!
//! It is behind the same calls as a bus, so that it does exactly the same work.

use crate::contenders::{Contender, Publish, Seen, Site, Subscribe, patiently, poll};
use crate::contestant::Contestant;
use anyhow::{Result, ensure};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

const PAGE: u64 = 4096;

#[repr(C, align(64))]
struct Line {
    /// Frames so far; slept on.
    count: AtomicU32,
    /// The newest one's.
    stamp: AtomicU64,
}

struct Page(MmapRaw);

impl Page {
    fn line(&self) -> &Line {
        // SAFETY: the mapping is a page, aligned to it, and lives as long as self; its words are atomics, of which all zeros
        // are values.
        unsafe { &*self.0.as_ptr().cast::<Line>() }
    }
}

pub struct SharedPage;

impl Contender for SharedPage {
    type Publisher = PagePublisher;
    type Subscriber = PageSubscriber;

    fn publisher(site: &Site) -> Result<PagePublisher> {
        let path = site.shm_path();
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        file.set_len(PAGE)?;
        let page = Page(MmapOptions::new().len(PAGE as usize).map_raw(&file)?);
        Ok(PagePublisher { page, path, wakes: sleeps(site) })
    }

    fn subscriber(site: &Site) -> Result<PageSubscriber> {
        let file = patiently("shared page", || {
            let file = OpenOptions::new().read(true).write(true).open(site.shm_path())?;
            ensure!(file.metadata()?.len() == PAGE, "it is not made yet");
            Ok(file)
        })?;
        let page = Page(MmapOptions::new().len(PAGE as usize).map_raw(&file)?);
        Ok(PageSubscriber { page, last: 0, sleeps: sleeps(site) })
    }
}

fn sleeps(site: &Site) -> bool {
    site.contestant == Contestant::BareFutex
}

pub struct PagePublisher {
    page: Page,
    path: PathBuf,
    wakes: bool,
}

impl Publish for PagePublisher {
    #[inline]
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()> {
        let line = self.page.line();
        line.stamp.store(stamp(), Ordering::Relaxed);
        line.count.fetch_add(1, Ordering::Release);
        if self.wakes {
            futex(&line.count, libc::FUTEX_WAKE, i32::MAX as u32, None);
        }
        Ok(())
    }
}

impl Drop for PagePublisher {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

pub struct PageSubscriber {
    page: Page,
    last: u32,
    sleeps: bool,
}

impl Subscribe for PageSubscriber {
    #[inline]
    fn wait(&mut self, deadline: Instant, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        if !self.sleeps {
            return poll(deadline, || Ok(self.newer(&look)));
        }
        loop {
            if let Some(seen) = self.newer(&look) {
                return Ok(Some(seen));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let left = libc::timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            futex(&self.page.line().count, libc::FUTEX_WAIT, self.last, Some(&left));
        }
    }

    #[inline]
    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        Ok(self.newer(look))
    }
}

impl PageSubscriber {
    #[inline(always)]
    fn newer(&mut self, look: impl Fn(&[u8]) -> Seen) -> Option<Seen> {
        let line = self.page.line();
        let count = line.count.load(Ordering::Acquire);
        if count == self.last {
            return None;
        }
        self.last = count;
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&line.stamp.load(Ordering::Relaxed).to_ne_bytes());
        Some(look(&bytes))
    }
}

fn futex(word: &AtomicU32, operation: i32, value: u32, timeout: Option<&libc::timespec>) {
    let timeout = timeout.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word is mapped as long as the reference lives, the time is a timespec or null; what the call says is seen
    // in the word itself.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, timeout) };
}
