//! Huge pages of shared memory, where a stream asks for them (docs/memory.md).

use framebus::Prefault;

use super::demand::Demand;
use super::finding::Finding;
use super::kernel::version;
use super::mounts::mount_of;
use super::root::Root;

const DIRECTORY: &str = "/sys/kernel/mm/transparent_hugepage";

/// The word in brackets: `always [madvise] never`.
fn chosen(root: &Root, file: &str) -> Option<String> {
    let text = root.text(format!("{DIRECTORY}/{file}"))?;
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// Whether the kernel will give them.
pub fn huge_pages(root: &Root, demand: &Demand) -> Finding {
    let streams: Vec<_> = demand.streams.iter().filter(|stream| stream.huge_pages).collect();
    let finding = Finding::about(
        "huge_pages",
        "shmem_enabled advise, where a stream has huge_pages = true",
        "the kernel refuses them silently, and starting takes ten times as long",
    )
    .figure("streams", streams.len());
    let (Some(enabled), Some(shared)) = (chosen(root, "enabled"), chosen(root, "shmem_enabled")) else {
        let why = "this kernel has no transparent huge pages";
        return match streams.is_empty() {
            true => finding.ok(format!("{why}; no stream asks for them")),
            false => finding.warning(why).remedy("for good", "use a kernel with CONFIG_TRANSPARENT_HUGEPAGE"),
        };
    };
    let finding = finding.figure("enabled", enabled.as_str()).figure("shmem_enabled", shared.as_str());
    let found = format!("enabled {enabled}, shmem_enabled {shared}");
    if streams.is_empty() {
        return finding.ok(format!("{found}; no stream asks for them"));
    }
    let advise = |finding: Finding| {
        finding.remedy("now", format!("echo advise | sudo tee {DIRECTORY}/shmem_enabled")).remedy(
            "for good",
            format!("echo 'w {DIRECTORY}/shmem_enabled - - - - advise' | sudo tee -a /etc/tmpfiles.d/framebus.conf"),
        )
    };
    if shared == "deny" {
        return advise(finding.warning(format!("{found}: all are refused")));
    }
    // MADV_COLLAPSE makes them of what is prefaulted, whatever the setting; the others need it, from their first use.
    let can_collapse = version(root).is_none_or(|version| version >= (6, 1));
    let all_prefaulted = streams.iter().all(|stream| stream.prefault == Prefault::All);
    if can_collapse && all_prefaulted {
        return finding.ok(format!("{found}; all slots are prefaulted"));
    }
    let which = if can_collapse { "only prefaulted slots have some" } else { "none are given" };
    if let Some(directory) = demand.directory() {
        let mount = mount_of(root, directory);
        let heeds = mount.as_ref().and_then(|mount| mount.option("huge")).is_some_and(|huge| huge != "never");
        let point = mount.map_or_else(|| directory.to_owned(), |mount| mount.point);
        return match heeds || shared == "force" {
            true if can_collapse => finding.ok(found),
            // Their memory is given before anybody can advise.
            _ => finding
                .warning(format!("{found}: of files, {which}"))
                .remedy("config", "prefault = \"all\"")
                .remedy("now", format!("sudo mount -o remount,huge=advise {}", point.display())),
        };
    }
    match &*shared {
        "never" => {
            advise(finding.warning(format!("{found}: {which}"))).remedy_if(can_collapse, "config", "prefault = \"all\"")
        }
        _ => finding.ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, demand};
    use super::*;

    fn found(release: &str, shared: &str, bus: &str, stream: &str) -> Finding {
        let machine = Machine::new()
            .with("/proc/sys/kernel/osrelease", release)
            .with(&format!("{DIRECTORY}/enabled"), "always [madvise] never\n")
            .with(&format!("{DIRECTORY}/shmem_enabled"), shared)
            .with("/proc/self/mountinfo", "3 2 0:6 / /dev/shm rw - tmpfs shm rw\n");
        huge_pages(&machine.root(), &demand(bus, stream))
    }

    const NEVER: &str = "always within_size advise [never] deny force\n";
    const ADVISE: &str = "always within_size [advise] never deny force\n";
    const DENY: &str = "always within_size advise never [deny] force\n";

    #[test]
    fn who_asks_for_none_needs_nothing() {
        let ok = found("6.1", DENY, "", "");
        assert_eq!(
            (ok.verdict, ok.found.as_str()),
            (Verdict::Ok, "enabled madvise, shmem_enabled deny; no stream asks for them")
        );
        assert_eq!(huge_pages(&Machine::new().root(), &demand("", "")).verdict, Verdict::Ok);
    }

    #[test]
    fn the_setting_matters_but_for_slots_that_are_collapsed() {
        let huge = "huge_pages = true";
        assert_eq!(found("6.1", ADVISE, "", huge).verdict, Verdict::Ok);
        let some = found("6.1", NEVER, "", huge);
        assert_eq!((some.verdict, some.found.contains("only prefaulted slots")), (Verdict::Warning, true));
        assert_eq!(
            some.commands(),
            "now: echo advise | sudo tee /sys/kernel/mm/transparent_hugepage/shmem_enabled\n\
             for good: echo 'w /sys/kernel/mm/transparent_hugepage/shmem_enabled - - - - advise' | sudo tee -a \
             /etc/tmpfiles.d/framebus.conf\n\
             config: prefault = \"all\"\n"
        );
        assert_eq!(found("6.1", NEVER, "", "huge_pages = true\nprefault = \"all\"").verdict, Verdict::Ok);
        assert!(found("5.15", NEVER, "", "huge_pages = true\nprefault = \"all\"").found.contains("none are given"));
        assert_eq!(found("6.1", DENY, "", "huge_pages = true\nprefault = \"all\"").verdict, Verdict::Warning);
        assert_eq!(huge_pages(&Machine::new().root(), &demand("", huge)).verdict, Verdict::Warning);
    }

    #[test]
    fn for_files_the_mount_decides() {
        let files = found("6.1", ADVISE, "backend = \"file\"", "huge_pages = true");
        assert_eq!(files.verdict, Verdict::Warning);
        assert_eq!(files.commands(), "config: prefault = \"all\"\nnow: sudo mount -o remount,huge=advise /dev/shm\n");
        assert_eq!(
            found("6.1", NEVER, "backend = \"file\"", "huge_pages = true\nprefault = \"all\"").verdict,
            Verdict::Ok
        );
    }
}
