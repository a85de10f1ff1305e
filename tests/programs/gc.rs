//! `framebus gc` and `rm --force`: what provably nobody uses goes, and nothing else.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use framebus::{
    Backend, CollectOptions, KeepReason, Observer, ObserverOptions, Orphan, OrphanKind, Publisher, PublisherState,
    RemoveError, collect, survey,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::actor::{self, content};
use crate::backend;
use crate::harness::{Running, TestStream, attach, eventually, failure, framebus, options};

const CAMERA: &str = "--width 64 --height 48 --format mono8 --rate 200";

/// `framebus gc` of this stream alone: its objects, and its words.
fn gc(stream: &TestStream, arguments: &str) -> (Vec<Value>, String) {
    let mut command = framebus();
    command.args(["gc", "--json", &stream.name.to_string()]).args(arguments.split_whitespace());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{said}");
    let objects = String::from_utf8(stdout).unwrap();
    (objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), said)
}

/// It keeps the stream, for a reason that has this in it.
#[track_caller]
fn keeps(stream: &TestStream, reason: &str) {
    let (objects, said) = gc(stream, "");
    let kept = objects.iter().any(|object| {
        object["kind"] == "kept" && object["reason"].as_str().is_some_and(|found| found.contains(reason))
    });
    assert!(kept, "{reason}: {objects:?} {said}");
}

/// It removes the stream, and nothing of it is left.
#[track_caller]
fn removes(stream: &TestStream, arguments: &str) {
    let (objects, said) = gc(stream, arguments);
    assert!(objects.len() == 1 && objects[0]["kind"] == "removed", "{objects:?} {said}");
    assert_eq!(objects[0]["stream"], stream.name.to_string());
    let left = survey(&backend()).unwrap();
    assert!(left.streams.iter().all(|found| found.name != stream.name));
    assert!(orphans(stream).is_empty(), "{:?}", orphans(stream));
}

/// Also what was left on purpose.
fn everything() -> CollectOptions {
    let mut options = CollectOptions::default();
    options.persisted = true;
    options
}

fn orphans(stream: &TestStream) -> Vec<Orphan> {
    let all = survey(&backend()).unwrap().orphans.into_iter();
    all.filter(|orphan| orphan.name.as_ref() == Some(&stream.name)).collect()
}

/// A stream with one frame whose publisher was killed.
fn killed(test: &str) -> TestStream {
    let stream = TestStream::new(test);
    let writer = actor::start(&stream, "write");
    writer.wait_for("at", 2);
    writer.kill();
    stream
}

/// A stream that was left on purpose, by this process.
fn left(test: &str) -> TestStream {
    let stream = TestStream::new(test);
    let mut settings = options(content());
    settings.persist = true;
    Publisher::open(&stream.name, &settings).unwrap().loan().unwrap().publish();
    stream
}

#[test]
fn gc_removes_what_a_killed_run_left_and_says_so_beforehand() {
    let stream = killed("gc");
    let (objects, _) = gc(&stream, "--dry-run");
    assert!(objects[0]["kind"] == "removed" && objects[0]["dry_run"] == true, "{objects:?}");
    assert_eq!(stream.status().unwrap().publisher, PublisherState::Gone);
    removes(&stream, "");
}

#[test]
fn gc_leaves_a_publisher_and_a_viewer_alone() {
    let stream = TestStream::new("gc-alive");
    let writer = actor::start(&stream, "write");
    writer.wait_for("at", 2);
    assert_eq!(gc(&stream, "").0, Vec::<Value>::new(), "it is published, which is nothing to speak of");
    let viewer = actor::start(&stream, "hold 1");
    viewer.wait_for("at", 1);
    writer.kill();
    keeps(&stream, "it is read by holder (place 0");
    viewer.kill();
    removes(&stream, "");
}

#[test]
fn gc_keeps_a_stream_for_as_long_as_somebody_holds_a_frame_of_it() {
    let stream = killed("gc-frame");
    let mut subscriber = attach(&stream.name).unwrap();
    let frame = subscriber.latest().unwrap().unwrap();
    drop(subscriber);
    keeps(&stream, "it is read by ");
    drop(frame);
    removes(&stream, "");
}

#[test]
fn gc_keeps_a_stream_that_an_observer_has_mapped_without_any_lease() {
    let stream = killed("gc-observer");
    let mut settings = ObserverOptions::default();
    settings.backend = backend();
    let observer = Observer::attach_with(&stream.name, &settings).unwrap();
    assert!(stream.status().unwrap().subscribers.is_empty());
    keeps(&stream, "somebody has it mapped");
    drop(observer);
    removes(&stream, "");
}

