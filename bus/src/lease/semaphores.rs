//! Leases of the System V backend: semop(2) with `SEM_UNDO`.
//!
//! Semaphore 0 is the publisher's lease, semaphore i + 1 that of place i. A claim is one atomic semop(2), "wait for 0
//! without waiting, add 1, and undo it when I die". Never `SETVAL` a live set: that clears the undo of everybody.

use super::{Holder, LEASES, Refused};
use crate::call::{CallError, call, check};
use crate::slots::PlaceSet;

/// A stream's semaphore set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SemaphoreSet {
    id: i32,
}

/// A set as the kernel's table has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetRow {
    pub set: SemaphoreSet,
    pub key: i32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

fn is_gone(error: &CallError) -> bool {
    matches!(error.errno(), Some(libc::EIDRM | libc::EINVAL))
}

impl SemaphoreSet {
    /// The set of `key`, created where there is none: Linux starts every semaphore at 0. `None` where another program's set
    /// has the key.
    ///
    /// # Errors
    /// EACCES; at the limits of `kernel.sem` ENOSPC, and EINVAL where it allows no set of so many.
    pub(crate) fn open_or_create(key: i32, mode: u32) -> Result<Option<Self>, CallError> {
        let mode = (mode & 0o666) as libc::c_int;
        // SAFETY: semget takes plain integers.
        let get = |flags| call("semget", || check(unsafe { libc::semget(key, LEASES as libc::c_int, flags | mode) }));
        let id = match get(libc::IPC_CREAT | libc::IPC_EXCL) {
            Ok(id) => id,
            Err(error) if error.errno() == Some(libc::EEXIST) => match get(libc::IPC_CREAT) {
                Ok(id) => id,
                // There is one of fewer semaphores.
                Err(error) if error.errno() == Some(libc::EINVAL) => return Ok(None),
                Err(error) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        let set = Self { id };
        match set.status() {
            Ok(status) if status.sem_nsems as usize != LEASES => Ok(None),
            Err(error) if !is_gone(&error) => Err(error),
            // Gone again, perhaps: the claim will notice.
            _ => Ok(Some(set)),
        }
    }

    /// The set of `key`, if there is one of ours.
    pub(crate) fn find(key: i32) -> Result<Option<Self>, CallError> {
        // SAFETY: semget takes plain integers.
        let set = match call("semget", || check(unsafe { libc::semget(key, LEASES as libc::c_int, 0) })) {
            Ok(id) => Self { id },
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EINVAL)) => return Ok(None),
            Err(error) => return Err(error),
        };
        match set.status() {
            Ok(status) => Ok((status.sem_nsems as usize == LEASES).then_some(set)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All sets of this IPC namespace that have as many semaphores as ours, from /proc/sysvipc/sem (sysvipc(7)), also
    /// those that may not be read.
    pub(crate) fn all() -> Result<Vec<SetRow>, CallError> {
        let table = call("read(/proc/sysvipc/sem)", || std::fs::read_to_string("/proc/sysvipc/sem"))?;
        // key semid perms nsems uid gid cuid cgid otime ctime
        let row = |line: &str| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            (columns.get(3)?.parse() == Ok(LEASES)).then_some(())?;
            Some(SetRow {
                set: Self { id: columns.get(1)?.parse().ok()? },
                key: columns.first()?.parse().ok()?,
                mode: u32::from_str_radix(columns.get(2)?, 8).ok()? & 0o777,
                uid: columns.get(4)?.parse().ok()?,
                gid: columns.get(5)?.parse().ok()?,
            })
        };
        Ok(table.lines().skip(1).filter_map(row).collect())
    }

    /// Whether some semaphore is not 0.
    pub(crate) fn is_used(&self) -> Result<bool, CallError> {
        let mut values = [0_u16; LEASES];
        let buffer = values.as_mut_ptr();
        // SAFETY: as in `dropped_places`; the table said that there are LEASES semaphores.
        call("semctl", || check(unsafe { libc::semctl(self.id, 0, libc::GETALL, buffer) }))?;
        Ok(values.iter().any(|value| *value != 0))
    }

    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    fn status(&self) -> Result<libc::semid_ds, CallError> {
        // SAFETY: semid_ds is plain data, so zeroes are a value of it.
        let mut status: libc::semid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: IPC_STAT fills the buffer.
        let stat = |status: *mut libc::semid_ds| unsafe { libc::semctl(self.id, 0, libc::IPC_STAT, status) };
        call("semctl", || check(stat(&mut status)))?;
        Ok(status)
    }

    pub(crate) fn set_access(&self, mode: u32, group: Option<u32>) -> Result<(), CallError> {
        let mut status = self.status()?;
        let permissions = &mut status.sem_perm;
        let (mode, gid) = (mode & 0o666, group.unwrap_or(permissions.gid));
        if (u32::from(permissions.mode) & 0o666, permissions.gid) == (mode, gid) {
            return Ok(());
        }
        permissions.gid = gid;
        permissions.mode = mode as _;
        // SAFETY: IPC_SET reads a filled semid_ds.
        let set = |status: *mut libc::semid_ds| unsafe { libc::semctl(self.id, 0, libc::IPC_SET, status) };
        call("semctl", || check(set(&mut status))).map(drop)
    }

    fn operate(&self, name: &'static str, operations: &mut [libc::sembuf]) -> Result<(), CallError> {
        let (pointer, count) = (operations.as_mut_ptr(), operations.len());
        // SAFETY: the pointer and the count are those of a slice; the kernel only reads it.
        call(name, || check(unsafe { libc::semop(self.id, pointer, count) })).map(drop)
    }

    pub(crate) fn claim(&self, holder: Holder) -> Result<(), Refused> {
        let (sem_num, nowait) = (holder.index().into(), libc::IPC_NOWAIT as libc::c_short);
        let wait_for_zero = libc::sembuf { sem_num, sem_op: 0, sem_flg: nowait };
        let add_one = libc::sembuf { sem_num, sem_op: 1, sem_flg: nowait | libc::SEM_UNDO as libc::c_short };
        self.operate("semop", &mut [wait_for_zero, add_one]).map_err(|error| match error.errno() {
            Some(libc::EAGAIN) => Refused::Held,
            _ if is_gone(&error) => Refused::Gone,
            _ => Refused::System(error),
        })
    }

    pub(crate) fn give_back(&self, holder: Holder) {
        let flags = (libc::IPC_NOWAIT | libc::SEM_UNDO) as libc::c_short;
        let take_one = libc::sembuf { sem_num: holder.index().into(), sem_op: -1, sem_flg: flags };
        let _ = self.operate("semop(-1)", &mut [take_one]);
    }

    fn value(&self, holder: Holder) -> Result<libc::c_int, CallError> {
        // SAFETY: GETVAL uses no buffer.
        call("semctl", || check(unsafe { libc::semctl(self.id, holder.index().into(), libc::GETVAL) }))
    }

    pub(crate) fn is_held(&self, holder: Holder) -> bool {
        self.value(holder).map_or(true, |value| value != 0)
    }

    pub(crate) fn exists(&self) -> bool {
        !self.value(Holder::Publisher).is_err_and(|error| is_gone(&error))
    }

    /// The process that last claimed the lease, as seen from this PID namespace.
    pub(crate) fn holder_pid(&self, holder: Holder) -> Option<u32> {
        // SAFETY: GETPID uses no buffer.
        let pid =
            call("semctl", || check(unsafe { libc::semctl(self.id, holder.index().into(), libc::GETPID) })).ok()?;
        u32::try_from(pid).ok().filter(|&pid| pid != 0)
    }

    pub(crate) fn dropped_places(&self) -> PlaceSet {
        let mut values = [0_u16; LEASES];
        let mut dropped = PlaceSet::default();
        let buffer = values.as_mut_ptr();
        // SAFETY: GETALL fills one u16 a semaphore, and only sets of LEASES semaphores are ever opened: their size was
        // checked, and a set never changes its size.
        if call("semctl", || check(unsafe { libc::semctl(self.id, 0, libc::GETALL, buffer) })).is_ok() {
            let free = values[1..].iter().enumerate().filter(|(_, value)| **value == 0);
            free.for_each(|(place, _)| dropped.insert(place));
        }
        dropped
    }

    pub(crate) fn remove(&self) -> Result<(), CallError> {
        // SAFETY: IPC_RMID uses no buffer.
        call("semctl(IPC_RMID)", || check(unsafe { libc::semctl(self.id, 0, libc::IPC_RMID) })).map(drop)
    }
}
