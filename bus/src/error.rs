//! What can go wrong, one enum an operation.
//!
//! Each message says what was being done, to what, what was found, what was expected, and what to do about it.

use crate::format::PixelFormat;
use crate::name::StreamName;
use crate::options::Content;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A name that can not be a bus's or a stream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No slash between bus and stream.
    #[error("stream name {found:?} has no bus: expected BUS/STREAM")]
    NoSlash {
        /// The name.
        found: String,
    },
    /// Empty or too long.
    #[error("{part} name {found:?} has {} bytes: a name has 1 to 63", found.len())]
    Length {
        /// `bus` or `stream`.
        part: &'static str,
        /// The name.
        found: String,
    },
    /// A character that names do not have.
    #[error(
        "{part} name {found:?} has {character:?} at byte {at}: a name has letters, digits, '_', '-' and '.' and begins \
         with a letter or digit"
    )]
    Character {
        /// `bus` or `stream`.
        part: &'static str,
        /// The name.
        found: String,
        /// The character at fault.
        character: char,
        /// Where it stands, in bytes.
        at: usize,
    },
}

/// An image that can not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A side of 0.
    #[error("an image of {width} × {height} pixels is empty: both sides must be at least 1")]
    Empty {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// More than 2 GiB.
    #[error("an image of {width} × {height} {format} is larger than 2 GiB, the most that a frame may have")]
    TooLarge {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Pixel format.
        format: PixelFormat,
    },
    /// A stride that does not fit the rows.
    #[error("a stride of {found} bytes does not fit: it must be at least {least} and a multiple of {multiple_of}")]
    Stride {
        /// Bytes.
        found: u32,
        /// Bytes of a row.
        least: u32,
        /// Bytes of a sample.
        multiple_of: u32,
    },
    /// No format of this name.
    #[error("{found:?} is no pixel format: expected one of {}", known_formats())]
    UnknownFormat {
        /// The name.
        found: String,
    },
}

fn known_formats() -> String {
    PixelFormat::all().map(PixelFormat::name).collect::<Vec<_>>().join(", ")
}

/// Numbers of a stream that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// A number out of its range.
    #[error("{what} = {found} is out of range: expected {least} to {most}")]
    Range {
        /// Name of the option.
        what: &'static str,
        /// Its value.
        found: u64,
        /// Least that is allowed.
        least: u64,
        /// Most that is allowed.
        most: u64,
    },
    /// Fewer slots than a frame can ever be published with.
    #[error(
        "slots = {slots} is too few for history = {history} and max_held = {max_held}: expected at least {least}, which \
         is the window, a slot to write and one that is read (history + 2), and one more than a subscriber may hold \
         (max_held + 1); slots = \"auto\" computes the number with which none is ever missing",
        least = (history + 2).max(max_held + 1)
    )]
    TooFewSlots {
        /// Slots asked for.
        slots: u32,
        /// Frames in the window.
        history: u32,
        /// Pins of a subscriber.
        max_held: u32,
    },
    /// The whole does not fit the address space.
    #[error("{slots} slots of {slot_bytes} bytes do not fit the address space: use fewer slots or smaller frames")]
    TooLarge {
        /// Slots.
        slots: u32,
        /// Payload bytes of one.
        slot_bytes: u64,
    },
}

/// A system call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {call} failed: {source}{}", remedy(call, source))]
#[non_exhaustive]
pub struct SystemError {
    /// What was being done, to what.
    pub action: String,
    /// The call.
    pub call: &'static str,
    /// What it said.
    pub source: io::Error,
}

impl SystemError {
    /// Whether it was the right to do so that was missing.
    pub(crate) fn is_denied(&self) -> bool {
        self.source.raw_os_error() == Some(libc::EACCES)
    }
}

fn remedy(call: &str, error: &io::Error) -> &'static str {
    match (call, error.raw_os_error()) {
        ("chown", Some(libc::EPERM)) => {
            "; a user can give files only to a group that he is in: add him to it (usermod -aG)"
        }
        ("shmget", Some(libc::ENOSPC)) => {
            "; all System V segments or pages are in use: look at ipcs -m, remove what is stale, or raise kernel.shmmni \
             and kernel.shmall"
        }
        ("shmget", Some(libc::EINVAL)) => "; the segment is larger than kernel.shmmax allows",
        ("fallocate" | "open" | "mkdir" | "write", Some(libc::ENOSPC)) => {
            "; the file system is full: use fewer slots or smaller frames, give it more memory (in containers: --shm-size), \
             or use backend = \"sysv\", which it does not bound"
        }
        ("semget", Some(libc::ENOSPC)) => {
            "; all System V semaphores are in use: look at ipcs -s, remove what is stale, or raise kernel.sem"
        }
        ("semget", Some(libc::EINVAL)) => {
            "; kernel.sem allows no set of 256 semaphores: raise its first number (SEMMSL) to 256 at least"
        }
        // Before those below: what these calls miss is neither memory nor ownership, but the right to lock so much.
        ("shmctl(SHM_LOCK)" | "mlock", Some(libc::ENOMEM | libc::EPERM | libc::EAGAIN)) => {
            "; raise RLIMIT_MEMLOCK (ulimit -l counts KiB) to all locked memory of this user, or give the program \
             CAP_IPC_LOCK, or leave lock = false"
        }
        (_, Some(libc::EACCES | libc::EPERM)) => {
            "; the stream belongs to another user: let its publisher set mode and group (mode = \"0660\", group = …), or \
             run as its owner; with mode = \"0640\", the group can observe it"
        }
        (_, Some(libc::ENOMEM)) => "; there is not enough memory: use fewer slots or smaller frames",
        _ => "",
    }
}