#[test]
fn gc_keeps_what_was_left_on_purpose_unless_it_is_asked_for() {
    let stream = left("gc-persist");
    keeps(&stream, "it was left on purpose (persist)");
    // Whoever publishes it last says what becomes of it.
    let writer = actor::start(&stream, "write");
    writer.wait_for("at", 1);
    writer.kill();
    removes(&stream, "");
    removes(&left("gc-persisted"), "--persisted");
}

#[test]
fn gc_in_a_storm_of_starts_and_kills_takes_nothing_from_anybody() {
    let stream = TestStream::new("gc-storm");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    gc(&stream, "");
                    // Without the cost of a process, hundreds of times as often.
                    for _ in 0..100 {
                        let collected = collect(&backend(), &stream.name, everything());
                        assert!(!matches!(collected, Err(KeepReason::System(_))), "{collected:?}");
                    }
                }
            });
        }
        let _over = Over(&over);
        for round in 0..12 {
            let producer = stream.producer(CAMERA);
            let viewer = stream.viewer("--frames 3 --verify --patience 30");
            let seen = viewer.end();
            assert_eq!((seen.number("frames"), seen.number("torn")), (3, 0), "{seen:?}");
            if round % 2 == 0 {
                producer.kill();
                continue;
            }
            let ended = producer.interrupt();
            assert_eq!(ended.number("drops"), 0, "{ended:?}");
            let first = ended.summary["first_sequence"].as_u64().unwrap();
            assert_eq!(ended.number("last_sequence") - first + 1, ended.number("published"), "no new epoch: {ended:?}");
        }
    });
    let _ = gc(&stream, "");
}

/// Ends the storm, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where a part of a stream is, with files.
fn file(stream: &TestStream, part: &str) -> Option<PathBuf> {
    let Backend::File { directory } = backend() else { return None };
    Some(directory.join(stream.name.bus()).join(stream.name.stream()).join(part))
}

fn remove_frames(stream: &TestStream) {
    if let Some(path) = file(stream, "frames") {
        return std::fs::remove_file(path).unwrap();
    }
    // SAFETY: plain integers; the segment is this test's own.
    unsafe { libc::shmctl(libc::shmget(stream.name.key(), 0, 0), libc::IPC_RMID, std::ptr::null_mut()) };
}

/// Writes into the frames of a stream.
fn overwrite(stream: &TestStream, offset: usize, bytes: &[u8]) {
    if let Some(path) = file(stream, "frames") {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        return std::os::unix::fs::FileExt::write_all_at(&file, bytes, offset as u64).unwrap();
    }
    // SAFETY: the segment is this test's own, and larger than its header.
    unsafe {
        let base = libc::shmat(libc::shmget(stream.name.key(), 0, 0), std::ptr::null(), 0);
        assert_ne!(base as isize, -1);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), base.cast::<u8>().add(offset), bytes.len());
        libc::shmdt(base);
    }
}

/// A segment, or a file, of this key or name with nothing in it.
fn blank(stream: &TestStream, key: i32, part: &str) {
    if let Some(path) = file(stream, part) {
        return std::fs::write(path, [0; 8192]).unwrap();
    }
    // SAFETY: plain integers.
    assert!(unsafe { libc::shmget(key, 8192, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) } >= 0);
}

/// Offset of `state` in the frames segment (docs/layout.md).
const STATE: usize = 1036;

#[track_caller]
fn named_and_removed(stream: &TestStream, kind: OrphanKind) {
    let orphans = orphans(stream);
    assert!(orphans.len() == 1 && orphans[0].kind == kind && orphans[0].is_proven(), "{orphans:?}");
    let listed = framebus().args(["ls", &stream.name.to_string()]).output().unwrap();
    let said = String::from_utf8(listed.stdout).unwrap();
    assert!(said.contains(&format!("{}: {}, ", stream.name, kind.text())), "{said}");
    assert!(said.contains(&format!("; framebus gc {} removes it", stream.name)), "{said}");
    collect(&backend(), &stream.name, everything()).unwrap();
    assert!(self::orphans(stream).is_empty() && stream.status().is_none());
}

#[test]
fn an_unfinished_creation_is_named_and_removed() {
    let stream = left("gc-unfinished");
    overwrite(&stream, STATE, &1_u32.to_ne_bytes());
    named_and_removed(&stream, OrphanKind::Unfinished);
}

#[test]
fn places_without_frames_are_named_and_removed() {
    let stream = left("gc-places");
    remove_frames(&stream);
    named_and_removed(&stream, OrphanKind::Places);
}

#[test]
fn a_trial_is_named_and_removed_with_its_stream() {
    let stream = left("gc-trial");
    blank(&stream, stream.name.trial_key(), "new");
    named_and_removed(&stream, OrphanKind::Trial);
}

