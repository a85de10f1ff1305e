//! Processes in namespaces of their own, as containers are: IPC, PID and time.

use std::process::{Command, Output};

use framebus::{Backend, Content, Publisher, PublisherState, StreamName, now_ns};
use serde_json::{Value, json};

use crate::actor::{self, say};
use crate::backend;
use crate::harness::{Running, TestStream, attach, eventually, failure, framebus, options};

const CAMERA: &str = "--json --interval 0.1 --width 64 --height 48 --format mono8 --rate 200";

/// A command in new namespaces; `None` where they are not permitted.
pub fn unshare(flags: &str, command: &Command) -> Option<Command> {
    let flags: Vec<&str> = flags.split(' ').collect();
    // Who is not root may still be root in a user namespace.
    for user in [&[][..], &["--map-root-user"]] {
        let tried = Command::new("unshare").args(user).args(&flags).arg("true").output();
        if !tried.is_ok_and(|output| output.status.success()) {
            continue;
        }
        let mut inside = Command::new("unshare");
        inside.args(user).args(&flags).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            inside.current_dir(directory);
        }
        return Some(inside);
    }
    eprintln!("skipped: unshare {} is not permitted", flags.join(" "));
    None
}

/// The process that `unshare --fork` has started, as it is seen from here.
pub fn process_inside(unshare: &Running) -> u32 {
    let pid = unshare.child.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    eventually("a process in the namespace", || std::fs::read_to_string(&children).unwrap().trim().parse().ok())
}

pub fn kill(pid: u32) {
    // SAFETY: plain integers; the process is this test's own.
    assert_eq!(unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) }, 0);
}

/// The one row of `framebus ls` in namespaces of its own.
pub fn listed_inside(flags: &str, stream: &TestStream) -> Option<Value> {
    let mut list = framebus();
    list.args(["ls", "--json", "--backend", &backend().to_string(), &stream.name.to_string()]);
    let Output { stdout, .. } = unshare(flags, &list)?.output().unwrap();
    Some(serde_json::from_slice(&stdout).unwrap_or(Value::Null))
}

const IPC: &str = "--ipc";
pub const PID: &str = "--pid --fork --kill-child";

#[test]
fn another_ipc_namespace_has_other_segments_and_the_same_files() {
    let stream = TestStream::new("ipc");
    let mut publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 64 })).unwrap();
    publisher.loan().unwrap().publish();
    let Some(row) = listed_inside(IPC, &stream) else { return };
    let viewer = stream.command("viewer", "--json --frames 1 --patience 0");
    let inside = unshare(IPC, &viewer).unwrap();
    if backend() == Backend::SysV {
        assert_eq!(row, Value::Null);
        let (code, said) = failure(inside);
        assert_eq!(code, 1);
        assert!(said.contains(&format!("can not attach to stream {}: there is none", stream.name)), "{said}");
        // A stream of the same name there is another stream.
        let producer = stream.command("producer", &format!("{CAMERA} --frames 3"));
        assert_eq!(Running::start(unshare(IPC, &producer).unwrap()).end().number("first_sequence"), 1);
    } else {
        assert_eq!((&row["publisher"], &row["last_sequence"]), (&json!("alive"), &json!(1)));
        assert_eq!(Running::start(inside).end().number("last_sequence"), 1);
        let second = stream.command("producer", &format!("{CAMERA} --frames 3"));
        let (code, said) = failure(unshare(IPC, &second).unwrap());
        assert!(code == 1 && said.contains("publishes it already"), "{said}");
    }
    assert_eq!(publisher.loan().unwrap().publish(), 2);
}

#[test]
fn a_producer_in_another_pid_namespace_is_alive_until_it_is_killed() {
    let stream = TestStream::new("pid-producer");
    let Some(inside) = unshare(PID, &stream.command("producer", CAMERA)) else { return };
    let producer = Running::start(inside);
    stream.wait_for_frame(3);
    let pid = process_inside(&producer);
    let viewer = stream.viewer("--verify");
    let seen = viewer.wait_for("last_sequence", 10)["last_sequence"].as_u64().unwrap();
    let status = stream.status().unwrap();
    // Of a semaphore the kernel says who it was, as seen from here; of a lock on a file it does not.
    let expected = if backend() == Backend::SysV { Some(pid) } else { None };
    assert_eq!((status.publisher, status.publisher_pid), (PublisherState::Alive, expected));
    let busy = Publisher::open(&stream.name, &options(actor::content())).map(drop).unwrap_err().to_string();
    let by = if backend() == Backend::SysV { format!("process {pid}") } else { "another PID namespace".to_owned() };
    assert!(busy.contains(&format!("{by} publishes it already")), "{busy}");

    kill(pid);
    producer.end();
    assert_eq!(stream.status().unwrap().publisher, PublisherState::Gone);
    let successor = stream.producer("--width 64 --height 48 --format mono8 --rate 200");
    viewer.wait_for("last_sequence", stream.wait_for_frame(seen + 5));
    let viewer = viewer.interrupt();
    assert_eq!((viewer.number("torn"), viewer.number("epochs")), (0, 0));
    successor.interrupt();
}