/// A segment under a stream's key that is not that stream's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stranger {
    /// Not framebus's at all.
    Foreign,
    /// Another stream whose name has the same key.
    Collision {
        /// The other stream, as its header has it.
        other: String,
    },
    /// Of another version of framebus, or of a machine of other byte order.
    Version {
        /// Version in the header.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// The header does not fit the segment.
    Damaged {
        /// Which field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// What it must be.
        expected: u64,
    },
}

impl fmt::Display for Stranger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stranger::Foreign => write!(out, "it is not framebus's: find its owner with ipcs, or rename the stream"),
            Stranger::Collision { other } => {
                write!(out, "it belongs to the stream {other}, whose name has the same key: rename one of the two")
            }
            Stranger::Version { found, expected } => write!(
                out,
                "its layout is version {found}, expected {expected}: run programs of one framebus version, or remove the \
                 stream with the version that made it"
            ),
            Stranger::Damaged { field, found, expected } => write!(
                out,
                "its header is damaged, {field} is {found}, expected {expected}: stop its publisher and remove it by hand \
                 (ipcrm, or rm for a file)"
            ),
        }
    }
}

/// A process that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaceHolder {
    /// Index of its place, from 0.
    pub place: usize,
    /// Its process, as the kernel sees it from here; `None` where it is of another PID namespace.
    pub pid: Option<u32>,
    /// What it calls itself.
    pub label: String,
    /// How long it has held what it has held longest, ns; `None` where it holds nothing, or that was not asked.
    pub held_ns: Option<u64>,
}

impl fmt::Display for PlaceHolder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (place {}, ", if self.label.is_empty() { "unnamed" } else { &self.label }, self.place)?;
        match self.pid {
            Some(pid) => write!(out, "pid {pid}")?,
            None => write!(out, "pid unknown")?,
        }
        match self.held_ns {
            Some(ns) => write!(out, ", holding a frame for {:?})", Duration::from_micros(ns / 1_000)),
            None => write!(out, ")"),
        }
    }
}

