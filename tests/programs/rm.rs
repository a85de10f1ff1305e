//! `framebus rm`: by name, never from who reads it unless forced, and by force from who hangs.

use rustix::process::{Pid, Signal, kill_process};

use framebus::{KeepReason, OrphanKind, collect};

use crate::backend;
use crate::gc::{CAMERA, STATE, everything, file, left, orphans, overwrite, remove_frames};
use crate::harness::{Running, TestStream, attach, eventually, failure, framebus};

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
