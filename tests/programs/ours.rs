//! What is proven to be framebus's is removed, and what only looks like it is named, and left.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use framebus::{Backend, KeepReason, Orphan, OrphanKind, Publisher, RemoveError, collect, survey};

use crate::actor::content;
use crate::backend;
use crate::gc::everything;
use crate::harness::{TestStream, framebus, options};

/// A segment and a semaphore set that are no stream's, and go with the test.
struct Strangers {
    segment: libc::c_int,
    semaphores: libc::c_int,
}

impl Strangers {
    /// The segment begins with these bytes.
    fn new(segment_key: i32, bytes: &[u8; 8], set_key: i32) -> Self {
        // SAFETY: plain integers, and a segment of this test's own.
        unsafe {
            let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
            let made =
                Self { segment: libc::shmget(segment_key, 8192, flags), semaphores: libc::semget(set_key, 256, flags) };
            assert!(made.segment >= 0 && made.semaphores >= 0, "{}", std::io::Error::last_os_error());
            let base = libc::shmat(made.segment, std::ptr::null(), 0);
            assert_ne!(base as isize, -1);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), base.cast(), bytes.len());
            libc::shmdt(base);
            made
        }
    }

    /// Whether each was still there.
    fn remove(&self) -> [bool; 2] {
        // SAFETY: plain integers; both are this test's own.
        unsafe {
            [
                libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut()) == 0,
                libc::semctl(self.semaphores, 0, libc::IPC_RMID) == 0,
            ]
        }
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.remove();
    }
}

#[test]
fn what_is_not_proven_to_be_ours_is_named_at_most_and_kept() {
    if backend() != Backend::SysV {
        return directories_of_others_are_left_alone();
    }
    let (magic, set) = (TestStream::new("gc-magic"), TestStream::new("gc-set"));
    let strangers = Strangers::new(magic.name.key(), b"FRAMEBUT", set.name.key());
    let Strangers { segment, semaphores } = strangers;
    let run = framebus().args(["gc", "--dry-run"]).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    let object = format!("a semaphore set (id {semaphores}) under key {:#x}", set.name.key());
    assert!(said.contains(&format!("kept leases without a stream, {object}")), "{said}");
    assert!(said.contains(&format!("where you know it, ipcrm -s {semaphores} removes it")), "{said}");
    assert!(!said.contains(&format!("(id {segment})")), "a stranger's is none of our business: {said}");
    let kept = collect(&backend(), &magic.name, everything());
    assert!(matches!(kept, Err(KeepReason::Stranger(_))), "{kept:?}");
    let unproven = |orphan: &Orphan| orphan.object == object && !orphan.is_proven();
    assert!(survey(&backend()).unwrap().orphans.iter().any(unproven));
    assert_eq!(strangers.remove(), [true, true], "both are there");
}

/// A directory for files, of a test's own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn backend(&self) -> Backend {
        Backend::File { directory: self.0.path().to_owned() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Directories with the rights that framebus gives its own.
    fn make(&self, stream: &str) -> PathBuf {
        make_directories(&self.path(stream));
        self.path(stream)
    }

    fn gc(&self) -> (String, String) {
        let run = framebus().args(["gc", "--backend", &self.backend().to_string()]).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap())
    }

    /// All that is there, with what stands in it.
    fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                all.push((entry.clone(), std::fs::read(&entry).unwrap_or_default()));
                if entry.is_dir() {
                    folders.push(entry);
                }
            }
        }
        all.sort();
        all
    }
}

