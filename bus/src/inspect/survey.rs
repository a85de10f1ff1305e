//! All that is of framebus on this machine: streams, what crashed runs left of some, and what can not be told.
//!
//! What proves that something is ours: a segment bears our magic, and the name whose key it has; or it is empty, and has a key
//! of a name that another object proves. Of files and directories, `ours` says it.
//! A semaphore set bears no mark: where nothing else is there of its stream, it has 256 semaphores like ours, and a key
//! that is somebody's hash. So does an empty segment under the same key. Such are named, and never touched.

use std::collections::{BTreeSet, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::backend::Backend;
use crate::call::CallError;
use crate::error::{Stranger, SystemError};
use crate::layout::FRAMES_MAGIC;
use crate::lease::Holder;
use crate::lease::semaphores::{SemaphoreSet, SetRow};
use crate::name::StreamName;
use crate::process;
use crate::region::{self, Found};
use crate::segment::Part;
use crate::segment::file::{StreamDirectory, is_home};
use crate::segment::sysv;
use crate::site::{FoundLeases, Row, Segment, Site};

use super::ours::{self, Proof};
use super::{StreamStatus, describe};

/// What is there of framebus.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// Streams, in the order of their names.
    pub streams: Vec<StreamStatus>,
    /// What is left of streams that are none any more, or never became one.
    pub orphans: Vec<Orphan>,
    /// What may be ours, and could not be looked into: segments and semaphore sets of other users.
    pub unreadable: Vec<Unreadable>,
}

/// What an orphan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OrphanKind {
    /// Frames that their creator died in making.
    Unfinished,
    /// A places segment without frames.
    Places,
    /// A segment that was only made to see whether there is memory for it.
    Trial,
    /// Leases of a stream of which there is nothing else.
    Leases,
    /// A directory of a stream or bus with nothing in it; only in [`DEFAULT_DIRECTORY`](crate::DEFAULT_DIRECTORY) it is proven
    /// to be one.
    Directory,
    /// Frames whose header does not fit their segment.
    Damaged,
    /// Frames of another version of framebus, alive or not.
    OtherVersion,
}

impl OrphanKind {
    /// In one word, as `--json` has it.
    pub fn word(self) -> &'static str {
        match self {
            OrphanKind::Unfinished => "unfinished",
            OrphanKind::Places => "places",
            OrphanKind::Trial => "trial",
            OrphanKind::Leases => "leases",
            OrphanKind::Directory => "directory",
            OrphanKind::Damaged => "damaged",
            OrphanKind::OtherVersion => "other version",
        }
    }

    /// In words for people.
    pub fn text(self) -> &'static str {
        match self {
            OrphanKind::Unfinished => "an unfinished creation",
            OrphanKind::Places => "places without frames",
            OrphanKind::Trial => "a trial for memory",
            OrphanKind::Leases => "leases without a stream",
            OrphanKind::Directory => "an empty directory",
            OrphanKind::Damaged => "frames with a damaged header",
            OrphanKind::OtherVersion => "a stream of another version of framebus",
        }
    }
}

/// What is left of a stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Orphan {
    /// What it is.
    pub kind: OrphanKind,
    /// Whose it was; `None` where nothing says so.
    pub name: Option<StreamName>,
    /// What it is made of.
    pub backend: Backend,
    /// What the system calls it: an id and a key, or a path.
    pub object: String,
    /// Size, in bytes; of semaphores and directories, 0.
    pub bytes: u64,
    /// Owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Permissions.
    pub mode: u32,
    /// Who made it, and whether there is a process of that number now; `None` where the kernel does not say.
    pub creator: Option<(u32, bool)>,
    /// What removes it: a command.
    pub remedy: String,
    pub(super) directory: Option<PathBuf>,
}

impl Orphan {
    /// Whether it is proven to be framebus's. What is not is never touched.
    pub fn is_proven(&self) -> bool {
        self.name.is_some() || self.directory.is_some()
    }
}

/// What may be of framebus, and is closed to us.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unreadable {
    /// Whose it is; of a System V segment, nobody can know.
    pub name: Option<StreamName>,
    /// What it is made of.
    pub backend: Backend,
    /// What the system calls it: an id and a key, or a path.
    pub object: String,
    /// Size, in bytes; of semaphores, 0.
    pub bytes: u64,
    /// Owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Permissions.
    pub mode: u32,
    /// How many times it is mapped; `None` where the kernel does not say.
    pub attached: Option<u64>,
}

