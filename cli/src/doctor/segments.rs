//! Limits of System V segments: how large one may be (shmmax), how many pages all may have (shmall), and how many there may
//! be (shmmni). sysvipc(7), and shm in proc_sys_kernel(5).

use super::demand::Demand;
use super::finding::{EPOCH, Finding};
use super::namespaces::Place;
use super::root::Root;
use super::sysvipc::{self, SegmentRow};
use crate::top::format::memory;

/// A limit that the kernel keeps.
fn limit(root: &Root, name: &str) -> Option<u64> {
    root.number(format!("/proc/sys/kernel/{name}"))
}

/// As people say it: the kernel's own default is no limit in practice.
fn words(bytes: u64) -> String {
    if bytes >= 1 << 50 { "no limit".to_owned() } else { memory(bytes) }
}

fn others(root: &Root, demand: &Demand) -> Option<Vec<SegmentRow>> {
    Some(sysvipc::segments(root)?.into_iter().filter(|row| !demand.has_key(row.key)).collect())
}

/// Whether each segment may be as large as it is to be.
pub fn shmmax(root: &Root, demand: &Demand, place: &Place) -> Finding {
    let largest = demand.streams.iter().map(|stream| stream.frames_bytes).max().filter(|_| demand.sysv_streams() > 0);
    let needed = largest.unwrap_or(0);
    let finding = Finding::about(
        "shmmax",
        format!("{} at least, the largest segment", memory(needed)),
        "the kernel refuses a larger segment, so the producer can not start",
    )
    .figure("needed_bytes", needed);
    let Some(shmmax) = limit(root, "shmmax") else {
        return finding.not_checked("/proc/sys/kernel/shmmax can not be read");
    };
    let finding = finding.figure("shmmax_bytes", shmmax);
    match shmmax < needed {
        false => finding.ok(words(shmmax)),
        true => finding.failure(format!("{}, the largest segment needs {}", words(shmmax), memory(needed))).sysctl(
            "kernel.shmmax",
            &needed.next_power_of_two().to_string(),
            place.has_own_ipc(),
        ),
    }
}

/// Whether all segments may be there at a time.
pub fn shmall(root: &Root, demand: &Demand, place: &Place) -> Finding {
    let page = root.page_bytes();
    let pages = |bytes: u64| bytes.div_ceil(page);
    let streams = if demand.sysv_streams() > 0 { &demand.streams[..] } else { &[] };
    let needed: u64 = streams.iter().map(|stream| pages(stream.frames_bytes) + pages(stream.places_bytes)).sum();
    let finding = Finding::about(
        "shmall",
        format!("room for {} more", memory(needed * page)),
        "beyond this sum of all segments the kernel refuses new ones, also where memory is free",
    )
    .figure("needed_pages", needed)
    .figure("page_bytes", page);
    let Some(shmall) = limit(root, "shmall") else {
        return finding.not_checked("/proc/sys/kernel/shmall can not be read");
    };
    let Some(others) = others(root, demand) else {
        return finding.not_checked("/proc/sysvipc/shm can not be read");
    };
    let used: u64 = others.iter().map(|row| pages(row.bytes)).sum();
    let finding = finding.figure("shmall_pages", shmall).figure("used_pages", used);
    let found =
        format!("{}, {} in use by others", words(shmall.saturating_mul(page)), memory(used.saturating_mul(page)));
    let epoch = if streams.is_empty() { 0 } else { pages(demand.epoch_bytes()) };
    let finding = finding.figure("epoch_pages", epoch);
    let most = used.saturating_add(needed + epoch);
    let finding = match shmall {
        _ if used.saturating_add(needed) > shmall => {
            finding.failure(format!("{found}, {} needed", memory(needed * page)))
        }
        _ if most > shmall => finding.warning(format!("{found}, {} needed {EPOCH}", memory((needed + epoch) * page))),
        _ => return finding.ok(found),
    };
    finding.sysctl("kernel.shmall", &most.next_power_of_two().to_string(), place.has_own_ipc())
}

