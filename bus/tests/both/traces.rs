//! A trace tells what happened, and nothing else.

use std::time::Duration;

use framebus::*;

use crate::backend;
use crate::common::{TestStream, keep, publish, subscriber_options};
use crate::fork::in_a_child;

fn trace(stream: &TestStream) -> Trace {
    Trace::open(&backend(), &stream.0)
}

fn late(publisher: &mut Publisher, times: usize) {
    (0..times).for_each(|_| publisher.count_late(1, Duration::from_millis(1)));
}

/// What is told, each with the label of whom it is about.
fn told(trace: &mut Trace) -> Vec<(&'static str, String)> {
    let traced = trace.poll().unwrap();
    assert_eq!(traced.lost, 0);
    let line = |line: TraceEvent| (line.event.fate.name(), line.by.map_or(String::new(), |by| by.label));
    traced.events.into_iter().map(line).collect()
}

fn names(trace: &mut Trace) -> Vec<&'static str> {
    told(trace).into_iter().map(|(name, _)| name).collect()
}

fn labelled(stream: &TestStream, label: &str) -> Subscriber {
    let mut options = subscriber_options();
    options.label = label.into();
    Subscriber::attach_with(&stream.0, options).unwrap()
}

/// Makes the slots larger: a new epoch, by the same publisher.
fn outgrow(publisher: &mut Publisher, bytes: usize) {
    let capacity = u32::try_from(bytes).unwrap();
    assert_eq!(publisher.set_content(Content::Bytes { capacity }).unwrap(), ContentChange::NewEpoch);
}

#[test]
fn a_trace_in_a_forked_child_goes_on_where_it_was() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let _subscriber = stream.subscriber();
    let mut trace = trace(&stream);
    assert_eq!(names(&mut trace), ["began", "attached"]);
    late(&mut publisher, 1);
    let answer = in_a_child(|| {
        let first = names(&mut trace);
        u8::from(first == ["late"]) | u8::from(names(&mut trace).is_empty()) << 1
    });
    assert_eq!(answer, 0b11);
    assert_eq!(names(&mut trace), ["late"]);
}

#[test]
fn what_an_old_stream_has_forgotten_is_not_lost_to_a_new_trace() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    late(&mut publisher, 100);
    let mut first = trace(&stream);
    let traced = first.poll().unwrap();
    assert!(traced.lost == 0 && traced.events.len() > 20, "{traced:?}");
    late(&mut publisher, 100);
    let traced = first.poll().unwrap();
    assert_eq!(traced.events.len() as u64 + traced.lost, 100, "from then on, it is");
    // A stream that began behind the first look had nothing before it.
    let other = TestStream::new();
    let mut second = trace(&other);
    assert_eq!(second.poll().unwrap(), Traced::default());
    late(&mut other.publisher(|options| options.persist = true), 100);
    let traced = second.poll().unwrap();
    assert_eq!(traced.events.len() as u64 + traced.lost, 102, "with the beginning, and the end: {traced:?}");
    other.publisher(|_| {});
}

/// Something else under a stream's name.
struct Stranger<'a>(&'a StreamName);

impl<'a> Stranger<'a> {
    fn at(name: &'a StreamName) -> Self {
        if let Backend::File { directory } = backend() {
            let directory = directory.join(name.bus()).join(name.stream());
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("frames"), [7; 8192]).unwrap();
            return Self(name);
        }
        // SAFETY: plain integers, and a segment of this test's own, of so many bytes.
        unsafe {
            let segment = libc::shmget(name.key(), 8192, libc::IPC_CREAT | libc::IPC_EXCL | 0o600);
            let base = libc::shmat(segment, std::ptr::null(), 0);
            assert_ne!(base as isize, -1);
            std::ptr::write_bytes(base.cast::<u8>(), 7, 8192);
            libc::shmdt(base);
        }
        Self(name)
    }
}

