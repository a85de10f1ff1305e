//! What files can suffer that segments can not, and what is left of them.

use framebus::*;

use crate::common::{Remove, attach, options, status};
use crate::directory;

fn name(test: &str) -> StreamName {
    StreamName::new(&format!("test-{}-{test}", std::process::id()), "front").unwrap()
}

fn small() -> StreamOptions {
    options(Content::Bytes { capacity: 64 })
}

#[test]
fn a_closed_stream_leaves_no_file_and_no_directory() {
    let name = name("nothing-left");
    let publisher = Publisher::open(&name, &small()).unwrap();
    let mut files: Vec<_> =
        std::fs::read_dir(directory(&name)).unwrap().flatten().map(|file| file.file_name()).collect();
    files.sort();
    assert_eq!(files, ["frames", "lock", "places"]);
    drop(publisher);
    assert!(!directory(&name).parent().unwrap().exists());
}

#[test]
fn every_byte_has_its_memory_before_the_first_frame() {
    let name = name("allocated");
    let publisher = Publisher::open(&name, &options(Content::Bytes { capacity: 100_000 })).unwrap();
    let status = status(&name).unwrap();
    assert!(status.resident_bytes >= publisher.geometry().frames_bytes() as u64, "{status:?}");
}

#[test]
fn a_full_file_system_is_an_error_and_leaves_nothing() {
    let name = name("full");
    // More than any machine's /dev/shm has.
    let mut options = options(Content::Bytes { capacity: 1 << 31 });
    (options.max_subscribers, options.max_held) = (255, 28);
    let error = Publisher::open(&name, &options).map(drop).unwrap_err().to_string();
    assert!(error.contains("fallocate failed"), "{error}");
    assert!(error.contains("use fewer slots or smaller frames, give it more memory"), "{error}");
    assert!(!directory(&name).parent().unwrap().exists());
}

/// Overwrites a number in one of a stream's files.
fn poke(name: &StreamName, file: &str, offset: u64, number: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(directory(name).join(file)).unwrap();
    file.write_all_at(number, offset).unwrap();
}

/// Offsets of docs/layout.md.
const BASE_SEQUENCE: u64 = 344;
const STATE: u64 = 1024 + 12;
const CARRIED_SEQUENCE: u64 = 160;

#[test]
fn a_number_that_is_no_sequence_is_refused_and_never_gone_on_from() {
    let name = name("no-sequence");
    let mut options = small();
    options.persist = true;
    drop(Publisher::open(&name, &options).unwrap());
    // Found by fuzzing: the sum of it and 1 did not fit.
    poke(&name, "frames", BASE_SEQUENCE, &u64::MAX.to_ne_bytes());
    for said in [
        Publisher::open(&name, &options).map(drop).unwrap_err().to_string(),
        attach(&name).map(drop).unwrap_err().to_string(),
    ] {
        assert!(said.contains("base_sequence is 18446744073709551615"), "{said}");
    }
    // As if its creator had died at work: that header goes, and what it says of a sequence with it.
    poke(&name, "frames", STATE, &1_u32.to_ne_bytes());
    poke(&name, "places", CARRIED_SEQUENCE, &u64::MAX.to_ne_bytes());
    options.persist = false;
    let mut publisher = Publisher::open(&name, &options).unwrap();
    assert_eq!(publisher.loan().unwrap().publish(), 1);
    assert_eq!(attach(&name).unwrap().latest().unwrap().unwrap().info().sequence, 1);
}

#[test]
fn truncated_files_and_files_of_others_are_refused_by_name() {
    let name = name("truncated");
    let mut options = small();
    options.persist = true;
    drop(Publisher::open(&name, &options).unwrap());
    let frames = directory(&name).join("frames");
    let whole = std::fs::read(&frames).unwrap();
    for (bytes, expected) in [
        (&whole[..whole.len() - 1], "its header is damaged, segment size is"),
        (&whole[..100], "it is not framebus's"),
        (&[], "it is not framebus's"),
        (&b"a letter from somebody"[..], "it is not framebus's"),
    ] {
        std::fs::write(&frames, bytes).unwrap();
        for said in [
            Publisher::open(&name, &options).map(drop).unwrap_err().to_string(),
            attach(&name).map(drop).unwrap_err().to_string(),
        ] {
            assert!(said.contains(&format!("there is a file {}", frames.display())), "{said}");
            assert!(said.contains(expected), "{said}");
        }
        assert_eq!(std::fs::read(&frames).unwrap(), bytes, "it is as it was");
    }
    // What is no file is neither followed nor waited for.
    std::fs::remove_file(&frames).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &frames).unwrap();
    assert!(attach(&name).is_err());
    assert!(Publisher::open(&name, &options).is_err());
    std::fs::remove_file(&frames).unwrap();
    remove(&crate::backend(), &name, false).unwrap();
}

#[test]
fn a_stream_whose_files_are_deleted_goes_on_in_new_ones() {
    let name = name("deleted");
    let mut publisher = Publisher::open(&name, &small()).unwrap();
    let mut subscriber = attach(&name).unwrap();
    publisher.loan().unwrap().publish();
    let held = subscriber.latest().unwrap().unwrap();
    std::fs::remove_dir_all(directory(&name).parent().unwrap()).unwrap();
    // The publisher looks once a second.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while attach(&name).is_err() {
        assert!(std::time::Instant::now() < deadline, "no new files");
        publisher.loan().unwrap().publish();
        std::thread::yield_now();
    }
    let last = publisher.loan().unwrap().publish();
    // What the old epoch still has comes first.
    while subscriber.next().unwrap().is_some_and(|frame| frame.info().sequence < last) {}
    assert_eq!(subscriber.counters().last_sequence, last, "sequences go on");
    assert_eq!((subscriber.epoch(), held.info().sequence), (1, 1));
}

/// Bytes of this process that are locked (proc(5), `VmLck`).
fn locked_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_stream_is_locked_by_who_makes_it_and_by_who_takes_it_over() {
    let name = name("lock");
    let _remove = Remove(&name);
    let mut options = options(Content::Bytes { capacity: 4096 });
    (options.lock, options.persist) = (true, true);
    for _ in 0..2 {
        let publisher = Publisher::open(&name, &options).unwrap();
        assert!(locked_bytes() >= publisher.geometry().frames_bytes() as u64);
        drop(publisher);
        // What locked it is gone with its mapping.
        assert_eq!(locked_bytes(), 0);
    }
    options.persist = false;
    drop(Publisher::open(&name, &options).unwrap());
}
