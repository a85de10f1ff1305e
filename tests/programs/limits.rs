//! The kernel's tables are full, or the file system is: an error that says so, and nothing left behind.
//!
//! Each in a namespace of its own, so that nobody else has less.

use std::process::Command;

use framebus::Backend;

use crate::backend;
use crate::harness::{TestStream, framebus};
use crate::namespaces::unshare;

const CAMERA: &str = "--width 64 --height 48 --format mono8 --frames 1";

/// What a script in new namespaces said on its standard error, and on its standard output; `None` where it may not run.
///
/// It finds the program under test as `$1`, and what follows from there.
fn script(namespaces: &str, script: &str, arguments: &[&str]) -> Option<(String, String)> {
    let program = framebus();
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(program.get_program()).args(arguments);
    command.env_remove("FRAMEBUS_CONFIG").env("FRAMEBUS_LOG", "error").current_dir(env!("CARGO_TARGET_TMPDIR"));
    let output = unshare(namespaces, &command)?.output().unwrap();
    let (stderr, stdout) = [output.stderr, output.stdout].map(|text| String::from_utf8(text).unwrap()).into();
    if stdout.starts_with("denied") {
        eprintln!("skipped: the kernel's limits can not be set in a namespace here");
        return None;
    }
    Some((stderr, stdout))
}

/// Starts a producer where `/proc/sys/kernel/LIMIT` has been set; returns what it said.
fn producer_with(limit: &str, value: &str) -> Option<String> {
    // Afterwards, the tables of the namespace have their headings and nothing else.
    let run = "echo \"$3\" > /proc/sys/kernel/$2 || { echo denied; exit; }\n\
               \"$1\" producer --backend sysv --stream \"$4\" $5; echo \"code $?\"\n\
               wc -l < /proc/sysvipc/shm; wc -l < /proc/sysvipc/sem";
    let stream = TestStream::new("limits");
    let arguments = [limit, value, &stream.name.to_string(), CAMERA];
    let (said, printed) = script("--ipc", run, &arguments)?;
    assert_eq!(printed.split_whitespace().collect::<Vec<_>>(), ["code", "1", "1", "1"], "{said}");
    Some(said)
}

#[test]
fn full_tables_are_named_with_the_remedy_and_nothing_is_left() {
    if backend() != Backend::SysV {
        return;
    }
    const FULL: &str = "shmget failed: No space left on device (os error 28); all System V segments or pages are in use: \
                        look at ipcs -m, remove what is stale, or raise kernel.shmmni and kernel.shmall";
    for (limit, value, action, expected) in [
        ("shmmni", "0", "creating the frames", FULL),
        ("shmmni", "1", "creating the places", FULL),
        ("shmall", "10", "creating the frames", FULL),
        ("shmmax", "4096", "creating the frames", "; the segment is larger than kernel.shmmax allows"),
        (
            "sem",
            "32000 1024000000 500 0",
            "opening the leases",
            "; all System V semaphores are in use: look at ipcs -s",
        ),
        ("sem", "32000 255 500 32000", "opening the leases", "; all System V semaphores are in use: look at ipcs -s"),
        (
            "sem",
            "250 32000 32 128",
            "opening the leases",
            "; kernel.sem allows no set of 256 semaphores: raise its first",
        ),
    ] {
        let Some(said) = producer_with(limit, value) else { return };
        assert!(said.contains(action) && said.contains(expected), "{limit} = {value}: {said}");
    }
}

#[test]
fn a_stream_survives_a_successor_for_which_there_is_no_room() {
    let stream = TestStream::new("no-room");
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let (namespaces, set_up, backend) = match backend() {
        // 100 pages are enough for the first stream, and not for the second.
        Backend::SysV => ("--ipc", "echo 100 > /proc/sys/kernel/shmall", "sysv".to_owned()),
        _ => ("--mount", "mount -t tmpfs -o size=400k none \"$2\"", format!("file:{directory}/buses")),
    };
    let run = format!(
        "{set_up} || {{ echo denied; exit; }}\n\
         \"$1\" producer --backend \"$3\" --stream \"$4\" $5 --persist; echo \"code $?\"\n\
         \"$1\" producer --backend \"$3\" --stream \"$4\" $6; echo \"code $?\"\n\
         \"$1\" viewer --backend \"$3\" --stream \"$4\" --patience 0 --frames 1 --verify --quiet; echo \"code $?\"\n\
         \"$1\" rm --backend \"$3\" \"$4\"; echo \"code $?\"\n\
         wc -l < /proc/sysvipc/shm; ls -A \"$2/buses\" 2> /dev/null"
    );
    let name = stream.name.to_string();
    let large = "--width 640 --height 480 --format rgb8 --frames 1";
    let Some((said, printed)) = script(namespaces, &run, &[directory, &backend, &name, CAMERA, large]) else { return };
    let lines: Vec<_> = printed.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(&lines[..5], ["code 0", "code 1", "code 0", &format!("removed {name}"), "code 0"], "{said}\n{printed}");
    assert!(said.contains("creating the new frames") && said.contains("No space left on device"), "{said}");
    if namespaces == "--ipc" {
        assert_eq!(lines[5..], ["1"], "nothing is left");
    } else {
        assert_eq!(lines[6..], [""; 0], "nothing is left");
    }
}

#[test]
fn a_full_file_system_is_an_error_and_never_a_signal() {
    if backend() == Backend::SysV {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    // Too small for the frames; for the places, beside them; no inode for the third file.
    for (limit, arguments, expected) in [
        ("size=64k", CAMERA, "creating the frames"),
        ("size=84k", CAMERA, "creating the places"),
        ("size=1m,nr_inodes=5", CAMERA, "creating the"),
    ] {
        let stream = TestStream::new("tmpfs");
        let run = "mount -t tmpfs -o $2 none \"$3\" || { echo denied; exit; }\n\
                   \"$1\" producer --backend \"file:$3/buses\" --stream \"$4\" $5; echo \"code $?\"\n\
                   ls -A \"$3/buses\"";
        let name = stream.name.to_string();
        let Some((said, printed)) = script("--mount", run, &[limit, directory, &name, arguments]) else { return };
        assert_eq!(printed, "code 1\n", "nothing is left: {limit}: {said}");
        assert!(said.contains(expected) && said.contains("the file system is full"), "{limit}: {said}");
    }
}
