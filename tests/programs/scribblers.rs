//! Actors that write where they may and should not, and one that suffers it and keeps account.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use framebus::{AcquireError, Backend, Frame, PublisherState, StreamName, Subscriber, mark};
use serde_json::json;

use crate::actor::{say, stop_here};
use crate::backend;
use crate::harness::{attach, subscriber_options};

/// docs/layout.md: the first word of a places segment that changes after its creation, and the first place.
pub const CARRIED: usize = 160;
pub const PLACES: usize = 256;
const PLACE_BYTES: usize = 256;

/// The places segment of a stream, to be written by anybody.
pub fn places_of(name: &StreamName) -> &'static [AtomicU64] {
    let (base, bytes) = match backend() {
        Backend::File { directory } => {
            let path = directory.join(name.bus()).join(name.stream()).join("places");
            let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
            let (bytes, fd) = (file.metadata().unwrap().len() as usize, std::os::fd::AsRawFd::as_raw_fd(&file));
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: the kernel chooses the address.
            (unsafe { libc::mmap(std::ptr::null_mut(), bytes, rights, libc::MAP_SHARED, fd, 0) }, bytes)
        }
        _ => {
            // SAFETY: plain integers; IPC_STAT fills its buffer; the kernel chooses the address.
            unsafe {
                let id = libc::shmget(name.places_key(), 0, 0);
                let mut status: libc::shmid_ds = std::mem::zeroed();
                assert_eq!(libc::shmctl(id, libc::IPC_STAT, &mut status), 0);
                (libc::shmat(id, std::ptr::null(), 0), status.shm_segsz)
            }
        }
    };
    assert_ne!(base as isize, -1, "{}", std::io::Error::last_os_error());
    // SAFETY: so many bytes are mapped there, page aligned, until the process ends; any word is an integer.
    unsafe { std::slice::from_raw_parts(base.cast(), bytes / 8) }
}

/// xorshift64*: words without a pattern.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Any number, or one that means something in a pin: none, "the newest", a slot.
    fn word(&mut self, slots: u32) -> u64 {
        let small = |bits: u64| bits % u64::from(slots + 3);
        match self.next() % 4 {
            0 => self.next(),
            _ => small(self.next()) << 32 | small(self.next()),
        }
    }
}

/// Part of an actor: overwrites all that is not needed to find the places (`all`), all of it (`header`), or the place
/// that it has itself (`own`), for ever.
pub fn scribble(name: &StreamName, what: &str) {
    let words = places_of(name);
    let mut settings = subscriber_options();
    settings.label = "scribbler".to_owned();
    let mut subscriber = (what == "own").then(|| Subscriber::attach_with(name, settings).unwrap());
    let slots = framebus::list(&backend()).unwrap().into_iter().find(|stream| stream.name == *name);
    let stream = slots.unwrap();
    let range = match what {
        "all" => CARRIED..words.len() * 8,
        "header" => 0..PLACES,
        _ => {
            let own = stream.subscribers.iter().find(|found| found.holder.label == "scribbler").unwrap();
            let start = PLACES + own.holder.place * PLACE_BYTES;
            start..start + PLACE_BYTES
        }
    };
    let mut random = Random(std::process::id().into());
    let until = Instant::now() + Duration::from_secs(60);
    for round in 0_u64.. {
        for word in &words[range.start / 8..range.end / 8] {
            word.store(random.word(stream.geometry.slots() as u32), Relaxed);
        }
        if round == 0 {
            say(&json!({ "at": 0 }));
        }
        // It goes on using the library, as a program with a stray pointer does.
        if let Some(subscriber) = &mut subscriber {
            let _ = subscriber.latest();
        }
        if what == "header" {
            stop_here(1);
        }
        if round % 1000 == 0 && Instant::now() > until {
            std::process::exit(1);
        }
    }
}

/// What a viewer of a stream with hostile neighbours has seen.
#[derive(Clone, Copy, Default)]
struct Account {
    /// Frames that were right.
    verified: u64,
    /// Frames that were wrong or changed, and said so when asked.
    voided: u64,
    /// Frames that were wrong or changed, and said that they were not.
    silent: u64,
    /// Acquisitions that were given up because another process had written to the pin.
    overwritten: u64,
}

impl Account {
    fn report(self) {
        let Account { verified, voided, silent, overwritten } = self;
        say(&json!({ "verified": verified, "voided": voided, "silent": silent, "overwritten": overwritten }));
    }

    fn look_at(&mut self, frame: &Frame) {
        let (copy, sequence) = (frame.to_vec(), frame.info().sequence);
        match (mark::verify(&copy, sequence).is_ok(), frame.is_intact()) {
            (true, _) => self.verified += 1,
            (false, false) => self.voided += 1,
            (false, true) => self.silent += 1,
        }
    }
}

/// Part of an actor: a viewer that does as it should, and takes account, until the stream is closed.
pub fn view(name: &StreamName) {
    let mut subscriber = attach(name).unwrap();
    let (mut account, mut held) = (Account::default(), None::<(Frame, Vec<u8>)>);
    let mut next_report = Instant::now();
    for round in 0_u64.. {
        if Instant::now() >= next_report {
            next_report += Duration::from_millis(50);
            account.report();
        }
        if !subscriber.wait(Instant::now() + Duration::from_millis(20)).unwrap() {
            if subscriber.publisher() == PublisherState::Closed {
                return account.report();
            }
            continue;
        }
        let taken = if round % 2 == 0 { subscriber.latest() } else { subscriber.next() };
        match taken {
            Ok(Some(frame)) => {
                account.look_at(&frame);
                // One in eight is held while the publisher goes on.
                if round % 8 == 0
                    && let Some((frame, bytes)) = held.replace((frame, Vec::new()))
                    && !bytes.is_empty()
                    && *frame != bytes[..]
                {
                    match frame.is_intact() {
                        true => account.silent += 1,
                        false => account.voided += 1,
                    }
                }
                if let Some((frame, bytes)) = &mut held
                    && bytes.is_empty()
                {
                    let copy = frame.to_vec();
                    if frame.is_intact() {
                        *bytes = copy;
                    }
                }
            }
            Ok(None) => {}
            Err(AcquireError::Overwritten { .. }) => account.overwritten += 1,
            Err(other) => panic!("{other}"),
        }
    }
}
