//! One core a side, where there are two.

use serde::{Deserialize, Serialize};

/// Which side of a bus a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The first core that we may use.
    Publisher,
    /// The last one.
    Subscriber,
}

/// The cores that this process may use.
pub fn allowed() -> Vec<usize> {
    // SAFETY: a cpu_set_t is a bit field, for which all zeros is a value; its own size is passed.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return Vec::new();
        }
        set
    };
    // SAFETY: the index stays below the set's size.
    (0..libc::CPU_SETSIZE as usize).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect()
}

/// Keeps this process, and the threads it will start, on its side's core. Nothing happens where there is only one core.
pub fn pin(side: Side) {
    let cores = allowed();
    let [first, .., last] = cores[..] else { return };
    let core = if side == Side::Publisher { first } else { last };
    // SAFETY: as above; `core` came from such a set.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
