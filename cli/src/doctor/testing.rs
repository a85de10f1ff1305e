//! Machines made up for tests: a tree of files, answers of a kernel, and a config.

use std::path::Path;

use framebus_config::Config;

use super::asked::{Asked, GroupEntry, Room};
use super::demand::Demand;
use super::namespaces::Place;
use super::root::Root;

/// A tree in which nothing stands so far.
pub struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With a file.
    pub fn with(self, path: &str, text: &str) -> Self {
        let path = self.root().path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// With a link, which need not lead anywhere.
    pub fn with_link(self, path: &str, to: &str) -> Self {
        let path = self.root().path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, path).unwrap();
        self
    }

    /// With a directory of a mode.
    pub fn with_directory(self, path: &str, mode: u32) -> Self {
        let path = self.root().path(path);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        self
    }

    /// In the namespaces of the machine itself, or others.
    pub fn with_namespaces(self, ipc: u32, pid: u32) -> Self {
        self.with_link("/proc/self/ns/ipc", &format!("ipc:[{ipc}]"))
            .with_link("/proc/self/ns/pid", &format!("pid:[{pid}]"))
    }

    pub fn root(&self) -> Root {
        Root::at(self.folder.path())
    }
}

/// On the machine itself.
pub fn host() -> Place {
    Place::of(&Machine::new().with_namespaces(0xefff_ffff, 0xefff_fffc).root(), None)
}

/// In a container with namespaces of its own.
pub fn container() -> Place {
    Place::of(&Machine::new().with("/.dockerenv", "").with_namespaces(4_026_532_500, 4_026_532_501).root(), None)
}

/// A user with all rights that are of use.
pub fn asked() -> Asked {
    Asked {
        uid: 1000,
        gid: 1000,
        groups: vec![44],
        user: "robot".to_owned(),
        group: Some(GroupEntry { name: "video".to_owned(), id: 44, members: vec!["robot".to_owned()] }),
        memlock_bytes: None,
        memlock_most_bytes: None,
        rtprio: Some(99),
        realtime: Ok(()),
        waitv: Ok(()),
        timer_ns: 1,
        room: Some(Room { free_bytes: 8 << 30, total_bytes: 8 << 30, writable: true }),
    }
}

/// What a config asks for: the rest of its `[bus]`, and of one stream of 18 slots of 1 MiB.
pub fn demand(bus: &str, stream: &str) -> Demand {
    let text = format!("[bus]\nname = \"lab\"\n{bus}\n[streams.camera]\nsize = 1_048_576\n{stream}\n");
    Demand::of(&Config::parse(&text, "lab.toml").unwrap_or_else(|error| panic!("{error}"))).unwrap()
}

pub fn file_demand(directory: &str) -> Demand {
    assert!(Path::new(directory).is_absolute());
    demand(&format!("backend = \"file\"\ndirectory = \"{directory}\""), "")
}
