//! Whether what stands where a stream's objects are is framebus's.
//!
//! | what | what proves it |
//! |---|---|
//! | frames, places | our magic; of places, the name too |
//! | the file `lock` | what stands in it: process and PID namespace of each claimant |
//! | files with nothing in them | a `lock` that is proven: it is made first |
//! | empty directories, an empty `lock` | that they are in `/dev/shm/framebus`, which bears our name |
//! | empty segments, semaphore sets | frames or places of the stream |
//!
//! Rights and names prove nothing: `/run/lock/subsys`, which is on many machines, looks like a stream's directory with nothing in it,
//! and an empty `lock` is in many a program's directory. What is not proven is named at most, and left.

use crate::call::{CallError, call};
use crate::layout::FRAMES_MAGIC;
use crate::lease::locks::{LockFile, LockLook};
use crate::name::StreamName;
use crate::region::{self, FoundPlaces};
use crate::segment::Part;
use crate::segment::file::StreamDirectory;
use crate::site::{FoundLeases, Site};

/// What is known of all that stands where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// There is nothing.
    Nothing,
    /// It is framebus's.
    Ours,
    /// It may be framebus's, and somebody else's.
    None,
    /// It is somebody else's.
    Foreign,
}

/// What is seen of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Absent,
    Blank,
    Ours,
    Foreign,
}

/// Looks at all that stands where a stream is. Nothing is changed.
///
/// # Errors
/// EACCES, where a part may not be read.
pub(super) fn proof(site: &Site, name: &StreamName) -> Result<Proof, CallError> {
    let parts = [mark(site, name, Part::Frames)?, mark(site, name, Part::Places)?, mark(site, name, Part::Trial)?];
    let is_marked = parts.contains(&Mark::Ours);
    match site {
        Site::SysV { .. } => {
            let has_set = !matches!(site.find_leases()?, FoundLeases::None);
            Ok(match is_marked {
                true => Proof::Ours,
                false if parts[0] == Mark::Foreign => Proof::Foreign,
                false if has_set || parts != [Mark::Absent; 3] => Proof::None,
                false => Proof::Nothing,
            })
        }
        Site::File(directory) => files(directory, parts, is_marked),
    }
}

fn files(directory: &StreamDirectory, parts: [Mark; 3], is_marked: bool) -> Result<Proof, CallError> {
    match call("stat", || std::fs::metadata(directory.path())) {
        Ok(status) if status.is_dir() => {}
        Ok(_) => return Ok(Proof::Foreign),
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(Proof::Nothing),
        Err(error) => return Err(error),
    }
    let lock = LockFile::look(directory)?;
    // Somebody else's, or somebody's who uses ours.
    let is_mixed = directory.has_others()? || lock == LockLook::Foreign;
    Ok(match (is_marked, is_mixed) {
        (true, false) => Proof::Ours,
        (true, true) => Proof::None,
        (false, true) => Proof::Foreign,
        (false, false) if parts.contains(&Mark::Foreign) => Proof::Foreign,
        (false, false) if lock == LockLook::Marked => Proof::Ours,
        (false, false) if directory.is_at_home() && directory.has_our_rights() => Proof::Ours,
        (false, false) => Proof::None,
    })
}

fn mark(site: &Site, name: &StreamName, part: Part) -> Result<Mark, CallError> {
    let mapping = match site.find(part)?.map(|segment| segment.attach_read()) {
        None => return Ok(Mark::Absent),
        Some(Ok(mapping)) => mapping,
        // No regular file.
        Some(Err(error)) if matches!(error.errno(), Some(libc::ESTALE | libc::ELOOP | libc::ENXIO)) => {
            return Ok(Mark::Foreign);
        }
        Some(Err(error)) if error.is_gone() => return Ok(Mark::Absent),
        Some(Err(error)) => return Err(error),
    };
    if region::is_blank(&mapping) {
        return Ok(Mark::Blank);
    }
    Ok(match part {
        Part::Frames => match region::read_header(&mapping) {
            Some(header) if header.magic == FRAMES_MAGIC => Mark::Ours,
            _ => Mark::Foreign,
        },
        Part::Places if region::places_name(&mapping).as_ref() == Some(name) => Mark::Ours,
        Part::Places => match region::examine_places(&mapping, name) {
            // The magic comes last: the beginning of ours, or whatever has a few numbers like it.
            FoundPlaces::Ours(_) | FoundPlaces::Blank => Mark::Blank,
            FoundPlaces::Stranger(_) => Mark::Foreign,
        },
        // Nothing is ever written there.
        Part::Trial => Mark::Foreign,
    })
}
