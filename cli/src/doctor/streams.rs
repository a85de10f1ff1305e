//! The streams that are there: what dead runs left, and keys that somebody else has.

use std::collections::BTreeMap;

use framebus::{Backend, StreamName};

use super::asked::Asked;
use super::demand::Demand;
use super::finding::Finding;
use super::present::{Leftover, Present, Remains, WayOut};
use super::root::Root;
use super::sysvipc::{self, SegmentRow};
use crate::top::format::memory;

/// How many are named; the others are counted.
const NAMED: usize = 5;

/// What nobody uses, but for streams that the config wants to persist.
pub fn stale(present: &Present, demand: &Demand) -> Finding {
    let finding = Finding::about(
        "stale_streams",
        "none",
        "what killed runs left takes memory until the next producer of the name, or until it is removed",
    );
    let persists = |leftover: &Leftover| {
        let wanted = demand.streams.iter().find(|wanted| wanted.name == leftover.name);
        leftover.what.is_none() && wanted.is_some_and(|wanted| wanted.persist) && demand.backend == leftover.backend
    };
    let stale: Vec<&Leftover> = present.leftovers.iter().filter(|leftover| !persists(leftover)).collect();
    let bytes: u64 = stale.iter().map(|leftover| leftover.bytes).sum();
    let finding = finding
        .figure("streams", present.streams.len())
        .figure("stale", stale.iter().map(|leftover| leftover.name.to_string()).collect::<Vec<_>>())
        .figure("stale_bytes", bytes);
    if stale.is_empty() {
        let plural = if present.streams.len() == 1 { "" } else { "s" };
        let found = format!("none ({} stream{plural} in all)", present.streams.len());
        return match present.unseen() {
            None => finding.ok(found),
            Some(unseen) => finding.not_checked(format!("{found}, but {unseen}")),
        };
    }
    let words = |leftover: &&Leftover| match leftover.what {
        None => format!("{} ({})", leftover.name, memory(leftover.bytes)),
        Some(what) => format!("{} ({what}, {})", leftover.name, memory(leftover.bytes)),
    };
    let named: Vec<String> = stale.iter().take(NAMED).map(words).collect();
    let more = match stale.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let unseen = present.unseen().map_or(String::new(), |unseen| format!("; {unseen}"));
    let finding = finding.warning(format!("{}{more}, {} in all{unseen}", named.join(", "), memory(bytes)));
    let finding = collect(finding, &stale);
    stale.iter().filter(|leftover| leftover.way_out != WayOut::Collect).take(NAMED).fold(
        finding,
        |finding, leftover| {
            let Leftover { name, backend, .. } = leftover;
            let there = elsewhere(backend);
            match &leftover.way_out {
                WayOut::Collect => finding,
                WayOut::CollectPersisted => {
                    finding.remedy("left on purpose", format!("framebus gc --persisted {name}{there}"))
                }
                WayOut::Remove => finding.remedy("somebody has it mapped", format!("framebus rm {name}{there}")),
                WayOut::Owner => finding.remedy("another user's", format!("sudo framebus gc {name}{there}")),
                WayOut::ByHand(command) => finding.remedy("by hand", command),
            }
        },
    )
}

/// What `gc` removes: all at once wherever it looks without being told, and in each other place.
fn collect(finding: Finding, stale: &[&Leftover]) -> Finding {
    let collected: Vec<&Leftover> =
        stale.iter().copied().filter(|leftover| leftover.way_out == WayOut::Collect).collect();
    let mut places: Vec<String> = collected.iter().map(|leftover| elsewhere(&leftover.backend)).collect();
    places.sort();
    places.dedup();
    let finding = places.into_iter().fold(finding, |finding, there| {
        let when = if there.is_empty() { "all" } else { "all there" };
        finding.remedy(when, format!("framebus gc{there}"))
    });
    match collected.iter().find(|leftover| leftover.what.is_none()) {
        Some(Leftover { name, backend, .. }) => {
            finding.remedy("one", format!("framebus rm {name}{}", elsewhere(backend)))
        }
        None => finding,
    }
}

/// The option that names a backend; empty where the commands look without it.
fn elsewhere(backend: &Backend) -> String {
    let known = framebus_program::backends(None).contains(backend);
    if known { String::new() } else { format!(" --backend {backend}") }
}

/// Whose a segment under one of a stream's keys is.
enum Whose {
    Ours,
    /// What a dead run of the stream left.
    Left,
    /// It keeps the producer from starting.
    Another(Trouble),
}

/// Why a producer can not have a key, and what removes what has it.
struct Trouble {
    said: String,
    when: &'static str,
    remove: String,
    /// It is not of this stream, so another name helps, too.
    strange: bool,
}

