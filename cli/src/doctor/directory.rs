//! The directory of the file backend: its file system's room, whether it is in memory, and whether others have it, too.

use std::path::Path;

use super::asked::{Asked, Room};
use super::demand::Demand;
use super::finding::Finding;
use super::mounts::{Mount, mount_of};
use super::namespaces::Place;
use super::root::Root;
use crate::top::format::memory as words;

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
        .figure("taken_already_bytes", ours);
    let mount = mount_of(root, directory);
    let point = mount.as_ref().map_or(directory, |mount| &mount.point).display();
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
    if total_bytes != 0 && free_bytes.saturating_add(ours) < needed {
        let mib = (total_bytes - free_bytes.min(total_bytes) + needed - ours.min(needed)).div_ceil(1 << 20);
        let mib = mib.next_power_of_two();
        let in_memory = mount.as_ref().is_none_or(Mount::is_in_memory);
        return finding
            .failure(format!("{found}, {} needed", words(needed)))
            .remedy_if(place.container.is_some(), "in a container", format!("docker run --shm-size={mib}m ..."))
            .remedy_if(in_memory, "now", format!("sudo mount -o remount,size={mib}M {point}"))
            .remedy_if(
                in_memory,
                "for good",
                format!("tmpfs {point} tmpfs size={mib}M,mode=1777 0 0   (in /etc/fstab)"),
            )
            .remedy_if(!in_memory, "config", "directory = \"/dev/shm/framebus\"");
    }
    match mount {
        Some(mount) if !mount.is_in_memory() => finding
            .warning(format!("{found}, but on {} ({}): frames are written to disk", mount.kind, mount.point.display()))
            .remedy("config", "directory = \"/dev/shm/framebus\"")
            .remedy("or mount one", format!("sudo mount -t tmpfs -o size=50%,mode=1777 none {shown}")),
        // What a container has mounted there by itself, nobody else has.
        Some(mount) if place.container.is_some() && place.has_own_ipc() && is_private(&mount) => finding
            .warning(format!("{found}, but {} is this container's own", mount.point.display()))
            .remedy("in a container", format!("docker run -v {shown}:{shown} ...")),
        _ => finding.ok(found),
    }
}

fn is_private(mount: &Mount) -> bool {
    mount.point == Path::new("/dev/shm") || mount.point == Path::new("/")
}

/// What the files of these streams take already.
fn files_bytes(root: &Root, directory: &Path, demand: &Demand) -> u64 {
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
        assert_eq!(directory(&machine.root(), &asked, &demand, &host()).verdict, Verdict::Ok);
        asked.room = Some(Room { free_bytes: 0, total_bytes: 0, writable: true });
        assert_eq!(directory(&Machine::new().root(), &asked, &demand, &host()).found, "/dev/shm/framebus: no limit");
        asked.room = None;
        assert_eq!(directory(&Machine::new().root(), &asked, &demand, &host()).verdict, Verdict::NotChecked);
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