#[test]
fn what_is_in_the_making_is_no_orphan() {
    let stream = TestStream::new("gc-making");
    let _publisher = Publisher::open(&stream.name, &options(content())).unwrap();
    overwrite(&stream, STATE, &1_u32.to_ne_bytes());
    blank(&stream, stream.name.trial_key(), "new");
    assert!(orphans(&stream).is_empty(), "{:?}", orphans(&stream));
    let kept = collect(&backend(), &stream.name, everything());
    assert!(matches!(kept, Err(KeepReason::Published(_))), "{kept:?}");
    match file(&stream, "new") {
        Some(path) => std::fs::remove_file(path).unwrap(),
        // SAFETY: plain integers; the segment is this test's own.
        None => unsafe {
            libc::shmctl(libc::shmget(stream.name.trial_key(), 0, 0), libc::IPC_RMID, std::ptr::null_mut());
        },
    }
}

#[test]
fn what_is_damaged_or_of_another_version_is_named_and_kept() {
    for (offset, kind) in [(168, OrphanKind::Damaged), (8, OrphanKind::OtherVersion)] {
        let stream = left("gc-odd");
        let before =
            if offset == 8 { framebus_version(&stream) } else { stream.status().unwrap().geometry.slots() as u32 };
        overwrite(&stream, offset, &999_u32.to_ne_bytes());
        let found = orphans(&stream);
        assert!(found.len() == 1 && found[0].kind == kind, "{found:?}");
        keeps(&stream, if offset == 8 { "its layout is version 999" } else { "its header is damaged" });
        overwrite(&stream, offset, &before.to_ne_bytes());
        collect(&backend(), &stream.name, everything()).unwrap();
    }
}

