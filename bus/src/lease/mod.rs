//! Leases: claims that the kernel itself drops when their holder dies.
//!
//! A stream has one for its publisher and one for each of 255 places. With the System V backend they are semaphores, with
//! the file backend locks on bytes of a file; both work across PID namespaces, where a check of pids does not, and both
//! are dropped only after the kernel has unmapped the dead one's memory, so nobody can still write under a dropped lease.

pub(crate) mod locks;
pub(crate) mod semaphores;

use crate::call::{CallError, call};
use crate::process::Process;
use crate::slots::PlaceSet;
use locks::LockFile;
use semaphores::SemaphoreSet;

/// Leases of a stream: one publisher and 255 places. Constant, so a set never has to be resized.
pub(crate) const LEASES: usize = 256;

/// Whose lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Publisher,
    /// By index from 0.
    Place(usize),
}

impl Holder {
    /// Index in the set, from 0 to 255.
    fn index(self) -> u8 {
        match self {
            Holder::Publisher => 0,
            Holder::Place(index) => index as u8 + 1,
        }
    }
}

/// A stream's leases.
#[derive(Clone, Debug)]
pub(crate) enum LeaseSet {
    SysV(SemaphoreSet),
    File(LockFile),
}

/// Why a lease was not claimed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Somebody else holds it.
    Held,
    /// The set was removed.
    Gone,
    System(CallError),
}

/// A claim; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lease {
    set: LeaseSet,
    holder: Holder,
    process: Process,
    /// The open file to which the lock belongs; given back when it is closed.
    _lock: Option<locks::Held>,
}

impl LeaseSet {
    /// The number by which a header names it: a System V id, or an inode number.
    pub(crate) fn number(&self) -> i32 {
        match self {
            LeaseSet::SysV(set) => set.id(),
            LeaseSet::File(file) => file.number(),
        }
    }

    /// Sets permissions and, where one is given, the group. Only the owner may; nothing is asked of the kernel where
    /// they are as wanted.
    pub(crate) fn set_access(&self, mode: u32, group: Option<u32>) -> Result<(), CallError> {
        match self {
            LeaseSet::SysV(set) => set.set_access(mode, group),
            LeaseSet::File(file) => file.set_access(mode, group),
        }
    }

    /// Claims a lease, without waiting.
    pub(crate) fn claim(&self, holder: Holder) -> Result<Lease, Refused> {
        let process = call("madvise", Process::current).map_err(Refused::System)?;
        let lock = match self {
            LeaseSet::SysV(set) => set.claim(holder).map(|()| None),
            LeaseSet::File(file) => file.claim(holder).map(Some),
        };
        Ok(Lease { set: self.clone(), holder, process, _lock: lock? })
    }

    /// Whether somebody holds the lease; where the kernel does not say, somebody does.
    pub(crate) fn is_held(&self, holder: Holder) -> bool {
        match self {
            LeaseSet::SysV(set) => set.is_held(holder),
            LeaseSet::File(file) => file.is_held(holder),
        }
    }

    /// The process that last claimed the lease, as seen from this PID namespace; `None` where nobody holds it, or where it
    /// is not seen from here.
    pub(crate) fn holder_pid(&self, holder: Holder) -> Option<u32> {
        if !self.is_held(holder) {
            return None;
        }
        match self {
            LeaseSet::SysV(set) => set.holder_pid(holder),
            LeaseSet::File(file) => file.holder_pid(holder),
        }
    }

    /// The process that claimed the lease last, whether or not it still holds it, as seen from this PID namespace; `None`
    /// where it is not seen from here, or where nobody ever did.
    pub(crate) fn last_pid(&self, holder: Holder) -> Option<u32> {
        match self {
            LeaseSet::SysV(set) => set.holder_pid(holder),
            LeaseSet::File(file) => file.last_pid(holder),
        }
    }

    /// The places without a holder; none where the set is gone: then everybody counts as alive.
    pub(crate) fn dropped_places(&self) -> PlaceSet {
        match self {
            LeaseSet::SysV(set) => set.dropped_places(),
            LeaseSet::File(file) => file.dropped_places(),
        }
    }

    /// False where the set was removed, and all leases with it.
    pub(crate) fn exists(&self) -> bool {
        match self {
            LeaseSet::SysV(set) => set.exists(),
            LeaseSet::File(file) => file.exists(),
        }
    }

    /// Removes the set. Only the holder of the publisher's lease may.
    pub(crate) fn remove(&self) -> Result<(), CallError> {
        match self {
            LeaseSet::SysV(set) => set.remove(),
            LeaseSet::File(file) => file.remove(),
        }
    }
}

impl Lease {
    pub(crate) fn set(&self) -> &LeaseSet {
        &self.set
    }

    pub(crate) fn holder(&self) -> Holder {
        self.holder
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A forked child holds no lease: without this, it would drop its parent's. (Locks go with `_lock`.)
        if let LeaseSet::SysV(set) = &self.set
            && self.process.is_current()
        {
            set.give_back(self.holder);
        }
    }
}
