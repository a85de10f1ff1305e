//! Memory that processes share, and the two rights to it: [`ReadMapping`] and [`WriteMapping`] are different types.

pub(crate) mod sysv;

use std::io;
use std::ptr::NonNull;

use crate::process::Process;

/// A mapping that this process may only read: the hardware refuses a store.
#[derive(Debug)]
pub(crate) struct ReadMapping(Mapping);

/// A mapping that this process may read and write.
#[derive(Debug)]
pub(crate) struct WriteMapping(Mapping);

/// An attached segment. Detached when dropped; absent in forked children.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
    process: Process,
}

// SAFETY: a mapping belongs to the process, not to a thread; it is detached once, by Drop. What may be done with the
// memory is `region`'s to say.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared use of the struct only reads its fields.
unsafe impl Sync for Mapping {}

impl ReadMapping {
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.0.base
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes
    }

    pub(crate) fn process(&self) -> Process {
        self.0.process
    }

    /// Maps what is there of `range`, so that the first access costs no page fault. Best effort.
    pub(crate) fn populate(&self, range: std::ops::Range<usize>) {
        let _ = self.0.advise(range, libc::MADV_POPULATE_READ);
    }

    /// See [`WriteMapping::use_huge_pages`].
    pub(crate) fn use_huge_pages(&self, range: std::ops::Range<usize>) {
        self.0.use_huge_pages(range);
    }
}

impl WriteMapping {
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.0.base
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes
    }

    pub(crate) fn process(&self) -> Process {
        self.0.process
    }

    /// Gives `range` memory now, so that the first write costs no page fault. Best effort.
    pub(crate) fn populate(&self, range: std::ops::Range<usize>) {
        let _ = self.0.advise(range, libc::MADV_POPULATE_WRITE);
    }

    /// Asks for large pages in `range`. Best effort: the kernel's `shmem_enabled` decides.
    pub(crate) fn use_huge_pages(&self, range: std::ops::Range<usize>) {
        self.0.use_huge_pages(range);
    }
}

impl Mapping {
    fn use_huge_pages(&self, range: std::ops::Range<usize>) {
        if self.advise(range.clone(), libc::MADV_HUGEPAGE).is_ok() {
            let _ = self.advise(range, libc::MADV_COLLAPSE);
        }
    }

    fn advise(&self, range: std::ops::Range<usize>, advice: libc::c_int) -> io::Result<()> {
        assert!(range.start <= range.end && range.end <= self.bytes, "advice within the mapping");
        // SAFETY: the range lies in this mapping, and none of the advices used here changes what the memory holds.
        let result = unsafe { libc::madvise(self.base.as_ptr().add(range.start).cast(), range.len(), advice) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.process.is_current() {
            // SAFETY: `base` is what shmat(2) returned, and nobody else detaches it; whoever hands out references into
            // the mapping keeps it alive for them.
            unsafe { libc::shmdt(self.base.as_ptr().cast()) };
        }
    }
}