/// Whether the System V keys of the streams are free, or these very streams'.
pub fn keys(root: &Root, asked: &Asked, present: &Present, demand: &Demand) -> Finding {
    let finding = Finding::about(
        "keys",
        "each stream's System V key is its own",
        "a segment is found by its key; one that another program has keeps the producer from starting",
    );
    if demand.sysv_streams() == 0 {
        return finding.ok("not used: files have names");
    }
    let (Some(segments), Some(sets), true) =
        (sysvipc::segments(root), sysvipc::sets(root), present.has_seen(&Backend::SysV))
    else {
        return finding.not_checked("/proc/sysvipc can not be read");
    };
    let (mut troubles, mut same, mut left) = (Vec::new(), Vec::new(), Vec::new());
    let mut owners = BTreeMap::new();
    for stream in &demand.streams {
        let name = &stream.name;
        for (key, part) in [(name.key(), "frames"), (name.places_key(), "places"), (name.trial_key(), "trial")] {
            if let Some(other) = owners.insert(key, name).filter(|other| *other != name) {
                same.push(format!("{name} and {other} have the same key {key:#x}"));
            }
            let Some(row) = segments.iter().find(|row| row.key == key) else { continue };
            match whose(row, name, part, asked, present) {
                Whose::Ours => {}
                Whose::Left => left.push(name.to_string()),
                Whose::Another(trouble) => troubles.push(trouble),
            }
        }
        let set = sets.iter().find(|row| row.key == name.key());
        if let Some(row) = set.filter(|row| row.semaphores != u64::from(framebus::MAX_SUBSCRIBERS) + 1) {
            let sysvipc::SetRow { key, id, uid, semaphores } = row;
            troubles.push(Trouble {
                said: format!(
                    "{key:#x} of {name} (leases) has semaphore set {id} of uid {uid}, of {semaphores} semaphores"
                ),
                when: "if it is stale",
                remove: format!("sudo ipcrm -s {id}"),
                strange: true,
            });
        }
    }
    let said: Vec<String> = same.iter().chain(troubles.iter().map(|trouble| &trouble.said)).cloned().collect();
    let finding = finding.figure("taken", said.clone());
    if said.is_empty() {
        let left = match &left[..] {
            [] => String::new(),
            left => format!("; what a dead run left of {}, the next producer removes", left.join(", ")),
        };
        return finding.ok(format!("free, or the streams' own{left}"));
    }
    let rename = !same.is_empty() || troubles.iter().any(|trouble| trouble.strange);
    let finding =
        finding.failure(said.join("; ")).remedy_if(rename, "config", "another name of the stream, or of the bus");
    troubles.into_iter().fold(finding, |finding, trouble| finding.remedy(trouble.when, trouble.remove))
}

