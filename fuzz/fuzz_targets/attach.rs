//! System V segments with anything in them.
#![no_main]

use std::cell::RefCell;

use framebus::Backend;
use framebus_fuzz::{seeds, session, store::SysV, world};

thread_local! {
    static WORLDS: RefCell<Vec<world::World<SysV>>> = RefCell::new(world::all(&Backend::SysV, || {}));
}

libfuzzer_sys::fuzz_target!(
    init: {
        seeds::plant("attach", &seeds::sessions());
        WORLDS.with(|_| {});
    },
    |data: &[u8]| WORLDS.with_borrow_mut(|worlds| session::run(worlds, data))
);