fn make_directories(stream: &Path) {
    for (path, mode) in [(stream.parent().unwrap(), 0o1777), (stream, 0o755)] {
        std::fs::create_dir_all(path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// The same for files: what stands where streams do and is none.
fn directories_of_others_are_left_alone() {
    let folder = Folder::new();
    let files: [(&str, &[u8]); 5] = [
        ("music/songs/frames.ogg", b"somebody else's"),
        ("notes/empty/.keep", b""),
        ("frames", b"somebody else's"),
        ("bus/stream/frames", b"somebody else's"),
        ("bus/stream/mine", b"somebody else's"),
    ];
    for (name, text) in files {
        std::fs::create_dir_all(folder.path(name).parent().unwrap()).unwrap();
        std::fs::write(folder.path(name), text).unwrap();
    }
    // Whatever its rights: as /run/lock/subsys has them, and so has a stream's directory.
    folder.make("lock/subsys");
    std::fs::create_dir_all(folder.path("plain/empty")).unwrap();
    std::fs::create_dir(folder.path("empty")).unwrap();
    std::fs::create_dir(folder.path("tmp")).unwrap();
    std::fs::set_permissions(folder.path("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let texts: [(&str, &[u8]); 9] = [
        ("lock/none/lock", b""),
        ("lock/text/lock", b"somebody"),
        ("lock/pid/lock", b"4711\n"),
        ("lock/long/lock", &[0; 4096]),
        ("lock/number/lock", &4711_u64.to_ne_bytes()),
        ("lock/places/places", b"somebody else's"),
        ("lock/zeroes/frames", &[0; 8192]),
        ("lock/mail/new", b"somebody else's"),
        ("lock/marked/frames", b"FRAMEBUT, but not quite"),
    ];
    for (name, text) in texts {
        folder.make(name.rsplit_once('/').unwrap().0);
        std::fs::write(folder.path(name), text).unwrap();
    }
    std::fs::write(folder.path("lock/marked/lock"), claimant()).unwrap();
    std::fs::create_dir_all(folder.path("plain/locked")).unwrap();
    std::fs::write(folder.path("plain/locked/lock"), b"").unwrap();
    std::os::unix::fs::symlink("subsys", folder.path("lock/link")).unwrap();
    let before = folder.all();
    let (removed, said) = folder.gc();
    assert_eq!(removed, "", "{said}");
    assert_eq!(folder.all(), before);
    // What looks like ours is named, with what removes it where somebody knows it.
    let subsys = folder.path("lock/subsys");
    let (path, remedy) = (subsys.display(), "nothing proves that it is framebus's; where you know it, rmdir");
    assert!(said.contains(&format!("kept an empty directory, a directory {path}, ")), "{said}");
    assert!(said.contains(&format!("{remedy} {path} removes it\n")), "{said}");
    assert!(!said.contains("plain") && !said.contains("text") && !said.contains("mail"), "{said}");
    // Nor by name, where something else stands there.
    for name in
        ["lock/text", "lock/pid", "lock/long", "lock/subsys", "lock/mail", "lock/places", "lock/marked", "tmp/x"]
    {
        let removed = framebus::remove(&folder.backend(), &name.parse().unwrap(), true);
        assert!(
            matches!(removed, Err(RemoveError::Stranger { .. } | RemoveError::NotFound { .. })),
            "{name}: {removed:?}"
        );
        let collected = collect(&folder.backend(), &name.parse().unwrap(), everything());
        let reason = collected.unwrap_err();
        assert!(
            matches!(reason, KeepReason::Stranger(_) | KeepReason::Unproven | KeepReason::Nothing),
            "{name}: {reason}"
        );
    }
    assert_eq!(folder.all(), before);
}

/// What stands in a file of leases of which this process claimed the first.
fn claimant() -> [u8; 8] {
    let namespace = std::fs::metadata("/proc/self/ns/pid").unwrap().ino();
    (namespace << 32 | u64::from(std::process::id())).to_ne_bytes()
}

#[test]
fn leases_and_beginnings_that_a_killed_start_left_are_removed() {
    let folder = Folder::new();
    for stream in ["bus/locked", "bus/begun", "bus/allocated"] {
        std::fs::write(folder.make(stream).join("lock"), claimant()).unwrap();
    }
    std::fs::write(folder.path("bus/begun/frames"), [0; 8192]).unwrap();
    std::fs::write(folder.path("bus/allocated/new"), [0; 8192]).unwrap();
    let kinds: Vec<_> = survey(&folder.backend()).unwrap().orphans.iter().map(|orphan| orphan.kind).collect();
    assert_eq!(kinds, [OrphanKind::Trial, OrphanKind::Unfinished, OrphanKind::Leases]);
    assert_eq!(folder.gc().1, "3 removed, 16 KiB\n");
    assert_eq!(folder.all(), []);
}

#[test]
fn a_bus_that_somebody_made_for_his_streams_stays() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("robot")).unwrap();
    std::fs::set_permissions(folder.path("robot"), std::fs::Permissions::from_mode(0o2775)).unwrap();
    let mut settings = options(content());
    (settings.backend, settings.persist) = (folder.backend(), true);
    let name = "robot/front".parse().unwrap();
    drop(Publisher::open(&name, &settings).unwrap());
    collect(&folder.backend(), &name, everything()).unwrap();
    assert_eq!(folder.all(), [(folder.path("robot"), Vec::new())]);
    settings.persist = false;
    drop(Publisher::open(&name, &settings).unwrap());
    assert_eq!(folder.all(), [(folder.path("robot"), Vec::new())]);
}

#[test]
fn directories_that_a_killed_start_left_are_removed_where_they_can_be_nobody_elses() {
    let directory = PathBuf::from(framebus::DEFAULT_DIRECTORY);
    let here = Backend::default_file();
    let bus = |bus: &str| format!("test-{}-{bus}", std::process::id());
    for name in ["bare", "locked"] {
        make_directories(&directory.join(bus(name)).join("front"));
    }
    std::fs::write(directory.join(bus("locked")).join("front/lock"), b"").unwrap();
    for name in ["bare", "locked"] {
        let run = framebus().args(["gc", "--backend", "file", &format!("{}/front", bus(name))]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&run.stderr), "1 removed, 0 bytes\n", "{run:?}");
        assert!(!directory.join(bus(name)).exists());
    }
    // Of all buses: others' streams are none of this test's business.
    let empty = directory.join(bus("empty"));
    make_directories(&empty.join("front"));
    std::fs::remove_dir(empty.join("front")).unwrap();
    let object = format!("a directory {}", empty.display());
    let orphans = survey(&here).unwrap().orphans;
    let orphan = orphans.iter().find(|orphan| orphan.object == object).unwrap();
    assert!(orphan.kind == OrphanKind::Directory && orphan.is_proven());
    framebus::collect_directory(orphan).unwrap();
    assert!(!empty.exists());
    assert!(matches!(framebus::collect_directory(orphan), Err(KeepReason::Nothing)));
}

#[test]
fn objects_without_a_key_are_not_even_looked_at() {
    // SAFETY: plain integers, and a zeroed buffer of plain data.
    let attached_at = |segment| unsafe {
        let mut status: libc::shmid_ds = std::mem::zeroed();
        assert_eq!(libc::shmctl(segment, libc::IPC_STAT, &mut status), 0);
        status.shm_atime
    };
    // SAFETY: plain integers; the segment is this test's own.
    unsafe {
        let segment = libc::shmget(libc::IPC_PRIVATE, 8192, 0o600);
        assert_ne!(segment, -1);
        survey(&Backend::SysV).unwrap();
        framebus::list(&Backend::SysV).unwrap();
        let attached = attached_at(segment);
        libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut());
        assert_eq!(attached, 0, "it was never attached");
    }
}