/// Whether there may be so many.
pub fn shmmni(root: &Root, demand: &Demand, place: &Place) -> Finding {
    let streams = demand.sysv_streams();
    // One is only for a moment, when a stream gets another geometry.
    let needed = if streams == 0 { 0 } else { 2 * streams + 1 };
    let finding = Finding::about(
        "shmmni",
        format!("room for {needed} more segments"),
        "each stream has two, and one more while its geometry changes; beyond the limit there are none",
    )
    .figure("needed_segments", needed);
    let Some(shmmni) = limit(root, "shmmni") else {
        return finding.not_checked("/proc/sys/kernel/shmmni can not be read");
    };
    let Some(others) = others(root, demand) else {
        return finding.not_checked("/proc/sysvipc/shm can not be read");
    };
    let used = others.len() as u64;
    let finding = finding.figure("shmmni_segments", shmmni).figure("used_segments", used);
    let found = format!("{shmmni} segments, {used} in use by others");
    match used + needed > shmmni {
        false => finding.ok(found),
        true => finding
            .failure(format!("{found}, {needed} needed"))
            .remedy_if(used > 0, "look first", "ipcs -m; framebus gc")
            .sysctl("kernel.shmmni", &(used + needed).next_power_of_two().max(4096).to_string(), place.has_own_ipc()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, container, demand, file_demand, host};
    use super::*;

    const HEAD: &str = "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap\n";

    fn machine(shmmax: &str, shmall: &str, shmmni: &str, table: &str) -> Machine {
        Machine::new()
            .with("/proc/sys/kernel/shmmax", shmmax)
            .with("/proc/sys/kernel/shmall", shmall)
            .with("/proc/sys/kernel/shmmni", shmmni)
            .with("/proc/sysvipc/shm", &format!("{HEAD}{table}"))
    }

    #[test]
    fn a_segment_that_is_too_large_is_a_failure_with_the_number_that_mends_it() {
        let demand = demand("", "");
        assert_eq!(demand.streams[0].geometry.slots(), 18);
        let ok = shmmax(&machine("18446744073692774399", "0", "0", "").root(), &demand, &host());
        assert_eq!((ok.verdict, ok.found.as_str()), (Verdict::Ok, "no limit"));
        // What Linux had before 3.16.
        let small = machine("10000000", "0", "0", "");
        let found = shmmax(&small.root(), &demand, &host());
        assert_eq!(found.verdict, Verdict::Failure);
        assert_eq!(
            found.commands(),
            "now: sudo sysctl -w kernel.shmmax=33554432\n\
             for good: echo 'kernel.shmmax = 33554432' | sudo tee -a /etc/sysctl.d/60-framebus.conf\n"
        );
        let inside = shmmax(&small.root(), &demand, &container()).commands();
        assert!(inside.starts_with("in a container: docker run --sysctl kernel.shmmax=33554432"), "{inside}");
        assert_eq!(
            shmmax(&small.root(), &file_demand("/dev/shm/framebus"), &host()).verdict,
            Verdict::Ok,
            "files need none"
        );
    }

    #[test]
    fn the_sum_of_all_segments_counts_what_others_have_and_not_what_our_own_streams_have() {
        let demand = demand("", "");
        let row = |key: i32| format!("{key} 1 600 20971520 7 7 1 0 0 0 0 0 0 0 4096 0\n");
        // 18 MiB and a little are needed, twice for a moment; 20 MiB are in use, of 64 MiB, of 40 MiB, of 30 MiB.
        assert_eq!(shmall(&machine("0", "16384", "0", &row(5)).root(), &demand, &host()).verdict, Verdict::Ok);
        let tight = shmall(&machine("0", "10240", "0", &row(5)).root(), &demand, &host());
        assert_eq!((tight.verdict, tight.found.contains("36 MiB needed for the moment")), (Verdict::Warning, true));
        assert!(tight.commands().contains("sudo sysctl -w kernel.shmall=16384\n"), "{}", tight.commands());
        let full = shmall(&machine("0", "7680", "0", &row(5)).root(), &demand, &host());
        assert_eq!(full.verdict, Verdict::Failure);
        assert!(full.commands().contains("sudo sysctl -w kernel.shmall=16384\n"), "{}", full.commands());
        let own = row(demand.streams[0].name.key());
        assert_eq!(shmall(&machine("0", "10240", "0", &own).root(), &demand, &host()).verdict, Verdict::Ok);
    }

    #[test]
    fn the_number_of_segments_is_limited_too() {
        let table = "5 1 600 4096 7 7 1 0 0 0 0 0 0 0 4096 0\n";
        assert_eq!(shmmni(&machine("0", "0", "4", table).root(), &demand("", ""), &host()).verdict, Verdict::Ok);
        let full = shmmni(&machine("0", "0", "3", table).root(), &demand("", ""), &host());
        assert_eq!((full.verdict, full.figures["used_segments"].as_u64()), (Verdict::Failure, Some(1)));
        assert!(full.commands().contains("kernel.shmmni = 4096"), "{}", full.commands());
        assert!(full.commands().contains("framebus gc"), "{}", full.commands());
    }

    #[test]
    fn what_can_not_be_read_is_not_judged() {
        let machine = Machine::new();
        let root = machine.root();
        let (demand, place) = (demand("", ""), host());
        for found in [shmmax(&root, &demand, &place), shmall(&root, &demand, &place), shmmni(&root, &demand, &place)] {
            assert_eq!(found.verdict, Verdict::NotChecked);
            assert!(found.found.contains("can not be read"));
        }
    }
}