pub(crate) fn list_holders(holders: &[PlaceHolder]) -> String {
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(crate) fn pid_text(pid: &Option<u32>) -> String {
    pid.map_or("another PID namespace".to_owned(), |pid| format!("process {pid}"))
}

/// Why a stream could not be opened for publishing. Nothing that existed was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The options do not go together.
    #[error("can not open stream {stream}: {source}")]
    Geometry {
        /// The stream.
        stream: StreamName,
        /// Which options.
        source: GeometryError,
    },
    /// The name of a record type that does not fit the header.
    #[error("can not open stream {stream}: the type name {found:?} has {} bytes, expected 1 to 63", found.len())]
    TypeName {
        /// The stream.
        stream: StreamName,
        /// The type's name.
        found: String,
    },
    /// A stream has one publisher.
    #[error(
        "can not open stream {stream}: {} publishes it already; a stream has one publisher: stop that one first, or use \
         another name",
        pid_text(pid)
    )]
    Busy {
        /// The stream.
        stream: StreamName,
        /// The publisher's process; `None` where it is of another PID namespace.
        pid: Option<u32>,
    },
    /// The key is in use by something else.
    #[error("can not open stream {stream}: there is {object}, and {stranger}")]
    Stranger {
        /// The stream.
        stream: StreamName,
        /// What is there: a segment with its id and key, a semaphore set, a file.
        object: String,
        /// Whose it is.
        stranger: Stranger,
    },
    /// The creation of the stream was begun by a process that is not provably dead.
    #[error(
        "can not open stream {stream}: there is {object} that is empty, and {} that created it may still be at work; where \
         it is not, remove the segment with ipcrm -m {id}",
        pid_text(pid)
    )]
    Unfinished {
        /// The stream.
        stream: StreamName,
        /// The segment, with its id and key.
        object: String,
        /// The segment's id.
        id: i32,
        /// Its creator.
        pid: Option<u32>,
    },
    /// Other processes create and remove the stream all the time.
    #[error("can not open stream {stream}: others created and removed it {attempts} times meanwhile; try again")]
    Restless {
        /// The stream.
        stream: StreamName,
        /// How often it was tried.
        attempts: u32,
    },
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a stream could not be attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is no such stream.
    #[error(
        "can not attach to stream {stream}: there is none (waited {waited:?}); start its publisher, or look at the names \
         with framebus ls"
    )]
    NotFound {
        /// The stream.
        stream: StreamName,
        /// How long was waited for it.
        waited: Duration,
    },
    /// It is being created, or its creator died at it.
    #[error(
        "can not attach to stream {stream}: its creator has not finished it (waited {waited:?}); where it died, the next \
         publisher repairs it"
    )]
    Unfinished {
        /// The stream.
        stream: StreamName,
        /// How long was waited for it.
        waited: Duration,
    },
    /// The key is in use by something else.
    #[error("can not attach to stream {stream}: there is {object}, but {stranger}")]
    Stranger {
        /// The stream.
        stream: StreamName,
        /// What is there: a segment with its id and key, or a file.
        object: String,
        /// Whose it is.
        stranger: Stranger,
    },
    /// All places are taken.
    #[error(
        "can not attach to stream {stream}: all {max_subscribers} places are taken by {}; stop one of them, or let the \
         publisher use a larger max_subscribers",
        list_holders(holders)
    )]
    Full {
        /// The stream.
        stream: StreamName,
        /// Its number of places.
        max_subscribers: u32,
        /// Who has them.
        holders: Vec<PlaceHolder>,
    },
    /// The stream carries something else.
    #[error("can not attach to stream {stream}: it carries {found}, expected {expected}")]
    Content {
        /// The stream.
        stream: StreamName,
        /// What it carries.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why there is no slot to write.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoanError {
    /// All slots are held; the frame was counted as refused.
    #[error(
        "no slot of stream {stream} is free{}: held by {}; with slots = \"auto\" this can not happen",
        waited_text(waited),
        list_holders(holders)
    )]
    Held {
        /// The stream.
        stream: StreamName,
        /// Who holds slots.
        holders: Vec<PlaceHolder>,
        /// How long was waited, with `on_full = "wait"`.
        waited: Duration,
    },
    /// A lossless subscriber has not taken the oldest frame; the new one was counted as refused.
    #[error(
        "stream {stream} can not go on{}: its oldest frame is still wanted by {}",
        waited_text(waited),
        list_holders(holders)
    )]
    Unread {
        /// The stream.
        stream: StreamName,
        /// Who wants it.
        holders: Vec<PlaceHolder>,
        /// How long was waited.
        waited: Duration,
    },
    /// Waiting for a slot was given up because the caller was to stop; the frame counts as nothing
    /// ([`loan_unless`](crate::Publisher::loan_unless)).
    #[error("waiting for a slot of stream {stream} was given up after {waited:.1?}, as it was asked to stop")]
    Stopped {
        /// The stream.
        stream: StreamName,
        /// How long was waited.
        waited: Duration,
    },
    /// The publisher was opened in a parent process.
    #[error(
        "stream {stream} was opened before fork(): a forked child can not publish on it; open it there, with exec between"
    )]
    Forked {
        /// The stream.
        stream: StreamName,
    },
    /// The stream's leases or segments were removed (`ipcrm`, `rm`, logind's `RemoveIPC`), and it could not be opened anew.
    #[error("stream {stream} was removed by somebody while it was published, and it could not be opened anew")]
    LeaseLost {
        /// The stream.
        stream: StreamName,
        /// Why not.
        source: Arc<OpenError>,
    },
    /// 2^48 frames were published.
    #[error("stream {stream} has used up its sequence numbers; remove and create it")]
    Exhausted {
        /// The stream.
        stream: StreamName,
    },
}

fn waited_text(waited: &Duration) -> String {
    if waited.is_zero() { String::new() } else { format!(" after {waited:?}") }
}

