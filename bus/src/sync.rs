//! The atomics of the slot protocol, in one place.
//!
//! `slots.rs` and `keep.rs` take their atomics from here. The crate `bus/model` compiles the very same files against a
//! `sync` of loom's atomics, so what is model-checked is the code that
//! runs, not a copy of it.

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// `std::sync::atomic::fence`, with the cheaper of the two instructions that make a full fence on x86-64.
///
/// Rust compiles `fence(SeqCst)` to `mfence` there. A locked instruction orders ordinary memory just as well (Intel SDM
/// volume 3, 9.2.3.9; it is what Linux's `smp_mb` and GCC's `__sync_synchronize` are), in about half the time.
#[inline(always)]
pub(crate) fn fence(order: Ordering) {
    #[cfg(target_arch = "x86_64")]
    if order == Ordering::SeqCst {
        // SAFETY: adds nothing to a word below the stack pointer, in the red zone, which keeps its value. Without
        // `nomem` the compiler moves no access to memory across it.
        unsafe { std::arch::asm!("lock or dword ptr [rsp - 4], 0") };
        return;
    }
    std::sync::atomic::fence(order);
}
