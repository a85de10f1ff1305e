//! Processes: which one this is, for the price of one load, and whether another one is dead.
//!
//! A child shares neither the leases nor the mappings of its parent (`MADV_DONTFORK`), so every handle must do nothing
//! there. getpid(2) would tell, at the price of a system call a frame. Instead, the process's stamp lies on a page that
//! the kernel wipes in a child (`MADV_WIPEONFORK`, madvise(2)).

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::layout::PAGE_BYTES;

/// The process in which a handle was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    word: &'static AtomicU32,
    stamp: u32,
}

impl Process {
    /// The calling process.
    ///
    /// # Errors
    /// The kernel gives no page, or is older than 4.14.
    pub(crate) fn current() -> io::Result<Self> {
        static WORD: OnceLock<&'static AtomicU32> = OnceLock::new();
        let word = match WORD.get() {
            Some(word) => word,
            None => {
                let fresh = wiped_page()?;
                WORD.get_or_init(|| fresh)
            }
        };
        let stamp = std::process::id();
        // Only this process's threads see the page, and all of them store the same.
        word.store(stamp, Ordering::Relaxed);
        Ok(Self { word, stamp })
    }

    /// False in a forked child of the process that made this.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.word.load(Ordering::Relaxed) == self.stamp
    }
}

fn wiped_page() -> io::Result<&'static AtomicU32> {
    // SAFETY: a new private anonymous mapping touches no memory in use. It is never unmapped, so the reference may be
    // 'static; it is zeroed and page aligned, which an AtomicU32 is content with.
    unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), PAGE_BYTES, protection, kind, -1, 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        if libc::madvise(page, PAGE_BYTES, libc::MADV_WIPEONFORK) != 0 {
            let error = io::Error::last_os_error();
            libc::munmap(page, PAGE_BYTES);
            return Err(error);
        }
        Ok(&*page.cast::<AtomicU32>())
    }
}

/// Whether there is provably no process of this id; 0 stands for one of another PID namespace, of which nothing is known.
pub(crate) fn is_dead(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().filter(|&pid| pid > 0) else { return false };
    // SAFETY: signal 0 is sent to nobody (kill(2)).
    let result = unsafe { libc::kill(pid, 0) };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

/// The user that this process acts as.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid can not fail.
    unsafe { libc::geteuid() }
}
