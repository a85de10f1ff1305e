//! Removes what a fuzzer leaves, however it ends.
//!
//! A target that finds a crash ends in `_exit`, and one that hangs is killed: neither runs destructors. So a child of the
//! target waits until its parent is gone, and removes what is left then. It shares the parent's standard output, so
//! whoever reads that through a pipe sees its end only behind the removal.

use std::io;

/// Starts the child; call it before there is any other thread. `clean` must not touch what other processes made.
pub fn watch(clean: impl FnOnce()) {
    let mut ends = [0; 2];
    // SAFETY: pipe2 fills two descriptors, and the rest takes plain integers. The child of a process with one thread may do
    // whatever it wants, and it never returns from here.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0, "{}", io::Error::last_os_error());
        match libc::fork() {
            -1 => panic!("fork: {}", io::Error::last_os_error()),
            0 => {
                // Ctrl-C is for the fuzzer; its end is what counts here.
                for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                    libc::signal(signal, libc::SIG_IGN);
                }
                libc::close(ends[1]);
                // Nothing is ever written: this returns when the last holder of the other end, the parent, is gone.
                while libc::read(ends[0], [0_u8; 1].as_mut_ptr().cast(), 1) == -1 {}
                clean();
                libc::_exit(0);
            }
            // The writing end is left open for as long as this process lives.
            _ => libc::close(ends[0]),
        };
    }
}
