//! Numbered steps, for tests alone: every store to shared memory and every system call is one.
//!
//! With the feature `steps` (which only the package in `bus/steps` has) a test can end its process at any of them, or let a
//! system call fail there. Without it, nothing of this is there.

#[cfg(feature = "steps")]
pub use taken::{Step, take_from, taken};
#[cfg(feature = "steps")]
pub(crate) use taken::{call, store};

/// Before a system call.
#[cfg(not(feature = "steps"))]
#[inline(always)]
pub(crate) fn call(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

/// Before a store to shared memory that is not one of `sync`'s atomics.
#[cfg(not(feature = "steps"))]
#[inline(always)]
pub(crate) fn store(_what: &'static str) {}

#[cfg(feature = "steps")]
mod taken {
    use std::cell::RefCell;
    use std::io;

    /// What shall happen at a step.
    #[derive(Clone, Copy, Debug)]
    pub enum Step {
        /// Nothing: they are only noted.
        Note,
        /// At the step of this number, from 1, the process ends, as by `kill -9`.
        Die(usize),
        /// The system call that is the step of this number fails with this error; other steps do not mind.
        Fail(usize, i32),
    }

    thread_local! {
        // Only the thread that asked for it: others go on undisturbed, and the numbers do not depend on them.
        static TAKEN: RefCell<Option<(Step, Vec<String>)>> = const { RefCell::new(None) };
    }

    /// From here on, this thread's steps are numbered.
    pub fn take_from(step: Step) {
        TAKEN.with(|taken| *taken.borrow_mut() = Some((step, Vec::new())));
    }

    /// The steps since, by name; system calls end in `()`. Ends the numbering.
    pub fn taken() -> Vec<String> {
        TAKEN.with(|taken| taken.borrow_mut().take()).map_or(Vec::new(), |(_, names)| names)
    }

    fn next(name: String) -> Option<i32> {
        TAKEN.with(|taken| {
            let mut taken = taken.borrow_mut();
            let (step, names) = taken.as_mut()?;
            names.push(name);
            match *step {
                Step::Die(number) if number == names.len() => {
                    // SAFETY: kill and getpid take plain integers. A signal to oneself is delivered before kill returns.
                    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
                    unreachable!("SIGKILL is not survived");
                }
                Step::Fail(number, errno) if number == names.len() => Some(errno),
                _ => None,
            }
        })
    }

    pub(crate) fn call(name: &'static str) -> io::Result<()> {
        match next(format!("{name}()")) {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }

    pub(crate) fn store(what: &'static str) {
        next(what.to_owned());
    }
}
