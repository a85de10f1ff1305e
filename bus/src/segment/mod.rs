//! Memory that processes share, and the two rights to it: [`ReadMapping`] and [`WriteMapping`] are different types.
//!
//! # Page faults, and huge pages
//!
//! Memory is given to a segment when somebody first writes there, and each process maps it, page by page, when it first looks.
//! [`populate`](WriteMapping::populate) does both beforehand (`MADV_POPULATE_WRITE`, `MADV_POPULATE_READ`; before Linux 5.14
//! by touching each page), so that frames cost no page fault.
//!
//! A huge page of memory is mapped as one only where address and offset agree modulo its size. The kernel's own choice of an
//! address agrees by chance alone, unless it is set up to use huge pages everywhere; so the `_huge` ways to attach choose one.

pub(crate) mod file;
pub(crate) mod shared;
pub(crate) mod sysv;

use std::mem::ManuallyDrop;
use std::ops::{Deref, Range};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use memmap2::MmapRaw;

use crate::call::{CallError, call, check};
use crate::layout::PAGE_BYTES;
use crate::process::Process;

/// Bytes of a huge page: one entry of the second level of page tables, with pages of 4 KiB.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

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
    /// A file at an address of our choice, which memmap2 does not offer.
    FileAtAddress,
    /// Nothing is mapped: the file is empty.
    Empty,
}

// SAFETY: a mapping belongs to the process, not to a thread; it is detached once, by Drop. What may be done with the
// memory is `region`'s to say.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared use of the struct only reads its fields.
unsafe impl Sync for Mapping {}

impl ReadMapping {
    /// Maps `range`, so that the first look costs no page fault. Best effort. What has no memory so far gets some.
    pub(crate) fn populate(&self, range: Range<usize>) {
        if self.advise(range.clone(), libc::MADV_POPULATE_READ).is_err_and(|error| is_unknown(&error)) {
            self.touch(range);
        }
    }

    fn touch(&self, range: Range<usize>) {
        for word in self.pages(range) {
            std::hint::black_box(word.load(Relaxed));
        }
    }
}

impl WriteMapping {
    /// Gives `range` memory now, and maps it, so that the first write costs no page fault. Best effort. What is there
    /// stays, whoever uses it meanwhile.
    pub(crate) fn populate(&self, range: Range<usize>) {
        if self.advise(range.clone(), libc::MADV_POPULATE_WRITE).is_err_and(|error| is_unknown(&error)) {
            self.touch(range);
        }
    }

    fn touch(&self, range: Range<usize>) {
        for word in self.pages(range) {
            let found = word.load(Relaxed);
            // A write that changes nothing, also where others write: either what was found is still there, or it fails.
            // (`fetch_or(0)` would not do: compilers make a mere load of it.)
            let _ = word.compare_exchange(found, found, Relaxed, Relaxed);
        }
    }

    /// Asks for huge pages: now for `range`, which gets its memory, and for the rest when it is first used. Best effort: it
    /// takes a kernel that has them, memory that is not too scattered, and a mapping that was attached for it.
    ///
    /// A mapping of the same memory in another process loses its pages where they are moved together, and gets them back
    /// fault by fault: so only a publisher does this, while it opens the stream.
    pub(crate) fn use_huge_pages(&self, range: Range<usize>) {
        let _ = self.advise(0..self.bytes, libc::MADV_HUGEPAGE);
        let first = range.start / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        let end = range.end.next_multiple_of(HUGE_PAGE_BYTES).min(self.bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES);
        if range.is_empty() || first >= end {
            return;
        }
        // A first page each: without any page table there, the kernel (6.18) refuses with EINVAL.
        for page in (first..end).step_by(HUGE_PAGE_BYTES) {
            let _ = self.advise(page..page + PAGE_BYTES, libc::MADV_POPULATE_WRITE);
        }
        let _ = self.advise(first..end, libc::MADV_COLLAPSE);
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

    /// The first word of each page of `range`.
    fn pages(&self, range: Range<usize>) -> impl Iterator<Item = &AtomicU32> {
        assert!(range.start <= range.end && range.end <= self.bytes, "pages within the mapping");
        let first = range.start / PAGE_BYTES * PAGE_BYTES;
        // SAFETY: the range lies in this mapping, which is page aligned, so there is a whole aligned word at each page's
        // beginning. It is read and written as an atomic, because others may use it.
        (first..range.end).step_by(PAGE_BYTES).map(|at| unsafe { self.base.add(at).cast::<AtomicU32>().as_ref() })
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
            Kind::FileAtAddress => {
                // SAFETY: `base` is what mmap(2) returned for so many bytes, and nobody else unmaps it; references as above.
                let _ = call("munmap", || check(unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) }));
            }
            Kind::Empty => {}
        }
    }
}

