//! The clock that times are read from, and the timers that wake who waits.

use super::asked::Asked;
use super::finding::Finding;
use super::root::Root;

const DIRECTORY: &str = "/sys/devices/system/clocksource/clocksource0";

/// Sources that are read without a system call (vDSO), on the architectures that Linux runs on.
const QUICK: [&str; 8] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
    "riscv_clocksource",
    "timebase",
    "tod",
    "stable",
];
/// Sources that take a system call and a slow device.
const SLOW: [&str; 6] = ["hpet", "acpi_pm", "jiffies", "refined-jiffies", "xen", "pit"];

/// Whether reading the clock is cheap.
pub fn source(root: &Root) -> Finding {
    let finding = Finding::about(
        "clock_source",
        "tsc, or another that is read without a system call",
        "the clock is read for every frame; from hpet or acpi_pm that takes microseconds",
    );
    let Some(current) = root.text(format!("{DIRECTORY}/current_clocksource")).filter(|text| !text.is_empty()) else {
        return finding.not_checked(format!("{DIRECTORY}/current_clocksource can not be read"));
    };
    let finding = finding.figure("clock_source", current.as_str());
    if QUICK.contains(&current.as_str()) {
        return finding.ok(current);
    }
    if !SLOW.contains(&current.as_str()) {
        return finding.not_checked(format!("it is not known here how {current} is read"));
    }
    let available = root.text(format!("{DIRECTORY}/available_clocksource")).unwrap_or_default();
    let better = available.split_whitespace().find(|name| QUICK.contains(name));
    match better {
        Some(name) => finding
            .warning(format!("{current}, though there is {name}"))
            .remedy("now", format!("echo {name} | sudo tee {DIRECTORY}/current_clocksource"))
            .remedy("for good", format!("clocksource={name} on the kernel's command line")),
        None => finding
            .warning(format!("{current}, and the kernel offers no better one"))
            .remedy("look first", "sudo dmesg | grep -i -e clocksource -e tsc")
            .remedy(
                "for good",
                "tsc=reliable on the kernel's command line, where the processor's counter can be trusted",
            ),
    }
}

/// Whether timers are finer than the tick.
pub fn timers(root: &Root, asked: &Asked) -> Finding {
    let finding = Finding::about(
        "timers",
        "high resolution: 1 ns",
        "wait = \"predict\" and paced producers wake shortly before a frame is due",
    )
    .figure("resolution_ns", asked.timer_ns);
    let slack: Option<u64> = root.number("/proc/self/timerslack_ns");
    let finding = finding.figure("slack_ns", slack);
    let late = slack.map_or(String::new(), |ns| format!(", up to {} µs late", ns as f64 / 1000.0));
    match asked.timer_ns {
        0..=1000 => finding.ok(format!("{} ns{late}", asked.timer_ns)),
        coarse => finding
            .warning(format!("they ring only each {:.1} ms", coarse as f64 / 1e6))
            .remedy("for good", "remove highres=off and nohz=off from the kernel's command line, or use a kernel with CONFIG_HIGH_RES_TIMERS"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, asked};
    use super::*;

    fn with(current: &str, available: &str) -> Finding {
        let machine = Machine::new()
            .with(&format!("{DIRECTORY}/current_clocksource"), current)
            .with(&format!("{DIRECTORY}/available_clocksource"), available);
        source(&machine.root())
    }

    #[test]
    fn slow_sources_are_named_with_what_there_is_instead() {
        assert_eq!((with("tsc\n", "tsc hpet").verdict, with("kvm-clock", "").verdict), (Verdict::Ok, Verdict::Ok));
        let slow = with("hpet\n", "tsc hpet acpi_pm \n");
        assert_eq!((slow.verdict, slow.found.as_str()), (Verdict::Warning, "hpet, though there is tsc"));
        assert!(slow.commands().contains(&format!("now: echo tsc | sudo tee {DIRECTORY}/current_clocksource\n")));
        assert!(slow.commands().contains("clocksource=tsc on the kernel's"));
        let none = with("acpi_pm", "acpi_pm");
        assert_eq!((none.verdict, none.commands().contains("tsc=reliable")), (Verdict::Warning, true));
    }

    #[test]
    fn unknown_and_unreadable_sources_are_not_judged() {
        assert_eq!(with("sundial", "").verdict, Verdict::NotChecked);
        assert_eq!(source(&Machine::new().root()).verdict, Verdict::NotChecked);
    }

    #[test]
    fn timers_of_the_tick_are_told() {
        let machine = Machine::new().with("/proc/self/timerslack_ns", "50000");
        let mut asked = asked();
        assert_eq!(timers(&machine.root(), &asked).verdict, Verdict::Ok);
        asked.timer_ns = 4_000_000;
        let coarse = timers(&machine.root(), &asked);
        assert_eq!((coarse.verdict, coarse.found.as_str()), (Verdict::Warning, "they ring only each 4.0 ms"));
        assert!(coarse.commands().contains("highres=off"));
    }
}
