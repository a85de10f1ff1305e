//! What else may lie under a stream's key, and who may not touch it. Nothing that exists is ever destroyed.

use std::collections::HashMap;
use std::os::unix::process::CommandExt;

use framebus::{Content, Publisher, StreamName};

use crate::harness::{TestStream, failure, options};

/// A segment of the test's own making. Removed when dropped.
struct Segment {
    id: i32,
    bytes: *mut u8,
}

impl Segment {
    fn create(key: i32, bytes: usize) -> Self {
        // SAFETY: plain integers; the segment is new.
        Self::attach(unsafe { libc::shmget(key, bytes, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) })
    }

    fn find(key: i32) -> Self {
        // SAFETY: plain integers.
        Self::attach(unsafe { libc::shmget(key, 0, 0) })
    }

    fn attach(id: i32) -> Self {
        assert!(id >= 0, "shmget: {}", std::io::Error::last_os_error());
        // SAFETY: the kernel chooses the address.
        let bytes = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert_ne!(bytes as isize, -1);
        Self { id, bytes: bytes.cast() }
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        // SAFETY: every segment of these tests has a page at least, and nobody else uses it at this moment.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.bytes.add(offset), bytes.len()) };
    }

    fn byte(&self, offset: usize) -> u8 {
        // SAFETY: as above.
        unsafe { self.bytes.add(offset).read() }
    }

    fn remove(&self) {
        // SAFETY: no buffer is used.
        unsafe { libc::shmctl(self.id, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: attached by us, and not used any more.
        unsafe { libc::shmdt(self.bytes.cast()) };
    }
}

fn has_semaphores(name: &StreamName) -> bool {
    // SAFETY: plain integers.
    unsafe { libc::semget(name.key(), 0, 0) >= 0 }
}

const CAMERA: &str = "--width 64 --height 48 --format mono8 --frames 1";

#[test]
fn a_foreign_segment_under_the_key_is_left_alone() {
    let stream = TestStream::new("foreign");
    let foreign = Segment::create(stream.name.key(), 8192);
    foreign.write(0, b"somebody else's");
    let (code, said) = failure(stream.command("producer", CAMERA));
    assert_eq!(code, 1);
    assert_eq!(
        said,
        format!(
            "error: can not open stream {}: there is a segment (id {}) under its key {:#x}, and it is not framebus's: find \
             its owner with ipcs, or rename the stream\n",
            stream.name,
            foreign.id,
            stream.name.key()
        )
    );
    let (code, said) = failure(stream.command("viewer", "--patience 0"));
    assert_eq!(code, 1);
    assert!(said.contains("but it is not framebus's"), "{said}");
    assert_eq!(foreign.byte(0), b's', "it is as it was");
    assert!(!has_semaphores(&stream.name), "a failed start leaves nothing");
    foreign.remove();
}

#[test]
fn an_empty_segment_of_a_living_process_is_left_alone_and_a_dead_ones_is_replaced() {
    let stream = TestStream::new("blank");
    let blank = Segment::create(stream.name.key(), 8192);
    let (code, said) = failure(stream.command("producer", CAMERA));
    assert_eq!(code, 1);
    assert!(
        said.contains(&format!("is empty, and process {} that created it may still be at work", std::process::id())),
        "{said}"
    );
    drop(blank);
    // This process is its creator, so it knows that nobody is at work any more.
    let mut settings = options(Content::Bytes { capacity: 64 });
    settings.persist = false;
    drop(Publisher::open(&stream.name, &settings).unwrap());
}

/// Two names of the same key; 2^16 names are enough to find some.
fn colliding_names() -> (StreamName, StreamName) {
    let bus = format!("test-{}-collide", std::process::id());
    let mut by_key = HashMap::new();
    for number in 0.. {
        let name = StreamName::new(&bus, &format!("s{number}")).unwrap();
        if let Some(other) = by_key.insert(name.key(), name.clone()) {
            return (other, name);
        }
    }
    unreachable!("keys have 31 bits")
}

#[test]
fn two_names_of_one_key_are_never_mixed_up() {
    let (one, two) = colliding_names();
    let (one, two) = (TestStream { name: one }, TestStream { name: two });
    let mut settings = options(Content::Bytes { capacity: 64 });
    settings.persist = true;
    let mut publisher = Publisher::open(&one.name, &settings).unwrap();
    publisher.loan().unwrap().publish();
    drop(publisher);
    let (code, said) = failure(two.command("producer", CAMERA));
    assert_eq!(code, 1);
    let reason = format!("it belongs to the stream {}, whose name has the same key: rename one of the two", one.name);
    assert!(said.contains(&reason), "{said}");
    let (code, said) = failure(two.command("viewer", "--patience 0"));
    assert_eq!(code, 1);
    assert!(said.contains(&reason), "{said}");
    assert_eq!(one.status().unwrap().last_sequence, 1, "it is as it was");
    one.remove();
}

/// Opens a stream, changes its header, and says what producer and viewer say to that.
fn with_changed_header(test: &str, offset: usize, change: &[u8]) -> [String; 2] {
    let stream = TestStream::new(test);
    let mut settings = options(Content::Bytes { capacity: 64 });
    settings.persist = true;
    drop(Publisher::open(&stream.name, &settings).unwrap());
    let segment = Segment::find(stream.name.key());
    let before: Vec<u8> = (0..change.len()).map(|at| segment.byte(offset + at)).collect();
    segment.write(offset, change);
    let said = ["producer", "viewer"].map(|program| {
        let arguments = if program == "producer" { CAMERA } else { "--patience 0" };
        let (code, said) = failure(stream.command(program, arguments));
        assert_eq!(code, 1, "{said}");
        said
    });
    segment.write(offset, &before);
    stream.remove();
    said
}

#[test]
fn another_layout_version_is_refused_by_name() {
    for said in with_changed_header("version", 8, &99_u32.to_ne_bytes()) {
        assert!(said.contains("its layout is version 99, expected 2: run programs of one framebus version"), "{said}");
    }
}

#[test]
fn a_header_that_does_not_fit_its_segment_is_refused() {
    for said in with_changed_header("slots", 168, &1000_u32.to_ne_bytes()) {
        assert!(said.contains("its header is damaged, payload_offset is"), "{said}");
    }
    for said in with_changed_header("capacity", 184, &u64::MAX.to_ne_bytes()) {
        assert!(said.contains("its header is damaged, bytes of a frame is 18446744073709551615"), "{said}");
    }
}

#[test]
fn another_user_is_told_that_the_stream_is_not_his() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can run a program as another user");
        return;
    }
    let stream = TestStream::new("denied");
    let mut publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 64 })).unwrap();
    publisher.loan().unwrap().publish();
    // The build's folder need not be open to others.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("framebus");
    crate::users::copy_program(&program);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    for (command, arguments, expected) in [
        ("viewer", "--patience 0", "attaching the frames of stream"),
        ("producer", CAMERA, "opening the leases of stream"),
    ] {
        let mut denied = std::process::Command::new(&program);
        denied.arg(command).args(["--stream", &stream.name.to_string()]).args(arguments.split(' '));
        denied.current_dir("/").env("FRAMEBUS_LOG", "error").uid(65_534).gid(65_534);
        let (code, said) = failure(denied);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("the stream belongs to another user: let its publisher set mode and group"), "{said}");
    }
    assert_eq!(publisher.loan().unwrap().publish(), 2, "it is as it was");
}
