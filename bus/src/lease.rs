//! Leases: claims that the kernel itself drops when their holder dies.
//!
//! A stream has a System V semaphore set of a constant size, so it never has to be resized: semaphore 0 is the
//! publisher's lease, semaphore i + 1 that of place i. A claim is one atomic semop(2), "wait for 0 without waiting, add
//! 1, and undo it when I die" (`SEM_UNDO`). The kernel unmaps a dying process's memory before it undoes, so a dropped
//! lease means that nobody can still write under it. It works across PID namespaces, where a check of pids does not.
//!
//! Never `SETVAL` a live set: that clears the undo of everybody.

use crate::process::Process;
use crate::slots::PlaceSet;
use std::io;

/// Semaphores of a set: one publisher and 255 places.
pub(crate) const SEMAPHORES: i32 = 256;

/// Whose lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Publisher,
    /// By index from 0.
    Place(usize),
}

impl Holder {
    fn semaphore(self) -> u16 {
        match self {
            Holder::Publisher => 0,
            Holder::Place(index) => index as u16 + 1,
        }
    }
}

/// A stream's semaphore set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseSet {
    id: i32,
}

/// Why a lease was not claimed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Somebody else holds it.
    Held,
    /// The set was removed.
    Gone,
    System(io::Error),
}

/// A claim; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lease {
    set: LeaseSet,
    holder: Holder,
    process: Process,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIDRM | libc::EINVAL))
}

impl LeaseSet {
    /// The set of `key`, created where there is none: Linux starts every semaphore at 0. True: created here.
    ///
    /// # Errors
    /// EINVAL where another program's smaller set has the key; EACCES; ENOSPC at the limits of `kernel.sem`.
    pub(crate) fn open_or_create(key: i32, mode: u32) -> io::Result<(Self, bool)> {
        let mode = (mode & 0o666) as libc::c_int;
        // SAFETY: semget takes plain integers.
        let get = |flags| check(unsafe { libc::semget(key, SEMAPHORES, flags | mode) }).map(|id| Self { id });
        match get(libc::IPC_CREAT | libc::IPC_EXCL) {
            Ok(set) => Ok((set, true)),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok((get(libc::IPC_CREAT)?, false)),
            Err(error) => Err(error),
        }
    }

    /// The set of `key`, if there is one of the right size.
    pub(crate) fn find(key: i32) -> io::Result<Option<Self>> {
        // SAFETY: semget takes plain integers.
        match check(unsafe { libc::semget(key, SEMAPHORES, 0) }) {
            Ok(id) => Ok(Some(Self { id })),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => Ok(None),
            Err(error) => Err(error),
        }
        .map(|set| set.filter(|set| set.size().is_ok_and(|size| size == SEMAPHORES as usize)))
    }

    pub(crate) fn from_id(id: i32) -> Self {
        Self { id }
    }

    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    fn status(&self) -> io::Result<libc::semid_ds> {
        // SAFETY: semid_ds is plain data, so zeroes are a value of it, and IPC_STAT fills it.
        unsafe {
            let mut status: libc::semid_ds = std::mem::zeroed();
            check(libc::semctl(self.id, 0, libc::IPC_STAT, &mut status as *mut libc::semid_ds))?;
            Ok(status)
        }
    }

    /// Number of semaphores: another program's set may have the key.
    pub(crate) fn size(&self) -> io::Result<usize> {
        Ok(self.status()?.sem_nsems as usize)
    }

    /// Sets permissions and, where one is given, the group. Only the owner may; nothing is asked of the kernel where
    /// they are as wanted.
    pub(crate) fn set_access(&self, mode: u32, group: Option<u32>) -> io::Result<()> {
        let mut status = self.status()?;
        let permissions = &mut status.sem_perm;
        let (mode, gid) = (mode & 0o666, group.unwrap_or(permissions.gid));
        if (u32::from(permissions.mode) & 0o666, permissions.gid) == (mode, gid) {
            return Ok(());
        }
        permissions.gid = gid;
        permissions.mode = mode as _;
        // SAFETY: `status` is a filled semid_ds.
        check(unsafe { libc::semctl(self.id, 0, libc::IPC_SET, &mut status as *mut libc::semid_ds) }).map(drop)
    }

