//! How soon a process that shall run does run: how quickly its core wakes up, and whether it may have a real-time priority.

use super::asked::Asked;
use super::finding::Finding;
use super::root::Root;

const CPUS: &str = "/sys/devices/system/cpu";
/// Number of CAP_SYS_NICE (capabilities(7)).
const CAP_SYS_NICE: u32 = 23;

/// What sets the cores' frequencies.
pub fn governor(root: &Root) -> Finding {
    let finding = Finding::about(
        "governor",
        "performance",
        "a core that sleeps between frames speeds up slowly: 50 to 100 µs a frame instead of 5 to 20",
    );
    let cpus = root
        .names(CPUS)
        .into_iter()
        .filter(|name| name.strip_prefix("cpu").is_some_and(|number| number.parse::<u32>().is_ok()));
    let governors: Vec<String> =
        cpus.filter_map(|cpu| root.text(format!("{CPUS}/{cpu}/cpufreq/scaling_governor"))).collect();
    if governors.is_empty() {
        return finding
            .not_checked("the kernel sets no frequencies here: a virtual machine's host or the firmware does");
    }
    let slow: Vec<&String> = governors.iter().filter(|governor| *governor != "performance").collect();
    let finding = finding.figure("cpus", governors.len()).figure("cpus_performance", governors.len() - slow.len());
    match slow.first() {
        None => finding.ok(format!("performance on all {} CPUs", governors.len())),
        Some(first) => finding
            .warning(format!("{first} on {} of {} CPUs", slow.len(), governors.len()))
            .remedy("now", format!("echo performance | sudo tee {CPUS}/cpu*/cpufreq/scaling_governor"))
            .remedy("for good", "cpufreq.default_governor=performance on the kernel's command line (Linux 5.9)"),
    }
}

/// It was tried.
pub fn realtime(root: &Root, asked: &Asked) -> Finding {
    let capable = root.has_capability(CAP_SYS_NICE);
    let finding = Finding::about(
        "realtime",
        "SCHED_FIFO is permitted",
        "producer --realtime keeps frames in time under load, and is refused without",
    )
    .figure("permitted", asked.realtime.is_ok())
    .figure("rtprio", asked.rtprio);
    let limit = asked.rtprio.map_or("no limit".to_owned(), |limit| format!("up to {limit}"));
    let Err(error) = &asked.realtime else {
        return finding.ok(if capable { "permitted (CAP_SYS_NICE)".to_owned() } else { format!("permitted, {limit}") });
    };
    let is_privileged = capable || asked.rtprio.is_none_or(|limit| limit > 0);
    if is_privileged {
        // sched(7): a control group without real-time bandwidth.
        return finding
            .warning(format!(
                "refused in spite of the right to it ({error}): its control group has no real-time bandwidth"
            ))
            .remedy("now", "echo 950000 | sudo tee /sys/fs/cgroup/cpu/GROUP/cpu.rt_runtime_us")
            .remedy("for good", "use a kernel without CONFIG_RT_GROUP_SCHED, as most distributions' are");
    }
    finding.warning(format!("refused: {error}; RLIMIT_RTPRIO is 0")).user_limit(
        &asked.user,
        "rtprio",
        "50",
        "LimitRTPRIO=50",
        "--cap-add=SYS_NICE --ulimit rtprio=50",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, asked};
    use super::*;

    fn with(governors: &[&str]) -> Finding {
        // What is no CPU is passed over.
        let mut machine =
            Machine::new().with("/sys/devices/system/cpu/cpuidle/x", "").with(&format!("{CPUS}/online"), "0-1");
        for (cpu, governor) in governors.iter().enumerate() {
            machine = machine.with(&format!("{CPUS}/cpu{cpu}/cpufreq/scaling_governor"), governor);
        }
        governor(&machine.root())
    }

    #[test]
    fn cores_that_are_not_at_full_speed_are_counted() {
        assert_eq!(with(&["performance\n", "performance"]).verdict, Verdict::Ok);
        let slow = with(&["performance", "powersave\n", "powersave"]);
        assert_eq!((slow.verdict, slow.found.as_str()), (Verdict::Warning, "powersave on 2 of 3 CPUs"));
        assert!(slow.commands().starts_with("now: echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/"));
        assert!(slow.commands().contains("cpufreq.default_governor=performance"));
        assert_eq!(with(&[]).verdict, Verdict::NotChecked);
    }

    #[test]
    fn who_may_not_run_in_real_time_is_told_what_gives_him_the_right() {
        let plain = Machine::new().with("/proc/self/status", "Name: x\nCapEff:\t0000000000000000\n");
        let mut asked = asked();
        assert_eq!(realtime(&plain.root(), &asked).found, "permitted, up to 99");
        (asked.realtime, asked.rtprio) = (Err("Operation not permitted (os error 1)".to_owned()), Some(0));
        let refused = realtime(&plain.root(), &asked);
        assert_eq!(refused.verdict, Verdict::Warning);
        assert_eq!(
            refused.commands(),
            "next login: echo 'robot - rtprio 50' | sudo tee -a /etc/security/limits.d/framebus.conf\n\
             systemd unit: LimitRTPRIO=50\n\
             in a container: docker run --cap-add=SYS_NICE --ulimit rtprio=50 ...\n"
        );
    }

    #[test]
    fn a_control_group_without_bandwidth_refuses_also_who_has_the_right() {
        let capable = Machine::new().with("/proc/self/status", "CapEff:\t0000000000800000\n");
        let mut asked = asked();
        assert_eq!(realtime(&capable.root(), &asked).found, "permitted (CAP_SYS_NICE)");
        (asked.realtime, asked.rtprio) = (Err("Operation not permitted (os error 1)".to_owned()), Some(0));
        let refused = realtime(&capable.root(), &asked);
        assert!(refused.verdict == Verdict::Warning && refused.commands().contains("cpu.rt_runtime_us"));
    }
}