#[test]
fn a_viewer_in_another_pid_namespace_holds_its_place_until_it_is_killed() {
    let stream = TestStream::new("pid-viewer");
    let mut settings = options(Content::Bytes { capacity: 64 });
    settings.max_subscribers = 1;
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    publisher.loan().unwrap().publish();
    let Some(inside) = unshare(PID, &actor::command(&stream.name, "hold 1")) else { return };
    let viewer = Running::start(inside);
    viewer.wait_for("at", 1);
    let pid = process_inside(&viewer);
    let status = stream.status().unwrap();
    let expected = if backend() == Backend::SysV { Some(pid) } else { None };
    assert_eq!((status.subscribers.len(), status.subscribers[0].holder.pid), (1, expected));
    let full = attach(&stream.name).map(drop).unwrap_err().to_string();
    assert!(full.contains("all 1 places are taken by holder"), "{full}");
    // Seen from inside, this process has no number.
    let row = listed_inside(PID, &stream).unwrap();
    assert_eq!((&row["publisher"], &row["publisher_pid"]), (&json!("alive"), &Value::Null), "{row}");
    let second = unshare(PID, &stream.command("producer", CAMERA)).unwrap();
    assert!(failure(second).1.contains("another PID namespace publishes it already"));

    kill(pid);
    viewer.end();
    assert_eq!(publisher.subscribers(), 0);
    assert!(attach(&stream.name).is_ok());
}

#[test]
fn an_empty_segment_of_another_pid_namespace_is_left_alone() {
    let stream = TestStream::new("pid-blank");
    if backend() != Backend::SysV {
        // Files of a stream are only ever made under its lease.
        return;
    }
    // SAFETY: plain integers; the segment is new.
    let id = unsafe { libc::shmget(stream.name.key(), 8192, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    let inside = unshare(PID, &stream.command("producer", CAMERA));
    let refused = inside.map(failure);
    // SAFETY: no buffer is used.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    let Some((code, said)) = refused else { return };
    assert_eq!(code, 1);
    let expected = format!(
        "that is empty, and another PID namespace that created it may still be at work; where it is not, remove the segment \
         with ipcrm -m {id}"
    );
    assert!(said.contains(&expected), "{said}");
}

/// Part of an actor: leaves its IPC namespace while it publishes there.
pub fn leave(name: &StreamName) {
    let mut publisher = Publisher::open(name, &options(actor::content())).unwrap();
    publisher.loan().unwrap().publish();
    // SAFETY: plain integers.
    let left = unsafe { libc::unshare(libc::CLONE_NEWIPC) };
    if left != 0 {
        println!("{}", std::io::Error::last_os_error());
        return;
    }
    say(&json!({ "at": 1 }));
    // It notices at its next look at its lease, within a second; then it has a stream of that name in the new namespace.
    eventually("a stream of its own", || {
        publisher.loan().unwrap().publish();
        let streams = framebus::list(&Backend::SysV).unwrap();
        streams.into_iter().find(|stream| stream.name == *name)
    });
    say(&json!({ "at": 2 }));
}

#[test]
fn a_publisher_that_leaves_its_ipc_namespace_goes_on_in_the_new_one() {
    if backend() != Backend::SysV || !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can leave an IPC namespace, and only System V streams are left behind");
        return;
    }
    let stream = TestStream::new("leave");
    let actor = actor::start(&stream, "leave");
    actor.wait_for("at", 2);
    assert!(actor.end().status.success());
    assert_eq!(stream.status().unwrap().publisher, PublisherState::Gone);
    let mut successor = Publisher::open(&stream.name, &options(actor::content())).unwrap();
    successor.loan().unwrap().publish();
}

/// A run of producer and viewer, one of them in a time namespace where the machine has run 100,000 s longer.
fn run_with_a_shifted(shifted: &str) -> Option<(u64, Value, Value)> {
    const TIME: &str = "--time --monotonic 100000 --boottime 100000";
    let stream = TestStream::new("time");
    let start = |program: &str, arguments: &str| {
        let command = stream.command(program, arguments);
        let command = if program == shifted { unshare(TIME, &command)? } else { command };
        Some(Running::start(command))
    };
    let producer = start("producer", CAMERA)?;
    stream.wait_for_frame(1);
    let viewer = start("viewer", "--json --interval 0.1 --verify --frames 50")?.end();
    assert_eq!((viewer.number("frames"), viewer.number("verified")), (50, 50), "{viewer:?}");
    let age_ns = stream.status().unwrap().age_ns.unwrap();
    let producer = producer.interrupt();
    assert_eq!(producer.number("drops"), 0);
    Some((age_ns, viewer.summary, producer.summary))
}

#[test]
fn clocks_that_disagree_spoil_latencies_and_nothing_else() {
    const SHIFT_NS: u64 = 100_000_000_000_000;
    // From a producer's future, nothing is old.
    let Some((age_ns, viewer, _)) = run_with_a_shifted("producer") else { return };
    assert_eq!(age_ns, 0);
    assert_eq!(viewer["latency_max_ns"].as_u64().unwrap_or(0), 0, "{viewer}");
    let Some((age_ns, viewer, _)) = run_with_a_shifted("viewer") else { return };
    assert!(age_ns < now_ns(), "{age_ns}");
    let latency_ns = viewer["latency_p50_ns"].as_u64();
    assert!(latency_ns.is_none_or(|ns| ns >= SHIFT_NS / 2), "{viewer}");
}
