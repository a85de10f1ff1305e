//! Files with anything in them, of any length.
#![no_main]

use std::cell::RefCell;
use std::path::PathBuf;

use framebus::Backend;
use framebus_fuzz::{seeds, session, store::Files, world};

fn worlds() -> Vec<world::World<Files>> {
    let directory = PathBuf::from(format!("/dev/shm/framebus-fuzz-{}", std::process::id()));
    let backend = Backend::File { directory: directory.clone() };
    world::all(&backend, move || {
        let _ = std::fs::remove_dir_all(directory);
    })
}

thread_local! {
    static WORLDS: RefCell<Vec<world::World<Files>>> = RefCell::new(worlds());
}

libfuzzer_sys::fuzz_target!(
    init: {
        seeds::plant("files", &seeds::sessions());
        WORLDS.with(|_| {});
    },
    |data: &[u8]| WORLDS.with_borrow_mut(|worlds| session::run(worlds, data))
);
