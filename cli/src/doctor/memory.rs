//! Memory: what is available against what the streams can take, and how much of it may be locked.
//!
//! In a container or a service, its control group may have less than the machine; shared memory counts there, too.

use super::asked::Asked;
use super::demand::Demand;
use super::directory::files_bytes;
use super::finding::{EPOCH, Finding};
use super::mounts::mount_of;
use super::root::Root;
use super::sysvipc;
use crate::top::format::memory as words;

/// Number of CAP_IPC_LOCK (capabilities(7)).
const CAP_IPC_LOCK: u32 = 14;
/// Limits of control groups of version 1 that are none.
const UNLIMITED: u64 = 1 << 60;

/// Whether the frames have room.
pub fn memory(root: &Root, demand: &Demand) -> Finding {
    let (touched, all) = (demand.touched_bytes(), demand.all_bytes());
    let finding = Finding::about(
        "memory",
        format!("{} for slots that quick viewers use, {} for all", words(touched), words(all)),
        "frames take memory when a slot is first used; where there is none left, the kernel kills processes",
    )
    .figure("touched_bytes", touched)
    .figure("all_bytes", all);
    let Some(machine) = root.field_bytes("/proc/meminfo", "MemAvailable") else {
        return finding.not_checked("MemAvailable of /proc/meminfo can not be read");
    };
    if let Some(mount) = demand.directory().and_then(|directory| mount_of(root, directory))
        && !mount.is_in_memory()
        && !demand.streams.iter().any(|stream| stream.lock)
    {
        let point = mount.point.display();
        return finding
            .ok(format!("none is demanded: files on {} ({point}) are cached as long as there is room", mount.kind));
    }
    // What these streams have already, nobody needs to find.
    let rows = sysvipc::segments(root).unwrap_or_default();
    let segments: u64 = rows.iter().filter(|row| demand.has_key(row.key)).map(|row| row.resident_bytes).sum();
    let ours = segments + demand.directory().map_or(0, |directory| files_bytes(root, directory, demand));
    let group = group_available(root);
    let least = group.unwrap_or(u64::MAX).min(machine);
    let available = least.saturating_add(ours);
    let most = all + demand.epoch_touched_bytes();
    let finding = finding
        .figure("available_bytes", machine)
        .figure("group_available_bytes", group)
        .figure("taken_already_bytes", ours)
        .figure("epoch_bytes", demand.epoch_touched_bytes());
    let whose = if least < machine { " in this control group" } else { "" };
    let already = if ours > 0 { format!(", {} taken already", words(ours)) } else { String::new() };
    let found = format!("{} available{whose}{already}", words(least));
    let limited = least < machine;
    let mend = |finding: Finding| {
        finding
            .remedy_if(limited, "in a container", format!("docker run --memory={}m ...", most.div_ceil(1 << 20) + 512))
            .remedy_if(limited, "systemd unit", format!("MemoryMax={}M", most.div_ceil(1 << 20) + 512))
            .remedy(
                "config",
                "less history, max_subscribers or max_held, or smaller frames: framebus check shows each part",
            )
    };
    match available {
        _ if available < touched => mend(finding.failure(format!("{found}, {} needed at least", words(touched)))),
        _ if available < all => mend(finding.warning(format!("{found}, {} if all slots are used", words(all)))),
        _ if available < most => mend(finding.warning(format!("{found}, {} {EPOCH}", words(most)))),
        _ => finding.ok(found),
    }
}

/// What is left of this process's control group and those above it; `None` where none of them has a limit.
fn group_available(root: &Root) -> Option<u64> {
    let groups = root.text("/proc/self/cgroup")?;
    let hierarchies = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        match controllers {
            "" => Some(("/sys/fs/cgroup", path, ["memory.max", "memory.current"])),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Some(("/sys/fs/cgroup/memory", path, ["memory.limit_in_bytes", "memory.usage_in_bytes"]))
            }
            _ => None,
        }
    });
    let left = hierarchies.flat_map(|(mount, path, [limit, usage])| {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let ancestors = (0..=parts.len()).map(move |depth| format!("{mount}/{}", parts[..depth].join("/")));
        ancestors.filter_map(move |group| {
            let limit: u64 = root.number(format!("{group}/{limit}"))?;
            let usage: u64 = root.number(format!("{group}/{usage}"))?;
            let stat = root.text(format!("{group}/memory.stat")).unwrap_or_default();
            let cache = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
            // The kernel takes cached files back before anybody suffers.
            let used = usage.saturating_sub(cache.unwrap_or(0));
            (limit < UNLIMITED).then(|| limit.saturating_sub(used))
        })
    });
    left.min()
}

