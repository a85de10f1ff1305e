//! Leases of the file backend: open-file-description locks on bytes of the file `lock` (fcntl(2)).
//!
//! Byte 0 is the publisher's lease, byte i + 1 that of place i. A lock belongs to the open file and goes when that is closed
//! for the last time; so each claim opens the file for itself. The file's contents say who claimed last: for each lease a
//! pid and the number of its PID namespace, both u32.
//!
//! A forked child shares its parent's open files, and would keep the parent's leases when that dies. So all claims of a
//! process are listed, and a child closes them before anything else (pthread_atfork(3)).

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::sync::{Arc, Once};

use super::{Holder, LEASES, Refused};
use crate::call::{CallError, call, check};
use crate::segment::file::{StreamDirectory, number_of, open_number, set_access, unlink_number};
use crate::slots::PlaceSet;

/// A stream's file of leases.
#[derive(Clone, Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    number: i32,
    /// To ask who holds what: an open file without a lock of its own, so every lock counts as another's.
    query: Arc<File>,
}

impl LockFile {
    /// The file, created where there is none.
    ///
    /// # Errors
    /// ENOENT where its directory is gone again; EACCES.
    pub(crate) fn open_or_create(directory: &StreamDirectory, mode: u32) -> Result<Self, CallError> {
        let path = directory.lock_path();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(mode & 0o666);
        match call("open", || options.open(&path)) {
            Ok(file) => {
                // The process's umask has taken rights away.
                call("chmod", || file.set_permissions(Permissions::from_mode(mode & 0o666)))?;
                let number = number_of(&call("stat", || file.metadata())?);
                Ok(Self { path, number, query: Arc::new(file) })
            }
            Err(error) if error.errno() == Some(libc::EEXIST) => match Self::find(directory)? {
                Some(found) => Ok(found),
                None => Err(CallError { call: "open", source: io::Error::from_raw_os_error(libc::ENOENT) }),
            },
            Err(error) => Err(error),
        }
    }

