//! exec(2) and new processes, where streams are open.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use framebus::{Backend, OpenError, Publisher, PublisherState, StreamName, mark};
use serde_json::json;

use crate::actor::{self, content, say, stop_here};
use crate::backend;
use crate::harness::{TestStream, attach, options};

/// Runs `then` with a stream published, and one frame of it held, in this process.
fn with_everything_open(name: &StreamName, then: impl FnOnce()) {
    let mut publisher = Publisher::open(name, &options(content())).unwrap();
    let mut loan = publisher.loan().unwrap();
    mark::stamp(&mut loan, 1, 0);
    loan.publish();
    let mut subscriber = attach(name).unwrap();
    let _frame = subscriber.latest().unwrap().unwrap();
    then();
    drop(subscriber);
}

/// Part of an actor: becomes another program, without closing anything.
pub fn exec(name: &StreamName) {
    with_everything_open(name, || {
        say(&json!({ "at": 1 }));
        panic!("{}", actor::command(name, "stay").exec());
    });
}

/// Part of an actor: starts another program, and goes on.
pub fn spawn(name: &StreamName) {
    with_everything_open(name, || {
        let mut command = Command::new("sleep");
        command.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        stop_here(command.spawn().unwrap().id().into());
    });
}

/// Whether a process has mapped anything of a stream.
fn has_mapped(pid: u32, stream: &TestStream) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    maps.contains("SYSV") || maps.contains(stream.name.bus())
}

#[test]
fn exec_takes_the_memory_away_at_once_and_semaphores_keep_the_leases_until_the_process_ends() {
    let stream = TestStream::new("exec");
    let actor = actor::start(&stream, "exec");
    actor.wait_for("at", 1);
    let pid = actor.child.id();
    assert_eq!(actor.next_object()["at"], 0, "another program, in the same process");
    assert!(!has_mapped(pid, &stream));
    if backend() == Backend::SysV {
        // semop(2): what is to be undone stays over an exec.
        let status = stream.status().unwrap();
        assert_eq!((status.publisher, status.subscribers.len()), (PublisherState::Alive, 1));
        let busy = Publisher::open(&stream.name, &options(content())).map(drop).unwrap_err();
        assert!(matches!(busy, OpenError::Busy { pid: Some(found), .. } if found == pid), "{busy}");
        actor.kill();
    }
    // The files of the other backend are closed by the exec itself.
    assert_eq!(stream.status().unwrap().publisher, PublisherState::Gone);
    let mut successor = Publisher::open(&stream.name, &options(content())).unwrap();
    assert_eq!((successor.loan().unwrap().publish(), successor.subscribers()), (2, 0));
}

#[test]
fn a_child_program_does_not_keep_the_leases_of_its_dead_parent() {
    let stream = TestStream::new("spawn");
    let actor = actor::start(&stream, "spawn");
    let child = actor.next_object()["at"].as_u64().unwrap() as libc::pid_t;
    assert!(!has_mapped(child as u32, &stream));
    actor.kill();
    // SAFETY: signal 0 is sent to nobody.
    assert_eq!(unsafe { libc::kill(child, 0) }, 0, "the child lives on");
    assert_eq!(stream.status().unwrap().publisher, PublisherState::Gone);
    let mut successor = Publisher::open(&stream.name, &options(content())).unwrap();
    assert_eq!((successor.loan().unwrap().publish(), successor.subscribers()), (2, 0));
    // SAFETY: the child is this test's own.
    unsafe { libc::kill(child, libc::SIGKILL) };
}
