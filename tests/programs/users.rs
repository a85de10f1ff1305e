//! Other users: what they may not do, they are told, and nothing is changed by their trying.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use framebus::{Backend, Publisher, PublisherState, StreamName};

use crate::actor::content;
use crate::backend;
use crate::harness::{TestStream, failure, options};

pub const SOMEBODY: u32 = 65_534;
pub const REMEDY: &str = "the stream belongs to another user: let its publisher set mode and group";

/// The program under test where everybody may run it; the build's folder need not be open to others.
pub struct OpenProgram(tempfile::TempDir);

/// Copies the program, by another process: had this one the file open for writing, a thread that starts some program just then
/// would hand it on to that, and the copy could not be run meanwhile (ETXTBSY).
pub fn copy_program(to: &Path) {
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_framebus")).arg(to).status();
    assert!(copied.unwrap().success());
}

impl OpenProgram {
    /// `None` where this process can not be another user.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can run a program as another user");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        copy_program(&folder.path().join("framebus"));
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Some(Self(folder))
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("framebus")
    }

    /// What another user is told by a command on the stream.
    fn refusal(&self, stream: &TestStream, command: &str) -> String {
        let mut denied = Command::new(self.0.path().join("framebus"));
        let mut words = command.split(' ');
        denied.arg(words.next().unwrap());
        match command.starts_with("rm") {
            true => denied.arg(stream.name.to_string()),
            false => denied.args(["--stream", &stream.name.to_string()]),
        };
        denied.args(words).args(["--backend", &backend().to_string()]);
        denied.current_dir("/").env("FRAMEBUS_LOG", "error").uid(SOMEBODY).gid(SOMEBODY);
        let (code, said) = failure(denied);
        assert_eq!(code, 1, "{command}: {said}");
        said
    }
}

const VIEWER: &str = "viewer --patience 0";
const PRODUCER: &str = "producer --width 64 --height 48 --format mono8 --frames 1";

/// What may be closed to others by itself.
enum Object {
    Frames,
    Places,
    Leases,
}

fn file(name: &StreamName, object: &Object) -> Option<PathBuf> {
    let Backend::File { directory } = backend() else { return None };
    let file = match object {
        Object::Frames => "frames",
        Object::Places => "places",
        Object::Leases => "lock",
    };
    Some(directory.join(name.bus()).join(name.stream()).join(file))
}

