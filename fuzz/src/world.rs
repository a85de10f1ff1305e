//! A stream that is overwritten and written back, again and again.

use std::time::Duration;

use framebus::{Backend, Content, Publisher, StreamName, StreamOptions};

use crate::guardian;
use crate::kinds::{self, Kind, ODD_SIZES};
use crate::store::{Part, Store};

/// Headers, words, records and places of these small streams end before this.
const RESTORED_BYTES: usize = 8192;
/// How often it is asked whether somebody still uses a stream.
const RESTORES_A_LOOK: u32 = 32;

/// A stream of the fuzzer's own, and how it was when it was made.
pub struct World<S> {
    pub backend: Backend,
    pub name: StreamName,
    kind: Kind,
    /// `None` where a publisher has just removed it.
    pub store: Option<S>,
    frames: Vec<u8>,
    places: Vec<u8>,
    bytes: [usize; 2],
    /// Whether somebody published since.
    pub published: bool,
    restored: u32,
}

/// One stream of each kind. `clean` is called when this process has ended, however that was.
pub fn all<S: Store>(backend: &Backend, clean: impl FnOnce()) -> Vec<World<S>> {
    let bus = std::env::var("FRAMEBUS_FUZZ_BUS").unwrap_or_else(|_| format!("fuzz-{}", std::process::id()));
    let streams = kinds::streams(backend).into_iter().map(|options| Kind::Stream(Box::new(options)));
    let kinds: Vec<Kind> = streams.chain(ODD_SIZES.map(Kind::Odd)).collect();
    let names: Vec<StreamName> =
        (0..kinds.len()).map(|number| StreamName::new(&bus, &format!("s{number}")).expect("a name")).collect();
    for name in &names {
        assert!(S::open(backend, name).is_none(), "an earlier run left {name} behind, or one goes on");
    }
    guardian::watch(|| {
        names.iter().for_each(|name| S::remove(backend, name));
        clean();
    });
    names.into_iter().zip(kinds).map(|(name, kind)| World::new(backend, name, kind)).collect()
}

impl<S: Store> World<S> {
    fn new(backend: &Backend, name: StreamName, kind: Kind) -> Self {
        let (frames, places) = (Vec::new(), Vec::new());
        let (store, bytes, published, restored) = (None, [0; 2], false, 0);
        let mut world =
            Self { backend: backend.clone(), name, kind, store, frames, places, bytes, published, restored };
        world.make();
        world
    }

    /// The options with which the library made the stream, or could make one in its place.
    pub fn options(&self) -> StreamOptions {
        match &self.kind {
            Kind::Stream(options) => (**options).clone(),
            Kind::Odd(_) => {
                let mut options = StreamOptions::new(Content::Bytes { capacity: 64 });
                options.backend = self.backend.clone();
                options
            }
        }
    }

    /// Makes the stream anew.
    fn make(&mut self) {
        self.store = None;
        S::remove(&self.backend, &self.name);
        let mut options = self.options();
        options.persist = true;
        let mut publisher = Publisher::open(&self.name, &options).expect("a stream");
        for byte in 0..5 {
            let mut loan = publisher.loan().expect("a slot");
            loan.fill(byte);
            loan.publish();
        }
        drop(publisher);
        self.open();
        if let Kind::Odd(bytes) = self.kind {
            // What a stream begins with, and nothing that belongs to it.
            self.remember();
            self.store = None;
            S::remove(&self.backend, &self.name);
            S::make_odd(&self.backend, &self.name, bytes);
            self.open();
            self.write_back();
        }
        self.remember();
    }

    /// Looks for the segments that are now under the name.
    pub fn open(&mut self) {
        self.store = S::open(&self.backend, &self.name);
    }

    fn remember(&mut self) {
        let store = self.store.as_ref().expect("it was just made");
        self.bytes = [store.bytes(Part::Frames), store.bytes(Part::Places)];
        self.frames = vec![0; self.bytes[0].min(RESTORED_BYTES)];
        self.places = vec![0; self.bytes[1].min(RESTORED_BYTES)];
        store.read(Part::Frames, 0, &mut self.frames);
        store.read(Part::Places, 0, &mut self.places);
    }

    fn write_back(&mut self) {
        if let Some(store) = &mut self.store {
            store.write(Part::Frames, 0, &self.frames);
            store.write(Part::Places, 0, &self.places);
        }
    }

    /// Makes it as it was; nobody uses it. Panics where somebody does.
    pub fn restore(&mut self) {
        // What an input leaves adds up, so not each one need be asked.
        if self.restored.is_multiple_of(RESTORES_A_LOOK) {
            self.refuse_use();
        }
        self.restored += 1;
        // Only a publisher makes and removes segments.
        let replaced = std::mem::take(&mut self.published);
        if let Some(store) = &mut self.store
            && (!replaced || store.is_current(&self.backend, &self.name))
        {
            for (part, bytes) in [(Part::Frames, self.bytes[0]), (Part::Places, self.bytes[1])] {
                store.resize(part, bytes);
            }
            self.write_back();
        } else {
            self.make();
        }
    }

    /// Panics where the input that has ended still uses the stream.
    fn refuse_use(&self) {
        let unused = |store: &S| store.is_unused(&self.backend, &self.name);
        // Whoever lists the machine's streams just now has ours attached for a moment.
        for _ in 0..200 {
            if self.store.as_ref().is_none_or(unused) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{} is still used by somebody", self.name);
    }

    /// Whether one of the segments does not say whose it is, so that a publisher asks who uses it.
    pub fn has_blank(&self) -> bool {
        self.store.as_ref().is_none_or(|store| {
            [Part::Frames, Part::Places].into_iter().any(|part| {
                let mut magic = [0; 8];
                store.read(part, 0, &mut magic);
                magic == [0; 8]
            })
        })
    }
}
