//! What tests may have left in the kernel's tables.

use std::collections::HashSet;
use std::path::Path;

use framebus::{Backend, DEFAULT_DIRECTORY};

/// Streams on buses that only tests have, whose test process is gone.
pub fn segments() -> Vec<String> {
    let streams = framebus::list(&Backend::SysV).unwrap().into_iter();
    streams.filter(|stream| is_left(stream.name.bus())).map(|stream| stream.name.to_string()).collect()
}

/// Directories of such buses, whatever is in them.
pub fn directories() -> Vec<String> {
    let Ok(buses) = std::fs::read_dir(DEFAULT_DIRECTORY) else { return Vec::new() };
    let names = buses.flatten().map(|bus| bus.file_name().to_string_lossy().into_owned());
    names.filter(|bus| is_left(bus)).collect()
}

fn is_left(bus: &str) -> bool {
    test_process(bus).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

/// The process that runs the test of a bus `test-PID-…`, or `bench-`, `doc-`.
fn test_process(bus: &str) -> Option<u32> {
    let rest = ["test-", "bench-", "doc-", "robot-"].iter().find_map(|prefix| bus.strip_prefix(prefix))?;
    rest.split('-').next()?.parse().ok()
}

/// Semaphore sets of framebus's size under whose key there is no segment.
pub fn semaphore_sets() -> Vec<String> {
    let rows = |table: &str| -> Vec<Vec<i64>> {
        let text = std::fs::read_to_string(format!("/proc/sysvipc/{table}")).unwrap();
        let numbers = |line: &str| line.split_ascii_whitespace().map(|word| word.parse().unwrap_or(-1)).collect();
        text.lines().skip(1).map(numbers).collect()
    };
    // shm: key shmid … ; sem: key semid perms nsems …
    let segments: HashSet<i64> = rows("shm").iter().map(|row| row[0]).collect();
    let orphans = rows("sem").into_iter().filter(|row| row[3] == 256 && !segments.contains(&row[0]));
    orphans.map(|row| format!("semaphore set {} (key {:#x})", row[1], row[0])).collect()
}
