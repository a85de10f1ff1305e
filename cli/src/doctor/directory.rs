//! The directory of the file backend: its file system's room, whether it is in memory, and whether others have it, too.

use std::path::Path;

use super::asked::{Asked, Room};
use super::demand::Demand;
use super::finding::{EPOCH, Finding};
use super::mounts::{Mount, mount_of};
use super::namespaces::Place;
use super::root::Root;
use crate::top::format::memory as words;

/// Where every Linux has memory for all users.
const SHARED_MEMORY: &str = "/dev/shm";
const IN_MEMORY: &str = "directory = \"/dev/shm/framebus\"";

/// Whether the files have room there, in memory, where others find them.
pub fn directory(root: &Root, asked: &Asked, demand: &Demand, place: &Place) -> Finding {
    let needed = demand.all_bytes();
    let finding = Finding::about(
        "directory",
        format!("{} free, in memory (tmpfs)", words(needed)),
        "files get all their memory when a producer starts, which fails where it is not there",
    );
    let Some(directory) = demand.directory() else { return finding.ok("not used: no stream is made of files") };
    let shown = directory.display();
    let Some(Room { free_bytes, total_bytes, writable }) = asked.room else {
        return finding.not_checked(format!("the file system of {shown} can not be looked at"));
    };
    let ours = files_bytes(root, directory, demand);
    let finding = finding
        .figure("needed_bytes", needed)
        .figure("free_bytes", free_bytes)
        .figure("total_bytes", total_bytes)
        .figure("taken_already_bytes", ours)
        .figure("epoch_bytes", demand.epoch_bytes());
    let mount = mount_of(root, directory);
    let found = match total_bytes {
        0 => format!("{shown}: no limit"),
        total => format!("{shown}: {} of {} free", words(free_bytes), words(total)),
    };
    if !writable {
        return finding
            .failure(format!("{found}, but {} may make nothing there", asked.user))
            .remedy("now", format!("sudo install -d -m 1777 {shown}"))
            .remedy(
                "for good",
                format!("echo 'd {shown} 1777 root root' | sudo tee -a /etc/tmpfiles.d/framebus.conf"),
            );
    }
    // A file system without a size has no blocks.
    let has = |bytes: u64| total_bytes == 0 || free_bytes.saturating_add(ours) >= bytes;
    let most = needed + demand.epoch_bytes();
    let mend = |finding: Finding| {
        let taken = (total_bytes - free_bytes.min(total_bytes)).saturating_sub(ours);
        more_room(finding, mount.as_ref(), directory, place, taken, most)
    };
    if !has(needed) {
        return mend(finding.failure(format!("{found}, {} needed", words(needed))));
    }
    match &mount {
        Some(mount) if !mount.is_in_memory() => finding
            .warning(format!("{found}, but on {} ({}): frames are written to disk", mount.kind, mount.point.display()))
            .remedy("config", IN_MEMORY)
            .remedy("or mount one", format!("sudo mount -t tmpfs -o size=50%,mode=1777 none {shown}")),
        // What a container has mounted there by itself, nobody else has.
        Some(mount) if place.container.is_some() && place.has_own_ipc() && is_private(mount) => finding
            .warning(format!("{found}, but {} is this container's own", mount.point.display()))
            .remedy("in a container", format!("docker run -v {shown}:{shown} ...")),
        _ if !has(most) => mend(finding.warning(format!("{found}, {} {EPOCH}", words(most)))),
        Some(_) => finding.ok(found),
        None => finding.not_checked(format!(
            "{found}; whether that is memory or a disk can not be known: /proc/self/mountinfo can not be read"
        )),
    }
}

