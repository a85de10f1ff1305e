//! System calls: what they are called, and what they said.

use std::fmt;
use std::io;

use crate::error::SystemError;
use crate::steps;

/// A system call that failed, before it is known what it was for.
#[derive(Debug)]
pub(crate) struct CallError {
    pub call: &'static str,
    pub source: io::Error,
}

/// Makes a system call, again where a signal interrupted it.
pub(crate) fn call<T>(name: &'static str, mut run: impl FnMut() -> io::Result<T>) -> Result<T, CallError> {
    loop {
        match steps::call(name).and_then(|()| run()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(CallError { call: name, source }),
            Ok(result) => return Ok(result),
        }
    }
}

/// What a C function that returns -1 for a failure says.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

impl CallError {
    pub(crate) fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Whether what was to be used was removed between two of our calls.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.errno(), Some(libc::EIDRM | libc::EINVAL | libc::ENOENT | libc::ESTALE))
    }

    /// The error of what was being done.
    pub(crate) fn at(action: impl fmt::Display) -> impl FnOnce(Self) -> SystemError {
        let action = action.to_string();
        move |CallError { call, source }| SystemError { action, call, source }
    }
}