/// Closes an object of a stream to all but its owner.
fn close(name: &StreamName, object: &Object) {
    if let Some(path) = file(name, object) {
        return std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let key = if let Object::Places = object { name.places_key() } else { name.key() };
    // SAFETY: plain integers; IPC_STAT fills its buffer, IPC_SET reads it.
    unsafe {
        if let Object::Leases = object {
            let (id, mut status) = (libc::semget(key, 0, 0), std::mem::zeroed::<libc::semid_ds>());
            assert_eq!(libc::semctl(id, 0, libc::IPC_STAT, &mut status), 0);
            status.sem_perm.mode = 0o600;
            assert_eq!(libc::semctl(id, 0, libc::IPC_SET, &mut status), 0);
        } else {
            let (id, mut status) = (libc::shmget(key, 0, 0), std::mem::zeroed::<libc::shmid_ds>());
            assert_eq!(libc::shmctl(id, libc::IPC_STAT, &mut status), 0);
            status.shm_perm.mode = 0o600;
            assert_eq!(libc::shmctl(id, libc::IPC_SET, &mut status), 0);
        }
    }
}

/// An open stream with one frame.
fn publisher(stream: &TestStream, mode: u32, persist: bool) -> Publisher {
    let mut settings = options(content());
    (settings.mode, settings.persist) = (mode, persist);
    let mut publisher = Publisher::open(&stream.name, &settings).unwrap();
    publisher.loan().unwrap().publish();
    publisher
}

#[test]
fn another_user_is_told_what_he_may_not_use() {
    let Some(program) = OpenProgram::new() else { return };
    let stream = TestStream::new("closed");
    let mut publisher = publisher(&stream, 0o600, false);
    for (command, expected) in [
        (VIEWER, "attaching the frames of stream"),
        (PRODUCER, "opening the leases of stream"),
        ("rm", "removing stream"),
    ] {
        let said = program.refusal(&stream, command);
        assert!(said.contains(expected) && said.contains(REMEDY), "{said}");
    }
    assert_eq!((publisher.loan().unwrap().publish(), publisher.counters().publishers), (2, 1), "it is as it was");
}

#[test]
fn a_viewer_needs_rights_on_frames_places_and_leases() {
    let Some(program) = OpenProgram::new() else { return };
    for (object, expected) in [
        (Object::Frames, "attaching the frames of stream"),
        (Object::Places, "attaching the places of stream"),
        (Object::Leases, " of stream"),
    ] {
        let stream = TestStream::new("half-open");
        let mut publisher = publisher(&stream, 0o666, false);
        close(&stream.name, &object);
        let said = program.refusal(&stream, VIEWER);
        assert!(said.contains(expected) && said.contains(REMEDY), "{said}");
        assert_eq!((publisher.loan().unwrap().publish(), publisher.subscribers()), (2, 0), "it is as it was");
    }
}

#[test]
fn another_user_can_neither_succeed_a_dead_publisher_nor_remove_its_stream() {
    let Some(program) = OpenProgram::new() else { return };
    let stream = TestStream::new("succeed");
    drop(publisher(&stream, 0o666, true));
    let before = stream.status().unwrap();
    // Another geometry; the same; removal.
    for command in [PRODUCER, "rm", "rm --force"] {
        let said = program.refusal(&stream, command);
        assert!(said.contains(REMEDY), "{command}: {said}");
    }
    let after = stream.status().unwrap();
    assert_eq!((after.segment_id, after.last_sequence), (before.segment_id, before.last_sequence));
    assert_eq!((after.publisher, after.counters), (PublisherState::Gone, before.counters));
    let mut successor = publisher(&stream, 0o666, false);
    assert_eq!(successor.loan().unwrap().publish(), 3, "its owner can");
    let said = program.refusal(&stream, "rm");
    assert!(said.contains(&format!("process {} publishes it; stop it first", std::process::id())), "{said}");
    let said = program.refusal(&stream, "rm --force");
    assert!(said.contains(REMEDY), "{said}");
    assert_eq!(successor.loan().unwrap().publish(), 4, "it is as it was");
}

#[test]
fn another_user_sees_the_streams_that_he_may_read() {
    let Some(program) = OpenProgram::new() else { return };
    let (open, closed) = (TestStream::new("list-open"), TestStream::new("list-closed"));
    let _publishers = (publisher(&open, 0o666, false), publisher(&closed, 0o600, false));
    let mut list = Command::new(program.0.path().join("framebus"));
    list.args(["ls", "--backend", &backend().to_string()]).current_dir("/").uid(SOMEBODY).gid(SOMEBODY);
    let output = list.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains(&open.name.to_string()) && !said.contains(&closed.name.to_string()), "{said}");
}

#[test]
fn who_may_not_lock_so_much_memory_is_told_the_limit() {
    let Some(program) = OpenProgram::new() else { return };
    let config = program.0.path().join("framebus.toml");
    std::fs::write(&config, "[bus]\nname = \"locked\"\n[streams.camera]\nsize = 100000\nlock = true\n").unwrap();
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o644)).unwrap();
    for limit in ["0", "64"] {
        let stream = TestStream::new("memlock");
        let mut denied = Command::new("sh");
        denied.args(["-c", "ulimit -l \"$1\"; shift; exec \"$@\"", "sh", limit]);
        denied.arg(program.0.path().join("framebus")).args(["producer", "--source", "raw:/dev/zero", "--frames", "1"]);
        // The table of the config is the camera's, whatever its bus.
        denied.arg("--config").arg(&config).args(["--stream", &format!("{}/camera", stream.name.bus())]);
        denied.args(["--backend", &backend().to_string()]);
        denied.current_dir("/").env("FRAMEBUS_LOG", "error").uid(SOMEBODY).gid(SOMEBODY);
        let (code, said) = failure(denied);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("locking the memory (") && said.contains("raise RLIMIT_MEMLOCK"), "{limit}: {said}");
    }
}
