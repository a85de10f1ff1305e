//! The kernel's side: one semaphore set, the segments, and the system calls upon them, each one step.
//!
//! What is modelled is what Linux does, also where the manual is vague: a segment that was removed has no key any more,
//! but who knows its id can still attach it, ask for its status and remove it again, for as long as anybody has it
//! attached; only then is it destroyed. Ids are never used again.

/// Id of a segment or of a set; 0 = none.
pub(crate) type Id = u8;

/// Most segments at a time.
const SEGMENTS: usize = 9;

/// Places of a stream at most; geometry B has one.
pub(crate) const PLACES: usize = 2;

/// Creator of what was there before the processes of a world were.
pub(crate) const NOBODY: u8 = u8::MAX;

/// Two streams of one name differ in their geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Geometry {
    A,
    B,
}

impl Geometry {
    pub(crate) fn places(self) -> usize {
        match self {
            Geometry::A => PLACES,
            Geometry::B => 1,
        }
    }
}

/// The keys that are made of a stream's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// It was removed, and lives on with who has it attached.
    Gone,
    Frames,
    Places,
    /// Of the segment by which an opener finds out whether memory can be had.
    Trial,
}

/// How far the header has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Header {
    Blank,
    /// The magic stands there, and not yet what follows it.
    Begun,
    /// Everything but the id of the places segment, which is 0 so far.
    Written,
}

/// `layout::state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum State {
    None,
    Creating,
    Ready,
    Superseded,
    Closed,
}

/// A segment of any kind; a field that its kind does not have stays as it was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Segment {
    pub id: Id,
    pub key: Key,
    /// Index of the process.
    pub creator: u8,
    pub geometry: Geometry,
    pub header: Header,
    pub state: State,
    pub places_id: Id,
    pub leases_id: Id,
    pub base_sequence: u8,
    /// Sequence of `latest`.
    pub latest: u8,
    /// Newest sequence of the window: `next` may see it before `latest` says so.
    pub entry: u8,
    /// Of a places segment: the frames segment whose cookie it bears.
    pub cookie: Id,
    /// Of a places segment.
    pub carried: u8,
}

impl Segment {
    const NONE: Segment = Segment {
        id: 0,
        key: Key::Gone,
        creator: NOBODY,
        geometry: Geometry::A,
        header: Header::Blank,
        state: State::None,
        places_id: 0,
        leases_id: 0,
        base_sequence: 0,
        latest: 0,
        entry: 0,
        cookie: 0,
        carried: 0,
    };

    /// `region::examine` says "a stream", and not "unfinished" or "blank".
    pub(crate) fn is_finished(&self) -> bool {
        self.state >= State::Ready
    }
}

/// Whose lease, by the index of its semaphore.
pub(crate) const PUBLISHER: usize = 0;

/// What `LeaseSet::claim` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Claimed,
    Held,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kernel {
    /// Under the key; 0 where there is none. A removed set is gone at once, so there is never a second one.
    pub set: Id,
    /// By semaphore: 1 + index of the process that holds it, or 0. The kernel knows it as that process's undo value.
    pub held: [u8; 1 + PLACES],
    pub set_creator: u8,
    next_id: Id,
    segments: [Segment; SEGMENTS],
}

