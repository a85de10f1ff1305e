//! Memory that processes share, and the two rights to it: [`ReadMapping`] and [`WriteMapping`] are different types.

pub(crate) mod file;
pub(crate) mod sysv;

use std::mem::ManuallyDrop;
use std::ops::{Deref, Range};
use std::ptr::NonNull;

use memmap2::MmapRaw;

use crate::call::{CallError, call, check};
use crate::process::Process;

/// Which of a stream's segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Frames,
    Places,
    /// Made only to see that the memory of the next frames segment can be had, and removed at once.
    Trial,
}

/// What the kernel knows of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentStatus {
    pub bytes: u64,
    pub uid: u32,
    /// Creator, as seen from this PID namespace; 0 = not in it, or not known.
    pub creator_pid: u32,
    /// Processes that have it attached; 0 where the kernel does not say.
    pub attached: u64,
}

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
    kind: Kind,
}

/// How a mapping is undone.
#[derive(Debug)]
enum Kind {
    SysV,
    File(ManuallyDrop<MmapRaw>),
    /// Nothing is mapped: the file is empty.
    Empty,
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

    /// Keeps its pages in memory for as long as it is mapped (mlock(2)).
    pub(crate) fn lock(&self) -> Result<(), CallError> {
        // SAFETY: the range is this mapping.
        call("mlock", || check(unsafe { libc::mlock(self.base.as_ptr().cast(), self.bytes) })).map(drop)
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
    /// Completes a mapping: it shall not be there in forked children.
    fn keep_from_children(self) -> Result<Self, CallError> {
        self.advise(0..self.bytes, libc::MADV_DONTFORK)?;
        Ok(self)
    }

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

    fn advise(&self, range: Range<usize>, advice: libc::c_int) -> Result<(), CallError> {
        assert!(range.start <= range.end && range.end <= self.bytes, "advice within the mapping");
        // SAFETY: the range lies in this mapping, and none of the advices used here changes what the memory holds.
        let advise = || unsafe { libc::madvise(self.base.as_ptr().add(range.start).cast(), range.len(), advice) };
        call("madvise", || check(advise())).map(drop)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // In a child there is nothing to undo; something else may be at the address.
        if !self.process.is_current() {
            return;
        }
        match &mut self.kind {
            Kind::SysV => {
                // SAFETY: `base` is what shmat(2) returned, and nobody else detaches it; whoever hands out references into
                // the mapping keeps it alive for them.
                let _ = call("shmdt", || check(unsafe { libc::shmdt(self.base.as_ptr().cast()) }));
            }
            // SAFETY: dropped here alone, and not used afterwards; references as above.
            Kind::File(map) => unsafe { ManuallyDrop::drop(map) },
            Kind::Empty => {}
        }
    }
}
