//! The checks, by subject. `build.rs` compiles each file a second time for every fault that one of its checks must notice,
//! with the file that has the fault in the place of the right one.

pub(crate) mod dying;
pub(crate) mod keeping;
pub(crate) mod lossless;
pub(crate) mod observing;
pub(crate) mod reading;
pub(crate) mod succeeding;
pub(crate) mod telling;
pub(crate) mod waiting;
