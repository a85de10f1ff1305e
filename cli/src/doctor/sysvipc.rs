//! The kernel's tables of System V objects (sysvipc(5)): who has which key, and how much of the limits is used.

use super::root::Root;

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    pub key: i32,
    pub id: i32,
    pub mode: u32,
    pub bytes: u64,
    pub creator_pid: u32,
    pub uid: u32,
    pub resident_bytes: u64,
}

/// A semaphore set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRow {
    pub key: i32,
    pub id: i32,
    pub semaphores: u64,
    pub uid: u32,
}

/// All segments of this IPC namespace; `None` where the table can not be read.
pub fn segments(root: &Root) -> Option<Vec<SegmentRow>> {
    // key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap
    rows(root, "/proc/sysvipc/shm", |columns| {
        Some(SegmentRow {
            key: columns.first()?.parse().ok()?,
            id: columns.get(1)?.parse().ok()?,
            mode: u32::from_str_radix(columns.get(2)?, 8).ok()? & 0o777,
            bytes: columns.get(3)?.parse().ok()?,
            creator_pid: columns.get(4)?.parse().ok()?,
            uid: columns.get(7)?.parse().ok()?,
            resident_bytes: columns.get(14)?.parse().ok()?,
        })
    })
}

/// All semaphore sets.
pub fn sets(root: &Root) -> Option<Vec<SetRow>> {
    // key semid perms nsems uid gid cuid cgid otime ctime
    rows(root, "/proc/sysvipc/sem", |columns| {
        Some(SetRow {
            key: columns.first()?.parse().ok()?,
            id: columns.get(1)?.parse().ok()?,
            semaphores: columns.get(3)?.parse().ok()?,
            uid: columns.get(4)?.parse().ok()?,
        })
    })
}

fn rows<T>(root: &Root, table: &str, row: impl Fn(&[&str]) -> Option<T>) -> Option<Vec<T>> {
    let text = root.text(table)?;
    let lines = text.lines().skip(1);
    Some(lines.filter_map(|line| row(&line.split_ascii_whitespace().collect::<Vec<_>>())).collect())
}