/// Whether the kernel does not know an advice.
fn is_unknown(error: &CallError) -> bool {
    error.errno() == Some(libc::EINVAL)
}

/// An address at which huge pages can be mapped, and `bytes` are free; another thread may take them any moment. `None` where
/// so few bytes have no huge page, or there is no such address.
fn free_huge_address(bytes: usize) -> Option<NonNull<libc::c_void>> {
    let span = bytes.checked_add(HUGE_PAGE_BYTES).filter(|_| bytes >= HUGE_PAGE_BYTES)?;
    let (protection, kind) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    let free = call("mmap", || {
        // SAFETY: a new mapping where nothing is; nobody but us knows its address.
        let free = unsafe { libc::mmap(ptr::null_mut(), span, protection, kind, -1, 0) };
        if free == libc::MAP_FAILED { Err(std::io::Error::last_os_error()) } else { Ok(free) }
    });
    let free = free.ok()?;
    // SAFETY: what was just mapped, and never used.
    call("munmap", || check(unsafe { libc::munmap(free, span) })).ok()?;
    NonNull::new(free.wrapping_add(free.align_offset(HUGE_PAGE_BYTES)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 40 * PAGE_BYTES + 100;

    /// Page faults of this thread so far.
    fn faults() -> i64 {
        // SAFETY: rusage is plain data, and getrusage fills it.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
            usage.ru_minflt + usage.ru_majflt
        }
    }

    /// A new segment without a key, which goes with its last mapping.
    fn segment(bytes: usize, huge: bool) -> (WriteMapping, ReadMapping) {
        let id = sysv::create(libc::IPC_PRIVATE, bytes, 0o600, None).unwrap();
        let mappings = match huge {
            true => (sysv::attach_write_huge(id).unwrap(), sysv::attach_read_huge(id).unwrap()),
            false => (sysv::attach_write(id).unwrap(), sysv::attach_read(id).unwrap()),
        };
        sysv::remove(id).unwrap();
        mappings
    }

    fn write(mapping: &WriteMapping, value: u32) -> i64 {
        let before = faults();
        mapping.pages(0..BYTES).for_each(|word| word.store(value, Relaxed));
        faults() - before
    }

    fn read(mapping: &ReadMapping, value: u32) -> i64 {
        let before = faults();
        assert!(mapping.pages(0..BYTES).all(|word| word.load(Relaxed) == value));
        faults() - before
    }

    #[test]
    fn memory_is_populated_also_by_a_kernel_that_knows_no_such_advice() {
        let populated = |by_touching: bool| {
            let (writer, reader) = segment(BYTES, false);
            if by_touching {
                writer.touch(0..BYTES)
            } else {
                writer.populate(0..BYTES)
            }
            let writing = write(&writer, 7);
            // Again, over what stands there.
            if by_touching {
                writer.touch(0..BYTES)
            } else {
                writer.populate(0..BYTES)
            }
            if by_touching {
                reader.touch(0..BYTES)
            } else {
                reader.populate(0..BYTES)
            }
            (writing, read(&reader, 7))
        };
        // The kernel may move a page just then.
        for by_touching in [true, false] {
            let found = (0..5).map(|_| populated(by_touching)).find(|faults| *faults == (0, 0));
            assert!(found.is_some(), "by touching: {by_touching}");
        }
        let (writer, reader) = segment(BYTES, false);
        assert!(write(&writer, 7) > 0 && read(&reader, 7) > 0, "the check itself notices");
    }

    #[test]
    fn a_mapping_for_huge_pages_begins_where_one_can() {
        let (writer, reader) = segment(2 * HUGE_PAGE_BYTES + 100, true);
        assert_eq!(writer.base().as_ptr().align_offset(HUGE_PAGE_BYTES), 0);
        assert_eq!(reader.base().as_ptr().align_offset(HUGE_PAGE_BYTES), 0);
        assert_ne!(writer.base(), reader.base());
        // Too small for one.
        assert_eq!(free_huge_address(HUGE_PAGE_BYTES - 1), None);
        assert_eq!(segment(BYTES, true).0.bytes(), BYTES);
        // No address has so much room.
        assert_eq!(free_huge_address(usize::MAX >> 1), None);
    }
}
