//! One run: its names, and that nothing of it is left.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Everything that a run makes bears its id. Dropping it removes what its actors did not.
pub struct Run {
    id: String,
    directory: PathBuf,
    links: AtomicU64,
    interrupted: Arc<AtomicBool>,
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
        Ok(Self { id, directory, links: AtomicU64::new(1), interrupted })
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

    /// Names that begin with the run's id, for zenoh's also those of its locks.
    fn leftovers(&self) -> Vec<PathBuf> {
        let names = |directory: &Path| -> Vec<String> {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let locks = names(&self.directory);
        let zenoh = |name: &String| name.ends_with(".zenoh") && locks.contains(name);
        let shm = Path::new("/dev/shm");
        let ours = names(shm).into_iter().filter(|name| name.starts_with(&self.id) || zenoh(name));
        ours.map(|name| shm.join(name)).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for path in self.leftovers() {
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
