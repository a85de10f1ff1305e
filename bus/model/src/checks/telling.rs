//! Events: one writes, and another one reads what it can get.

use loom::sync::Arc;
use loom::thread;

use super::super::ring::Ring;
use crate::explore::{Size, explore};
use crate::layout::{EVENT_WORDS, EventWords};
use crate::sync::PlainU64;

struct Memory {
    head: PlainU64,
    events: Vec<EventWords>,
}

impl Memory {
    fn new(len: usize) -> Self {
        let event = |_| EventWords(std::array::from_fn(|_| PlainU64::new(0)));
        Self { head: PlainU64::new(0), events: (0..len).map(event).collect() }
    }

    fn ring(&self) -> Ring<'_> {
        Ring { head: &self.head, events: &self.events }
    }
}

/// Event n has the word n + 1 all over: who hands out half of one is noticed. The size's history is the ring's length.
pub(crate) fn an_event_is_read_whole_or_counted_as_lost() {
    for (len, events, reads) in [(2, 3, 2), (3, 4, 2)] {
        explore("events", Size::new(0, len, 1, events, reads), Some(3), |size| {
            let memory = Arc::new(Memory::new(size.history));
            let reader = {
                let memory = memory.clone();
                thread::spawn(move || {
                    let (mut next, mut last) = (0, 0);
                    for _ in 0..size.reads {
                        let (mut seen, from) = (0, next);
                        let (end, lost) = memory.ring().read(from, |event| {
                            assert_eq!(event, [event[0]; EVENT_WORDS], "half of an event");
                            assert!(event[0] > last, "an event was read again");
                            (last, seen) = (event[0], seen + 1);
                        });
                        assert_eq!(seen + lost, end - from, "an event is neither read nor lost");
                        next = end;
                    }
                })
            };
            for event in 0..size.frames {
                memory.ring().write([event + 1; EVENT_WORDS]);
            }
            reader.join().unwrap();
            let (_, lost) = memory.ring().read(0, |_| {});
            assert_eq!(
                lost,
                size.frames + 1 - size.history as u64,
                "nobody writes any more, so all that has room is there"
            );
        });
    }
}
