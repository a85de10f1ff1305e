//! The server over real sockets, with streams of the tests' own.

mod support;

#[path = "serving/access.rs"]
mod access;
#[path = "serving/frozen.rs"]
mod frozen;
#[path = "serving/life.rs"]
mod life;
#[path = "serving/limits.rs"]
mod limits;
#[path = "serving/pictures.rs"]
mod pictures;
#[path = "serving/samples.rs"]
mod samples;
#[path = "serving/scripts.rs"]
mod scripts;
