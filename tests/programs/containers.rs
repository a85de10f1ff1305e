//! Several users, containers, and a logout: what docs/containers.md promises.

use std::path::Path;
use std::process::Command;

use framebus::{Backend, PublisherState};
use serde_json::{Value, json};

use crate::actor;
use crate::backend;
use crate::harness::{Running, TestStream, eventually, failure, framebus};
use crate::namespaces::{PID, kill, listed_inside, process_inside, unshare};
use crate::users::{OpenProgram, REMEDY};

const CAMERA: &str = "--json --interval 0.1 --width 64 --height 48 --format mono8 --rate 200";
const GROUP: u32 = 64_200;
/// uid, gid, and the groups besides.
type User = (u32, u32, &'static [u32]);
const OWNER: User = (64_201, 64_201, &[GROUP]);
const MEMBER: User = (64_202, 64_202, &[GROUP]);
const OUTSIDER: User = (64_203, 64_203, &[]);

/// A bus that one group shares, and the program where all may run it.
struct Shared {
    program: OpenProgram,
    stream: TestStream,
}

impl Shared {
    fn new(test: &str, mode: &str) -> Option<Self> {
        let program = OpenProgram::new()?;
        // Root of a container may lack the capability, or these numbers.
        let tried = Command::new("setpriv")
            .args([format!("--reuid={}", OWNER.0), format!("--regid={}", OWNER.1), format!("--groups={GROUP}")])
            .arg("true")
            .output();
        if !tried.is_ok_and(|run| run.status.success()) {
            eprintln!("skipped: only root can act as users of any number (setpriv)");
            return None;
        }
        let stream = TestStream::new(test);
        let config = program.path().with_file_name("framebus.toml");
        let text = format!(
            "[bus]\nname = \"{}\"\nbackend = \"{}\"\nmode = \"{mode}\"\ngroup = \"{GROUP}\"\n[streams.front]\n\
             width = 64\nheight = 48\nformat = \"mono8\"\nrate_hz = 200\n",
            stream.name.bus(),
            if backend() == Backend::SysV { "sysv" } else { "file" }
        );
        std::fs::write(&config, text).unwrap();
        std::fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        Some(Self { program, stream })
    }

    /// A program of this bus, as a user with his groups.
    fn command(&self, (uid, gid, groups): User, program: &str, arguments: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
        match groups {
            [] => command.arg("--clear-groups"),
            groups => {
                command.arg(format!("--groups={}", groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",")))
            }
        };
        command.arg(self.program.path()).arg(program);
        match program {
            "producer" | "viewer" => command.args(["--stream", &self.stream.name.to_string()]),
            _ => command.arg(self.stream.name.to_string()),
        };
        if program == "producer" {
            command.arg("--config").arg(self.program.path().with_file_name("framebus.toml"));
        } else {
            command.args(["--backend", &backend().to_string()]);
        }
        command.args(arguments.split_whitespace()).env_remove("FRAMEBUS_CONFIG").env("FRAMEBUS_LOG", "error");
        command.current_dir("/");
        command
    }

    fn start(&self, user: User, program: &str, arguments: &str) -> Running {
        Running::start(self.command(user, program, arguments))
    }

    fn refusal(&self, user: User, program: &str, arguments: &str) -> String {
        let (code, said) = failure(self.command(user, program, arguments));
        assert_eq!(code, 1, "{said}");
        said
    }

    fn row(&self, user: User) -> Value {
        let output = self.command(user, "ls", "--json").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

#[test]
fn two_users_share_a_bus_by_their_group_and_a_third_one_does_not() {
    let Some(shared) = Shared::new("group", "0660") else { return };
    let name = shared.stream.name.clone();
    let camera = shared.start(OWNER, "producer", CAMERA);
    let viewer = shared.start(MEMBER, "viewer", "--json --interval 0.1 --verify --patience 30");
    viewer.wait_for("last_sequence", 10);
    let row = shared.row(MEMBER);
    assert_eq!((&row["uid"], &row["gid"], &row["mode"]), (&json!(OWNER.0), &json!(GROUP), &json!("0640")), "{row}");
    assert_eq!((&row["publisher"], &row["publisher_pid"]), (&json!("alive"), &json!(camera.child.id())), "{row}");
    assert_eq!(row["subscribers"][0]["pid"], json!(viewer.child.id()), "{row}");
    let busy = shared.refusal(MEMBER, "producer", CAMERA);
    assert!(busy.contains(&format!("process {} publishes it already", camera.child.id())), "{busy}");
    for (command, arguments) in [("viewer", "--patience 0"), ("producer", CAMERA), ("rm", "--force")] {
        let said = shared.refusal(OUTSIDER, command, arguments);
        assert!(said.contains(REMEDY), "{command}: {said}");
    }
    assert_eq!(shared.row(OUTSIDER), Value::Null);

    // The owner sees the other's viewer die; the other one sees the owner's producer die.
    viewer.kill();
    eventually("the viewer's place is free", || {
        let row = shared.row(OWNER);
        (row["subscribers"] == json!([]) && row["dead_subscribers"][0]["label"] == "viewer").then_some(())
    });
    camera.kill();
    let row = shared.row(MEMBER);
    assert_eq!((&row["publisher"], &row["orphan"]), (&json!("gone"), &json!(true)), "{row}");
    for (command, arguments) in [("producer", CAMERA), ("rm", ""), ("rm", "--force")] {
        let said = shared.refusal(MEMBER, command, arguments);
        assert!(said.contains(REMEDY), "{command}: {said}");
    }
    let kept = shared.command(MEMBER, "gc", "").output().unwrap();
    let said = String::from_utf8_lossy(&kept.stderr).into_owned();
    assert!(said.contains(&format!("it belongs to user {}, and only he or root may remove it", OWNER.0)), "{said}");
    let successor = shared.start(OWNER, "producer", &format!("{CAMERA} --frames 5"));
    assert!(successor.end().number("first_sequence") > 10, "its owner goes on with it");
    assert!(shared.stream.status().is_none(), "{name} is gone with its producer");

    // The other way round: a stream is its publisher's, whoever that is.
    let camera = shared.start(MEMBER, "producer", CAMERA);
    let viewer = shared.start(OWNER, "viewer", "--json --frames 20 --mode every --verify --patience 30");
    assert_eq!(viewer.end().number("verified"), 20);
    assert_eq!(camera.interrupt().number("drops"), 0);
}

#[test]
fn who_may_only_read_sees_who_is_there_and_is_refused_a_place() {
    let Some(shared) = Shared::new("readers", "0640") else { return };
    let camera = shared.start(OWNER, "producer", CAMERA);
    shared.stream.wait_for_frame(3);
    let row = shared.row(MEMBER);
    assert_eq!((&row["publisher"], &row["publisher_pid"]), (&json!("alive"), &json!(camera.child.id())), "{row}");
    let said = shared.refusal(MEMBER, "viewer", "--patience 0");
    assert!(said.contains(REMEDY), "{said}");
    camera.kill();
    assert_eq!(shared.row(MEMBER)["publisher"], "gone", "liveness needs no right to write");
    shared.stream.remove();
}

/// What systemd-logind does with `RemoveIPC=yes` when the last session of a user ends (its clean-ipc.c): all semaphore sets,
/// segments that nobody has attached, and all in /dev/shm, as far as it gets through directories of the user's own.
fn log_out(uid: u32) {
    let table = |name: &str| -> Vec<Vec<i64>> {
        let text = std::fs::read_to_string(format!("/proc/sysvipc/{name}")).unwrap();
        let numbers = |line: &str| line.split_ascii_whitespace().map(|word| word.parse().unwrap_or(-1)).collect();
        text.lines().skip(1).map(numbers).collect()
    };
    for row in table("shm").into_iter().filter(|row| row[6] == 0 && row[7] == i64::from(uid)) {
        // SAFETY: plain integers; the segment is of a user of this test's own.
        unsafe { libc::shmctl(row[1] as libc::c_int, libc::IPC_RMID, std::ptr::null_mut()) };
    }
    for row in table("sem").into_iter().filter(|row| row[4] == i64::from(uid)) {
        // SAFETY: plain integers; the set is of a user of this test's own.
        unsafe { libc::semctl(row[1] as libc::c_int, 0, libc::IPC_RMID) };
    }
    clean_directory(Path::new("/dev/shm"), uid);
}

fn clean_directory(directory: &Path, uid: u32) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let Ok(status) = entry.metadata() else { continue };
        if std::os::unix::fs::MetadataExt::uid(&status) != uid {
            continue;
        }
        if status.is_dir() {
            clean_directory(&entry.path(), uid);
            let _ = std::fs::remove_dir(entry.path());
        } else {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Of a test's own each, so that no other test loses anything.
const LEAVER: User = (64_204, 64_204, &[GROUP]);
const LEFT: User = (64_205, 64_205, &[GROUP]);

#[test]
fn a_stream_goes_on_when_its_publishers_user_logs_out() {
    let Some(shared) = Shared::new("logout", "0660") else { return };
    if let Backend::File { directory } = backend() {
        // Only what lies in directories of the user's own is found; this is what he has where nobody else was first.
        let bus = directory.join(shared.stream.name.bus());
        std::fs::create_dir_all(&directory).unwrap();
        let _ = std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o1777));
        assert!(!bus.exists());
    }
    let camera = shared.start(LEAVER, "producer", CAMERA);
    let viewer = shared.start(MEMBER, "viewer", "--json --interval 0.1 --verify --patience 30");
    viewer.wait_for("last_sequence", 10);
    let before = shared.stream.status().unwrap();
    match backend() {
        Backend::SysV => log_out(LEAVER.0),
        // As if the directory were his, too.
        Backend::File { directory } => clean_directory(&directory, LEAVER.0),
        _ => unreachable!("two backends"),
    }
    // With System V, the leases are gone, and the segments are not: both have them attached.
    let moved = eventually("the publisher has noticed", || {
        let moved = shared.stream.status().filter(|status| status.segment_id != before.segment_id);
        moved.filter(|status| status.age_ns.is_some() && status.publisher == PublisherState::Alive)
    });
    assert!(moved.last_sequence >= before.last_sequence, "sequences go on");
    viewer.wait_for("last_sequence", moved.last_sequence + 5);
    let viewer = viewer.interrupt();
    assert_eq!(viewer.number("torn"), 0, "{viewer:?}");
    // Files go one after the other: what is made anew meanwhile may go, too.
    let epochs = viewer.number("epochs");
    assert!(epochs == 1 || backend() != Backend::SysV && epochs > 1, "{viewer:?}");
    assert_eq!(camera.interrupt().number("drops"), 0);
    // The last to leave finds nothing of it, and neither does anybody else.
    assert!(shared.stream.status().is_none());
}

#[test]
fn a_stream_that_nobody_publishes_is_gone_after_its_users_logout() {
    let Some(shared) = Shared::new("logout-left", "0660") else { return };
    let camera = shared.start(LEFT, "producer", &format!("{CAMERA} --frames 5 --persist"));
    camera.end();
    assert!(shared.stream.status().unwrap().persists);
    match backend() {
        Backend::SysV => log_out(LEFT.0),
        Backend::File { directory } => clean_directory(&directory, LEFT.0),
        _ => unreachable!("two backends"),
    }
    assert!(shared.stream.status().is_none());
    let anew = shared.start(LEFT, "producer", &format!("{CAMERA} --frames 5"));
    assert_eq!(anew.end().number("first_sequence"), 1);
}

#[test]
fn the_dead_of_another_pid_namespace_have_no_number_that_could_be_anothers() {
    let stream = TestStream::new("pid-dead");
    let Some(inside) = unshare(PID, &stream.command("producer", CAMERA)) else { return };
    let producer = Running::start(inside);
    stream.wait_for_frame(3);
    let viewer = Running::start(unshare(PID, &actor::command(&stream.name, "hold 1")).unwrap());
    viewer.wait_for("at", 1);
    let [publisher_pid, viewer_pid] = [&producer, &viewer].map(process_inside);
    kill(viewer_pid);
    viewer.end();
    kill(publisher_pid);
    producer.end();
    let status = stream.status().unwrap();
    let seen = |pid| if backend() == Backend::SysV { Some(pid) } else { None };
    assert_eq!((status.publisher, status.last_publisher_pid), (PublisherState::Gone, seen(publisher_pid)));
    assert_eq!(status.dead_subscribers[0].holder.pid, seen(viewer_pid));
    // From a third namespace, both are nobody; inside, each was 1 or near it, as somebody is everywhere. (With files, the third
    // one may have the number of one that has gone.)
    let row = listed_inside(PID, &stream).unwrap();
    assert_eq!((&row["last_publisher_pid"], &row["dead_subscribers"][0]["pid"]), (&Value::Null, &Value::Null), "{row}");
    stream.remove();
}

/// A directory that is one path here and another one in a container.
#[test]
fn a_container_shares_a_directory_at_another_path() {
    if backend() == Backend::SysV {
        return;
    }
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let here = folder.path().join("here");
    let there = folder.path().join("there");
    std::fs::create_dir(&here).unwrap();
    std::fs::create_dir(&there).unwrap();
    let name = format!("test-{}-bind/front", std::process::id());
    let (here, there) = (here.display().to_string(), there.display().to_string());
    let run = |directory: &str, program: &str, arguments: &str| {
        let mut command = framebus();
        command.args([program, "--stream", &name, "--backend", &format!("file:{directory}")]);
        command.args(arguments.split_whitespace());
        command
    };
    // As a container has it: its own mounts, IPC, and processes.
    let inside = |command: &Command| {
        let mut script = Command::new("sh");
        let mount = format!("mount --bind {here} {there} && mount -t tmpfs none {here} && exec \"$@\"");
        script.args(["-c", &mount, "sh"]).arg(command.get_program()).args(command.get_args());
        script.env_remove("FRAMEBUS_CONFIG").env("FRAMEBUS_LOG", "error");
        unshare("--mount --ipc --pid --fork --kill-child --mount-proc", &script)
    };
    let status = || {
        let there = Backend::File { directory: here.clone().into() };
        framebus::list(&there).unwrap().into_iter().next()
    };
    let camera = Running::start(run(&here, "producer", CAMERA));
    eventually("a frame", || status().filter(|status| status.last_sequence >= 3));
    let Some(viewer) = inside(&run(&there, "viewer", "--json --interval 0.1 --verify --patience 10")) else { return };
    let viewer = Running::start(viewer);
    viewer.wait_for("last_sequence", 10);
    let pid = process_inside(&viewer);
    assert_eq!(status().unwrap().subscribers[0].holder.pid, None, "of another PID namespace");
    let (code, said) = failure(inside(&run(&there, "producer", CAMERA)).unwrap());
    assert!(code == 1 && said.contains("another PID namespace publishes it already"), "{said}");
    kill(pid);
    viewer.end();
    eventually("its place is free", || status().filter(|status| status.subscribers.is_empty()));
    assert_eq!(status().unwrap().dead_subscribers.len(), 1);
    let last = status().unwrap().last_sequence;
    camera.kill();
    // And a successor over there goes on with it.
    let successor = Running::start(inside(&run(&there, "producer", &format!("{CAMERA} --frames 5"))).unwrap());
    assert!(successor.end().number("first_sequence") > last);
    assert!(status().is_none());
}

/// Where the machine has systemd's own judge.
#[test]
fn the_units_in_docs_are_what_systemd_takes() {
    if backend() != Backend::SysV {
        return;
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/systemd");
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for entry in std::fs::read_dir(docs).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for line in text.lines().map(str::trim) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            assert!(key != "PrivateIPC" || value == "no", "{line}: System V streams would be its own");
            assert!(key != "RemoveIPC" || value == "no", "{line}");
            if let Some(words) = line.strip_prefix("ExecStart=/usr/local/bin/framebus ") {
                let words: Vec<_> = words.split(' ').chain(["--help"]).collect();
                assert!(framebus().args(&words).output().unwrap().status.success(), "{line}");
            }
        }
        // Only whether there is such a program differs.
        let text = text.replace("/usr/local/bin/framebus", "/bin/true");
        let name = entry.file_name().into_string().unwrap().replace("@.", "@front.");
        std::fs::write(folder.path().join(&name), text).unwrap();
        units.push(folder.path().join(name));
    }
    assert!(units.len() >= 3, "{units:?}");
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&units).output() else {
        return eprintln!("skipped: there is no systemd-analyze");
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("framebus-")).collect();
    assert!(ours.is_empty(), "{said}");
}
