//! `framebus gc`: what provably nobody uses goes, and nothing else. What is provably ours: `ours`.

use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use framebus::{
    Backend, CollectOptions, KeepReason, Observer, ObserverOptions, Orphan, OrphanKind, Publisher, PublisherState,
    collect, survey,
};
use serde_json::Value;

use crate::actor::{self, content};
use crate::backend;
use crate::harness::{TestStream, attach, eventually, failure, framebus, options};

pub const CAMERA: &str = "--width 64 --height 48 --format mono8 --rate 200";

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

/// The same when nobody else looks at it: whoever lists the machine's streams has each mapped for a moment.
#[track_caller]
fn gc_undisturbed(stream: &TestStream, arguments: &str) -> (Vec<Value>, String) {
    eventually("nobody else looks at it", || {
        let (objects, said) = gc(stream, arguments);
        let is_mapped =
            |object: &Value| object["reason"].as_str().is_some_and(|reason| reason.contains("has it mapped"));
        (!objects.iter().any(is_mapped)).then_some((objects, said))
    })
}

/// It keeps the stream, for a reason that has this in it.
#[track_caller]
pub fn keeps(stream: &TestStream, reason: &str) {
    let (objects, said) = gc(stream, "");
    let kept = objects.iter().any(|object| {
        object["kind"] == "kept" && object["reason"].as_str().is_some_and(|found| found.contains(reason))
    });
    assert!(kept, "{reason}: {objects:?} {said}");
}

/// It removes the stream, and nothing of it is left.
#[track_caller]
fn removes(stream: &TestStream, arguments: &str) {
    let (objects, said) = gc_undisturbed(stream, arguments);
    assert!(objects.len() == 1 && objects[0]["kind"] == "removed", "{objects:?} {said}");
    assert_eq!(objects[0]["stream"], stream.name.to_string());
    let left = survey(&backend()).unwrap();
    assert!(left.streams.iter().all(|found| found.name != stream.name));
    assert!(orphans(stream).is_empty(), "{:?}", orphans(stream));
}

/// Also what was left on purpose.
pub fn everything() -> CollectOptions {
    let mut options = CollectOptions::default();
    options.persisted = true;
    options
}

pub fn orphans(stream: &TestStream) -> Vec<Orphan> {
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
pub fn left(test: &str) -> TestStream {
    let stream = TestStream::new(test);
    let mut settings = options(content());
    settings.persist = true;
    Publisher::open(&stream.name, &settings).unwrap().loan().unwrap().publish();
    stream
}

#[test]
fn gc_removes_what_a_killed_run_left_and_says_so_beforehand() {
    let stream = killed("gc");
    let (objects, _) = gc_undisturbed(&stream, "--dry-run");
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
pub fn file(stream: &TestStream, part: &str) -> Option<PathBuf> {
    let Backend::File { directory } = backend() else { return None };
    Some(directory.join(stream.name.bus()).join(stream.name.stream()).join(part))
}

pub fn remove_frames(stream: &TestStream) {
    if let Some(path) = file(stream, "frames") {
        return std::fs::remove_file(path).unwrap();
    }
    // SAFETY: plain integers; the segment is this test's own.
    unsafe { libc::shmctl(libc::shmget(stream.name.key(), 0, 0), libc::IPC_RMID, std::ptr::null_mut()) };
}

/// Writes into the frames of a stream.
pub fn overwrite(stream: &TestStream, offset: usize, bytes: &[u8]) {
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
pub const STATE: usize = 1036;

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
fn a_publisher_that_waits_a_moment_is_not_refused_because_of_a_collector() {
    // What a collector holds for a moment; here for as long as the start needs to come across it.
    let stream = left("gc-moment");
    let open = || Publisher::open(&stream.name, &options(content()));
    let is_waited_for = || {
        let holder = open().unwrap();
        let (begins, has_begun) = channel();
        std::thread::scope(|scope| {
            let starting = scope.spawn(move || {
                begins.send(()).unwrap();
                open().map(drop)
            });
            has_begun.recv().unwrap();
            // So that it finds the holder there.
            std::thread::sleep(Duration::from_millis(20));
            drop(holder);
            starting.join().unwrap().is_ok()
        })
    };
    // A busy machine may take longer for these 20 ms than a start waits.
    assert!((0..50).any(|_| is_waited_for()), "each start was refused");
}