impl Kernel {
    pub(crate) const EMPTY: Kernel =
        Kernel { set: 0, held: [0; 1 + PLACES], set_creator: NOBODY, next_id: 1, segments: [Segment::NONE; SEGMENTS] };

    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().take_while(|segment| segment.id != 0)
    }

    fn new_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id - 1
    }

    /// semget(2) with `IPC_CREAT | IPC_EXCL` where there is no set.
    pub(crate) fn create_set(&mut self, creator: u8) -> Id {
        assert_eq!(self.set, 0, "a key has one set");
        self.set = self.new_id();
        self.set_creator = creator;
        self.set
    }

    /// semctl(2) with `IPC_RMID`; false: there is no such set.
    pub(crate) fn remove_set(&mut self, id: Id) -> bool {
        let exists = self.set_exists(id);
        if exists {
            (self.set, self.set_creator, self.held) = (0, NOBODY, [0; 1 + PLACES]);
        }
        exists
    }

    pub(crate) fn set_exists(&self, id: Id) -> bool {
        id != 0 && self.set == id
    }

    /// semop(2): wait for 0 without waiting, add 1, undo at death.
    pub(crate) fn claim(&mut self, set: Id, semaphore: usize, process: usize) -> Claim {
        if !self.set_exists(set) {
            return Claim::Gone;
        }
        if self.held[semaphore] != 0 {
            return Claim::Held;
        }
        self.held[semaphore] = process as u8 + 1;
        Claim::Claimed
    }

    /// semop(2): subtract 1, and the undo value with it. What is not held stays as it is, as `Lease::drop` has it.
    pub(crate) fn release(&mut self, set: Id, semaphore: usize, process: usize) {
        if self.holds(set, semaphore, process) {
            self.held[semaphore] = 0;
        }
    }

    pub(crate) fn holds(&self, set: Id, semaphore: usize, process: usize) -> bool {
        self.set_exists(set) && self.held[semaphore] == process as u8 + 1
    }

    /// What the kernel does for a process that died, behind the unmapping.
    pub(crate) fn undo(&mut self, process: usize) {
        self.held.iter_mut().filter(|holder| **holder == process as u8 + 1).for_each(|holder| *holder = 0);
    }

    /// shmget(2) without `IPC_CREAT`; 0 = there is none.
    pub(crate) fn find(&self, key: Key) -> Id {
        self.segments().find(|segment| segment.key == key).map_or(0, |segment| segment.id)
    }

    /// shmget(2) with `IPC_CREAT | IPC_EXCL`; `None` = EEXIST.
    pub(crate) fn create(&mut self, key: Key, creator: usize, geometry: Geometry) -> Option<Id> {
        if self.find(key) != 0 {
            return None;
        }
        let id = self.new_id();
        let free = self.segments.iter().position(|segment| segment.id == 0).expect("SEGMENTS is large enough");
        self.segments[free] = Segment { id, key, creator: creator as u8, geometry, ..Segment::NONE };
        Some(id)
    }

    /// The segment of this id, under a key or not.
    pub(crate) fn get(&self, id: Id) -> Option<&Segment> {
        self.segments().find(|segment| segment.id == id)
    }

    /// The same, to store to; who has it attached calls this.
    pub(crate) fn at(&mut self, id: Id) -> &mut Segment {
        assert_ne!(id, 0, "a store needs a mapping");
        self.segments.iter_mut().find(|segment| segment.id == id).expect("what is attached exists")
    }

    /// Destroys what was removed and is attached by nobody.
    pub(crate) fn reap(&mut self, attached: impl Fn(Id) -> u8) {
        let mut kept = 0;
        for index in 0..SEGMENTS {
            let segment = self.segments[index];
            if segment.id != 0 && (segment.key != Key::Gone || attached(segment.id) > 0) {
                self.segments[kept] = segment;
                kept += 1;
            }
        }
        self.segments[kept..].fill(Segment::NONE);
    }

    /// Nothing of the stream is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.set == 0 && self.segments().next().is_none()
    }

    /// All processes are dead, and nobody is left to be compared with.
    pub(crate) fn forget_creators(&mut self) {
        self.set_creator = NOBODY;
        self.segments.iter_mut().for_each(|segment| segment.creator = NOBODY);
    }

    pub(crate) fn each_id(&mut self, visit: &mut impl FnMut(&mut Id)) {
        visit(&mut self.set);
        for segment in self.segments.iter_mut().take_while(|segment| segment.id != 0) {
            visit(&mut segment.id);
            visit(&mut segment.places_id);
            visit(&mut segment.leases_id);
            visit(&mut segment.cookie);
        }
    }

    /// After a renumbering.
    pub(crate) fn set_next_id(&mut self, next_id: Id) {
        self.next_id = next_id;
    }
}
