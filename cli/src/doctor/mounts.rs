//! Which file system a path is on (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
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
    let table = root.bytes("/proc/self/mountinfo")?;
    let mounts = table.split(|byte| *byte == b'\n').filter_map(mount);
    // The longest, and of those at one point the last, which hides the others.
    mounts.filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.as_os_str().len())
}

/// A line: `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue`.
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let point = unescaped(fields.get(4)?);
    let dash = fields.iter().position(|field| *field == b"-")?;
    let text = |at: usize| fields.get(at).map(|field| String::from_utf8_lossy(field).into_owned());
    Some(Mount { point: OsString::from_vec(point).into(), kind: text(dash + 1)?, options: text(dash + 3)? })
}

/// White space and the like stand there as a backslash and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
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
    use std::os::unix::ffi::OsStrExt;

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

    #[test]
    fn names_of_any_bytes_are_read_and_hide_no_others() {
        let machine = Machine::new().with("/proc/self/mountinfo", "");
        let table = [
            &b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"[..],
            b"2 1 0:5 / /caf\xe9 rw - xfs caf\xe9 rw\n",
            b"3 1 0:6 / /tab\\011new\\012back\\134slash\\043 rw - tmpfs x rw\n",
            b"4 1 0:7 / /odd\\9\\ rw - btrfs x rw\n",
        ];
        std::fs::write(machine.root().path("/proc/self/mountinfo"), table.concat()).unwrap();
        let at = |path: &[u8]| mount_of(&machine.root(), Path::new(std::ffi::OsStr::from_bytes(path))).unwrap().kind;
        assert_eq!((at(b"/home"), at(b"/caf\xe9/x")), ("ext4".to_owned(), "xfs".to_owned()));
        assert_eq!((at(b"/tab\tnew\nback\\slash#/x"), at(b"/odd\\9\\/x")), ("tmpfs".to_owned(), "btrfs".to_owned()));
    }
}
