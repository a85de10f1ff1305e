//! What must be asked of the kernel, or of the user database, because no file tells it.

use std::path::Path;
use std::sync::atomic::AtomicU32;

use nix::unistd::{Group, User};
use rustix::fs::Access;
use rustix::process::{Resource, getrlimit};
use rustix::thread::futex::{self, Wait, WaitFlags, WaitPtr, WaitvFlags};
use rustix::time::{ClockId, clock_getres};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use super::demand::Demand;
use super::root::Root;

/// The answers.
#[derive(Clone, Debug)]
pub struct Asked {
    pub uid: u32,
    pub gid: u32,
    /// The further groups of this process.
    pub groups: Vec<u32>,
    /// Name of the user; the number where he has none.
    pub user: String,
    /// The config's group, or our own where it names none; `None`: there is none of this name.
    pub group: Option<GroupEntry>,
    /// RLIMIT_MEMLOCK; `None` is no limit.
    pub memlock_bytes: Option<u64>,
    /// How far it may be raised without further rights.
    pub memlock_most_bytes: Option<u64>,
    /// RLIMIT_RTPRIO; `None` is no limit.
    pub rtprio: Option<u64>,
    /// What became of a thread that asked for SCHED_FIFO, priority 1.
    pub realtime: Result<(), String>,
    /// What futex_waitv(2) says.
    pub waitv: Result<(), String>,
    /// Resolution of the timers of `CLOCK_MONOTONIC`.
    pub timer_ns: u64,
    /// The file system of the config's directory.
    pub room: Option<Room>,
}

/// A group, as getgrnam(3) knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    pub name: String,
    pub id: u32,
    /// Users who have it besides their own one.
    pub members: Vec<String>,
}

/// A file system's size.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// What an ordinary user may still take, bytes.
    pub free_bytes: u64,
    /// 0: it has no limit of its own (ramfs).
    pub total_bytes: u64,
    /// This process may make files in the directory; or, where it is missing, may make it.
    pub writable: bool,
}

impl Asked {
    /// Asks this machine.
    pub fn the_kernel(root: &Root, demand: &Demand) -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let user = User::from_uid(uid.as_raw().into()).ok().flatten();
        let (memlock, rtprio) = (getrlimit(Resource::Memlock), getrlimit(Resource::Rtprio));
        let resolution = clock_getres(ClockId::Monotonic);
        let groups = rustix::process::getgroups().unwrap_or_default();
        Self {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            groups: groups.into_iter().map(|group| group.as_raw()).collect(),
            user: user.map_or_else(|| uid.as_raw().to_string(), |user| user.name),
            group: group(demand.group.as_deref(), gid.as_raw()),
            memlock_bytes: memlock.current,
            memlock_most_bytes: memlock.maximum,
            rtprio: rtprio.current,
            realtime: realtime(),
            waitv: waitv(),
            timer_ns: resolution.tv_sec as u64 * 1_000_000_000 + resolution.tv_nsec as u64,
            room: demand.directory().and_then(|directory| room(root, directory)),
        }
    }

    /// Whether this process has the group.
    pub fn is_in(&self, group: u32) -> bool {
        self.gid == group || self.groups.contains(&group)
    }
}

fn group(asked: Option<&str>, own: u32) -> Option<GroupEntry> {
    let id = asked.map_or(Some(own), |group| group.parse().ok());
    let found = match (id, asked) {
        (Some(id), _) => Group::from_gid(id.into()),
        (None, name) => Group::from_name(name.unwrap_or_default()),
    };
    let found =
        found.ok().flatten().map(|group| GroupEntry { name: group.name, id: group.gid.as_raw(), members: group.mem });
    // A number needs no name.
    found.or_else(|| id.map(|id| GroupEntry { name: id.to_string(), id, members: Vec::new() }))
}

/// Tries it in a thread of its own, which then ends: it is said of a thread, not of the process.
fn realtime() -> Result<(), String> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let attempt = || {
        let least = ThreadPriority::Crossplatform(1_u8.try_into().map_err(|error: String| error)?);
        set_thread_priority_and_policy(thread_native_id(), least, policy).map_err(|error| match error {
            thread_priority::Error::OS(number) => std::io::Error::from_raw_os_error(number).to_string(),
            other => format!("{other:?}"),
        })
    };
    std::thread::scope(|scope| scope.spawn(attempt).join()).unwrap_or_else(|_| Err("the thread ended".to_owned()))
}

/// Asks with a word that is not as expected, so the answer comes at once.
fn waitv() -> Result<(), String> {
    let word = AtomicU32::new(0);
    let mut wait = Wait::new();
    (wait.val, wait.flags) = (1, WaitFlags::SIZE_U32);
    wait.uaddr = WaitPtr::new(word.as_ptr().cast());
    match futex::waitv(&[wait], WaitvFlags::empty(), None, ClockId::Monotonic) {
        Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(std::io::Error::from(error).to_string()),
    }
}

/// Of the directory, or where it would be made.
fn room(root: &Root, directory: &Path) -> Option<Room> {
    let path = root.path(directory);
    let existing = path.ancestors().find(|path| path.exists())?;
    let status = rustix::fs::statvfs(existing).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(status.f_frsize);
    let writable = rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    Some(Room { free_bytes: bytes(status.f_bavail), total_bytes: bytes(status.f_blocks), writable })
}
