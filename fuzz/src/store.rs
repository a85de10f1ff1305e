//! The memory of a stream, as somebody sees it who keeps to no rule: System V segments, or files.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use framebus::{Backend, StreamName};

/// Which of a stream's two segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Frames,
    Places,
}

/// Both segments of a stream, or the one that there is.
pub trait Store: Sized {
    /// The segments that now have the stream's name; `None` where there are no frames.
    fn open(backend: &Backend, name: &StreamName) -> Option<Self>;
    /// Makes a lone frames segment of this size.
    fn make_odd(backend: &Backend, name: &StreamName, bytes: usize);
    /// Removes all that has the stream's name.
    fn remove(backend: &Backend, name: &StreamName);
    /// Whether these are the segments that now have the stream's name.
    fn is_current(&self, backend: &Backend, name: &StreamName) -> bool;
    /// Whether nobody but us uses the segments, and nobody holds a lease.
    fn is_unused(&self, backend: &Backend, name: &StreamName) -> bool;
    fn bytes(&self, part: Part) -> usize;
    /// Overwrites what lies within the segment.
    fn write(&mut self, part: Part, offset: usize, bytes: &[u8]);
    fn read(&self, part: Part, offset: usize, bytes: &mut [u8]);
    /// Files only: another length. Nobody has them mapped.
    fn resize(&mut self, part: Part, bytes: usize);
}

/// System V segments, attached once and for all.
pub struct SysV {
    frames: Attached,
    places: Option<Attached>,
}

struct Attached {
    id: i32,
    base: *mut u8,
    bytes: usize,
}

impl Attached {
    fn find(key: i32) -> Option<Self> {
        // SAFETY: plain integers, a zeroed buffer of plain data, and an address of the kernel's choice.
        unsafe {
            let id = libc::shmget(key, 0, 0);
            let mut status: libc::shmid_ds = std::mem::zeroed();
            if id == -1 || libc::shmctl(id, libc::IPC_STAT, &mut status) == -1 {
                return None;
            }
            let base = libc::shmat(id, std::ptr::null(), 0);
            (base as isize != -1).then_some(Self { id, base: base.cast(), bytes: status.shm_segsz })
        }
    }

    fn users(&self) -> u64 {
        // SAFETY: IPC_STAT fills a zeroed buffer of plain data.
        unsafe {
            let mut status: libc::shmid_ds = std::mem::zeroed();
            libc::shmctl(self.id, libc::IPC_STAT, &mut status);
            status.shm_nattch
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: attached by `find`, and nobody else has the address.
        unsafe { libc::shmdt(self.base.cast()) };
    }
}

impl SysV {
    fn attached(&self, part: Part) -> Option<&Attached> {
        match part {
            Part::Frames => Some(&self.frames),
            Part::Places => self.places.as_ref(),
        }
    }
}

impl Store for SysV {
    fn open(_: &Backend, name: &StreamName) -> Option<Self> {
        Some(Self { frames: Attached::find(name.key())?, places: Attached::find(name.places_key()) })
    }