/// Looks at all that there is of framebus on a backend, in this IPC namespace or in a directory. Nothing is changed.
///
/// # Errors
/// /proc/sysvipc, or the directory, can not be read.
pub fn survey(backend: &Backend) -> Result<Survey, SystemError> {
    let looked = match backend {
        Backend::SysV => Look::new(backend).sysv(),
        Backend::File { directory } => Look::new(backend).files(directory),
    };
    let mut survey = looked.map_err(CallError::at(format!("listing what there is of framebus on {backend}")))?;
    survey.streams.sort_by(|a, b| a.name.cmp(&b.name));
    survey.orphans.sort_by(|a, b| (&a.name, a.kind, &a.object).cmp(&(&b.name, b.kind, &b.object)));
    Ok(survey)
}

/// What one look at a segment says.
enum Seen {
    /// Added already.
    Known(StreamName),
    Unfinished(StreamName),
    Places(StreamName),
    Blank,
    Foreign,
    Closed,
}

struct Look<'a> {
    backend: &'a Backend,
    survey: Survey,
}

impl<'a> Look<'a> {
    fn new(backend: &'a Backend) -> Self {
        Self { backend, survey: Survey::default() }
    }

    fn sysv(mut self) -> Result<Survey, CallError> {
        // Sets before segments: what is begun in between has a set that is not seen.
        let sets = SemaphoreSet::all()?;
        let rows = sysv::all()?;
        let (mut streams, mut unfinished, mut places) = (BTreeSet::new(), Vec::new(), Vec::new());
        let (mut blank, mut taken) = (HashMap::new(), BTreeSet::new());
        for row in rows {
            taken.insert(row.key);
            match self.look_at(&row, None) {
                Seen::Known(name) => drop(streams.insert(name)),
                Seen::Unfinished(name) => unfinished.push((name, row)),
                Seen::Places(name) => places.push((name, row)),
                Seen::Blank => drop(blank.insert(row.key, row)),
                Seen::Closed => self.closed(&row, None),
                Seen::Foreign => {}
            }
        }
        let begun: BTreeSet<_> = unfinished.iter().map(|(name, _)| name.clone()).collect();
        let names: BTreeSet<_> = streams.iter().chain(&begun).chain(places.iter().map(|(name, _)| name)).collect();
        let (mut blanks, mut keys) = (Vec::new(), BTreeSet::new());
        for &name in &names {
            keys.insert(name.key());
            let parts = [
                (name.key(), OrphanKind::Unfinished),
                (name.places_key(), OrphanKind::Places),
                (name.trial_key(), OrphanKind::Trial),
            ];
            for (key, kind) in parts {
                blanks.extend(blank.remove(&key).map(|row| (name.clone(), kind, row)));
            }
        }
        for (name, row) in &unfinished {
            self.orphan(OrphanKind::Unfinished, name, row);
        }
        for (name, row) in places.iter().filter(|(name, _)| !streams.contains(name) && !begun.contains(name)) {
            self.orphan(OrphanKind::Places, name, row);
        }
        for (name, kind, row) in &blanks {
            self.orphan(*kind, name, row);
        }
        for row in sets.iter().filter(|row| row.key != 0 && !keys.contains(&row.key)) {
            let beginning = blank.remove(&row.key).or_else(|| blank.remove(&(row.key | i32::MIN)));
            let others = taken.contains(&row.key) || taken.contains(&(row.key | i32::MIN));
            self.nameless(row, beginning, others);
        }
        Ok(self.survey)
    }

    fn files(mut self, directory: &Path) -> Result<Survey, CallError> {
        for (name, stream) in StreamDirectory::all(directory)? {
            // Streams come and go: what is not there any more is left out.
            let _ = self.directory(name, &stream);
        }
        for (path, status) in StreamDirectory::empty_buses(directory)? {
            let (remedy, ours) = match is_home(directory) {
                true => ("framebus gc".to_owned(), Some(path.clone())),
                false => (format!("rmdir {}", path.display()), None),
            };
            self.place(OrphanKind::Directory, None, &path, &status, remedy, ours);
        }
        Ok(self.survey)
    }

