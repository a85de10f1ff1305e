//! The streams that are there: what dead runs left, and keys that somebody else has.

use std::collections::BTreeMap;

use framebus::{Backend, PublisherState, StreamName, StreamStatus};

use super::asked::Asked;
use super::demand::Demand;
use super::finding::Finding;
use super::root::Root;
use super::sysvipc;
use crate::top::format::memory;

/// How many are named; the others are counted.
const NAMED: usize = 5;

/// A stream that is there, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Present {
    pub name: StreamName,
    pub backend: Backend,
    /// Somebody publishes it.
    pub published: bool,
    /// How many read it.
    pub readers: usize,
    pub resident_bytes: u64,
    pub segment_id: i32,
}

impl Present {
    pub fn of(stream: &StreamStatus) -> Self {
        Self {
            name: stream.name.clone(),
            backend: stream.backend.clone(),
            published: stream.publisher == PublisherState::Alive,
            readers: stream.subscribers.len(),
            resident_bytes: stream.resident_bytes,
            segment_id: stream.segment_id,
        }
    }
}

/// Streams that nobody publishes and nobody reads, but for those that the config wants to persist.
pub fn stale(present: Option<&[Present]>, demand: &Demand) -> Finding {
    let finding = Finding::about(
        "stale_streams",
        "none",
        "what killed runs left takes memory until the next producer of the name, or until it is removed",
    );
    let Some(present) = present else { return finding.not_checked("the streams can not be listed") };
    let persists = |stream: &Present| {
        let wanted = demand.streams.iter().find(|wanted| wanted.name == stream.name);
        wanted.is_some_and(|wanted| wanted.persist) && demand.backend == stream.backend
    };
    let stale: Vec<&Present> =
        present.iter().filter(|stream| !stream.published && stream.readers == 0 && !persists(stream)).collect();
    let bytes: u64 = stale.iter().map(|stream| stream.resident_bytes).sum();
    let finding = finding
        .figure("streams", present.len())
        .figure("stale", stale.iter().map(|stream| stream.name.to_string()).collect::<Vec<_>>())
        .figure("stale_bytes", bytes);
    if stale.is_empty() {
        let plural = if present.len() == 1 { "" } else { "s" };
        return finding.ok(format!("none ({} stream{plural} in all)", present.len()));
    }
    let named: Vec<String> =
        stale.iter().take(NAMED).map(|stream| format!("{} ({})", stream.name, memory(stream.resident_bytes))).collect();
    let more = match stale.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    // Where `gc` looks without being told.
    let elsewhere = stale
        .iter()
        .map(|stream| &stream.backend)
        .find(|backend| **backend != Backend::SysV && **backend != Backend::default_file());
    finding
        .warning(format!("{}{more}, {} in all", named.join(", "), memory(bytes)))
        .remedy("all", "framebus gc")
        .remedy_if(
            elsewhere.is_some(),
            "all there",
            format!("framebus gc --backend {}", elsewhere.unwrap_or(&Backend::SysV)),
        )
        .remedy("one", format!("framebus rm {}", stale[0].name))
}

