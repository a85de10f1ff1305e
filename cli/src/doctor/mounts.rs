//! Which file system a path is on (proc_pid_mountinfo(5)).

use std::path::{Path, PathBuf};

use super::root::Root;

/// A file system that is mounted somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub point: PathBuf,
    /// `tmpfs`, `ext4` …
    pub kind: String,
    /// Its own options, with commas between them.
    pub options: String,
}

/// That of an absolute path, which need not exist; `None` where it can not be known.
pub fn mount_of(root: &Root, path: &Path) -> Option<Mount> {
    let table = root.text("/proc/self/mountinfo")?;
    let mounts = table.lines().filter_map(|line| {
        // 36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue
        let (before, after) = line.split_once(" - ")?;
        let mut system = after.split(' ');
        let (kind, _, options) = (system.next()?, system.next()?, system.next()?);
        let point = before.split(' ').nth(4)?.replace("\\040", " ");
        Some(Mount { point: point.into(), kind: kind.to_owned(), options: options.to_owned() })
    });
    // The longest, and of those at one point the last, which hides the others.
    mounts.filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.as_os_str().len())
}

impl Mount {
    pub fn is_in_memory(&self) -> bool {
        matches!(&*self.kind, "tmpfs" | "ramfs" | "hugetlbfs")
    }

    /// The value of an option `NAME=VALUE`.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Machine;
    use super::*;

    #[test]
    fn the_nearest_mount_counts_and_of_two_the_later() {
        let machine = Machine::new().with(
            "/proc/self/mountinfo",
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 0:5 / /dev rw - devtmpfs dev rw\n\
             3 2 0:6 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k\n\
             4 2 0:7 / /dev/shm rw shared:7 - tmpfs shm rw,huge=advise\n\
             5 1 0:8 / /my\\040disk rw - xfs /dev/sdb rw\n",
        );
        let at = |path: &str| mount_of(&machine.root(), Path::new(path)).unwrap();
        assert_eq!((at("/home/x").kind.as_str(), at("/devices").kind.as_str()), ("ext4", "ext4"));
        assert_eq!(at("/dev/shm/framebus").option("huge"), Some("advise"));
        assert_eq!(at("/my disk/x").kind, "xfs");
        assert_eq!(mount_of(&Machine::new().root(), Path::new("/")), None);
    }
}