    fn directory(&mut self, name: StreamName, stream: &StreamDirectory) -> Result<(), CallError> {
        if stream.has_others()? {
            // Somebody else's, or somebody's who uses ours.
            return Ok(());
        }
        let row = |part| stream.row(part, name.clone());
        let (frames, places, trial) = (row(Part::Frames)?, row(Part::Places)?, row(Part::Trial)?);
        let mut left = Vec::new();
        if let Some(frames) = &frames {
            match self.look_at(frames, Some(&name)) {
                Seen::Known(_) => {}
                Seen::Closed => self.closed(frames, Some(&name)),
                Seen::Unfinished(_) | Seen::Blank => left.push((OrphanKind::Unfinished, frames)),
                Seen::Places(_) | Seen::Foreign => return Ok(()),
            }
        } else {
            left.extend(places.iter().map(|places| (OrphanKind::Places, places)));
        }
        left.extend(trial.iter().map(|trial| (OrphanKind::Trial, trial)));
        if frames.is_some() && left.is_empty() {
            return Ok(());
        }
        let is_ours = match ours::proof(&Site::File(stream.clone()), &name)? {
            Proof::Ours => true,
            Proof::None if stream.has_our_rights() => false,
            _ => return Ok(()),
        };
        if self.is_at_work(&name) {
            return Ok(());
        }
        let (by_name, remedy) = (is_ours.then_some(&name), format!("framebus gc {name}"));
        for &(kind, row) in &left {
            let remedy = if is_ours { remedy.clone() } else { by_hand(row) };
            self.add(kind, by_name, row, remedy);
        }
        if left.is_empty() {
            let is_bare = stream.entries()?.is_empty();
            let (kind, path, command) = match is_bare {
                true => (OrphanKind::Directory, stream.path().to_owned(), "rmdir"),
                false => (OrphanKind::Leases, stream.lock_path(), "rm"),
            };
            let status = std::fs::symlink_metadata(&path).map_err(|source| CallError { call: "stat", source })?;
            let remedy = if is_ours { remedy } else { format!("{command} {}", path.display()) };
            self.place(kind, by_name, &path, &status, remedy, None);
        }
        Ok(())
    }

    /// Adds what is no segment: a directory, or a file of leases.
    fn place(
        &mut self,
        kind: OrphanKind,
        name: Option<&StreamName>,
        path: &Path,
        status: &Metadata,
        remedy: String,
        directory: Option<PathBuf>,
    ) {
        let what = if status.is_dir() { "a directory" } else { "a file" };
        self.survey.orphans.push(Orphan {
            kind,
            name: name.cloned(),
            backend: self.backend.clone(),
            object: format!("{what} {}", path.display()),
            bytes: 0,
            uid: status.uid(),
            gid: status.gid(),
            mode: status.mode() & 0o7777,
            creator: None,
            remedy,
            directory,
        });
    }

    /// Looks into a segment; of a file, `place` says whose it must be.
    fn look_at(&mut self, row: &Row, place: Option<&StreamName>) -> Seen {
        let mapping = match row.frames.attach_read() {
            Ok(mapping) => mapping,
            Err(error) if error.errno() == Some(libc::EACCES) => return Seen::Closed,
            // Gone, as a rule.
            Err(_) => return Seen::Foreign,
        };
        if region::is_blank(&mapping) {
            return Seen::Blank;
        }
        let ours = |name: &StreamName, key: i32| place.map_or(row.key == key, |place| place == name);
        if let Some(name) = region::places_name(&mapping).filter(|name| ours(name, name.places_key())) {
            return Seen::Places(name);
        }
        let Some(header) = region::read_header(&mapping).filter(|header| header.magic == FRAMES_MAGIC) else {
            return Seen::Foreign;
        };
        let name = StreamName::new(&region::read_text(&header.bus), &region::read_text(&header.stream)).ok();
        let Some(name) = name.filter(|name| ours(name, name.key())).or(place.cloned()) else { return Seen::Foreign };
        match region::examine(&mapping, &name) {
            Found::Stream(header, geometry, state) => {
                let status = describe(row.clone(), self.backend, &mapping, &header, geometry, state, name.clone());
                self.survey.streams.push(status);
                Seen::Known(name)
            }
            Found::Unfinished | Found::Blank => Seen::Unfinished(name),
            Found::Stranger(Stranger::Damaged { .. }) => {
                drop(mapping);
                self.add(OrphanKind::Damaged, Some(&name), row, by_hand(row));
                Seen::Known(name)
            }
            Found::Stranger(Stranger::Version { .. }) => {
                drop(mapping);
                self.add(OrphanKind::OtherVersion, Some(&name), row, "framebus rm of its own version".to_owned());
                Seen::Known(name)
            }
            Found::Stranger(_) => Seen::Foreign,
        }
    }

