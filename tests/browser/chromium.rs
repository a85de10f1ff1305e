//! A Chromium without a window, of our own, shared by the tests that run at a time. It ends with the last of them.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::harness::eventually;

/// A running browser.
pub struct Chromium {
    child: Child,
    /// Of the DevTools protocol, on 127.0.0.1.
    pub port: u16,
    /// The path of its WebSocket that is for the browser as a whole.
    pub path: String,
    /// Its profile, and what it downloads. Dropped behind the process.
    folder: TempDir,
}

static SHARED: Mutex<Weak<Chromium>> = Mutex::new(Weak::new());

impl Chromium {
    /// The one that runs, or a new one. `None`, with a word, where none is installed.
    pub fn shared() -> Option<Arc<Self>> {
        // A test that failed while it started one has left nothing behind.
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let Some(program) = program() else {
            eprintln!("skipped: there is no chromium, chromium-browser or google-chrome, and none in $CHROMIUM");
            return None;
        };
        let chromium = Arc::new(Self::start(program));
        *shared = Arc::downgrade(&chromium);
        Some(chromium)
    }

    fn start(program: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("framebus-browser-").tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]);
        // No request but ours leaves it.
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        // Pages that are not in front are drawn all the same: several tests share it.
        command.args(["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows"]);
        command.args(["--disable-renderer-backgrounding", "--hide-scrollbars"]);
        command.arg(format!("--user-data-dir={}", folder.path().join("profile").display())).arg("about:blank");
        // A group of its own, so that all its processes can be ended by its id.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut chromium = Self { child: command.spawn().unwrap(), port: 0, path: String::new(), folder };
        let told = chromium.folder.path().join("profile/DevToolsActivePort");
        (chromium.port, chromium.path) = eventually("chromium tells its port", || {
            let text = std::fs::read_to_string(&told).ok()?;
            let (port, path) = text.split_once('\n')?;
            Some((port.parse().ok()?, path.trim().to_owned()))
        });
        chromium
    }

    /// Where a page may put its downloads; no other page uses the name.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("CHROMIUM") {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file()))
}
