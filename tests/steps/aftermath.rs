//! What is there before a scene, and what must be true after it, however it ended.

use std::time::{Duration, Instant};

use framebus::*;

use crate::scenes::Before;

pub const HISTORY: u32 = 2;
pub const MAX_SUBSCRIBERS: u32 = 3;
pub const MAX_HELD: u32 = 2;
/// Frames that are published before a scene.
const FRAMES: u64 = 3;

/// The stage of one scene: a stream of its own, and who was there before.
pub struct Stage {
    pub backend: Backend,
    pub name: StreamName,
    publisher: Option<Publisher>,
    bystander: Option<Bystander>,
}

/// Reads the stream before and after, and keeps a frame all the time.
struct Bystander {
    subscriber: Subscriber,
    held: Frame,
    last: u64,
}

fn options(backend: &Backend, waits: bool) -> StreamOptions {
    let mut options = StreamOptions::new(Content::Bytes { capacity: 64 });
    options.backend = backend.clone();
    (options.history, options.max_subscribers, options.max_held) = (HISTORY, MAX_SUBSCRIBERS, MAX_HELD);
    if waits {
        options.on_full = OnFull::Wait(Duration::from_secs(20));
    }
    options
}

fn attach(backend: &Backend, name: &StreamName) -> Result<Subscriber, AttachError> {
    let mut options = SubscriberOptions::default();
    options.backend = backend.clone();
    Subscriber::attach_with(name, options)
}

fn publish(publisher: &mut Publisher) -> u64 {
    let mut loan = publisher.loan().expect("a slot is always free");
    let sequence = loan.sequence();
    loan.fill(sequence as u8);
    loan.publish()
}

fn is_whole(frame: &Frame) -> bool {
    frame.iter().all(|&byte| byte == frame.info().sequence as u8)
}

impl Stage {
    pub fn prepare(before: Before, backend: &Backend, name: StreamName) -> Self {
        let mut stage = Self { backend: backend.clone(), name, publisher: None, bystander: None };
        if before == Before::Nothing {
            return stage;
        }
        let mut options = options(backend, before == Before::WaitingStream);
        options.persist = before == Before::Orphan;
        let mut publisher = Publisher::open(&stage.name, &options).unwrap();
        for _ in 0..FRAMES {
            publish(&mut publisher);
        }
        let mut subscriber = attach(backend, &stage.name).unwrap();
        let held = subscriber.latest().unwrap().unwrap();
        stage.bystander = Some(Bystander { subscriber, held, last: FRAMES });
        stage.publisher = (before != Before::Orphan).then_some(publisher);
        stage
    }

    /// Whoever was there goes on, a successor works, and then nothing is left. `published` is what the dead one has
    /// certainly published; `closed`: it may have closed or removed the stream.
    pub fn check_with_successor(mut self, published: u64, closed: bool) {
        self.look();
        // Behind a closed stream, a second victim may have begun anew, and what the bystander had says nothing.
        let had = self.bystander.as_ref().filter(|_| !closed).map_or(0, |bystander| bystander.last);
        let known = published.max(had);
        let mut publisher = match self.publisher.take() {
            Some(publisher) => publisher,
            None => {
                Publisher::open(&self.name, &options(&self.backend, false)).expect("a successor can open the stream")
            }
        };
        let first = publish(&mut publisher);
        assert!(first > known || (closed && first == 1), "sequence {first} after {known}");
        // Every place can be had, every slot can be held, and the publisher goes on.
        let others = MAX_SUBSCRIBERS as usize - usize::from(self.bystander.is_some());
        let mut subscribers: Vec<_> =
            (0..others).map(|_| attach(&self.backend, &self.name).expect("every place is free")).collect();
        subscribers.extend(self.bystander.take().map(|bystander| bystander.move_on(first, closed)));
        let mut held = Vec::new();
        for _ in 0..MAX_HELD {
            publish(&mut publisher);
            for subscriber in &mut subscribers {
                held.extend(subscriber.latest().unwrap_or_else(|error| panic!("{error}")));
            }
        }
        for _ in 0..20 {
            publish(&mut publisher);
        }
        assert_eq!(held.len(), (MAX_SUBSCRIBERS * MAX_HELD) as usize);
        assert!(held.iter().all(is_whole), "a held frame changed");
        drop((held, subscribers, publisher));
        assert_eq!(left_of(&self.backend, &self.name), Vec::<String>::new());
    }

