//! The atomics of the slot protocol, in one place.
//!
//! `slots.rs`, `keep.rs` and `ring.rs` take their atomics from here. The crate `bus/model` compiles the very same files against a
//! `sync` of loom's atomics, so what is model-checked is the code that
//! runs, not a copy of it.

pub(crate) use std::sync::Arc;
/// A word whose stores are no steps of tests: one in this process's own memory, or one of an account, a ring or a histogram, on which
/// nothing rests. To be killed between two of those costs a count or an event.
pub(crate) use std::sync::atomic::AtomicU64 as PlainU64;
pub(crate) use std::sync::atomic::Ordering;
#[cfg(not(feature = "steps"))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(feature = "steps")]
pub(crate) use stepping::{AtomicU32, AtomicU64};

/// Atomics of which every store is a numbered step, so that none can be forgotten.
#[cfg(feature = "steps")]
mod stepping {
    use super::Ordering;
    use crate::steps;

    macro_rules! stepping {
        ($name:ident, $number:ty) => {
            #[derive(Debug, Default)]
            #[repr(transparent)]
            pub(crate) struct $name(std::sync::atomic::$name);

            impl $name {
                pub(crate) fn load(&self, order: Ordering) -> $number {
                    self.0.load(order)
                }

                pub(crate) fn store(&self, value: $number, order: Ordering) {
                    steps::store(concat!(stringify!($name), " store"));
                    self.0.store(value, order);
                }

                pub(crate) fn fetch_add(&self, value: $number, order: Ordering) -> $number {
                    steps::store(concat!(stringify!($name), " add"));
                    self.0.fetch_add(value, order)
                }

                #[allow(dead_code)] // of one of the two
                pub(crate) fn compare_exchange(
                    &self,
                    current: $number,
                    new: $number,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$number, $number> {
                    steps::store(concat!(stringify!($name), " compare and exchange"));
                    self.0.compare_exchange(current, new, success, failure)
                }

                #[allow(dead_code)] // of one of the two
                pub(crate) fn as_ptr(&self) -> *mut $number {
                    self.0.as_ptr()
                }
            }
        };
    }

    stepping!(AtomicU32, u32);
    stepping!(AtomicU64, u64);
}

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