/// The version in a header: `examine` says what is expected.
fn framebus_version(stream: &TestStream) -> u32 {
    overwrite(stream, 8, &999_u32.to_ne_bytes());
    let said = failure(stream.command("viewer", "--patience 0")).1;
    let (_, expected) = said.split_once("expected ").unwrap();
    expected.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn what_is_not_proven_to_be_ours_is_named_at_most_and_kept() {
    if backend() != Backend::SysV {
        return directories_of_others_are_left_alone();
    }
    let (magic, set) = (TestStream::new("gc-magic"), TestStream::new("gc-set"));
    // SAFETY: plain integers, and a segment of this test's own.
    let (segment, semaphores) = unsafe {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
        let segment = libc::shmget(magic.name.key(), 8192, flags);
        let base = libc::shmat(segment, std::ptr::null(), 0);
        assert_ne!(base as isize, -1);
        std::ptr::copy_nonoverlapping(b"FRAMEBUT".as_ptr(), base.cast(), 8);
        libc::shmdt(base);
        (segment, libc::semget(set.name.key(), 256, flags))
    };
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
    // SAFETY: plain integers; both are this test's own.
    unsafe {
        assert_eq!(libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()), 0, "it is there");
        assert_eq!(libc::semctl(semaphores, 0, libc::IPC_RMID), 0, "it is there");
    }
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
fn what_a_living_process_has_just_created_is_kept() {
    if backend() != Backend::SysV {
        // Files are made under the lease alone.
        return;
    }
    let stream = left("gc-living");
    remove_frames(&stream);
    blank(&stream, stream.name.key(), "frames");
    keeps(&stream, &format!("it is empty, and process {} that created it may still be at work", std::process::id()));
    // Its creator itself knows that it is not.
    collect(&backend(), &stream.name, everything()).unwrap();
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

/// `framebus rm`, and what it says where it refuses.
fn rm_refuses(stream: &TestStream) -> String {
    let mut rm = framebus();
    rm.args(["rm", &stream.name.to_string(), "--backend", &backend().to_string()]);
    let (code, said) = failure(rm);
    assert_eq!(code, 1, "{said}");
    said
}

fn remove_places(stream: &TestStream) {
    if let Some(path) = file(stream, "places") {
        return std::fs::remove_file(path).unwrap();
    }
    // SAFETY: plain integers; the segment is this test's own.
    unsafe { libc::shmctl(libc::shmget(stream.name.places_key(), 0, 0), libc::IPC_RMID, std::ptr::null_mut()) };
}

#[test]
fn rm_without_force_leaves_what_somebody_reads_whatever_else_is_gone() {
    type Break = fn(&TestStream);
    let break_it: [(&str, Break); 3] = [
        ("rm-frames", remove_frames),
        ("rm-places", remove_places),
        ("rm-unfinished", |stream| overwrite(stream, STATE, &1_u32.to_ne_bytes())),
    ];
    for (test, break_it) in break_it {
        let stream = left(test);
        let mut subscriber = attach(&stream.name).unwrap();
        let frame = subscriber.latest().unwrap().unwrap();
        break_it(&stream);
        let said = rm_refuses(&stream);
        let pid = std::process::id();
        assert!(said.contains(&format!("it is read by unnamed (place 0, pid {pid})")), "{test}: {said}");
        let kept = collect(&backend(), &stream.name, everything());
        assert!(matches!(&kept, Err(KeepReason::Read(_))), "{test}: {kept:?}");
        drop((frame, subscriber));
        framebus::remove(&backend(), &stream.name, false).unwrap();
    }
}

#[test]
fn rm_without_force_leaves_places_that_somebody_may_have_mapped() {
    let stream = left("rm-robbed");
    let subscriber = attach(&stream.name).unwrap();
    remove_frames(&stream);
    match file(&stream, "lock") {
        Some(path) => std::fs::remove_file(path).unwrap(),
        // SAFETY: plain integers; the set is this test's own.
        None => unsafe {
            libc::semctl(libc::semget(stream.name.key(), 0, 0), 0, libc::IPC_RMID);
        },
    }
    assert!(rm_refuses(&stream).contains("its leases were removed by somebody, so it can not be told who uses it"));
    assert_eq!(orphans(&stream)[0].kind, OrphanKind::Places, "nothing was touched");
    drop(subscriber);
    framebus::remove(&backend(), &stream.name, true).unwrap();
}

fn signal(process: &Running, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process.child.id()).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn a_stopped_publisher_is_replaced_by_force_and_gives_up_when_it_goes_on() {
    let stream = TestStream::new("force-stopped");
    let stuck = stream.producer(CAMERA);
    let viewer = stream.viewer("--verify");
    viewer.wait_for("last_sequence", 5);
    signal(&stuck, Signal::STOP);
    let name = stream.name.to_string();
    let mut rm = framebus();
    rm.args(["rm", &name]);
    let pid = stuck.child.id();
    let (code, said) = failure(rm);
    let refused =
        format!("error: can not remove stream {name}: process {pid} publishes it; stop it first, or force it\n");
    assert_eq!((code, said), (1, refused));
    let forced = framebus().args(["rm", "--force", &name]).output().unwrap();
    assert!(forced.status.success(), "{forced:?}");
    assert_eq!(String::from_utf8_lossy(&forced.stdout), format!("removed {name}\n"));
    let said = String::from_utf8_lossy(&forced.stderr).into_owned();
    assert!(said.starts_with(&format!("process {pid} still publishes {name}: unless it hangs")), "{said}");
    assert!(stream.status().is_none());

    let successor = stream.producer(CAMERA);
    stream.wait_for_frame(20);
    signal(&stuck, Signal::CONT);
    let ended = stuck.end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let pid = successor.child.id();
    assert!(ended.stderr.contains(&format!("process {pid} publishes it already")), "{}", ended.stderr);
    // Whatever the stopped one wrote when it went on, nobody has seen it.
    let status = stream.status().unwrap();
    assert_eq!((status.publisher_pid, status.counters.publishers), (Some(pid), 1));
    eventually("the viewer has moved", || (stream.status()?.subscribers.len() == 1).then_some(()));
    let viewer = viewer.interrupt();
    assert_eq!((viewer.number("torn"), viewer.number("epochs")), (0, 1), "{viewer:?}");
    assert!(successor.interrupt().status.success());
}

#[test]
fn a_running_publisher_makes_anew_what_is_removed_by_force() {
    let stream = TestStream::new("force-running");
    let producer = stream.producer(CAMERA);
    let viewer = stream.viewer("--verify");
    viewer.wait_for("last_sequence", 5);
    let before = stream.status().unwrap();
    let pid = framebus::remove_published(&backend(), &stream.name).unwrap();
    assert_eq!(pid, Some(producer.child.id()));
    let anew = eventually("the publisher has noticed", || {
        stream.status().filter(|status| status.age_ns.is_some() && status.segment_id != before.segment_id)
    });
    assert!(anew.last_sequence > before.last_sequence, "sequences go on: {anew:?}");
    viewer.wait_for("last_sequence", anew.last_sequence + 5);
    let viewer = viewer.interrupt();
    assert_eq!((viewer.number("torn"), viewer.number("epochs")), (0, 1), "{viewer:?}");
    assert_eq!(producer.interrupt().number("drops"), 0);
}

#[test]
fn a_publisher_that_waits_a_moment_is_not_refused_because_of_a_collector() {
    // What a collector holds for a moment; here for as long as the start needs to come across it.
    let stream = left("gc-moment");
    let holder = Publisher::open(&stream.name, &options(content())).unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| Publisher::open(&stream.name, &options(content())).map(drop));
        std::thread::sleep(Duration::from_millis(20));
        drop(holder);
        starting.join().unwrap().unwrap();
    });
}
