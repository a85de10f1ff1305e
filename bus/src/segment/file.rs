//! Segments that are files: `DIRECTORY/BUS/STREAM/{frames,places}`, beside the leases' file `lock`.
//!
//! A new file is made under a temporary name, gets all its memory (`fallocate`), and only then its own name: nobody ever
//! maps a file that is too short, and a full file system is an error here and not a SIGBUS later. All of that happens
//! under the publisher's lease, so the temporary name is one process's at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use memmap2::MmapOptions;

use super::{Kind, Mapping, Part, ReadMapping, SegmentStatus, WriteMapping, free_huge_address};
use crate::backend::DEFAULT_DIRECTORY;
use crate::call::{CallError, call, check};
use crate::layout::PAGE_BYTES;
use crate::name::StreamName;
use crate::process::Process;
use crate::site::{Row, Segment};
use crate::steps;

/// Most bytes that are asked for at a time: a signal makes the kernel give back what it has of a piece, not the whole.
const ALLOCATE_BYTES: usize = 4 << 20;

/// Missing from libc (asm-generic/fcntl.h).
const F_SETSIG: libc::c_int = 10;

/// Everybody may make buses and streams, and only remove what is his own, as in `/tmp`.
const SHARED_DIRECTORY: u32 = 0o1777;

/// A stream's is its publisher's.
const STREAM_DIRECTORY: u32 = 0o755;

/// The directory of a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamDirectory {
    path: PathBuf,
}

