//! System V segments: shmget(2), shmat(2), shmctl(2).

use super::{Kind, Mapping, ReadMapping, SegmentStatus, WriteMapping, free_huge_address};
use crate::call::{CallError, call, check};
use crate::process::Process;
use crate::site::{Row, Segment};
use std::io;
use std::ptr::{self, NonNull};

/// A segment's identifier. The kernel does not soon use one again, so it is safe to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentId(pub(crate) i32);

/// Creates the segment of `key`; memory that is never touched stays free of charge.
///
/// # Errors
/// EEXIST where there is one; EINVAL above `shmmax`; ENOSPC at `shmmni` or `shmall`.
pub(crate) fn create(key: i32, bytes: usize, mode: u32) -> Result<SegmentId, CallError> {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | libc::SHM_NORESERVE | (mode & 0o777) as libc::c_int;
    // SAFETY: shmget takes plain integers.
    call("shmget", || check(unsafe { libc::shmget(key, bytes, flags) })).map(SegmentId)
}

/// The segment of `key`, if there is one.
pub(crate) fn find(key: i32) -> Result<Option<SegmentId>, CallError> {
    // SAFETY: shmget takes plain integers.
    match call("shmget", || check(unsafe { libc::shmget(key, 0, 0) })) {
        Ok(id) => Ok(Some(SegmentId(id))),
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn control(id: SegmentId, command: libc::c_int, status: *mut libc::shmid_ds) -> Result<libc::c_int, CallError> {
    let name = match command {
        libc::SHM_LOCK => "shmctl(SHM_LOCK)",
        libc::IPC_RMID => "shmctl(IPC_RMID)",
        _ => "shmctl",
    };
    // SAFETY: `status` is null for commands without a buffer, or a shmid_ds, which IPC_STAT fills and IPC_SET reads.
    call(name, || check(unsafe { libc::shmctl(id.0, command, status) }))
}

fn read_status(id: SegmentId) -> Result<libc::shmid_ds, CallError> {
    // SAFETY: shmid_ds is plain data, so zeroes are a value of it.
    let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
    control(id, libc::IPC_STAT, &mut status)?;
    Ok(status)
}

pub(crate) fn status(id: SegmentId) -> Result<SegmentStatus, CallError> {
    let status = read_status(id)?;
    Ok(SegmentStatus {
        bytes: status.shm_segsz as u64,
        uid: status.shm_perm.uid,
        creator_pid: status.shm_cpid as u32,
        attached: status.shm_nattch,
    })
}

/// Sets permissions and, where one is given, the group. Only the owner may; nothing is asked of the kernel where they
/// are as wanted.
pub(crate) fn set_access(id: SegmentId, mode: u32, group: Option<u32>) -> Result<(), CallError> {
    let mut status = read_status(id)?;
    let permissions = &mut status.shm_perm;
    let gid = group.unwrap_or(permissions.gid);
    if (u32::from(permissions.mode) & 0o777, permissions.gid) == (mode, gid) {
        return Ok(());
    }
    permissions.gid = gid;
    permissions.mode = mode as _;
    control(id, libc::IPC_SET, &mut status).map(drop)
}

/// Keeps the segment's pages in memory (`SHM_LOCK`).
pub(crate) fn lock(id: SegmentId) -> Result<(), CallError> {
    control(id, libc::SHM_LOCK, ptr::null_mut()).map(drop)
}

/// Removes the segment's key at once and its memory when the last process detaches.
pub(crate) fn remove(id: SegmentId) -> Result<(), CallError> {
    control(id, libc::IPC_RMID, ptr::null_mut()).map(drop)
}

pub(crate) fn attach_read(id: SegmentId) -> Result<ReadMapping, CallError> {
    attach(id, ptr::null(), libc::SHM_RDONLY).map(ReadMapping)
}

/// As [`attach_read`], at an address where huge pages can be mapped.
pub(crate) fn attach_read_huge(id: SegmentId) -> Result<ReadMapping, CallError> {
    attach_huge(id, libc::SHM_RDONLY).map(ReadMapping)
}

pub(crate) fn attach_write(id: SegmentId) -> Result<WriteMapping, CallError> {
    attach(id, ptr::null(), 0).map(WriteMapping)
}

/// As [`attach_write`], at an address where huge pages can be mapped.
pub(crate) fn attach_write_huge(id: SegmentId) -> Result<WriteMapping, CallError> {
    attach_huge(id, 0).map(WriteMapping)
}

fn attach_huge(id: SegmentId, flags: libc::c_int) -> Result<Mapping, CallError> {
    let address = free_huge_address(status(id)?.bytes as usize);
    match address.map(|address| attach(id, address.as_ptr(), flags)) {
        Some(Ok(mapping)) => Ok(mapping),
        // Somebody was faster, or it can not be attached at all: this says.
        _ => attach(id, ptr::null(), flags),
    }
}

/// At the address, where nothing is mapped there; with none, where the kernel likes.
fn attach(id: SegmentId, address: *const libc::c_void, flags: libc::c_int) -> Result<Mapping, CallError> {
    let process = call("madvise", Process::current)?;
    let base = call("shmat", || {
        // SAFETY: without SHM_REMAP, the kernel takes no address where something is mapped.
        let base = unsafe { libc::shmat(id.0, address, flags) };
        if base as isize == -1 {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable.into())
    })?;
    // From here on, dropping detaches. A segment never changes its size, so the size may be asked for after.
    let mut mapping = Mapping { base, bytes: 0, process, kind: Kind::SysV };
    mapping.bytes = status(id)?.bytes as usize;
    mapping.keep_from_children()
}

/// Bit of the mode of a segment that was removed and is still attached (shmctl(2)).
const SHM_DEST: u32 = 0o1000;

/// All segments of this IPC namespace that have a key, from /proc/sysvipc/shm (sysvipc(7)), also those that may not be read.
pub(crate) fn all() -> Result<Vec<Row>, CallError> {
    let table = call("read(/proc/sysvipc/shm)", || std::fs::read_to_string("/proc/sysvipc/shm"))?;
    // key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let mode = u32::from_str_radix(columns.get(2)?, 8).ok()?;
        if mode & SHM_DEST != 0 {
            // An ended epoch of which somebody still holds a frame: it has no key any more.
            return None;
        }
        let key = columns.first()?.parse().ok()?;
        if key == libc::IPC_PRIVATE {
            // Never ours: those of X11, of databases. To attach it would count as a use of theirs.
            return None;
        }
        Some(Row {
            frames: Segment::SysV(SegmentId(columns.get(1)?.parse().ok()?)),
            key,
            bytes: columns.get(3)?.parse().ok()?,
            mode: mode & 0o777,
            uid: columns.get(7)?.parse().ok()?,
            gid: columns.get(8)?.parse().ok()?,
            attached: Some(columns.get(6)?.parse().ok()?),
            resident_bytes: columns.get(14)?.parse().ok()?,
            name: None,
        })
    };
    Ok(table.lines().skip(1).filter_map(row).collect())
}
