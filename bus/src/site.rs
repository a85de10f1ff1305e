//! Where the objects of a stream are: under System V keys, or in a directory.

use std::path::Path;

use crate::backend::Backend;
use crate::call::CallError;
use crate::lease::LeaseSet;
use crate::lease::locks::LockFile;
use crate::lease::semaphores::SemaphoreSet;
use crate::name::StreamName;
use crate::segment::file::{FileSegment, StreamDirectory};
use crate::segment::sysv::{self, SegmentId};
use crate::segment::{Part, ReadMapping, SegmentStatus, WriteMapping};

/// Where a stream's objects are.
#[derive(Clone, Debug)]
pub(crate) enum Site {
    SysV { name: StreamName },
    File(StreamDirectory),
}

/// A segment that is there, or was a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    SysV(SegmentId),
    File(FileSegment),
}

/// What is found where a stream's leases should be.
pub(crate) enum FoundLeases {
    Leases(LeaseSet),
    None,
    /// Something of another program.
    Foreign,
}

impl Site {
    pub(crate) fn of(backend: &Backend, name: &StreamName) -> Self {
        match backend {
            Backend::SysV => Site::SysV { name: name.clone() },
            Backend::File { directory } => Site::File(StreamDirectory::of(directory, name)),
        }
    }

    fn key(name: &StreamName, part: Part) -> i32 {
        match part {
            Part::Frames => name.key(),
            Part::Places => name.places_key(),
            Part::Trial => name.trial_key(),
        }
    }

    /// The segment, if there is one.
    pub(crate) fn find(&self, part: Part) -> Result<Option<Segment>, CallError> {
        match self {
            Site::SysV { name } => Ok(sysv::find(Self::key(name, part))?.map(Segment::SysV)),
            Site::File(directory) => Ok(directory.find(part)?.map(Segment::File)),
        }
    }

    /// Creates the segment; all its bytes are 0.
    ///
    /// # Errors
    /// EEXIST where there is one; too large; no memory left.
    pub(crate) fn create(&self, part: Part, bytes: usize, mode: u32) -> Result<Segment, CallError> {
        match self {
            Site::SysV { name } => sysv::create(Self::key(name, part), bytes, mode).map(Segment::SysV),
            Site::File(directory) => directory.create(part, bytes, mode).map(Segment::File),
        }
    }

    /// The leases, created where there are none.
    pub(crate) fn open_leases(&self, mode: u32) -> Result<FoundLeases, CallError> {
        Ok(match self {
            Site::SysV { name } => match SemaphoreSet::open_or_create(name.key(), mode)? {
                Some(set) => FoundLeases::Leases(LeaseSet::SysV(set)),
                None => FoundLeases::Foreign,
            },
            Site::File(directory) => FoundLeases::Leases(LeaseSet::File(LockFile::open_or_create(directory, mode)?)),
        })
    }

    /// The leases, where there are some.
    pub(crate) fn find_leases(&self) -> Result<FoundLeases, CallError> {
        let found = match self {
            Site::SysV { name } => SemaphoreSet::find(name.key())?.map(LeaseSet::SysV),
            Site::File(directory) => LockFile::find(directory)?.map(LeaseSet::File),
        };
        Ok(found.map_or(FoundLeases::None, FoundLeases::Leases))
    }

    /// The leases that a header names, where they are still found by the stream's name.
    pub(crate) fn leases_of(&self, number: i32) -> Result<Option<LeaseSet>, CallError> {
        Ok(match self.find_leases()? {
            FoundLeases::Leases(set) if set.number() == number => Some(set),
            _ => None,
        })
    }

    /// What a segment of this stream is called in messages.
    pub(crate) fn describe(&self, segment: &Segment, part: Part) -> String {
        match (self, segment) {
            (Site::SysV { name }, Segment::SysV(id)) => {
                format!("a segment (id {}) under its key {:#x}", id.0, Self::key(name, part))
            }
            (_, Segment::File(file)) => format!("a file {}", file.path().display()),
            (Site::File(directory), _) => format!("a file {}", directory.path().display()),
        }
    }

    /// What the leases are called in messages.
    pub(crate) fn describe_leases(&self) -> String {
        match self {
            Site::SysV { name } => format!("a semaphore set under its key {:#x}", name.key()),
            Site::File(directory) => format!("a file {}", directory.lock_path().display()),
        }
    }

