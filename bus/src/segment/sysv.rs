//! System V segments: shmget(2), shmat(2), shmctl(2).

use super::{Mapping, ReadMapping, WriteMapping};
use crate::process::Process;
use std::io;
use std::ptr::NonNull;

/// A segment's identifier. The kernel does not soon use one again, so it is safe to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentId(pub(crate) i32);

/// What the kernel knows of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentStatus {
    pub bytes: u64,
    pub uid: u32,
    /// Creator, as seen from this PID namespace; 0 = not in it.
    pub creator_pid: u32,
    /// Processes that have it attached.
    pub attached: u64,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Creates the segment of `key`; memory that is never touched stays free of charge.
///
/// # Errors
/// EEXIST where there is one; EINVAL above `shmmax`; ENOSPC at `shmmni` or `shmall`.
pub(crate) fn create(key: i32, bytes: usize, mode: u32) -> io::Result<SegmentId> {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | libc::SHM_NORESERVE | (mode & 0o777) as libc::c_int;
    // SAFETY: shmget takes plain integers.
    check(unsafe { libc::shmget(key, bytes, flags) }).map(SegmentId)
}

/// The segment of `key`, if there is one.
pub(crate) fn find(key: i32) -> io::Result<Option<SegmentId>> {
    // SAFETY: shmget takes plain integers.
    match check(unsafe { libc::shmget(key, 0, 0) }) {
        Ok(id) => Ok(Some(SegmentId(id))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_status(id: SegmentId) -> io::Result<libc::shmid_ds> {
    // SAFETY: shmid_ds is plain data, so zeroes are a value of it, and IPC_STAT fills it.
    unsafe {
        let mut status: libc::shmid_ds = std::mem::zeroed();
        check(libc::shmctl(id.0, libc::IPC_STAT, &mut status))?;
        Ok(status)
    }
}

pub(crate) fn status(id: SegmentId) -> io::Result<SegmentStatus> {
    let status = read_status(id)?;
    Ok(SegmentStatus {
        bytes: status.shm_segsz as u64,
        uid: status.shm_perm.uid,
        creator_pid: status.shm_cpid as u32,
        attached: status.shm_nattch as u64,
    })
}

/// Sets permissions and, where one is given, the group. Only the owner may; nothing is asked of the kernel where they
/// are as wanted.
pub(crate) fn set_access(id: SegmentId, mode: u32, group: Option<u32>) -> io::Result<()> {
    let mut status = read_status(id)?;
    let permissions = &mut status.shm_perm;
    let gid = group.unwrap_or(permissions.gid);
    if (u32::from(permissions.mode) & 0o777, permissions.gid) == (mode, gid) {
        return Ok(());
    }
    permissions.gid = gid;
    permissions.mode = mode as _;
    // SAFETY: `status` is a filled shmid_ds.
    check(unsafe { libc::shmctl(id.0, libc::IPC_SET, &mut status) }).map(drop)
}

/// Keeps the segment's pages in memory (`SHM_LOCK`).
pub(crate) fn lock(id: SegmentId) -> io::Result<()> {
    // SAFETY: SHM_LOCK uses no buffer.
    check(unsafe { libc::shmctl(id.0, libc::SHM_LOCK, std::ptr::null_mut()) }).map(drop)
}

/// Removes the segment's key at once and its memory when the last process detaches.
pub(crate) fn remove(id: SegmentId) -> io::Result<()> {
    // SAFETY: IPC_RMID uses no buffer.
    check(unsafe { libc::shmctl(id.0, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

pub(crate) fn attach_read(id: SegmentId) -> io::Result<ReadMapping> {
    attach(id, libc::SHM_RDONLY).map(ReadMapping)
}

pub(crate) fn attach_write(id: SegmentId) -> io::Result<WriteMapping> {
    attach(id, 0).map(WriteMapping)
}

fn attach(id: SegmentId, flags: libc::c_int) -> io::Result<Mapping> {
    let process = Process::current()?;
    // SAFETY: the kernel chooses an address where nothing is mapped.
    let base = unsafe { libc::shmat(id.0, std::ptr::null(), flags) };
    if base as isize == -1 {
        return Err(io::Error::last_os_error());
    }
    let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
    // From here on, dropping detaches. A segment never changes its size, so the size may be asked for after.
    let mut mapping = Mapping { base, bytes: 0, process };
    mapping.bytes = status(id)?.bytes as usize;
    mapping.advise(0..mapping.bytes, libc::MADV_DONTFORK)?;
    Ok(mapping)
}

/// A row of the kernel's table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableRow {
    pub id: SegmentId,
    pub mode: u32,
    pub uid: u32,
    pub resident_bytes: u64,
}

/// All segments of this IPC namespace, from /proc/sysvipc/shm (sysvipc(7)), also those that may not be read.
pub(crate) fn all() -> io::Result<Vec<TableRow>> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm")?;
    // key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        Some(TableRow {
            id: SegmentId(columns.get(1)?.parse().ok()?),
            mode: u32::from_str_radix(columns.get(2)?, 8).ok()? & 0o777,
            uid: columns.get(7)?.parse().ok()?,
            resident_bytes: columns.get(14)?.parse().ok()?,
        })
    };
    Ok(table.lines().skip(1).filter_map(row).collect())
}
