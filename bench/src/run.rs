//! One run: its names, and that nothing of it is left.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SHARED_MEMORY: &str = "/dev/shm";
/// How the names of zenoh's segments end.
const ZENOH: &str = ".zenoh";

/// Everything that a run makes bears its id (but for zenoh's segments). Dropping it removes what its actors did not.
pub struct Run {
    id: String,
    directory: PathBuf,
    links: AtomicU64,
    interrupted: Arc<AtomicBool>,
    /// What was in shared memory before.
    older: Vec<String>,
}

impl Run {
    /// Begins one.
    pub fn begin() -> Result<Self> {
        let id = format!("fbb{}", std::process::id());
        // Short: socket addresses hold 107 bytes (unix(7)).
        let directory = PathBuf::from("/tmp").join(&id);
        fs::create_dir(&directory).with_context(|| format!("making {}", directory.display()))?;
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, interrupted.clone())?;
        }
        Ok(Self { id, directory, links: AtomicU64::new(1), interrupted, older: shared_memory() })
    }

    /// What every name begins with.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The run's own directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A name for the next measurement.
    pub fn next_link(&self) -> String {
        format!("m{}", self.links.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether somebody wants the run to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// What is in shared memory by the run's name.
    fn leftovers(&self) -> Vec<PathBuf> {
        shared_memory().into_iter().filter(|name| name.starts_with(&self.id)).map(in_shared_memory).collect()
    }

    /// zenoh's segments have names of its own. Those that came during the run, and that nobody has locked any more, are
    /// orphans; zenoh itself would remove them when it is started the next time.
    fn orphans_of_zenoh(&self) -> Vec<PathBuf> {
        let is_new = |name: &String| name.ends_with(ZENOH) && !self.older.contains(name);
        let is_free = |path: &PathBuf| fs::File::open(path).is_ok_and(|file| file.try_lock().is_ok());
        shared_memory().into_iter().filter(is_new).map(in_shared_memory).filter(is_free).collect()
    }
}

fn shared_memory() -> Vec<String> {
    let entries = fs::read_dir(SHARED_MEMORY).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn in_shared_memory(name: String) -> PathBuf {
    Path::new(SHARED_MEMORY).join(name)
}

impl Drop for Run {
    fn drop(&mut self) {
        for path in self.leftovers().into_iter().chain(self.orphans_of_zenoh()) {
            // Whoever made it may be quicker.
            let _ = fs::remove_file(path);
        }
        let _ = fs::remove_dir_all(&self.directory);
        let backend = framebus::Backend::default();
        for stream in framebus::list(&backend).unwrap_or_default() {
            if stream.name.bus() == self.id {
                let _ = framebus::remove(&backend, &stream.name, true);
            }
        }
    }
}
