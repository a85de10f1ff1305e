//! The files by which a kernel tells of itself, below a root that may be a prepared tree.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The kernel's first user namespace (`PROC_USER_INIT_INO` in linux/proc_ns.h).
const FIRST_USER: &str = "user:[4026531837]";

/// Where `/` is.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// This machine's.
    pub fn machine() -> Self {
        Self::at("/")
    }

    /// A tree that looks like one.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where an absolute path is.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// What a file has, without white space around it; `None` where it can not be read. Names of files in it may be of any bytes:
    /// those that are no UTF-8 are replaced.
    pub fn text(&self, file: impl AsRef<Path>) -> Option<String> {
        Some(String::from_utf8_lossy(&self.bytes(file)?).trim().to_owned())
    }

    /// The same as it is.
    pub fn bytes(&self, file: impl AsRef<Path>) -> Option<Vec<u8>> {
        std::fs::read(self.path(file)).ok()
    }

    /// The number that a file has.
    pub fn number<T: FromStr>(&self, file: impl AsRef<Path>) -> Option<T> {
        self.text(file)?.parse().ok()
    }

    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Where a link leads.
    pub fn link(&self, path: impl AsRef<Path>) -> Option<String> {
        Some(std::fs::read_link(self.path(path)).ok()?.to_string_lossy().into_owned())
    }

    /// Names in a directory, in their order; none where there is no such directory.
    pub fn names(&self, directory: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(directory)) else { return Vec::new() };
        let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The value of a line `NAME: VALUE` of a file such as `/proc/self/status` or `/proc/meminfo`.
    pub fn field(&self, file: impl AsRef<Path>, name: &str) -> Option<String> {
        let text = self.text(file)?;
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Some(values.next()?.trim().to_owned())
    }

    /// The same, where it is in kB: in bytes.
    pub fn field_bytes(&self, file: impl AsRef<Path>, name: &str) -> Option<u64> {
        self.field(file, name)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    }

    /// Bytes of a page, as the mappings of this process have it.
    pub fn page_bytes(&self) -> u64 {
        self.field_bytes("/proc/self/smaps", "KernelPageSize").unwrap_or(4096)
    }

    /// Whether this process has a capability, by its number (capabilities(7)). In a user namespace of its own (rootless
    /// containers) it has them over that alone, so for the machine it has none.
    pub fn has_capability(&self, number: u32) -> bool {
        if self.link("/proc/self/ns/user").is_some_and(|link| link != FIRST_USER) {
            return false;
        }
        let set = self.field("/proc/self/status", "CapEff").and_then(|hex| u64::from_str_radix(&hex, 16).ok());
        set.is_some_and(|set| set >> number & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Machine;

    #[test]
    fn capabilities_of_a_user_namespace_do_not_count() {
        let machine = |user: &str| {
            Machine::new()
                .with("/proc/self/status", "CapEff:\t0000000000800000\n")
                .with_link("/proc/self/ns/user", user)
        };
        let first = machine("user:[4026531837]");
        assert_eq!([22, 23].map(|number| first.root().has_capability(number)), [false, true]);
        assert!(!machine("user:[4026532000]").root().has_capability(23));
    }

    #[test]
    fn fields_are_read_by_their_whole_name_and_with_their_unit() {
        let machine = Machine::new().with("/proc/meminfo", "MemAvailableX: 1 kB\nMemAvailable:  2 kB\nPages: 3\n");
        let bytes = |name| machine.root().field_bytes("/proc/meminfo", name);
        assert_eq!((bytes("MemAvailable"), bytes("Pages"), bytes("None")), (Some(2048), None, None));
        assert_eq!(machine.root().page_bytes(), 4096, "where nothing tells");
        let large = Machine::new().with("/proc/self/smaps", "0-1 r\nKernelPageSize:       64 kB\n");
        assert_eq!(large.root().page_bytes(), 65536);
    }
}