/// Why a frame could not be acquired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// The subscriber holds as many frames as it may.
    #[error(
        "this subscriber of stream {stream} holds {max_held} frames, all that it may at a time: drop one first, or let the \
         publisher use a larger max_held"
    )]
    AllHeld {
        /// The stream.
        stream: StreamName,
        /// Its number of pins.
        max_held: u32,
    },
    /// Another process wrote into this subscriber's record.
    #[error("place {place} of stream {stream} was overwritten by another process; the acquisition was given up")]
    Overwritten {
        /// The stream.
        stream: StreamName,
        /// Index of the place.
        place: usize,
    },
    /// This lossless subscriber was too slow, and the publisher waits for it no longer. Said once; from here on it is a subscriber as
    /// others are, until it asks to be [waited for](crate::Subscriber::be_lossless) again.
    #[error(
        "this subscriber of stream {stream} was {behind} frames behind for longer than the publisher waits, and was evicted: \
         frames may be lost to it from here on; read quicker, or let the publisher use a larger wait_ms or history"
    )]
    Evicted {
        /// The stream.
        stream: StreamName,
        /// How many frames it is behind now.
        behind: u64,
    },
    /// The subscriber was made in a parent process.
    #[error("this subscriber of stream {stream} was attached before fork(): attach again in the child")]
    Forked {
        /// The stream.
        stream: StreamName,
    },
    /// The next frame is of another content than the one before. Said once for each change, to who asked for it
    /// ([`OnChange::Tell`](crate::OnChange::Tell)): nothing was taken, and the next call takes it.
    #[error("stream {stream} changes: it carried {from}, and from here on {to}")]
    Changed {
        /// The stream.
        stream: StreamName,
        /// What it carried so far.
        from: Content,
        /// What the next frame is.
        to: Content,
    },
    /// The stream went on in another segment, which could not be attached, or carries what this subscriber can not read.
    #[error("stream {stream} went on in a new segment, and this subscriber could not follow it")]
    Follow {
        /// The stream.
        stream: StreamName,
        /// Why.
        source: Box<AttachError>,
    },
}

/// Why a stream's content could not be changed. Its frames are what they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetContentError {
    /// The larger slots could not be had, or the content can not be. The stream goes on as it was.
    #[error("stream {stream} can not change to {to}, and goes on with {from}")]
    Refused {
        /// The stream.
        stream: StreamName,
        /// What it carries.
        from: Content,
        /// What was asked for.
        to: Content,
        /// Why.
        source: Box<OpenError>,
    },
    /// The publisher was opened in a parent process.
    #[error(
        "stream {stream} was opened before fork(): a forked child can not change it; open it there, with exec between"
    )]
    Forked {
        /// The stream.
        stream: StreamName,
    },
}

/// Why a subscriber can not be watched for an event loop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The subscriber was made in a parent process.
    #[error("this subscriber of stream {stream} was attached before fork(): attach again in the child")]
    Forked {
        /// The stream.
        stream: StreamName,
    },
    /// A system call failed: too many open files, or threads.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why an observer has no frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The publisher was faster each time: the frame was overwritten while it was copied.
    #[error(
        "each frame of stream {stream} was overwritten while it was copied; ask again, or let the publisher use a larger \
         history"
    )]
    Outrun {
        /// The stream.
        stream: StreamName,
    },
    /// The observer was made in a parent process.
    #[error("this observer of stream {stream} was attached before fork(): attach again in the child")]
    Forked {
        /// The stream.
        stream: StreamName,
    },
    /// The stream went on in another segment, which could not be attached.
    #[error("stream {stream} went on in a new segment, and this observer could not follow it")]
    Follow {
        /// The stream.
        stream: StreamName,
        /// Why.
        source: Box<AttachError>,
    },
}

/// Why a stream was not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// There is no such stream.
    #[error("can not remove stream {stream}: there is none; look at the names with framebus ls")]
    NotFound {
        /// The stream.
        stream: StreamName,
    },
    /// It is in use.
    #[error("can not remove stream {stream}: {} publishes it; stop it first, or force it", pid_text(pid))]
    Publishing {
        /// The stream.
        stream: StreamName,
        /// The publisher's process.
        pid: Option<u32>,
    },
    /// It is in use.
    #[error(
        "can not remove stream {stream}: it is read by {}; stop them first, or force it: they keep what they hold",
        list_holders(holders)
    )]
    Reading {
        /// The stream.
        stream: StreamName,
        /// Who reads.
        holders: Vec<PlaceHolder>,
    },
    /// It was begun by a process that is not provably dead.
    #[error(
        "can not remove stream {stream}: there is {object} that is empty, and {} that created it may still be at work",
        pid_text(pid)
    )]
    Unfinished {
        /// The stream.
        stream: StreamName,
        /// The segment, with its id and key.
        object: String,
        /// Its creator.
        pid: Option<u32>,
    },
    /// Its leases were removed, so nobody can tell who uses it.
    #[error(
        "can not remove stream {stream}: its leases were removed by somebody, so it can not be told who uses it; stop its \
         processes first, or force it: they keep what they hold"
    )]
    Unknown {
        /// The stream.
        stream: StreamName,
    },
    /// The key is in use by something else.
    #[error("can not remove stream {stream}: there is {object}, but {stranger}")]
    Stranger {
        /// The stream.
        stream: StreamName,
        /// What is there: a segment with its id and key, or a file.
        object: String,
        /// Whose it is.
        stranger: Stranger,
    },
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
}