/// What makes room for `needed` bytes where others have `taken` some.
fn more_room(
    finding: Finding,
    mount: Option<&Mount>,
    directory: &Path,
    place: &Place,
    taken: u64,
    needed: u64,
) -> Finding {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20).next_power_of_two();
    let (all, ours, shown) = (mib(taken + needed), mib(needed), directory.display());
    let remount = |point: &Path| format!("sudo mount -o remount,size={all}M {}", point.display());
    let in_container = place.container.is_some();
    match mount {
        Some(mount) if !mount.is_in_memory() => finding.remedy("config", IN_MEMORY),
        Some(mount) if mount.point == Path::new(SHARED_MEMORY) => finding
            .remedy_if(in_container, "in a container", format!("docker run --shm-size={all}m ..."))
            .remedy("now", remount(&mount.point))
            .remedy("for good", format!("tmpfs {SHARED_MEMORY} tmpfs size={all}M,mode=1777 0 0   (in /etc/fstab)")),
        Some(mount) if mount.point == directory => finding
            .remedy("now", remount(&mount.point))
            .remedy("for good", format!("size={all}M among the options of {shown} in /etc/fstab")),
        // A file system with other things in it, such as /run: its size and its mode are not ours to set.
        _ => finding
            .remedy_if(in_container, "in a container", format!("docker run -v {shown}:{shown} ..."))
            .remedy(
                "now, before streams are there",
                format!("sudo mkdir -p {shown} && sudo mount -t tmpfs -o size={ours}M,mode=1777 none {shown}"),
            )
            .remedy("for good", format!("tmpfs {shown} tmpfs size={ours}M,mode=1777 0 0   (in /etc/fstab)")),
    }
}

fn is_private(mount: &Mount) -> bool {
    mount.point == Path::new(SHARED_MEMORY) || mount.point == Path::new("/")
}