fn whose(row: &SegmentRow, name: &StreamName, part: &str, asked: &Asked, present: &Present) -> Whose {
    let here = present.streams.iter().find(|other| other.backend == Backend::SysV && other.segment_id == row.id);
    let begins = format!("{:#x} of {name} ({part}) has", row.key);
    let SegmentRow { id, uid, mode, creator_pid, .. } = *row;
    let segment =
        format!("segment {id} of uid {uid}, {}, mode {mode:04o}, made by pid {creator_pid}", memory(row.bytes));
    let remove = format!("sudo ipcrm -m {id}");
    let stranger = |whose: &str| {
        let said = format!("{begins} {whose}");
        Whose::Another(Trouble { said, when: "if it is stale", remove: remove.clone(), strange: true })
    };
    match (here, part) {
        (Some(other), _) if other.name == *name => Whose::Ours,
        (Some(other), _) => stranger(&format!("stream {}", other.name)),
        (None, "frames") => match present.remains.get(name) {
            Some(Remains::Ours) => Whose::Left,
            Some(Remains::InTheWay { reason, remedy }) => Whose::Another(Trouble {
                said: format!("{begins} {segment}: {reason}"),
                when: if remedy.is_some() { "remove it" } else { "if it is stale" },
                remove: remedy.clone().unwrap_or(remove),
                strange: false,
            }),
            None => stranger(&segment),
        },
        // Places of a stream that is there are the stream's; without it, a producer makes them anew if they are ours.
        (None, _) => {
            let is_there = present.parts.contains(name) || present.streams.iter().any(|other| other.name == *name);
            if row.uid == asked.uid || is_there { Whose::Ours } else { stranger(&segment) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::present::Stream;
    use super::super::testing::{Machine, asked, demand, file_demand};
    use super::*;

    fn stream(name: &str) -> Stream {
        Stream { name: name.parse().unwrap(), backend: Backend::SysV, segment_id: 7 }
    }

    fn leftover(name: &str, way_out: WayOut) -> Leftover {
        Leftover { name: name.parse().unwrap(), backend: Backend::SysV, bytes: 3 << 20, what: None, way_out }
    }

    fn with(leftovers: Vec<Leftover>) -> Present {
        Present { leftovers, ..Present::default() }
    }

    fn there() -> Backend {
        Backend::File { directory: "/srv/fb".into() }
    }

    #[test]
    fn what_nobody_uses_is_named_with_its_size() {
        let living = Present { streams: vec![stream("lab/camera"), stream("lab/old")], ..Present::default() };
        let ok = stale(&living, &demand("", ""));
        assert_eq!((ok.verdict, ok.found.as_str()), (Verdict::Ok, "none (2 streams in all)"));
        let mut dead = vec![leftover("lab/camera", WayOut::Collect), leftover("x/y", WayOut::Collect)];
        let found = stale(&with(dead.clone()), &demand("", ""));
        assert_eq!(found.verdict, Verdict::Warning);
        assert_eq!(found.found, "lab/camera (3.0 MiB), x/y (3.0 MiB), 6.0 MiB in all");
        assert_eq!(found.commands(), "all: framebus gc\none: framebus rm lab/camera\n");
        dead.truncate(1);
        assert_eq!(stale(&with(dead), &demand("", "persist = true")).verdict, Verdict::Ok, "it is meant to stay");
    }

    #[test]
    fn what_is_left_of_a_stream_counts_too() {
        let mut left = leftover("lab/camera", WayOut::Collect);
        (left.what, left.bytes) = (Some("an unfinished creation"), 977 << 10);
        let found = stale(&with(vec![left]), &demand("", "persist = true"));
        assert_eq!(found.verdict, Verdict::Warning);
        assert_eq!(found.found, "lab/camera (an unfinished creation, 977 KiB), 977 KiB in all");
        assert_eq!(found.figures["stale_bytes"].as_u64(), Some(977 << 10));
        assert_eq!(found.commands(), "all: framebus gc\n");
    }

    #[test]
    fn of_many_the_first_are_named_and_those_in_other_directories_have_their_own_command() {
        let mut dead: Vec<_> = (0..8).map(|number| leftover(&format!("lab/s{number}"), WayOut::Collect)).collect();
        dead[7].backend = there();
        let found = stale(&with(dead), &demand("", ""));
        assert!(found.found.ends_with("lab/s4 (3.0 MiB) and 3 more, 24 MiB in all"), "{}", found.found);
        assert_eq!(
            found.commands(),
            "all: framebus gc\nall there: framebus gc --backend file:/srv/fb\none: framebus rm lab/s0\n"
        );
    }

    #[test]
    fn what_gc_keeps_has_a_command_of_its_own() {
        let mut dead = vec![
            leftover("a/left", WayOut::CollectPersisted),
            leftover("a/watched", WayOut::Remove),
            leftover("a/other", WayOut::Owner),
            leftover("a/broken", WayOut::ByHand("ipcrm -m 7".to_owned())),
        ];
        assert_eq!(
            stale(&with(dead.clone()), &demand("", "")).commands(),
            "left on purpose: framebus gc --persisted a/left\nsomebody has it mapped: framebus rm a/watched\n\
             another user's: sudo framebus gc a/other\nby hand: ipcrm -m 7\n"
        );
        dead.truncate(2);
        dead.push(leftover("a/dead", WayOut::Collect));
        dead.iter_mut().for_each(|leftover| leftover.backend = there());
        assert_eq!(
            stale(&with(dead), &demand("", "")).commands(),
            "all there: framebus gc --backend file:/srv/fb\none: framebus rm a/dead --backend file:/srv/fb\n\
             left on purpose: framebus gc --persisted a/left --backend file:/srv/fb\n\
             somebody has it mapped: framebus rm a/watched --backend file:/srv/fb\n"
        );
    }

    #[test]
    fn a_backend_that_can_not_be_looked_at_is_told_and_hides_nothing_of_the_other() {
        let mut present = Present { failures: vec![(there(), "listing it failed".to_owned())], ..Present::default() };
        let found = stale(&present, &demand("", ""));
        assert_eq!(
            (found.verdict, found.found.as_str()),
            (Verdict::NotChecked, "none (0 streams in all), but listing it failed")
        );
        assert_eq!(keys(&tables("", "").root(), &asked(), &present, &demand("", "")).verdict, Verdict::Ok);
        present.leftovers.push(leftover("a/b", WayOut::Collect));
        let found = stale(&present, &demand("", ""));
        assert_eq!((found.verdict, found.found.ends_with("; listing it failed")), (Verdict::Warning, true));
        present.failures[0].0 = Backend::SysV;
        assert_eq!(keys(&tables("", "").root(), &asked(), &present, &demand("", "")).verdict, Verdict::NotChecked);
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
        let found = |machine: Machine, present: &Present| keys(&machine.root(), &asked(), present, &demand);
        assert_eq!(found(tables("", ""), &Present::default()).verdict, Verdict::Ok);
        let row = |key: i32, id| format!("{key} {id} 600 20971520 42 7 1 1000 0 0 0 0 0 0 4096 0\n");
        let segments = format!("{}{}", row(name.key(), 7), row(name.places_key(), 8));
        let set = format!("{} 3 600 256 1000 0 0 0 0 0\n", name.key());
        let present = Present { streams: vec![stream("lab/camera")], ..Present::default() };
        assert_eq!(found(tables(&segments, &set), &present).verdict, Verdict::Ok);
    }

    #[test]
    fn what_the_next_producer_removes_is_no_strangers_and_what_stops_it_is_told_with_the_way_out() {
        let demand = demand("", "");
        let name = &demand.streams[0].name;
        let machine = tables(&format!("{} 0 640 20971520 42 7 1 33 0 0 0 0 0 0 4096 0\n", name.key()), "");
        let found = |remains: Remains| {
            let present = Present { remains: [(name.clone(), remains)].into(), ..Present::default() };
            keys(&machine.root(), &asked(), &present, &demand)
        };
        let left = found(Remains::Ours);
        assert_eq!(
            (left.verdict, left.found.as_str()),
            (Verdict::Ok, "free, or the streams' own; what a dead run left of lab/camera, the next producer removes")
        );
        let reason = "its header is damaged".to_owned();
        let damaged = found(Remains::InTheWay { reason: reason.clone(), remedy: Some("ipcrm -m 0".to_owned()) });
        assert_eq!(damaged.verdict, Verdict::Failure);
        assert!(damaged.found.ends_with("made by pid 42: its header is damaged"), "{}", damaged.found);
        assert_eq!(damaged.commands(), "remove it: ipcrm -m 0\n");
        let unfinished = found(Remains::InTheWay { reason, remedy: None });
        assert_eq!(unfinished.commands(), "if it is stale: sudo ipcrm -m 0\n");
    }

    #[test]
    fn parts_of_a_stream_without_frames_are_its_own() {
        let demand = demand("", "");
        let name = &demand.streams[0].name;
        let machine = tables(&format!("{} 9 640 4096 42 7 1 33 0 0 0 0 0 0 4096 0\n", name.places_key()), "");
        let mut present = Present::default();
        assert_eq!(keys(&machine.root(), &asked(), &present, &demand).verdict, Verdict::Failure);
        present.parts.insert(name.clone());
        assert_eq!(keys(&machine.root(), &asked(), &present, &demand).verdict, Verdict::Ok);
    }

    #[test]
    fn a_strangers_segment_under_our_key_is_named_with_owner_size_and_the_way_out() {
        let demand = demand("", "");
        let key = demand.streams[0].name.key();
        let machine = tables(&format!("{key} 7 640 20971520 42 7 1 33 0 0 0 0 0 0 4096 0\n"), "");
        let found = keys(&machine.root(), &asked(), &Present::default(), &demand);
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
        let found = keys(
            &machine.root(),
            &asked(),
            &Present { streams: vec![stream("other/one")], ..Present::default() },
            &demand,
        );
        assert!(found.found.ends_with("has stream other/one"), "{}", found.found);
        let machine = tables("", &format!("{key} 3 600 5 33 0 0 0 0 0\n"));
        let found = keys(&machine.root(), &asked(), &Present::default(), &demand);
        assert!(found.found.contains("semaphore set 3 of uid 33, of 5 semaphores"), "{}", found.found);
        assert!(found.commands().contains("sudo ipcrm -s 3"), "{}", found.commands());
    }

    #[test]
    fn two_configured_streams_with_one_key_are_told() {
        let mut demand = demand("", "");
        let mut twin = demand.streams[0].clone();
        twin.name = "lab/other".parse().unwrap();
        demand.streams.push(twin);
        assert_eq!(keys(&tables("", "").root(), &asked(), &Present::default(), &demand).verdict, Verdict::Ok);
        // A config refuses them by itself; streams of two configs may meet.
        (demand.streams[0].name, demand.streams[1].name) = collision();
        let found = keys(&tables("", "").root(), &asked(), &Present::default(), &demand);
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
        assert_eq!(keys(&root, &asked(), &Present::default(), &file_demand("/dev/shm/framebus")).verdict, Verdict::Ok);
        assert_eq!(keys(&root, &asked(), &Present::default(), &demand("", "")).verdict, Verdict::NotChecked);
    }
}