impl Drop for Stranger<'_> {
    fn drop(&mut self) {
        if let Backend::File { directory } = backend() {
            return std::fs::remove_dir_all(directory.join(self.0.bus())).unwrap();
        }
        // SAFETY: plain integers; the segment is this test's own.
        unsafe { libc::shmctl(libc::shmget(self.0.key(), 0, 0), libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

#[test]
fn the_last_events_of_an_epoch_are_told_whatever_comes_behind_it() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut trace = trace(&stream);
    assert_eq!(names(&mut trace), ["began"]);
    late(&mut publisher, 2);
    drop(publisher);
    let stranger = Stranger::at(&stream.0);
    assert_eq!(names(&mut trace), ["late", "late"]);
    assert!(matches!(trace.poll(), Err(AttachError::Stranger { .. })), "then why it does not go on");
    drop(stranger);
    assert_eq!(names(&mut trace), ["closed"]);
}

#[test]
fn who_moves_to_the_next_epoch_neither_comes_nor_goes() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut quick = labelled(&stream, "quick");
    let mut slow = labelled(&stream, "slow");
    let leaving = labelled(&stream, "leaving");
    let late = labelled(&stream, "late");
    let mut trace = trace(&stream);
    assert_eq!(names(&mut trace), ["began", "attached", "attached", "attached", "attached"]);
    outgrow(&mut publisher, 128);
    publish(&mut publisher, 1);
    assert_eq!(quick.latest().unwrap().unwrap().len(), 128);
    drop(leaving);
    let told_at_once = told(&mut trace);
    assert_eq!(told_at_once, [("began", String::new()), ("left", "leaving".into())]);
    // It moves behind the look, one leaves without having moved, and one comes.
    assert_eq!(slow.latest().unwrap().unwrap().len(), 128);
    drop(late);
    assert_eq!(told(&mut trace), [("left", "late".into())]);
    let newcomer = labelled(&stream, "newcomer");
    assert_eq!(told(&mut trace), [("attached", "newcomer".into())]);
    // Twice between two looks.
    outgrow(&mut publisher, 256);
    outgrow(&mut publisher, 512);
    publish(&mut publisher, 2);
    assert_eq!(quick.latest().unwrap().unwrap().len(), 512);
    assert!(!names(&mut trace).iter().any(|name| ["attached", "left", "died"].contains(name)));
    assert_eq!(slow.latest().unwrap().unwrap().len(), 512);
    drop((slow, newcomer));
    let mut gone = told(&mut trace);
    gone.sort();
    assert_eq!(gone, [("left", "newcomer".into()), ("left", "slow".into())]);
    drop(quick);
    drop(publisher);
    assert_eq!(told(&mut trace), [("left", "quick".into()), ("closed", String::new())]);
}

#[test]
fn who_dies_on_the_way_to_the_next_epoch_is_told_as_dead() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let mut pipe = [0; 2];
    // SAFETY: pipe fills two numbers. The child uses what its one thread makes, and does not return.
    let child = unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let child = libc::fork();
        if child == 0 {
            let subscriber = labelled(&stream, "dying");
            libc::write(pipe[1], [0_u8; 1].as_ptr().cast(), 1);
            libc::sleep(60);
            std::mem::forget(subscriber);
            libc::_exit(1);
        }
        assert_eq!(libc::read(pipe[0], [0_u8; 1].as_mut_ptr().cast(), 1), 1);
        child
    };
    let mut trace = trace(&stream);
    assert_eq!(told(&mut trace), [("began", String::new()), ("attached", "dying".into())]);
    outgrow(&mut publisher, 128);
    assert_eq!(names(&mut trace), ["began"]);
    // SAFETY: our own child, which nobody else waits for.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    assert_eq!(told(&mut trace), [("died", "dying".into())]);
}

/// Overwrites a number in the first place of a stream (docs/layout.md).
fn poke_place(name: &StreamName, offset: usize, number: u32) {
    let at = 256 + offset;
    if let Backend::File { directory } = backend() {
        let path = directory.join(name.bus()).join(name.stream()).join("places");
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        return std::os::unix::fs::FileExt::write_all_at(&file, &number.to_ne_bytes(), at as u64).unwrap();
    }
    // SAFETY: the segment is this test's own, and larger than a place.
    unsafe {
        let base = libc::shmat(libc::shmget(name.places_key(), 0, 0), std::ptr::null(), 0);
        assert_ne!(base as isize, -1);
        base.cast::<u8>().add(at).cast::<u32>().write_unaligned(number);
        libc::shmdt(base);
    }
}

/// Of `PlaceCounters::pid` in a place.
const PID: usize = 128 + 48;

#[test]
fn a_process_is_named_as_the_kernel_knows_it_and_not_as_the_place_says() {
    let stream = TestStream::new();
    let mut publisher = stream.publisher(|_| {});
    let skip = |publisher: &mut Publisher, subscriber: &mut Subscriber| {
        publish(publisher, 1);
        drop(subscriber.latest().unwrap());
        (2..5).for_each(|byte| keep(publish(publisher, byte)));
        // Of frames close to each other, one is measured.
        std::thread::sleep(Duration::from_millis(1));
        publish(publisher, 5);
        drop(subscriber.latest().unwrap());
    };
    let pids = |trace: &mut Trace| -> Vec<(&str, Option<u32>)> {
        let lines = trace.poll().unwrap().events.into_iter().filter(|line| line.event.fate.name() == "skipped");
        lines.map(|line| (line.event.fate.name(), line.by.unwrap().pid)).collect()
    };
    let own = Some(std::process::id());
    let mut known = labelled(&stream, "known");
    let mut trace = trace(&stream);
    assert_eq!(pids(&mut trace), []);
    // Of its own PID namespace, or of a scribbler's imagination.
    poke_place(&stream.0, PID, 1);
    skip(&mut publisher, &mut known);
    assert_eq!(pids(&mut trace), [("skipped", own)]);
    skip(&mut publisher, &mut known);
    poke_place(&stream.0, PID, std::process::id());
    drop(known);
    assert_eq!(pids(&mut trace), [("skipped", own)], "whom it has seen alive");
    // Nobody has seen this one alive.
    let mut unknown = labelled(&stream, "unknown");
    skip(&mut publisher, &mut unknown);
    drop(unknown);
    assert_eq!(pids(&mut trace), [("skipped", None)]);
}