    /// What was there before a scene is there as it was.
    pub fn check_unchanged(&self, before: Before) {
        self.look();
        let found = list(&self.backend).unwrap().into_iter().find(|found| found.name == self.name);
        let last = found.map(|found| (found.last_sequence, found.publisher));
        let expected = match before {
            Before::Nothing => None,
            Before::Orphan => Some((FRAMES, PublisherState::Gone)),
            Before::Stream | Before::WaitingStream => Some((FRAMES, PublisherState::Alive)),
        };
        assert_eq!(last, expected);
    }

    /// Nobody comes after; who was there has gone, and `framebus rm` leaves nothing.
    pub fn check_with_removal(mut self) {
        self.look();
        drop(self.bystander.take());
        drop(self.publisher.take());
        match remove(&self.backend, &self.name, false) {
            Ok(()) | Err(RemoveError::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert_eq!(left_of(&self.backend, &self.name), Vec::<String>::new());
    }

    /// Everything can be looked at, and what is held is as it was.
    fn look(&self) {
        list(&self.backend).unwrap();
        if let Some(bystander) = &self.bystander {
            assert!(is_whole(&bystander.held), "a held frame changed");
        }
        match attach(&self.backend, &self.name) {
            Ok(mut subscriber) => {
                let newest = subscriber.latest().unwrap();
                assert!(newest.is_none_or(|frame| is_whole(&frame)), "a frame is torn");
            }
            Err(AttachError::NotFound { .. } | AttachError::Unfinished { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() && !left_of(&self.backend, &self.name).is_empty() {
            drop((self.bystander.take(), self.publisher.take()));
            remove_everything(&self.backend.to_string(), &self.name.to_string());
        }
    }
}

impl Bystander {
    /// Reads on until the successor's first frame, in order; gives back what it held.
    fn move_on(mut self, first: u64, closed: bool) -> Subscriber {
        assert!(is_whole(&self.held), "a held frame changed");
        loop {
            let frame = self.subscriber.next().unwrap().expect("the successor's frame arrives");
            let sequence = frame.info().sequence;
            assert!(is_whole(&frame), "a frame is torn");
            let begun_anew = closed && self.subscriber.epoch() > 0;
            assert!(sequence > self.last || begun_anew, "sequence {sequence} after {}", self.last);
            self.last = sequence;
            if sequence == first {
                return self.subscriber;
            }
        }
    }
}

/// What `ipcrm` and `rm -r` by somebody do to a stream.
pub fn remove_everything(backend: &str, name: &str) {
    let name: StreamName = name.parse().unwrap();
    match backend.parse().unwrap() {
        Backend::File { directory } => std::fs::remove_dir_all(directory.join(name.bus())).unwrap(),
        _ => {
            // SAFETY: plain integers; the objects are this test's own.
            unsafe {
                for key in [name.key(), name.places_key(), name.trial_key()] {
                    libc::shmctl(libc::shmget(key, 0, 0), libc::IPC_RMID, std::ptr::null_mut());
                }
                libc::semctl(libc::semget(name.key(), 0, 0), 0, libc::IPC_RMID);
            }
        }
    }
}

/// What the kernel has of a stream.
pub fn left_of(backend: &Backend, name: &StreamName) -> Vec<String> {
    let mut left = Vec::new();
    if let Backend::File { directory } = backend {
        let bus = directory.join(name.bus());
        if bus.exists() {
            left.push(format!("{}", bus.display()));
        }
        return left;
    }
    for (what, key) in [("frames", name.key()), ("places", name.places_key()), ("trial", name.trial_key())] {
        // SAFETY: plain integers.
        if unsafe { libc::shmget(key, 0, 0) } != -1 {
            left.push(format!("{what} segment"));
        }
    }
    // SAFETY: plain integers.
    if unsafe { libc::semget(name.key(), 0, 0) } != -1 {
        left.push("semaphore set".to_owned());
    }
    left
}

/// Segments that a process has created, whatever their keys, and that stay.
pub fn left_by(pid: u32) -> Vec<String> {
    let begun = Instant::now();
    loop {
        // Other tests of this process look at all segments, and have each attached for a moment.
        let left = created_by(pid);
        if left.is_empty() || begun.elapsed() > Duration::from_secs(10) {
            return left;
        }
        std::thread::yield_now();
    }
}

fn created_by(pid: u32) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let is_its = |line: &&str| line.split_ascii_whitespace().nth(4).is_some_and(|creator| creator == pid.to_string());
    table.lines().skip(1).filter(is_its).map(str::to_owned).collect()
}
