//! Limits of System V semaphores, the four numbers of kernel.sem (semget(2)): in a set (SEMMSL), in all (SEMMNS), operations of
//! a call (SEMOPM), and sets (SEMMNI).

use super::demand::Demand;
use super::finding::Finding;
use super::namespaces::Place;
use super::root::Root;
use super::sysvipc;

/// In a stream's set: the publisher's lease, and one a place (docs/layout.md).
const SEMAPHORES: u64 = framebus::MAX_SUBSCRIBERS as u64 + 1;
/// A lease is claimed by two operations at once.
const OPERATIONS: u64 = 2;

/// Whether each stream can have its leases.
pub fn semaphores(root: &Root, demand: &Demand, place: &Place) -> Finding {
    let streams = demand.sysv_streams();
    let finding = Finding::about(
        "semaphores",
        format!("SEMMSL {SEMAPHORES}, SEMOPM {OPERATIONS} at least, and room for {streams} more sets"),
        "a stream's leases are a set of 256 semaphores, without which nobody can publish",
    )
    .figure("needed_sets", streams)
    .figure("needed_semaphores", streams * SEMAPHORES);
    let limits = root.text("/proc/sys/kernel/sem").unwrap_or_default();
    let limits: Vec<u64> = limits.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let &[a_set, in_all, operations, sets] = &limits[..] else {
        return finding.not_checked("/proc/sys/kernel/sem can not be read");
    };
    let Some(rows) = sysvipc::sets(root) else { return finding.not_checked("/proc/sysvipc/sem can not be read") };
    let others: Vec<_> = rows.into_iter().filter(|row| !demand.has_key(row.key)).collect();
    let used_sets = others.len() as u64;
    let used: u64 = others.iter().map(|row| row.semaphores).sum();
    let finding = finding
        .figure("semmsl", a_set)
        .figure("semmns", in_all)
        .figure("semopm", operations)
        .figure("semmni", sets)
        .figure("used_sets", used_sets)
        .figure("used_semaphores", used);
    let plural = if used_sets == 1 { "" } else { "s" };
    let found = format!(
        "SEMMSL {a_set}, SEMMNS {in_all}, SEMOPM {operations}, SEMMNI {sets}; others have {used} in {used_sets} set{plural}"
    );
    let (needed, needed_sets) = (used + streams * SEMAPHORES, used_sets + streams);
    // Where there are no streams of this kind, whatever is allowed will do.
    let wanted = [(a_set, SEMAPHORES), (in_all, needed), (operations, OPERATIONS), (sets, needed_sets)];
    if streams == 0 || wanted.iter().all(|(allowed, needed)| allowed >= needed) {
        return finding.ok(found);
    }
    let raised = wanted.map(|(allowed, needed)| match allowed < needed {
        true => needed.next_power_of_two().to_string(),
        false => allowed.to_string(),
    });
    finding
        .failure(found)
        .remedy_if(used > 0 && (in_all < needed || sets < needed_sets), "look first", "ipcs -s; framebus gc")
        .sysctl("kernel.sem", &raised.join(" "), place.has_own_ipc())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, container, demand, file_demand, host};
    use super::*;

    fn found(limits: &str, table: &str, demand: &Demand) -> Finding {
        let machine = Machine::new()
            .with("/proc/sys/kernel/sem", limits)
            .with("/proc/sysvipc/sem", &format!("key semid perms nsems uid gid cuid cgid otime ctime\n{table}"));
        semaphores(&machine.root(), demand, &host())
    }

    #[test]
    fn todays_defaults_are_enough_and_those_of_old_kernels_allow_no_set_of_256() {
        assert_eq!(found("32000\t1024000000\t500\t32000", "", &demand("", "")).verdict, Verdict::Ok);
        let old = found("250\t32000\t32\t128", "", &demand("", ""));
        assert_eq!(old.verdict, Verdict::Failure);
        assert_eq!(
            old.commands(),
            "now: sudo sysctl -w kernel.sem=\"256 32000 32 128\"\n\
             for good: echo 'kernel.sem = 256 32000 32 128' | sudo tee -a /etc/sysctl.d/60-framebus.conf\n"
        );
        assert_eq!(found("250 32000 32 128", "", &file_demand("/dev/shm/framebus")).verdict, Verdict::Ok);
    }

    #[test]
    fn what_others_use_counts_and_what_our_streams_have_does_not() {
        let row = |key: i32| format!("{key} 4 600 300 0 0 0 0 0 0\n");
        let full = found("300 500 32 128", &row(9), &demand("", ""));
        assert_eq!((full.verdict, full.figures["used_semaphores"].as_u64()), (Verdict::Failure, Some(300)));
        assert!(full.commands().contains("kernel.sem=\"300 1024 32 128\""), "{}", full.commands());
        assert!(full.commands().starts_with("look first: ipcs -s; framebus gc\n"), "{}", full.commands());
        assert_eq!(found("300 500 32 1", &row(9), &demand("", "")).commands().matches("1024 32 2").count(), 2);
        let own = row(demand("", "").streams[0].name.key());
        assert_eq!(found("300 500 32 128", &own, &demand("", "")).verdict, Verdict::Ok);
        assert_eq!(found("300 500 1 128", "", &demand("", "")).verdict, Verdict::Failure, "two operations at once");
    }

    #[test]
    fn a_container_sets_them_at_its_start() {
        let machine = Machine::new().with("/proc/sys/kernel/sem", "1 1 1 1").with("/proc/sysvipc/sem", "key\n");
        let commands = semaphores(&machine.root(), &demand("", ""), &container()).commands();
        assert!(
            commands.starts_with("in a container: docker run --sysctl kernel.sem=\"256 256 2 1\" ...\n"),
            "{commands}"
        );
    }

    #[test]
    fn what_can_not_be_read_is_not_judged() {
        let found = semaphores(&Machine::new().root(), &demand("", ""), &host());
        assert_eq!(
            (found.verdict, found.found.as_str()),
            (Verdict::NotChecked, "/proc/sys/kernel/sem can not be read")
        );
    }
}