    /// Whether a publisher is there: what looks like an orphan is in the making, then.
    fn is_at_work(&self, name: &StreamName) -> bool {
        match Site::of(self.backend, name).find_leases() {
            Ok(FoundLeases::Leases(set)) => set.is_held(Holder::Publisher),
            Ok(_) => false,
            Err(_) => true,
        }
    }

    fn orphan(&mut self, kind: OrphanKind, name: &StreamName, row: &Row) {
        if !self.is_at_work(name) {
            self.add(kind, Some(name), row, format!("framebus gc {name}"));
        }
    }

    fn add(&mut self, kind: OrphanKind, name: Option<&StreamName>, row: &Row, remedy: String) {
        self.survey.orphans.push(Orphan {
            kind,
            name: name.cloned(),
            backend: self.backend.clone(),
            object: object(row),
            bytes: row.bytes,
            uid: row.uid,
            gid: row.gid,
            mode: row.mode,
            creator: creator(&row.frames),
            remedy,
            directory: None,
        });
    }

    /// A set of as many semaphores as ours, of which nothing tells a name; `beginning` is an empty segment under its key,
    /// and `others`: something is there.
    fn nameless(&mut self, row: &SetRow, beginning: Option<Row>, others: bool) {
        let object = format!("a semaphore set (id {}) under key {:#x}", row.set.id(), row.key);
        let SetRow { uid, gid, mode, .. } = *row;
        let backend = self.backend.clone();
        match row.set.is_used() {
            // A beginning, or in use by whoever it is.
            Ok(true) => {}
            Ok(false) if others && beginning.is_none() => {}
            Ok(false) => {
                let remedy = format!("ipcrm -s {}", row.set.id());
                if let Some(blank) = beginning {
                    self.add(OrphanKind::Unfinished, None, &blank, by_hand(&blank));
                }
                self.survey.orphans.push(Orphan {
                    kind: OrphanKind::Leases,
                    name: None,
                    backend,
                    object,
                    bytes: 0,
                    uid,
                    gid,
                    mode,
                    creator: None,
                    remedy,
                    directory: None,
                });
            }
            Err(error) if error.errno() == Some(libc::EACCES) && !others => {
                self.survey.unreadable.push(Unreadable {
                    name: None,
                    backend,
                    object,
                    bytes: 0,
                    uid,
                    gid,
                    mode,
                    attached: None,
                });
            }
            Err(_) => {}
        }
    }

    fn closed(&mut self, row: &Row, name: Option<&StreamName>) {
        self.survey.unreadable.push(Unreadable {
            name: name.cloned(),
            backend: self.backend.clone(),
            object: object(row),
            bytes: row.bytes,
            uid: row.uid,
            gid: row.gid,
            mode: row.mode,
            attached: row.attached,
        });
    }
}

fn object(row: &Row) -> String {
    match &row.frames {
        Segment::SysV(id) => format!("a segment (id {}) under key {:#x}", id.0, row.key),
        Segment::File(file) => format!("a file {}", file.path().display()),
    }
}

/// What removes what we do not.
fn by_hand(row: &Row) -> String {
    match &row.frames {
        Segment::SysV(id) => format!("ipcrm -m {}", id.0),
        Segment::File(file) => format!("rm {}", file.path().display()),
    }
}

fn creator(segment: &Segment) -> Option<(u32, bool)> {
    let pid = segment.status().ok()?.creator_pid;
    (pid != 0).then(|| (pid, !process::is_dead(pid)))
}
