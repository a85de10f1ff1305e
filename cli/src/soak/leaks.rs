//! What a soak may have left in the kernel's tables (sysvipc(7)).

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context;
use framebus::Backend;

use super::arguments::Settings;

/// Segments that were there before the soak.
#[derive(Debug)]
pub(super) struct Before {
    segments: HashSet<i64>,
}

impl Before {
    pub(super) fn look() -> anyhow::Result<Self> {
        Ok(Self { segments: rows("shm")?.iter().map(|row| row[1]).collect() })
    }
}

/// A System V object that should not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leak {
    pub stream: String,
    pub what: String,
}

/// Looks for what is left of the soak's streams and of its processes, all of which have ended.
///
/// A segment whose creator was one of ours counts, unless its creator's number is a living process's again: then it is
/// that one's.
pub(super) fn look(settings: &Settings, before: &Before, pids: &HashSet<u32>) -> anyhow::Result<Vec<Leak>> {
    let mut leaks = Vec::new();
    for stream in &settings.streams {
        if let Some(left) = stream.status()? {
            leaks.push(Leak { stream: left.name.to_string(), what: "the stream is still there".to_owned() });
        }
    }
    for stream in &settings.streams {
        if let Backend::File { directory } = &stream.backend {
            let files = directory.join(stream.name.bus()).join(stream.name.stream());
            if files.exists() {
                let what = format!("its files are still there; remove them with rm -r {}", files.display());
                leaks.push(Leak { stream: stream.name.to_string(), what });
            }
        }
    }
    let (segments, sets) = (rows("shm")?, rows("sem")?);
    let sysv = settings.streams.iter().filter(|stream| stream.backend == Backend::SysV);
    for name in sysv.map(|stream| &stream.name) {
        // key shmid …; key semid …
        for (key, what) in [(name.key(), "frames"), (name.places_key(), "places"), (name.trial_key(), "trial")] {
            for row in segments.iter().filter(|row| row[0] == i64::from(key)) {
                let what = format!("its {what} segment {} is still there; remove it with ipcrm -m {}", row[1], row[1]);
                leaks.push(Leak { stream: name.to_string(), what });
            }
        }
        for row in sets.iter().filter(|row| row[0] == i64::from(name.key())) {
            let what = format!("its semaphore set {} is still there; remove it with ipcrm -s {}", row[1], row[1]);
            leaks.push(Leak { stream: name.to_string(), what });
        }
    }
    let keys: HashSet<i64> = settings
        .streams
        .iter()
        .flat_map(|stream| [stream.name.key(), stream.name.places_key(), stream.name.trial_key()])
        .map(i64::from)
        .collect();
    let is_alive = |pid: i64| Path::new(&format!("/proc/{pid}")).exists();
    let others = segments.iter().filter(|row| !keys.contains(&row[0]) && !before.segments.contains(&row[1]));
    leaks.extend(others.filter_map(|row| orphan(row, pids, is_alive)));
    Ok(leaks)
}

/// A segment under none of our keys that one of our processes made, and which nobody can tell whose it is any more.
fn orphan(row: &[i64], pids: &HashSet<u32>, is_alive: impl Fn(i64) -> bool) -> Option<Leak> {
    // key shmid perms size cpid …
    let (key, id, size, creator) = (row[0], row[1], row[3], row[4]);
    let ours = u32::try_from(creator).is_ok_and(|pid| pids.contains(&pid));
    let what = format!(
        "segment {id} of {size} bytes with key {key:#x}, made by process {creator}, which this soak ended, is still there; \
         remove it with ipcrm -m {id}"
    );
    (ours && !is_alive(creator)).then_some(Leak { stream: String::new(), what })
}

/// A table's rows; what is no number is -1.
fn rows(table: &str) -> anyhow::Result<Vec<Vec<i64>>> {
    let path = format!("/proc/sysvipc/{table}");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let row = |line: &str| line.split_ascii_whitespace().map(|word| word.parse().unwrap_or(-1)).collect::<Vec<_>>();
    Ok(text.lines().skip(1).map(row).filter(|row| row.len() >= 5).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::testing::settings;

    #[test]
    fn a_segment_without_a_key_is_a_leak_where_one_of_ours_made_it_and_is_dead() {
        let row = [0, 77, 600, 4096, 1234];
        let leak = orphan(&row, &HashSet::from([1234]), |_| false).unwrap();
        assert!(leak.what.contains("segment 77 of 4096 bytes with key 0x0, made by process 1234"), "{leak:?}");
        assert_eq!(orphan(&row, &HashSet::from([1234]), |_| true), None, "its number is another process's by now");
        assert_eq!(orphan(&row, &HashSet::from([1]), |_| false), None);
    }

    #[test]
    fn a_stream_that_is_still_there_is_a_leak_with_all_its_parts() {
        let settings = settings(&format!("--bus test-{}-leaks --size 16x16", std::process::id()));
        let before = Before::look().unwrap();
        let none = HashSet::new();
        assert_eq!(look(&settings, &before, &none).unwrap(), []);
        let open = |stream: &super::super::backend::Stream| {
            let mut options = settings.options(0);
            options.backend = stream.backend.clone();
            framebus::Publisher::open(&stream.name, &options).unwrap()
        };
        let publisher: Vec<_> = settings.streams.iter().map(open).collect();
        let leaks: Vec<String> = look(&settings, &before, &none).unwrap().into_iter().map(|leak| leak.what).collect();
        assert_eq!(leaks.len(), 6, "{leaks:?}");
        for part in ["the stream is", "frames segment", "places segment", "semaphore set", "its files are"] {
            assert!(leaks.iter().any(|leak| leak.contains(part)), "{part} in {leaks:?}");
        }
        drop(publisher);
        assert_eq!(look(&settings, &before, &none).unwrap(), []);
    }
}
