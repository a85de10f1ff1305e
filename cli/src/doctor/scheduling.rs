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

/// What gives this process's control group real-time bandwidth, where it has a file for that (version 1 alone has).
fn bandwidth_file(root: &Root) -> Option<String> {
    let groups = root.text("/proc/self/cgroup")?;
    let path = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == "cpu").then_some(path)
    })?;
    let file = format!("/sys/fs/cgroup/cpu{}/cpu.rt_runtime_us", path.trim_end_matches('/'));
    root.exists(&file).then_some(file)
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
        // sched(7), and RestrictRealtime= of systemd.exec(5), which is a seccomp filter. Either says no more than EPERM.
        let filtered = root.field("/proc/self/status", "Seccomp").as_deref() == Some("2");
        let filter = if filtered { "" } else { ", though none is seen" };
        let bandwidth = bandwidth_file(root);
        let finding = finding
            .warning(format!(
                "refused in spite of the right to it ({error}): by a seccomp filter, as RestrictRealtime=yes of a systemd unit \
                 is{filter}; or its control group has no real-time bandwidth"
            ))
            .remedy("systemd unit", "RestrictRealtime=no");
        let finding = match bandwidth {
            Some(file) => finding.remedy("control group", format!("echo 950000 | sudo tee {file}")),
            None => finding,
        };
        return finding.remedy("for good", "use a kernel without CONFIG_RT_GROUP_SCHED, as most distributions' are");
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
    fn who_is_refused_in_spite_of_the_right_is_told_of_a_filter_and_of_the_control_group() {
        let machine = |seccomp: u32| {
            Machine::new().with("/proc/self/status", &format!("CapEff:\t0000000000800000\nSeccomp:\t{seccomp}\n"))
        };
        let mut asked = asked();
        assert_eq!(realtime(&machine(0).root(), &asked).found, "permitted (CAP_SYS_NICE)");
        (asked.realtime, asked.rtprio) = (Err("Operation not permitted (os error 1)".to_owned()), Some(0));
        let refused = realtime(&machine(2).root(), &asked);
        assert_eq!(refused.verdict, Verdict::Warning);
        for cause in ["RestrictRealtime=yes", "no real-time bandwidth"] {
            assert!(refused.found.contains(cause), "{}", refused.found);
        }
        assert!(!refused.found.contains("none is seen"), "{}", refused.found);
        assert!(realtime(&machine(0).root(), &asked).found.contains("though none is seen"));
        assert_eq!(
            refused.commands(),
            "systemd unit: RestrictRealtime=no\n\
             for good: use a kernel without CONFIG_RT_GROUP_SCHED, as most distributions' are\n"
        );
        let file = "/sys/fs/cgroup/cpu/robot/cpu.rt_runtime_us";
        let grouped = machine(2).with("/proc/self/cgroup", "5:cpu,cpuacct:/robot\n0::/x\n").with(file, "0");
        let commands = realtime(&grouped.root(), &asked).commands();
        assert!(commands.contains(&format!("control group: echo 950000 | sudo tee {file}\n")), "{commands}");
    }
}
