//! The kernel: its version, what it has since when, and futex_waitv, which a filter may refuse.

use super::asked::Asked;
use super::demand::Demand;
use super::finding::{Finding, Verdict};
use super::root::Root;

/// A version, as far as it says what there is.
pub type Version = (u32, u32);

/// Without it, nothing works: a page that is wiped at fork (`MADV_WIPEONFORK`).
const LEAST: Version = (4, 14);

/// What newer kernels bring, and what is without it.
const BROUGHT: [(Version, &str, &str); 3] = [
    ((5, 14), "MADV_POPULATE", "memory is prefaulted page by page"),
    ((5, 16), "futex_waitv", "a WaitSet looks at its streams once a millisecond"),
    ((6, 1), "MADV_COLLAPSE", "huge pages only as the kernel's settings have it"),
];

/// The version of the running kernel, from a release such as `6.1.0-18-amd64`.
pub fn version(root: &Root) -> Option<Version> {
    let release = root.text("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// How readily it interrupts itself for a process that shall run, where it says so.
fn preemption(root: &Root) -> Option<&'static str> {
    let built = root.text("/proc/sys/kernel/version").unwrap_or_default();
    if root.text("/sys/kernel/realtime").as_deref() == Some("1") {
        return Some("PREEMPT_RT");
    }
    let kinds = ["PREEMPT_RT", "PREEMPT_DYNAMIC", "PREEMPT"];
    kinds.into_iter().find(|kind| built.split_whitespace().any(|word| word == *kind))
}

/// Old kernels work with less.
pub fn kernel(root: &Root, demand: &Demand) -> Finding {
    let finding = Finding::about(
        "kernel",
        "Linux 4.14 at least, better 6.1",
        "older ones lack calls that make starting quicker and waiting for many streams cheaper",
    );
    let (Some(version), Some(release)) = (version(root), root.text("/proc/sys/kernel/osrelease")) else {
        return finding.not_checked("/proc/sys/kernel/osrelease can not be read");
    };
    let preemption = preemption(root);
    let finding = finding.figure("release", release.as_str()).figure("preemption", preemption);
    const NEWER: &str = "install a newer kernel, such as your distribution's backport or HWE package";
    if version < LEAST {
        return finding.failure(format!("{release} has no MADV_WIPEONFORK")).remedy("for good", NEWER);
    }
    let huge_pages = demand.streams.iter().any(|stream| stream.huge_pages);
    let lacks = BROUGHT.iter().filter(|(since, ..)| version < *since);
    let lacks: Vec<_> =
        lacks.map(|((major, minor), name, without)| format!("{name} ({major}.{minor}): {without}")).collect();
    // Huge pages are a matter of their own for who asks for none.
    let least = if huge_pages { (6, 1) } else { (5, 16) };
    let verdict = if version < least { Verdict::Warning } else { Verdict::Ok };
    let kind = preemption.map_or(String::new(), |kind| format!(", {kind}"));
    match &lacks[..] {
        [] => finding.ok(format!("{release}{kind}")),
        lacks => finding.is(verdict, format!("{release}{kind}, lacks {}", lacks.join("; "))).remedy_if(
            verdict == Verdict::Warning,
            "for good",
            NEWER,
        ),
    }
}

/// The kernel was asked.
pub fn futex_waitv(root: &Root, asked: &Asked) -> Finding {
    let finding = Finding::about(
        "futex_waitv",
        "the kernel has it, and no filter refuses it",
        "without it, who waits for several streams is woken up to 1 ms late, and a thousand times a second",
    )
    .figure("available", asked.waitv.is_ok());
    let Err(error) = &asked.waitv else { return finding.ok("available") };
    match version(root) {
        Some(version) if version >= (5, 16) => finding
            .warning(format!(
                "refused: {error}; Linux {}.{} has it, so a seccomp filter is in the way",
                version.0, version.1
            ))
            .remedy(
                "in a container",
                "update docker or podman and libseccomp; to try: docker run --security-opt seccomp=unconfined ...",
            ),
        _ => finding.warning(format!("refused: {error}")).remedy("for good", "install Linux 5.16 or newer"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Machine, asked, demand};
    use super::*;

    fn with(release: &str) -> Finding {
        kernel(&Machine::new().with("/proc/sys/kernel/osrelease", release).root(), &demand("", ""))
    }

    #[test]
    fn new_kernels_are_well_older_ones_lack_something_and_the_oldest_do_not_do() {
        assert_eq!((with("6.18.44-x").verdict, with("6.18.44-x").found.as_str()), (Verdict::Ok, "6.18.44-x"));
        assert_eq!(with("6.1").verdict, Verdict::Ok);
        let old = with("5.15.0-91-generic");
        assert_eq!((old.verdict, old.found.contains("futex_waitv (5.16)")), (Verdict::Warning, true), "{}", old.found);
        assert!(!old.found.contains("MADV_POPULATE"), "{}", old.found);
        assert!(old.commands().contains("newer kernel"));
        assert!(with("5.4.0").found.contains("MADV_POPULATE (5.14)"));
        assert_eq!((with("4.9.0").verdict, with("4.14.1").verdict), (Verdict::Failure, Verdict::Warning));
        assert!(with("4.9.0").commands().contains("newer kernel"));
    }

    #[test]
    fn linux_6_1_is_missed_only_by_who_wants_huge_pages() {
        let root = Machine::new().with("/proc/sys/kernel/osrelease", "5.19.2");
        assert_eq!(kernel(&root.root(), &demand("", "")).verdict, Verdict::Ok);
        assert_eq!(kernel(&root.root(), &demand("", "huge_pages = true")).verdict, Verdict::Warning);
    }

    #[test]
    fn a_kernel_without_a_version_is_not_judged() {
        assert_eq!(kernel(&Machine::new().root(), &demand("", "")).verdict, Verdict::NotChecked);
        assert_eq!(with("unknown").verdict, Verdict::NotChecked);
    }

    #[test]
    fn how_it_interrupts_itself_is_told() {
        let machine = Machine::new().with("/proc/sys/kernel/osrelease", "6.18.1");
        let machine = machine.with("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC @0");
        assert_eq!(kernel(&machine.root(), &demand("", "")).found, "6.18.1, PREEMPT_DYNAMIC");
        let machine = machine.with("/sys/kernel/realtime", "1\n");
        assert_eq!(kernel(&machine.root(), &demand("", "")).found, "6.18.1, PREEMPT_RT");
    }

    #[test]
    fn a_filter_is_told_from_an_old_kernel() {
        let mut asked = asked();
        let new = Machine::new().with("/proc/sys/kernel/osrelease", "6.8.0");
        assert_eq!(futex_waitv(&new.root(), &asked).verdict, Verdict::Ok);
        asked.waitv = Err("Operation not permitted (os error 1)".to_owned());
        let filtered = futex_waitv(&new.root(), &asked);
        assert_eq!(filtered.verdict, Verdict::Warning);
        assert!(filtered.found.contains("seccomp") && filtered.commands().contains("seccomp=unconfined"));
        let old = futex_waitv(&Machine::new().with("/proc/sys/kernel/osrelease", "5.10.0").root(), &asked);
        assert!(old.commands().contains("install Linux 5.16"), "{}", old.commands());
    }
}