    fn operate(&self, operations: &mut [libc::sembuf]) -> io::Result<()> {
        // SAFETY: the pointer and the count are those of a slice; the kernel only reads it.
        check(unsafe { libc::semop(self.id, operations.as_mut_ptr(), operations.len()) }).map(drop)
    }

    /// Claims a lease, without waiting.
    pub(crate) fn claim(&self, holder: Holder) -> Result<Lease, Refused> {
        let process = Process::current().map_err(Refused::System)?;
        let (sem_num, nowait) = (holder.semaphore(), libc::IPC_NOWAIT as libc::c_short);
        let wait_for_zero = libc::sembuf { sem_num, sem_op: 0, sem_flg: nowait };
        let add_one = libc::sembuf { sem_num, sem_op: 1, sem_flg: nowait | libc::SEM_UNDO as libc::c_short };
        match self.operate(&mut [wait_for_zero, add_one]) {
            Ok(()) => Ok(Lease { set: *self, holder, process }),
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Err(Refused::Held),
            Err(error) if is_gone(&error) => Err(Refused::Gone),
            Err(error) => Err(Refused::System(error)),
        }
    }

    /// Whether somebody holds the lease; where the kernel does not say, somebody does.
    pub(crate) fn is_held(&self, holder: Holder) -> bool {
        // SAFETY: GETVAL uses no buffer.
        unsafe { libc::semctl(self.id, holder.semaphore().into(), libc::GETVAL) != 0 }
    }

    /// The process that last claimed the lease, as seen from this PID namespace; `None` where nobody holds it.
    pub(crate) fn holder_pid(&self, holder: Holder) -> Option<u32> {
        if !self.is_held(holder) {
            return None;
        }
        // SAFETY: GETPID uses no buffer.
        let pid = unsafe { libc::semctl(self.id, holder.semaphore().into(), libc::GETPID) };
        u32::try_from(pid).ok().filter(|&pid| pid != 0)
    }

    /// The places without a holder; none where the set is gone: then everybody counts as alive.
    pub(crate) fn dropped_places(&self) -> PlaceSet {
        let mut values = [0_u16; SEMAPHORES as usize];
        let mut dropped = PlaceSet::default();
        // SAFETY: GETALL fills one u16 a semaphore, and only sets of SEMAPHORES semaphores are ever opened: `size` was
        // checked, and a set never changes its size.
        if unsafe { libc::semctl(self.id, 0, libc::GETALL, values.as_mut_ptr()) } != -1 {
            values[1..]
                .iter()
                .enumerate()
                .filter(|(_, value)| **value == 0)
                .for_each(|(place, _)| dropped.insert(place));
        }
        dropped
    }

    /// Removes the set. Only the holder of the publisher's lease may.
    pub(crate) fn remove(&self) -> io::Result<()> {
        // SAFETY: IPC_RMID uses no buffer.
        check(unsafe { libc::semctl(self.id, 0, libc::IPC_RMID) }).map(drop)
    }
}

impl Lease {
    pub(crate) fn set(&self) -> LeaseSet {
        self.set
    }

    pub(crate) fn holder(&self) -> Holder {
        self.holder
    }

    /// False where the set was removed, and the lease with it.
    pub(crate) fn exists(&self) -> bool {
        // SAFETY: GETVAL uses no buffer.
        let value = unsafe { libc::semctl(self.set.id, self.holder.semaphore().into(), libc::GETVAL) };
        value != -1 || !is_gone(&io::Error::last_os_error())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A forked child holds no lease: without this, it would drop its parent's.
        if self.process.is_current() {
            let flags = (libc::IPC_NOWAIT | libc::SEM_UNDO) as libc::c_short;
            let _ =
                self.set.operate(&mut [libc::sembuf { sem_num: self.holder.semaphore(), sem_op: -1, sem_flg: flags }]);
        }
    }
}