/// What the files of these streams take already.
pub fn files_bytes(root: &Root, directory: &Path, demand: &Demand) -> u64 {
    let streams = demand.streams.iter().map(|stream| directory.join(stream.name.bus()).join(stream.name.stream()));
    let files = streams.flat_map(|stream| [stream.join("frames"), stream.join("places")]);
    files.filter_map(|file| root.path(file).symlink_metadata().ok()).map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, asked, container, demand, file_demand, host};
    use super::*;

    const TMPFS: &str = "3 2 0:6 / /dev/shm rw - tmpfs shm rw\n";
    const DISK: &str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";

    fn found(mounts: &str, free_mib: u64, place: &Place) -> Finding {
        let mut asked = asked();
        asked.room = Some(Room { free_bytes: free_mib << 20, total_bytes: 64 << 20, writable: true });
        let machine = Machine::new().with("/proc/self/mountinfo", &format!("{DISK}{mounts}"));
        directory(&machine.root(), &asked, &file_demand("/dev/shm/framebus"), place)
    }

    #[test]
    fn all_slots_need_room_at_once() {
        let ok = found(TMPFS, 64, &host());
        assert_eq!((ok.verdict, ok.found.as_str()), (Verdict::Ok, "/dev/shm/framebus: 64 MiB of 64 MiB free"));
        let full = found(TMPFS, 10, &host());
        assert_eq!(full.verdict, Verdict::Failure);
        // 54 are taken, 18 and a little are needed.
        assert_eq!(
            full.commands(),
            "now: sudo mount -o remount,size=128M /dev/shm\n\
             for good: tmpfs /dev/shm tmpfs size=128M,mode=1777 0 0   (in /etc/fstab)\n"
        );
        let inside = found(TMPFS, 10, &container()).commands();
        assert!(inside.starts_with("in a container: docker run --shm-size=128m ...\n"), "{inside}");
    }

    #[test]
    fn what_the_streams_have_already_is_not_needed_again_and_without_a_size_there_is_always_room() {
        let mut asked = asked();
        asked.room = Some(Room { free_bytes: 1 << 20, total_bytes: 64 << 20, writable: true });
        let machine = Machine::new().with("/proc/self/mountinfo", TMPFS);
        let machine = machine.with("/dev/shm/framebus/lab/camera/frames", &"x".repeat(18 << 20));
        let demand = file_demand("/dev/shm/framebus");
        let tight = directory(&machine.root(), &asked, &demand, &host());
        let expected =
            "/dev/shm/framebus: 1.0 MiB of 64 MiB free, 36 MiB for the moment in which the largest stream begins";
        assert_eq!((tight.verdict, tight.found.starts_with(expected)), (Verdict::Warning, true), "{}", tight.found);
        assert!(
            tight.commands().starts_with("now: sudo mount -o remount,size=128M /dev/shm\n"),
            "{}",
            tight.commands()
        );
        asked.room = Some(Room { free_bytes: 20 << 20, total_bytes: 64 << 20, writable: true });
        assert_eq!(directory(&machine.root(), &asked, &demand, &host()).verdict, Verdict::Ok);
        asked.room = Some(Room { free_bytes: 0, total_bytes: 0, writable: true });
        assert_eq!(directory(&machine.root(), &asked, &demand, &host()).found, "/dev/shm/framebus: no limit");
        let unknown = directory(&Machine::new().root(), &asked, &demand, &host());
        assert_eq!((unknown.verdict, unknown.found.contains("mountinfo can not be read")), (Verdict::NotChecked, true));
        asked.room = None;
        assert_eq!(directory(&Machine::new().root(), &asked, &demand, &host()).verdict, Verdict::NotChecked);
    }

    #[test]
    fn a_file_system_with_other_things_in_it_is_not_remounted_but_the_directory_gets_its_own() {
        let mut asked = asked();
        asked.room = Some(Room { free_bytes: 10 << 20, total_bytes: 64 << 20, writable: true });
        let at = |point: &str, place: &Place| {
            let table = format!("1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {point} rw - tmpfs x rw\n");
            let machine = Machine::new().with("/proc/self/mountinfo", &table);
            directory(&machine.root(), &asked, &file_demand("/run/framebus"), place).commands()
        };
        assert_eq!(
            at("/run", &host()),
            "now, before streams are there: sudo mkdir -p /run/framebus && \
             sudo mount -t tmpfs -o size=64M,mode=1777 none /run/framebus\n\
             for good: tmpfs /run/framebus tmpfs size=64M,mode=1777 0 0   (in /etc/fstab)\n"
        );
        assert!(
            at("/run", &container()).starts_with("in a container: docker run -v /run/framebus:/run/framebus ...\n")
        );
        assert_eq!(
            at("/run/framebus", &container()),
            "now: sudo mount -o remount,size=128M /run/framebus\n\
             for good: size=128M among the options of /run/framebus in /etc/fstab\n"
        );
    }

    #[test]
    fn a_directory_that_we_may_not_write_is_a_failure() {
        let mut asked = asked();
        asked.room = Some(Room { free_bytes: 1 << 30, total_bytes: 1 << 30, writable: false });
        let closed = directory(&Machine::new().root(), &asked, &file_demand("/run/framebus"), &host());
        assert_eq!((closed.verdict, closed.found.contains("robot may make nothing there")), (Verdict::Failure, true));
        assert!(closed.commands().starts_with("now: sudo install -d -m 1777 /run/framebus\n"), "{}", closed.commands());
        assert!(closed.commands().contains("'d /run/framebus 1777 root root' | sudo tee -a /etc/tmpfiles.d/"));
    }

    #[test]
    fn a_disk_and_a_containers_own_memory_are_warned_of() {
        let disk = found("", 64, &host());
        assert_eq!((disk.verdict, disk.found.contains("ext4")), (Verdict::Warning, true));
        assert!(disk.commands().contains("directory = \"/dev/shm/framebus\""));
        let own = found(TMPFS, 64, &container());
        assert_eq!(own.verdict, Verdict::Warning);
        assert_eq!(own.commands(), "in a container: docker run -v /dev/shm/framebus:/dev/shm/framebus ...\n");
        let shared = format!("{TMPFS}9 3 0:9 / /dev/shm/framebus rw - tmpfs host rw\n");
        assert_eq!(found(&shared, 64, &container()).verdict, Verdict::Ok);
    }

    #[test]
    fn without_files_nothing_is_needed() {
        let found = directory(&Machine::new().root(), &asked(), &demand("", ""), &host());
        assert_eq!((found.verdict, found.found.as_str()), (Verdict::Ok, "not used: no stream is made of files"));
    }
}