    /// Makes what must be there before the leases can be.
    pub(crate) fn prepare(&self) -> Result<(), CallError> {
        match self {
            Site::SysV { .. } => Ok(()),
            Site::File(directory) => directory.prepare(),
        }
    }

    /// Removes what is left when leases and segments have just been removed.
    pub(crate) fn clear(&self) {
        if let Site::File(directory) = self {
            directory.clear();
        }
    }

    /// Removes what is left of a stream of which there are no leases and segments, where it can be nobody else's.
    pub(crate) fn clear_bare(&self) {
        if let Site::File(directory) = self {
            directory.clear_bare();
        }
    }
}

impl Segment {
    /// The number by which a header names it: a System V id, or an inode number.
    pub(crate) fn number(&self) -> i32 {
        match self {
            Segment::SysV(id) => id.0,
            Segment::File(file) => file.number(),
        }
    }

    pub(crate) fn attach_read(&self) -> Result<ReadMapping, CallError> {
        match self {
            Segment::SysV(id) => sysv::attach_read(*id),
            Segment::File(file) => file.attach_read(),
        }
    }

    pub(crate) fn attach_write(&self) -> Result<WriteMapping, CallError> {
        match self {
            Segment::SysV(id) => sysv::attach_write(*id),
            Segment::File(file) => file.attach_write(),
        }
    }

    /// At an address where huge pages can be mapped, if there is one.
    pub(crate) fn attach_read_huge(&self) -> Result<ReadMapping, CallError> {
        match self {
            Segment::SysV(id) => sysv::attach_read_huge(*id),
            Segment::File(file) => file.attach_read_huge(),
        }
    }

    /// At an address where huge pages can be mapped, if there is one.
    pub(crate) fn attach_write_huge(&self) -> Result<WriteMapping, CallError> {
        match self {
            Segment::SysV(id) => sysv::attach_write_huge(*id),
            Segment::File(file) => file.attach_write_huge(),
        }
    }

    pub(crate) fn status(&self) -> Result<SegmentStatus, CallError> {
        match self {
            Segment::SysV(id) => sysv::status(*id),
            Segment::File(file) => file.status(),
        }
    }

    /// Whether it is certain that no process has it mapped. Who only looks has it for a moment, so it is asked for
    /// again for about so many ms.
    pub(crate) fn is_unused(&self, patience_ms: u32) -> Result<bool, CallError> {
        for _ in 0..patience_ms {
            let unused = match self {
                Segment::SysV(id) => sysv::status(*id)?.attached == 0,
                Segment::File(file) => file.is_unused()?,
            };
            if unused {
                return Ok(true);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(false)
    }

    /// Sets permissions and, where one is given, the group. Only the owner may; nothing is changed where they are as
    /// wanted.
    pub(crate) fn set_access(&self, mode: u32, group: Option<u32>) -> Result<(), CallError> {
        match self {
            Segment::SysV(id) => sysv::set_access(*id, mode, group),
            Segment::File(file) => file.set_access(mode, group),
        }
    }

    /// Keeps the segment's pages in memory.
    pub(crate) fn lock(&self, mapping: &WriteMapping) -> Result<(), CallError> {
        match self {
            Segment::SysV(id) => sysv::lock(*id),
            Segment::File(_) => mapping.lock(),
        }
    }

    /// Takes its name away at once, and its memory when the last process lets go of it.
    pub(crate) fn remove(&self) -> Result<(), CallError> {
        match self {
            Segment::SysV(id) => sysv::remove(*id),
            Segment::File(file) => file.remove(),
        }
    }
}

/// A segment, as it is found by looking at everything: it may be a stream's frames.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub frames: Segment,
    /// System V key; of a file, 0.
    pub key: i32,
    pub bytes: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub resident_bytes: u64,
    /// How many times it is mapped; of a file, the kernel does not say.
    pub attached: Option<u64>,
    /// As its place says; a System V segment's place says nothing.
    pub name: Option<StreamName>,
}

/// All that may be a frames segment.
pub(crate) fn all(backend: &Backend) -> Result<Vec<Row>, CallError> {
    match backend {
        Backend::SysV => sysv::all(),
        Backend::File { directory } => all_files(directory),
    }
}

fn all_files(directory: &Path) -> Result<Vec<Row>, CallError> {
    let streams = StreamDirectory::all(directory)?;
    // Streams come and go: what is not there any more is left out.
    let row = |(name, directory): (StreamName, StreamDirectory)| directory.row(Part::Frames, name).ok().flatten();
    Ok(streams.into_iter().filter_map(row).collect())
}
