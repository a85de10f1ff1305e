//! What the machine itself takes: no bus can be quicker.

pub mod shared_page;
pub mod single;