/// Whether the System V keys of the streams are free, or these very streams'.
pub fn keys(root: &Root, asked: &Asked, present: Option<&[Present]>, demand: &Demand) -> Finding {
    let finding = Finding::about(
        "keys",
        "each stream's System V key is its own",
        "a segment is found by its key; one that another program has keeps the producer from starting",
    );
    if demand.sysv_streams() == 0 {
        return finding.ok("not used: files have names");
    }
    let (Some(segments), Some(sets), Some(present)) = (sysvipc::segments(root), sysvipc::sets(root), present) else {
        return finding.not_checked("/proc/sysvipc can not be read");
    };
    let mut taken = Vec::new();
    let mut removals = Vec::new();
    let mut owners = BTreeMap::new();
    for stream in &demand.streams {
        let name = &stream.name;
        for (key, part) in [(name.key(), "frames"), (name.places_key(), "places"), (name.trial_key(), "trial")] {
            if let Some(other) = owners.insert(key, name).filter(|other| *other != name) {
                taken.push(format!("{name} and {other} have the same key {key:#x}"));
            }
            let Some(row) = segments.iter().find(|row| row.key == key) else { continue };
            let here = |other: &&Present| other.backend == Backend::SysV && other.segment_id == row.id;
            // Places of a stream that is there are the stream's; without it, a producer makes them anew if they are ours.
            let ours = match (present.iter().find(here), part) {
                (Some(other), _) => other.name == *name,
                (None, "frames") => false,
                (None, _) => row.uid == asked.uid || present.iter().any(|other| other.name == *name),
            };
            if !ours {
                let whose = present.iter().find(here).map_or_else(
                    || {
                        format!(
                            "segment {} of uid {}, {}, mode {:04o}, made by pid {}",
                            row.id,
                            row.uid,
                            memory(row.bytes),
                            row.mode,
                            row.creator_pid
                        )
                    },
                    |other| format!("stream {}", other.name),
                );
                taken.push(format!("{key:#x} of {name} ({part}) has {whose}"));
                removals.push(format!("ipcrm -m {}", row.id));
            }
        }
        let set = sets.iter().find(|row| row.key == name.key());
        if let Some(row) = set.filter(|row| row.semaphores != u64::from(framebus::MAX_SUBSCRIBERS) + 1) {
            taken.push(format!(
                "{:#x} of {name} (leases) has semaphore set {} of uid {}, of {} semaphores",
                name.key(),
                row.id,
                row.uid,
                row.semaphores
            ));
            removals.push(format!("ipcrm -s {}", row.id));
        }
    }
    let finding = finding.figure("taken", taken.clone());
    match taken.is_empty() {
        true => finding.ok("free, or the streams' own"),
        false => removals.into_iter().fold(
            finding.failure(taken.join("; ")).remedy("config", "another name of the stream, or of the bus"),
            |finding, removal| finding.remedy("if it is stale", format!("sudo {removal}")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, asked, demand, file_demand};
    use super::*;

    fn present(name: &str, published: bool, readers: usize) -> Present {
        let name = name.parse().unwrap();
        Present { name, backend: Backend::SysV, published, readers, resident_bytes: 3 << 20, segment_id: 7 }
    }

    #[test]
    fn what_nobody_uses_is_named_with_its_size() {
        let living = [present("lab/camera", true, 0), present("lab/old", false, 1)];
        let ok = stale(Some(&living), &demand("", ""));
        assert_eq!((ok.verdict, ok.found.as_str()), (Verdict::Ok, "none (2 streams in all)"));
        let dead = [present("lab/camera", false, 0), present("a/b", true, 1), present("x/y", false, 0)];
        let found = stale(Some(&dead), &demand("", ""));
        assert_eq!(found.verdict, Verdict::Warning);
        assert_eq!(found.found, "lab/camera (3.0 MiB), x/y (3.0 MiB), 6.0 MiB in all");
        assert_eq!(found.commands(), "all: framebus gc\none: framebus rm lab/camera\n");
        assert_eq!(stale(Some(&dead[..1]), &demand("", "persist = true")).verdict, Verdict::Ok, "it is meant to stay");
        assert_eq!(stale(None, &demand("", "")).verdict, Verdict::NotChecked);
    }

    #[test]
    fn of_many_the_first_are_named_and_those_in_other_directories_have_their_own_command() {
        let mut dead: Vec<Present> = (0..8).map(|number| present(&format!("lab/s{number}"), false, 0)).collect();
        dead[7].backend = Backend::File { directory: "/srv/fb".into() };
        let found = stale(Some(&dead), &demand("", ""));
        assert!(found.found.ends_with("lab/s4 (3.0 MiB) and 3 more, 24 MiB in all"), "{}", found.found);
        assert!(found.commands().contains("framebus gc --backend file:/srv/fb"), "{}", found.commands());
    }

    fn tables(segments: &str, sets: &str) -> Machine {
        Machine::new()
            .with("/proc/sysvipc/shm", &format!("head\n{segments}"))
            .with("/proc/sysvipc/sem", &format!("head\n{sets}"))
    }

    #[test]
    fn keys_that_are_free_or_the_streams_own_are_well() {
        let demand = demand("", "");
        let name = &demand.streams[0].name;
        let found = |machine: Machine, present: &[Present]| keys(&machine.root(), &asked(), Some(present), &demand);
        assert_eq!(found(tables("", ""), &[]).verdict, Verdict::Ok);
        let row = |key: i32, id| format!("{key} {id} 600 20971520 42 7 1 1000 0 0 0 0 0 0 4096 0\n");
        let segments = format!("{}{}", row(name.key(), 7), row(name.places_key(), 8));
        let set = format!("{} 3 600 256 1000 0 0 0 0 0\n", name.key());
        assert_eq!(found(tables(&segments, &set), &[present("lab/camera", true, 0)]).verdict, Verdict::Ok);
    }

    #[test]
    fn a_strangers_segment_under_our_key_is_named_with_owner_size_and_the_way_out() {
        let demand = demand("", "");
        let key = demand.streams[0].name.key();
        let machine = tables(&format!("{key} 7 640 20971520 42 7 1 33 0 0 0 0 0 0 4096 0\n"), "");
        let found = keys(&machine.root(), &asked(), Some(&[]), &demand);
        assert_eq!(found.verdict, Verdict::Failure);
        assert_eq!(
            found.found,
            format!("{key:#x} of lab/camera (frames) has segment 7 of uid 33, 20 MiB, mode 0640, made by pid 42")
        );
        assert_eq!(
            found.commands(),
            "config: another name of the stream, or of the bus\nif it is stale: sudo ipcrm -m 7\n"
        );
        // Another stream, whose name has the same key.
        let found = keys(&machine.root(), &asked(), Some(&[present("other/one", true, 0)]), &demand);
        assert!(found.found.ends_with("has stream other/one"), "{}", found.found);
        let machine = tables("", &format!("{key} 3 600 5 33 0 0 0 0 0\n"));
        let found = keys(&machine.root(), &asked(), Some(&[]), &demand);
        assert!(found.found.contains("semaphore set 3 of uid 33, of 5 semaphores"), "{}", found.found);
        assert!(found.commands().contains("sudo ipcrm -s 3"), "{}", found.commands());
    }

    #[test]
    fn two_configured_streams_with_one_key_are_told() {
        let mut demand = demand("", "");
        let mut twin = demand.streams[0].clone();
        twin.name = "lab/other".parse().unwrap();
        demand.streams.push(twin);
        assert_eq!(keys(&tables("", "").root(), &asked(), Some(&[]), &demand).verdict, Verdict::Ok);
        // A config refuses them by itself; streams of two configs may meet.
        (demand.streams[0].name, demand.streams[1].name) = collision();
        let found = keys(&tables("", "").root(), &asked(), Some(&[]), &demand);
        assert!(found.verdict == Verdict::Failure && found.found.contains("have the same key"), "{}", found.found);
    }

    /// Two names with one key: of 2^31 keys, some 60,000 names have a pair among them.
    fn collision() -> (StreamName, StreamName) {
        let mut names = std::collections::HashMap::new();
        for number in 0.. {
            let name = StreamName::new("lab", &format!("s{number}")).unwrap();
            if let Some(other) = names.insert(name.key(), name.clone()) {
                return (other, name);
            }
        }
        unreachable!("there are more names than keys")
    }

    #[test]
    fn files_and_unreadable_tables_are_not_judged_by_keys() {
        let root = Machine::new().root();
        assert_eq!(keys(&root, &asked(), Some(&[]), &file_demand("/dev/shm/framebus")).verdict, Verdict::Ok);
        assert_eq!(keys(&root, &asked(), Some(&[]), &demand("", "")).verdict, Verdict::NotChecked);
    }
}