    /// The file, if there is one.
    pub(crate) fn find(directory: &StreamDirectory) -> Result<Option<Self>, CallError> {
        let path = directory.lock_path();
        let number = match call("stat", || std::fs::symlink_metadata(&path)) {
            Ok(status) => number_of(&status),
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Who only looks, as an observer does, may not be allowed to write.
        match open_number(&path, number, false) {
            Ok((file, _)) => Ok(Some(Self { path, number, query: Arc::new(file) })),
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ESTALE)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What stands where a stream's leases are. Nothing is changed.
    pub(crate) fn look(directory: &StreamDirectory) -> Result<LockLook, CallError> {
        let path = directory.lock_path();
        let status = match call("stat", || std::fs::symlink_metadata(&path)) {
            Ok(status) => status,
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(LockLook::None),
            Err(error) => return Err(error),
        };
        let most = (LEASES * CLAIMANT_BYTES) as u64;
        if !status.is_file() || status.len() > most || status.len() % CLAIMANT_BYTES as u64 != 0 {
            return Ok(LockLook::Foreign);
        }
        let (file, _) = match open_number(&path, number_of(&status), false) {
            Ok(opened) => opened,
            Err(error) if error.is_gone() => return Ok(LockLook::None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; status.len() as usize];
        if let Err(error) = call("read", || file.read_exact_at(&mut bytes, 0)) {
            // Who is truncating it is none of us.
            return if error.source.kind() == io::ErrorKind::UnexpectedEof {
                Ok(LockLook::Foreign)
            } else {
                Err(error)
            };
        }
        let claimants = bytes.chunks_exact(CLAIMANT_BYTES).map(|word| {
            let word = u64::from_ne_bytes(word.try_into().unwrap_or_default());
            ((word >> 32) as u32, word as u32)
        });
        let mut marked = false;
        for (namespace, pid) in claimants {
            match (namespace, pid) {
                (0, 0) => {}
                // Without /proc, a namespace has no number; but so may anybody write his own.
                (0, 1..=MOST_PID) => {}
                (FIRST_PID_NAMESPACE.., 1..=MOST_PID) => marked = true,
                _ => return Ok(LockLook::Foreign),
            }
        }
        Ok(if marked { LockLook::Marked } else { LockLook::Unmarked })
    }

    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    pub(crate) fn set_access(&self, mode: u32, group: Option<u32>) -> Result<(), CallError> {
        let status = call("stat", || self.query.metadata())?;
        set_access(&self.query, &status, mode & 0o666, group)
    }

    pub(crate) fn claim(&self, holder: Holder) -> Result<Held, Refused> {
        let held = Held::open(self, holder).map_err(|error| match error.is_gone() {
            true => Refused::Gone,
            false => Refused::System(error),
        })?;
        match lock(held.file(), holder, libc::F_WRLCK) {
            Ok(()) => {}
            Err(error) if matches!(error.errno(), Some(libc::EAGAIN | libc::EACCES)) => return Err(Refused::Held),
            Err(error) => return Err(Refused::System(error)),
        }
        // Whoever removes the file holds the publisher's lease; a lock on a removed one is a lock on nothing.
        if !self.exists() {
            return Err(Refused::Gone);
        }
        // Only to name the holder to others: nothing depends on it.
        let claimant = (u64::from(pid_namespace()) << 32 | u64::from(std::process::id())).to_ne_bytes();
        let _ = call("write", || held.file().write_at(&claimant, claimant_offset(holder)));
        Ok(held)
    }

    /// One lock in a range of leases, by its first index; `None` where there is none in it.
    fn lock_in(&self, range: std::ops::Range<usize>) -> Result<Option<std::ops::Range<usize>>, CallError> {
        let mut question = whole_file_lock(libc::F_WRLCK);
        question.l_start = range.start as libc::off_t;
        question.l_len = range.len() as libc::off_t;
        let mut answer = question;
        let buffer = &raw mut answer;
        // SAFETY: F_OFD_GETLK reads and fills a flock.
        call("fcntl", || check(unsafe { libc::fcntl(self.query.as_raw_fd(), libc::F_OFD_GETLK, buffer) }))?;
        if answer.l_type == libc::F_UNLCK as libc::c_short {
            return Ok(None);
        }
        let start = answer.l_start.max(0) as usize;
        let end = if answer.l_len > 0 { start + answer.l_len as usize } else { LEASES };
        Ok(Some(start.clamp(range.start, range.end)..end.clamp(range.start, range.end)))
    }

    /// Whether somebody holds the lease; where the kernel does not say, somebody does.
    pub(crate) fn is_held(&self, holder: Holder) -> bool {
        let index = holder.index() as usize;
        !matches!(self.lock_in(index..index + 1), Ok(None))
    }

    pub(crate) fn exists(&self) -> bool {
        call("stat", || std::fs::symlink_metadata(&self.path)).is_ok_and(|status| number_of(&status) == self.number)
    }

    /// The process that last claimed the lease; `None` where it is of another PID namespace: its number there is another
    /// process's here.
    pub(crate) fn holder_pid(&self, holder: Holder) -> Option<u32> {
        let mut bytes = [0_u8; 8];
        let read = call("read", || self.query.read_at(&mut bytes, claimant_offset(holder)));
        let claimant = read.is_ok_and(|read| read == bytes.len()).then(|| u64::from_ne_bytes(bytes))?;
        let (namespace, pid) = ((claimant >> 32) as u32, claimant as u32);
        (pid != 0 && namespace != 0 && namespace == pid_namespace()).then_some(pid)
    }

    /// The process that claimed the lease last, where it may be dead: the kernel gives the number of a PID namespace that is
    /// gone to another one, so only that of the first of all tells anything then.
    pub(crate) fn last_pid(&self, holder: Holder) -> Option<u32> {
        self.holder_pid(holder).filter(|_| pid_namespace() == FIRST_PID_NAMESPACE)
    }

    pub(crate) fn dropped_places(&self) -> PlaceSet {
        let mut dropped = PlaceSet::default();
        if !self.exists() {
            return dropped;
        }
        // The publisher's lease is at 0.
        let (mut unknown, mut next) = (Vec::new(), Some(1..LEASES));
        while let Some(range) = next.take().or_else(|| unknown.pop()) {
            match self.lock_in(range.clone()) {
                Ok(None) => range.for_each(|index| dropped.insert(index - 1)),
                Ok(Some(held)) if !held.is_empty() => {
                    let sides = [range.start..held.start, held.end..range.end];
                    unknown.extend(sides.into_iter().filter(|side| !side.is_empty()));
                }
                // Where the kernel does not say, everybody is alive.
                _ => return PlaceSet::default(),
            }
        }
        dropped
    }

    pub(crate) fn remove(&self) -> Result<(), CallError> {
        unlink_number(&self.path, self.number)
    }
}

/// What a file of leases looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockLook {
    None,
    /// It says who claimed what, as no other program's file does.
    Marked,
    /// Nobody has claimed anything so far; or it is somebody else's: many programs have an empty `lock`.
    Unmarked,
    /// Something else stands in it.
    Foreign,
}

/// `PROC_PID_INIT_INO` of the kernel (include/linux/proc_ns.h). Those of all other PID namespaces are greater.
const FIRST_PID_NAMESPACE: u32 = 0xeffffffc;

/// `PID_MAX_LIMIT` of the kernel (include/linux/threads.h).
const MOST_PID: u32 = 1 << 22;

/// What says who claimed a lease.
const CLAIMANT_BYTES: usize = 8;

fn claimant_offset(holder: Holder) -> u64 {
    u64::from(holder.index()) * CLAIMANT_BYTES as u64
}

/// The number of this process's PID namespace (namespaces(7)); 0 where it is not known.
fn pid_namespace() -> u32 {
    call("stat", || std::fs::metadata("/proc/self/ns/pid")).map_or(0, |status| status.ino() as u32)
}

fn whole_file_lock(kind: libc::c_int) -> libc::flock {
    // SAFETY: flock is plain data, so zeroes are a value of it; l_pid must be 0 for locks of open files.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

fn lock(file: &File, holder: Holder, kind: libc::c_int) -> Result<(), CallError> {
    let mut lock = whole_file_lock(kind);
    (lock.l_start, lock.l_len) = (holder.index().into(), 1);
    let name = if kind == libc::F_UNLCK { "fcntl(F_UNLCK)" } else { "fcntl" };
    // SAFETY: F_OFD_SETLK reads a flock, and does not wait.
    call(name, || check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) })).map(drop)
}

