//! Memory that processes share, and the two rights to it: [`ReadMapping`] and [`WriteMapping`] are different types.

pub(crate) mod sysv;

use std::io;
use std::ops::{Deref, Range};
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
pub(crate) struct Mapping {
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
    /// Maps what is there of `range`, so that the first access costs no page fault. Best effort.
    pub(crate) fn populate(&self, range: Range<usize>) {
        let _ = self.advise(range, libc::MADV_POPULATE_READ);
    }
}

impl WriteMapping {
    /// Gives `range` memory now, so that the first write costs no page fault. Best effort.
    pub(crate) fn populate(&self, range: Range<usize>) {
        let _ = self.advise(range, libc::MADV_POPULATE_WRITE);
    }
}

impl Deref for ReadMapping {
    type Target = Mapping;

    fn deref(&self) -> &Mapping {
        &self.0
    }
}

impl Deref for WriteMapping {
    type Target = Mapping;

    fn deref(&self) -> &Mapping {
        &self.0
    }
}

impl Mapping {
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The process that it is in.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Asks for large pages in `range`. Best effort: the kernel's `shmem_enabled` decides.
    pub(crate) fn use_huge_pages(&self, range: Range<usize>) {
        if self.advise(range.clone(), libc::MADV_HUGEPAGE).is_ok() {
            let _ = self.advise(range, libc::MADV_COLLAPSE);
        }
    }

    fn advise(&self, range: Range<usize>, advice: libc::c_int) -> io::Result<()> {
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