/// Whether the streams that ask for it can be locked.
pub fn memlock(root: &Root, asked: &Asked, demand: &Demand) -> Finding {
    let locked: Vec<u64> =
        demand.streams.iter().filter(|stream| stream.lock).map(|stream| stream.frames_bytes).collect();
    let (all, largest) = (locked.iter().sum::<u64>(), locked.iter().copied().max().unwrap_or(0));
    // SHM_LOCK counts what the user has locked (shmctl(2)), mlock what the process has (mlock(2)).
    let (needed, which) = match demand.directory() {
        None => (all, "all streams"),
        Some(_) => (largest, "the largest stream"),
    };
    let finding = Finding::about(
        "memlock",
        format!("{} at least, {which} with lock = true", words(needed)),
        "the whole stream counts against the limit, and the producer can not start beyond it",
    )
    .figure("needed_bytes", needed)
    .figure("locked_bytes", all)
    .figure("memlock_bytes", asked.memlock_bytes);
    let limit = asked.memlock_bytes.map_or("no limit".to_owned(), words);
    if all == 0 {
        return finding.ok(format!("{limit}; no stream has lock = true"));
    }
    if root.has_capability(CAP_IPC_LOCK) {
        return finding.ok(format!("{limit}, and no limit with CAP_IPC_LOCK, which this process has"));
    }
    if asked.memlock_bytes.is_none_or(|limit| limit >= all) {
        return finding.ok(limit);
    }
    let kib = all.div_ceil(1024);
    let may_raise = asked.memlock_most_bytes.is_none_or(|most| most >= all);
    match asked.memlock_bytes.is_some_and(|limit| limit < needed) {
        true => finding.failure(format!("{limit}, {} needed", words(needed))),
        false => finding.warning(format!("{limit} a process, {} where one publishes all of them", words(all))),
    }
    .remedy_if(may_raise, "this shell", format!("ulimit -l {kib}"))
    .user_limit(
        &asked.user,
        "memlock",
        &kib.to_string(),
        &format!("LimitMEMLOCK={}", kib * 1024),
        &format!("--ulimit memlock={}", kib * 1024),
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, asked, demand, file_demand};
    use super::*;

    fn available(mib: u64) -> Machine {
        Machine::new().with("/proc/meminfo", &format!("MemTotal: 1 kB\nMemAvailable:   {} kB\n", mib << 10))
    }

    #[test]
    fn memory_for_three_slots_is_needed_and_memory_for_all_is_better() {
        let demand = demand("", "");
        assert_eq!((demand.touched_bytes() >> 20, demand.all_bytes() >> 20), (3, 18));
        let found = |mib| memory(&available(mib).root(), &demand);
        assert_eq!((found(100).verdict, found(100).found.as_str()), (Verdict::Ok, "100 MiB available"));
        assert_eq!((found(10).verdict, found(2).verdict), (Verdict::Warning, Verdict::Failure));
        let tight = found(20);
        assert_eq!(
            (tight.verdict, tight.found.as_str()),
            (
                Verdict::Warning,
                "20 MiB available, 21 MiB for the moment in which the largest stream begins a new epoch"
            )
        );
        assert!(found(10).commands().contains("less history"), "{}", found(10).commands());
        assert_eq!(memory(&Machine::new().root(), &demand).verdict, Verdict::NotChecked);
    }

    #[test]
    fn what_the_streams_have_already_is_not_needed_again() {
        let demand = demand("", "");
        let table = format!("head\n{} 1 600 20971520 7 7 1 0 0 0 0 0 0 0 3145728 0\n", demand.streams[0].name.key());
        let found = memory(&available(2).with("/proc/sysvipc/shm", &table).root(), &demand);
        assert_eq!((found.verdict, found.figures["taken_already_bytes"].as_u64()), (Verdict::Warning, Some(3 << 20)));
    }

    #[test]
    fn files_that_are_there_are_not_needed_again_and_on_a_disk_none_need_memory() {
        let demand = file_demand("/srv/fb");
        let machine = |kind: &str| {
            available(4)
                .with("/proc/self/mountinfo", &format!("1 0 0:1 / / rw - {kind} x rw\n"))
                .with("/proc/sysvipc/shm", "head\n")
        };
        assert_eq!(memory(&machine("tmpfs").root(), &demand).verdict, Verdict::Failure);
        let running = machine("tmpfs").with("/srv/fb/lab/camera/frames", &"x".repeat(18 << 20));
        let found = memory(&running.root(), &demand);
        assert_eq!((found.verdict, found.figures["taken_already_bytes"].as_u64()), (Verdict::Warning, Some(18 << 20)));
        assert!(found.found.starts_with("4.0 MiB available, 18 MiB taken already, "), "{}", found.found);
        let disk = memory(&machine("ext4").root(), &demand);
        assert_eq!(
            (disk.verdict, disk.found.as_str()),
            (Verdict::Ok, "none is demanded: files on ext4 (/) are cached as long as there is room")
        );
        assert_eq!(
            memory(&available(4).root(), &demand).verdict,
            Verdict::Failure,
            "where it is not known, it is memory"
        );
    }

    #[test]
    fn the_least_of_the_control_groups_counts() {
        let machine = |max: &str| {
            available(100)
                .with("/proc/self/cgroup", "0::/system.slice/robot.service\n")
                .with("/sys/fs/cgroup/system.slice/memory.max", max)
                .with("/sys/fs/cgroup/system.slice/memory.current", "20971520")
                .with("/sys/fs/cgroup/system.slice/memory.stat", "anon 5\ninactive_file 10485760\n")
                .with("/sys/fs/cgroup/system.slice/robot.service/memory.max", "max")
        };
        assert_eq!(memory(&machine("max").root(), &demand("", "")).verdict, Verdict::Ok);
        // 20 MiB are used, 10 of them for files.
        let tight = memory(&machine("15728640").root(), &demand("", ""));
        assert_eq!(
            (tight.verdict, tight.found.as_str()),
            (Verdict::Warning, "5.0 MiB available in this control group, 18 MiB if all slots are used")
        );
        assert!(tight.commands().contains("docker run --memory=534m"), "{}", tight.commands());
        assert!(tight.commands().contains("MemoryMax=534M"), "{}", tight.commands());
        let unlimited = available(100)
            .with("/proc/self/cgroup", "4:memory:/\n")
            .with("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
            .with("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1");
        let found = memory(&unlimited.root(), &demand("", ""));
        assert_eq!((found.verdict, &found.figures["group_available_bytes"]), (Verdict::Ok, &serde_json::Value::Null));
        let old = available(100)
            .with("/proc/self/cgroup", "4:memory:/pod\n")
            .with("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
            .with("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1")
            .with("/sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "1048576")
            .with("/sys/fs/cgroup/memory/pod/memory.usage_in_bytes", "0");
        assert_eq!(memory(&old.root(), &demand("", "")).verdict, Verdict::Failure);
    }

    #[test]
    fn locked_streams_need_the_limit_or_the_capability() {
        let plain = Machine::new().with("/proc/self/status", "CapEff:\t0000000000000000\n");
        let mut asked = asked();
        let locked = demand("", "lock = true");
        assert_eq!(memlock(&plain.root(), &asked, &locked).verdict, Verdict::Ok);
        (asked.memlock_bytes, asked.memlock_most_bytes) = (Some(8 << 20), Some(8 << 20));
        assert_eq!(memlock(&plain.root(), &asked, &demand("", "")).found, "8.0 MiB; no stream has lock = true");
        let refused = memlock(&plain.root(), &asked, &locked);
        assert_eq!(refused.verdict, Verdict::Failure);
        let kib = locked.streams[0].frames_bytes.div_ceil(1024);
        assert!(refused.commands().starts_with(&format!("next login: echo 'robot - memlock {kib}' | sudo tee")));
        for part in [format!("LimitMEMLOCK={}", kib << 10), format!("--ulimit memlock={}", kib << 10)] {
            assert!(refused.commands().contains(&part), "{}", refused.commands());
        }
        asked.memlock_most_bytes = None;
        assert!(
            memlock(&plain.root(), &asked, &locked).commands().starts_with(&format!("this shell: ulimit -l {kib}\n"))
        );
        let capable = Machine::new().with("/proc/self/status", "CapEff:\t0000000000004000\n");
        assert_eq!(memlock(&capable.root(), &asked, &locked).verdict, Verdict::Ok);
    }

    #[test]
    fn of_files_each_process_has_the_limit_for_itself() {
        let plain = Machine::new().with("/proc/self/status", "CapEff:\t0000000000000000\n");
        let mut asked = asked();
        let with_two = |bus: &str| {
            let mut two = demand(bus, "lock = true");
            two.streams.push(two.streams[0].clone());
            two
        };
        asked.memlock_bytes = Some(20 << 20);
        let files = memlock(&plain.root(), &asked, &with_two("backend = \"file\""));
        assert_eq!(
            (files.verdict, files.found.as_str()),
            (Verdict::Warning, "20 MiB a process, 36 MiB where one publishes all of them")
        );
        assert!(files.commands().contains("ulimit -l 36880"), "{}", files.commands());
        assert_eq!(memlock(&plain.root(), &asked, &with_two("")).verdict, Verdict::Failure, "all of a user's count");
        asked.memlock_bytes = Some(10 << 20);
        let little = memlock(&plain.root(), &asked, &with_two("backend = \"file\""));
        assert_eq!((little.verdict, little.found.as_str()), (Verdict::Failure, "10 MiB, 18 MiB needed"));
    }
}