/// The open file of one claim. Closing it gives the lease back; a forked child closes it at once.
#[derive(Debug)]
pub(crate) struct Held {
    holder: Holder,
    file: ManuallyDrop<File>,
    entry: &'static Entry,
}

impl Held {
    fn open(locks: &LockFile, holder: Holder) -> Result<Self, CallError> {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the handlers touch nothing but atomics and close(2), which a child of a process with threads may
            // call. Should there be no memory for them, children keep leases for as long as they live.
            unsafe { libc::pthread_atfork(Some(begin_fork), Some(end_fork_in_parent), Some(end_fork_in_child)) };
        });
        // From here on, so that no child has the file without finding it in the list.
        let _no_fork = NoFork::begin();
        let (file, _) = open_number(&locks.path, locks.number, true)?;
        let entry = Entry::with(file.as_raw_fd());
        Ok(Self { holder, file: ManuallyDrop::new(file), entry })
    }

    fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _no_fork = NoFork::begin();
        // In a child it is closed already, and the number may be another file's.
        if self.entry.fd.swap(NO_FILE, Ordering::AcqRel) != NO_FILE {
            // Closing would do, but for a process that another thread spawns right now: it has our files until its exec.
            let _ = lock(&self.file, self.holder, libc::F_UNLCK);
            let _ = crate::steps::call("close");
            // SAFETY: dropped here alone, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

const NO_FILE: i32 = -1;

/// One entry of the list of this process's claims. Entries are never freed, and used again.
#[derive(Debug)]
struct Entry {
    fd: AtomicI32,
    next: AtomicPtr<Entry>,
}

static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(std::ptr::null_mut());

fn entries() -> impl Iterator<Item = &'static Entry> {
    // SAFETY: entries come from Box::leak, so they live for ever, and are only used as shared references.
    let at = |pointer: &AtomicPtr<Entry>| unsafe { pointer.load(Ordering::Acquire).as_ref() };
    std::iter::successors(at(&ENTRIES), move |entry| at(&entry.next))
}

impl Entry {
    fn with(fd: i32) -> &'static Self {
        let claimed =
            |entry: &&Entry| entry.fd.compare_exchange(NO_FILE, fd, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if let Some(entry) = entries().find(claimed) {
            return entry;
        }
        let entry = Box::leak(Box::new(Self { fd: AtomicI32::new(fd), next: AtomicPtr::default() }));
        let pointer = &raw mut *entry;
        let mut head = ENTRIES.load(Ordering::Acquire);
        loop {
            entry.next.store(head, Ordering::Release);
            match ENTRIES.compare_exchange(head, pointer, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return entry,
                Err(now) => head = now,
            }
        }
    }
}

/// Set while a thread forks, or opens or closes a claim: a lock that a signal-safe handler can take and give back.
static BUSY: AtomicBool = AtomicBool::new(false);

struct NoFork;

impl NoFork {
    fn begin() -> Self {
        begin_fork_or_claim();
        NoFork
    }
}

impl Drop for NoFork {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

fn begin_fork_or_claim() {
    while BUSY.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        std::thread::yield_now();
    }
}

unsafe extern "C" fn begin_fork() {
    begin_fork_or_claim();
}

unsafe extern "C" fn end_fork_in_parent() {
    BUSY.store(false, Ordering::Release);
}

unsafe extern "C" fn end_fork_in_child() {
    for entry in entries() {
        let fd = entry.fd.swap(NO_FILE, Ordering::AcqRel);
        if fd != NO_FILE {
            // SAFETY: the child's copy of a claim's file, which nobody uses in the child: every handle notices the fork.
            unsafe { libc::close(fd) };
        }
    }
    BUSY.store(false, Ordering::Release);
}