    fn make_odd(_: &Backend, name: &StreamName, bytes: usize) {
        // SAFETY: plain integers.
        let id = unsafe { libc::shmget(name.key(), bytes, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        assert_ne!(id, -1, "shmget: {}", std::io::Error::last_os_error());
    }

    fn remove(_: &Backend, name: &StreamName) {
        // SAFETY: plain integers; nobody else uses the fuzzer's names.
        unsafe {
            for key in [name.key(), name.places_key(), name.trial_key()] {
                let id = libc::shmget(key, 0, 0);
                if id != -1 {
                    libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut());
                }
            }
            let leases = libc::semget(name.key(), 0, 0);
            if leases != -1 {
                libc::semctl(leases, 0, libc::IPC_RMID);
            }
        }
    }

    fn is_current(&self, _: &Backend, name: &StreamName) -> bool {
        // SAFETY: plain integers.
        let is = |key, id| unsafe { libc::shmget(key, 0, 0) } == id;
        is(name.key(), self.frames.id) && is(name.places_key(), self.places.as_ref().map_or(-1, |places| places.id))
    }

    fn is_unused(&self, _: &Backend, name: &StreamName) -> bool {
        let mut leases = [0_u16; 256];
        // SAFETY: plain integers; GETALL fills 256 numbers, so many as a stream has leases.
        unsafe {
            let set = libc::semget(name.key(), 256, 0);
            if set != -1 {
                libc::semctl(set, 0, libc::GETALL, leases.as_mut_ptr());
            }
        }
        leases == [0; 256] && self.frames.users() == 1 && self.places.as_ref().is_none_or(|places| places.users() == 1)
    }

    fn bytes(&self, part: Part) -> usize {
        self.attached(part).map_or(0, |attached| attached.bytes)
    }

    fn write(&mut self, part: Part, offset: usize, bytes: &[u8]) {
        let Some(attached) = self.attached(part) else { return };
        let offset = offset.min(attached.bytes);
        let len = bytes.len().min(attached.bytes - offset);
        // SAFETY: within the segment; whoever else has it mapped must bear with anything that stands there.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), attached.base.add(offset), len) }
    }

    fn read(&self, part: Part, offset: usize, bytes: &mut [u8]) {
        let Some(attached) = self.attached(part) else { return };
        let offset = offset.min(attached.bytes);
        let len = bytes.len().min(attached.bytes - offset);
        // SAFETY: as in `write`, the other way round.
        unsafe { std::ptr::copy_nonoverlapping(attached.base.add(offset), bytes.as_mut_ptr(), len) }
    }

    fn resize(&mut self, _: Part, _: usize) {}
}

/// Files, never mapped here.
pub struct Files {
    frames: File,
    places: Option<File>,
}

fn directory(backend: &Backend, name: &StreamName) -> PathBuf {
    let Backend::File { directory } = backend else { panic!("the backend is of files") };
    directory.join(name.bus()).join(name.stream())
}

fn open(path: &Path) -> Option<File> {
    OpenOptions::new().read(true).write(true).open(path).ok()
}

fn inode(file: &File) -> Option<u64> {
    file.metadata().ok().map(|status| status.ino())
}

impl Files {
    fn file(&self, part: Part) -> Option<&File> {
        match part {
            Part::Frames => Some(&self.frames),
            Part::Places => self.places.as_ref(),
        }
    }
}

impl Store for Files {
    fn open(backend: &Backend, name: &StreamName) -> Option<Self> {
        let directory = directory(backend, name);
        Some(Self { frames: open(&directory.join("frames"))?, places: open(&directory.join("places")) })
    }

    fn make_odd(backend: &Backend, name: &StreamName, bytes: usize) {
        let directory = directory(backend, name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = File::create(directory.join("frames")).expect("a file");
        file.set_len(bytes as u64).expect("a file that grows");
    }

    fn remove(backend: &Backend, name: &StreamName) {
        let _ = std::fs::remove_dir_all(directory(backend, name));
    }

    fn is_current(&self, backend: &Backend, name: &StreamName) -> bool {
        let directory = directory(backend, name);
        let is = |entry: &str, file: Option<&File>| {
            let found = std::fs::symlink_metadata(directory.join(entry)).ok().map(|status| status.ino());
            found == file.and_then(inode)
        };
        is("frames", Some(&self.frames)) && is("places", self.places.as_ref())
    }

    fn is_unused(&self, backend: &Backend, name: &StreamName) -> bool {
        let Some(lock) = open(&directory(backend, name).join("lock")) else { return true };
        // SAFETY: F_OFD_GETLK reads and fills a flock, which is plain data; zeroes stand for the whole file.
        unsafe {
            let mut question: libc::flock = std::mem::zeroed();
            question.l_type = libc::F_WRLCK as libc::c_short;
            libc::fcntl(lock.as_raw_fd(), libc::F_OFD_GETLK, &mut question);
            question.l_type == libc::F_UNLCK as libc::c_short
        }
    }

    fn bytes(&self, part: Part) -> usize {
        let status = self.file(part).and_then(|file| file.metadata().ok());
        status.map_or(0, |status| status.len() as usize)
    }

    fn write(&mut self, part: Part, offset: usize, bytes: &[u8]) {
        let end = self.bytes(part);
        let offset = offset.min(end);
        if let Some(file) = self.file(part) {
            let _ = file.write_all_at(&bytes[..bytes.len().min(end - offset)], offset as u64);
        }
    }

    fn read(&self, part: Part, offset: usize, bytes: &mut [u8]) {
        if let Some(file) = self.file(part) {
            let _ = file.read_at(bytes, offset as u64);
        }
    }

    fn resize(&mut self, part: Part, bytes: usize) {
        if let Some(file) = self.file(part) {
            file.set_len(bytes as u64).expect("a file of another length");
        }
    }
}