impl StreamDirectory {
    pub(crate) fn of(directory: &Path, name: &StreamName) -> Self {
        Self { path: directory.join(name.bus()).join(name.stream()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.path.join("lock")
    }

    fn part(&self, part: Part) -> PathBuf {
        self.path.join(match part {
            Part::Frames => "frames",
            Part::Places => "places",
            Part::Trial => "new",
        })
    }

    /// Makes the directories that are missing.
    pub(crate) fn prepare(&self) -> Result<(), CallError> {
        let bus = self.path.parent().unwrap_or(&self.path);
        for shared in [bus.parent().unwrap_or(bus), bus] {
            if make_directory(shared, SHARED_DIRECTORY)? {
                // The process's umask has taken rights away.
                let rights = std::fs::Permissions::from_mode(SHARED_DIRECTORY);
                call("chmod", || std::fs::set_permissions(shared, rights.clone()))?;
            }
        }
        if make_directory(&self.path, STREAM_DIRECTORY)? {
            let rights = std::fs::Permissions::from_mode(STREAM_DIRECTORY);
            call("chmod", || std::fs::set_permissions(&self.path, rights.clone()))?;
        }
        Ok(())
    }

    /// Removes the directories of stream and bus, where nothing is in them any more: of a stream whose files were just removed.
    /// The bus's may be one that somebody has made for his streams: it stays, unless it looks like those that we make.
    pub(crate) fn clear(&self) {
        let _ = call("rmdir", || std::fs::remove_dir(&self.path));
        let Some(bus) = self.path.parent() else { return };
        // The umask may have taken rights away from one whose maker was killed at it.
        if call("stat", || std::fs::symlink_metadata(bus)).is_ok_and(|status| status.mode() & libc::S_ISVTX != 0) {
            let _ = call("rmdir", || std::fs::remove_dir(bus));
        }
    }

    /// As [`clear`](Self::clear), of directories in which there was nothing: only where nothing else can have made them.
    pub(crate) fn clear_bare(&self) {
        if self.is_at_home() {
            self.clear();
        }
    }

    /// Whether it is in a directory that bears framebus's name. What has the shape of ours there is ours; anywhere else, an empty
    /// directory may be anybody's, such as `/run/lock/subsys`.
    pub(crate) fn is_at_home(&self) -> bool {
        self.path.ancestors().nth(2).is_some_and(is_home)
    }

    /// Whether both directories have the rights that we give them.
    pub(crate) fn has_our_rights(&self) -> bool {
        let has = |path: &Path, mode| {
            let status = call("stat", || std::fs::symlink_metadata(path));
            status.is_ok_and(|status| status.is_dir() && status.mode() & 0o7777 == mode)
        };
        self.path.parent().is_some_and(|bus| has(bus, SHARED_DIRECTORY)) && has(&self.path, STREAM_DIRECTORY)
    }

    pub(crate) fn find(&self, part: Part) -> Result<Option<FileSegment>, CallError> {
        let path = self.part(part);
        match call("stat", || std::fs::symlink_metadata(&path)) {
            Ok(file) => Ok(Some(FileSegment { number: number_of(&file), path })),
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn create(&self, part: Part, bytes: usize, mode: u32) -> Result<FileSegment, CallError> {
        let path = self.part(part);
        if self.find(part)?.is_some() {
            return Err(CallError { call: "open", source: io::Error::from_raw_os_error(libc::EEXIST) });
        }
        let trial = self.part(Part::Trial);
        let segment = self.allocate(&trial, bytes, mode).inspect_err(|_| {
            let _ = std::fs::remove_file(&trial);
        })?;
        if part != Part::Trial {
            call("rename", || std::fs::rename(&trial, &path)).inspect_err(|_| {
                let _ = std::fs::remove_file(&trial);
            })?;
        }
        Ok(FileSegment { path, ..segment })
    }

    fn allocate(&self, path: &Path, bytes: usize, mode: u32) -> Result<FileSegment, CallError> {
        // One that a creator left who died is not used: somebody may have it open.
        match call("unlink", || std::fs::remove_file(path)) {
            Err(error) if error.errno() != Some(libc::ENOENT) => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(mode);
        let file = call("open", || options.open(path))?;
        call("chmod", || file.set_permissions(std::fs::Permissions::from_mode(mode)))?;
        refuse_too_large(&file, bytes)?;
        allocate_memory(&file, bytes)?;
        let status = call("stat", || file.metadata())?;
        Ok(FileSegment { number: number_of(&status), path: path.to_owned() })
    }

    /// The names of all that is in it; none where it is not there.
    pub(crate) fn entries(&self) -> Result<Vec<String>, CallError> {
        names_in(&self.path)
    }

    /// Whether there is anything in it that is no part of a stream.
    pub(crate) fn has_others(&self) -> Result<bool, CallError> {
        Ok(self.entries()?.iter().any(|entry| !["frames", "places", "new", "lock"].contains(&entry.as_str())))
    }

    /// The directories in which nothing is, and which have a name and the rights of a bus's. So have others: `/var/tmp`, `/run/lock`.
    pub(crate) fn empty_buses(directory: &Path) -> Result<Vec<(PathBuf, std::fs::Metadata)>, CallError> {
        let mut empty = Vec::new();
        for bus in names_in(directory)? {
            let path = directory.join(&bus);
            let is_name = crate::name::check_part("bus", &bus).is_ok();
            let Ok(status) = std::fs::symlink_metadata(&path) else { continue };
            let ours = is_name && status.is_dir() && status.mode() & 0o7777 == SHARED_DIRECTORY;
            if ours && names_in(&path).is_ok_and(|names| names.is_empty()) {
                empty.push((path, status));
            }
        }
        Ok(empty)
    }

    /// The streams in a directory, by what their directories are called.
    pub(crate) fn all(directory: &Path) -> Result<Vec<(StreamName, Self)>, CallError> {
        let mut streams = Vec::new();
        for bus in names_in(directory)? {
            for stream in names_in(&directory.join(&bus)).unwrap_or_default() {
                // Whatever else lies there is none of ours.
                if let Ok(name) = StreamName::new(&bus, &stream) {
                    let stream = Self::of(directory, &name);
                    streams.push((name, stream));
                }
            }
        }
        Ok(streams)
    }

    /// A file of the stream, as a table of all would have it.
    pub(crate) fn row(&self, part: Part, name: StreamName) -> Result<Option<Row>, CallError> {
        let Some(file) = self.find(part)? else { return Ok(None) };
        let status = call("stat", || std::fs::symlink_metadata(file.path()))?;
        Ok(Some(Row {
            frames: Segment::File(file),
            key: 0,
            bytes: status.len(),
            mode: status.mode() & 0o777,
            uid: status.uid(),
            gid: status.gid(),
            attached: None,
            // stat(2): blocks of 512 bytes, whatever the file system's are.
            resident_bytes: status.blocks() * 512,
            name: Some(name),
        }))
    }
}

/// Fails before memory is taken that is not enough: to fill the file system for a moment would hurt others.
fn refuse_too_large(file: &File, bytes: usize) -> Result<(), CallError> {
    // SAFETY: statvfs is plain data, so zeroes are a value of it.
    let mut status: libc::statvfs = unsafe { std::mem::zeroed() };
    let buffer = &raw mut status;
    // SAFETY: fstatvfs fills the buffer.
    call("fstatvfs", || check(unsafe { libc::fstatvfs(file.as_raw_fd(), buffer) }))?;
    // A file system without a size (ramfs) has 0 blocks.
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    if status.f_blocks != 0 && free < bytes as u64 {
        return Err(CallError { call: "fallocate", source: io::Error::from_raw_os_error(libc::ENOSPC) });
    }
    Ok(())
}

/// Gives a file all its memory. Where signals come faster than the kernel makes a piece, pieces become smaller: the same
/// one, tried again and again, might never be done.
fn allocate_memory(file: &File, bytes: usize) -> Result<(), CallError> {
    let (mut offset, mut most) = (0, ALLOCATE_BYTES);
    while offset < bytes {
        let piece = most.min(bytes - offset);
        // SAFETY: fallocate takes plain integers and an open file.
        let allocate = || unsafe { libc::fallocate(file.as_raw_fd(), 0, offset as libc::off_t, piece as libc::off_t) };
        match steps::call("fallocate").and_then(|()| check(allocate())) {
            Ok(_) => offset += piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => most = (most / 2).max(PAGE_BYTES),
            Err(source) => return Err(CallError { call: "fallocate", source }),
        }
    }
    Ok(())
}

/// True: it was not there.
fn make_directory(path: &Path, mode: u32) -> Result<bool, CallError> {
    match call("mkdir", || DirBuilder::new().mode(mode).create(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(libc::EEXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Names of the entries of a directory, where there is one.
fn names_in(directory: &Path) -> Result<Vec<String>, CallError> {
    match call("opendir", || std::fs::read_dir(directory)) {
        // What is no text is no name of ours, and does not count as nothing.
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()),
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A file's number as it stands in a header: the lower bits of its inode number. tmpfs does not soon use one again.
pub(crate) fn number_of(status: &std::fs::Metadata) -> i32 {
    (status.ino() & 0x7fff_ffff) as i32
}

/// Opens a regular file of this number; whatever else has the name is not followed, waited for, or used.
pub(crate) fn open_number(path: &Path, number: i32, write: bool) -> Result<(File, std::fs::Metadata), CallError> {
    let mut options = OpenOptions::new();
    options.read(true).write(write).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut open = call("open", || options.open(path));
    for _ in 0..100 {
        // `is_unused` asks whether somebody has it open, and lets go of it at once.
        let Err(error) = &open else { break };
        if error.errno() != Some(libc::EWOULDBLOCK) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
        open = call("open", || options.open(path));
    }
    let file = open?;
    let status = call("stat", || file.metadata())?;
    if !status.is_file() || number_of(&status) != number {
        return Err(CallError { call: "open", source: io::Error::from_raw_os_error(libc::ESTALE) });
    }
    Ok((file, status))
}

/// Unlinks a file of this number. The kernel removes by name alone, so it is looked at directly before.
///
/// # Errors
/// ESTALE where the name is another file's by now.
pub(crate) fn unlink_number(path: &Path, number: i32) -> Result<(), CallError> {
    if number_of(&call("stat", || std::fs::symlink_metadata(path))?) != number {
        return Err(CallError { call: "unlink", source: io::Error::from_raw_os_error(libc::ESTALE) });
    }
    call("unlink", || std::fs::remove_file(path))
}

/// Whether this is the directory of the file backend where none is given.
pub(crate) fn is_home(directory: &Path) -> bool {
    directory == Path::new(DEFAULT_DIRECTORY)
}

/// Maps a file at the address, or elsewhere, where something is mapped there.
fn map_at(address: NonNull<libc::c_void>, file: &File, bytes: usize, write: bool) -> io::Result<NonNull<u8>> {
    let protection = if write { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
    // SAFETY: without MAP_FIXED, the kernel takes no address where something is mapped.
    let base = unsafe { libc::mmap(address.as_ptr(), bytes, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(base.cast()).ok_or(io::ErrorKind::AddrNotAvailable.into())
}

/// A file that is a segment, or was a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSegment {
    path: PathBuf,
    number: i32,
}

impl FileSegment {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    pub(crate) fn attach_read(&self) -> Result<ReadMapping, CallError> {
        self.attach(false, false).map(ReadMapping)
    }

    /// As [`attach_read`](Self::attach_read), at an address where huge pages can be mapped.
    pub(crate) fn attach_read_huge(&self) -> Result<ReadMapping, CallError> {
        self.attach(false, true).map(ReadMapping)
    }

    pub(crate) fn attach_write(&self) -> Result<WriteMapping, CallError> {
        self.attach(true, false).map(WriteMapping)
    }

    /// As [`attach_write`](Self::attach_write), at an address where huge pages can be mapped.
    pub(crate) fn attach_write_huge(&self) -> Result<WriteMapping, CallError> {
        self.attach(true, true).map(WriteMapping)
    }

    fn attach(&self, write: bool, huge: bool) -> Result<Mapping, CallError> {
        let process = call("madvise", Process::current)?;
        let (file, status) = open_number(&self.path, self.number, write)?;
        let bytes = status.len() as usize;
        if bytes == 0 {
            return Ok(Mapping { base: NonNull::<u128>::dangling().cast(), bytes, process, kind: Kind::Empty });
        }
        if huge && let Some(address) = free_huge_address(bytes) {
            let base = call("mmap", || map_at(address, &file, bytes, write))?;
            return Mapping { base, bytes, process, kind: Kind::FileAtAddress }.keep_from_children();
        }
        let mut options = MmapOptions::new();
        options.len(bytes);
        let map = call("mmap", || if write { options.map_raw(&file) } else { options.map_raw_read_only(&file) })?;
        // mmap never returns 0 unless it is asked to.
        let base = NonNull::new(map.as_mut_ptr()).unwrap_or(NonNull::dangling());
        let kind = Kind::File(std::mem::ManuallyDrop::new(map));
        Mapping { base, bytes, process, kind }.keep_from_children()
    }

    pub(crate) fn status(&self) -> Result<SegmentStatus, CallError> {
        let (_, status) = open_number(&self.path, self.number, false)?;
        Ok(SegmentStatus { bytes: status.len(), uid: status.uid(), creator_pid: 0, attached: 0 })
    }

    /// Whether nobody else has it open or mapped, in the kernel's words: it gives a lease for writing (fcntl(2)) on no
    /// other file. False where it is somebody else's, or of a file system that knows no leases.
    pub(crate) fn is_unused(&self) -> Result<bool, CallError> {
        let (file, _) = open_number(&self.path, self.number, false)?;
        // SAFETY: plain integers and an open file.
        let set = |what: libc::c_int, to: libc::c_int| check(unsafe { libc::fcntl(file.as_raw_fd(), what, to) });
        // Who opens it in this moment waits until we give the lease back, and the kernel tells us by a signal: by one that
        // nobody minds.
        let lease = || set(F_SETSIG, libc::SIGURG).and_then(|_| set(libc::F_SETLEASE, libc::F_WRLCK));
        match call("fcntl(F_SETLEASE)", lease) {
            Ok(_) => {
                let _ = set(libc::F_SETLEASE, libc::F_UNLCK);
                Ok(true)
            }
            Err(error) if matches!(error.errno(), Some(libc::EAGAIN | libc::EACCES | libc::EINVAL)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn set_access(&self, mode: u32, group: Option<u32>) -> Result<(), CallError> {
        let (file, status) = open_number(&self.path, self.number, false)?;
        set_access(&file, &status, mode, group)
    }

    /// Takes its name away, where it still has it: what another publisher has put there meanwhile stays.
    pub(crate) fn remove(&self) -> Result<(), CallError> {
        unlink_number(&self.path, self.number)
    }
}

/// Sets permissions and, where one is given, the group of a file. Only the owner may; nothing is asked of the kernel where
/// they are as wanted.
pub(crate) fn set_access(
    file: &File,
    status: &std::fs::Metadata,
    mode: u32,
    group: Option<u32>,
) -> Result<(), CallError> {
    if group.is_some_and(|group| group != status.gid()) {
        call("chown", || fchown(file, None, group))?;
    }
    if status.mode() & 0o7777 != mode {
        call("chmod", || file.set_permissions(std::fs::Permissions::from_mode(mode)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_removed_only_while_it_has_its_name() {
        let name = StreamName::new(&format!("test-{}-number", std::process::id()), "front").unwrap();
        let directory = StreamDirectory::of(&std::env::temp_dir(), &name);
        directory.prepare().unwrap();
        let first = directory.create(Part::Frames, PAGE_BYTES, 0o600).unwrap();
        // As long as it is open, its number is nobody else's.
        let _mapping = first.attach_read().unwrap();
        std::fs::remove_file(first.path()).unwrap();
        assert!(first.remove().unwrap_err().is_gone());
        let second = directory.create(Part::Frames, PAGE_BYTES, 0o600).unwrap();
        assert!(first.remove().unwrap_err().is_gone());
        assert_eq!(directory.find(Part::Frames).unwrap(), Some(second.clone()), "another one's stays");
        second.remove().unwrap();
        directory.clear();
        assert!(!directory.path().parent().unwrap().exists());
    }
}
