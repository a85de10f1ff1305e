//! What there is of framebus on this machine, as far as it matters here: streams, what is left of some, and what the next
//! producer of a configured stream finds under its key.
//!
//! What would become of a thing `framebus gc` is asked, which looks and removes nothing ([`framebus::collect`], dry): so what
//! is said here is what it does. A backend that can not be looked at hides nothing of another.

use std::collections::{BTreeMap, BTreeSet};

use framebus::{Backend, CollectOptions, KeepReason, Orphan, OrphanKind, Stranger, StreamName, StreamStatus, Survey};

use super::demand::Demand;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Present {
    pub streams: Vec<Stream>,
    /// Memory that nobody uses.
    pub leftovers: Vec<Leftover>,
    /// Parts of System V streams of which there are no frames: places, or a trial for memory.
    pub parts: BTreeSet<StreamName>,
    /// Under the key of configured System V streams that are not there, where it is known what that is.
    pub remains: BTreeMap<StreamName, Remains>,
    /// The backends that could not be looked at, and why.
    pub failures: Vec<(Backend, String)>,
}

/// A stream that is there, in use or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub name: StreamName,
    pub backend: Backend,
    pub segment_id: i32,
}

/// A stream that nobody publishes and nobody reads, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub name: StreamName,
    pub backend: Backend,
    pub bytes: u64,
    /// What it is; `None`: a whole stream.
    pub what: Option<&'static str>,
    pub way_out: WayOut,
}

/// What removes a leftover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// `framebus gc`.
    Collect,
    /// `framebus gc --persisted`: its publisher was told to leave it there.
    CollectPersisted,
    /// `framebus rm`: somebody has it mapped, an observer as a rule, so `gc` keeps it.
    Remove,
    /// The same, by its owner or root.
    Owner,
    /// A command, by hand.
    ByHand(String),
}

/// What there is under the frames key of a stream that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remains {
    /// The next producer removes it, or the stream is being made just now.
    Ours,
    /// The producer can not start: why, and what removes it, where something does.
    InTheWay { reason: String, remedy: Option<String> },
}

impl Present {
    /// Wherever the config, or nobody, says that streams are.
    pub fn of_machine(demand: &Demand) -> Self {
        let mut backends = framebus_program::backends(None);
        if !backends.contains(&demand.backend) {
            backends.push(demand.backend.clone());
        }
        Self::on(&backends, demand)
    }

    fn on(backends: &[Backend], demand: &Demand) -> Self {
        let mut present = Self::default();
        for backend in backends {
            let Survey { streams, orphans, .. } = match framebus::survey(backend) {
                Ok(survey) => survey,
                Err(error) => {
                    present.failures.push((backend.clone(), error.to_string()));
                    continue;
                }
            };
            present.leftovers.extend(streams.iter().filter_map(Leftover::of_stream));
            present.leftovers.extend(orphans.iter().filter_map(Leftover::of_orphan));
            let stream =
                |StreamStatus { name, backend, segment_id, .. }: StreamStatus| Stream { name, backend, segment_id };
            present.streams.extend(streams.into_iter().map(stream));
            if *backend == Backend::SysV {
                let is_part = |orphan: &&Orphan| matches!(orphan.kind, OrphanKind::Places | OrphanKind::Trial);
                present.parts.extend(orphans.iter().filter(is_part).filter_map(|orphan| orphan.name.clone()));
                if demand.backend == Backend::SysV {
                    present.remains = remains(demand, &present.streams, &orphans);
                }
            }
        }
        present
    }

    /// Whether it is known what there is on a backend.
    pub fn has_seen(&self, backend: &Backend) -> bool {
        self.failures.iter().all(|(failed, _)| failed != backend)
    }

    /// What could not be looked at, as half a sentence; `None` where all could.
    pub fn unseen(&self) -> Option<String> {
        let failures: Vec<&str> = self.failures.iter().map(|(_, why)| why.as_str()).collect();
        (!failures.is_empty()).then(|| failures.join("; "))
    }
}

impl Leftover {
    fn of_stream(stream: &StreamStatus) -> Option<Self> {
        if !stream.is_orphan() {
            return None;
        }
        Some(Self {
            name: stream.name.clone(),
            backend: stream.backend.clone(),
            bytes: stream.resident_bytes + stream.geometry.places_bytes() as u64,
            what: None,
            way_out: way_out(&stream.backend, &stream.name)?,
        })
    }

    /// What takes no memory is nobody's worry, nor what another version may be using.
    fn of_orphan(orphan: &Orphan) -> Option<Self> {
        let name = orphan.name.clone()?;
        let way_out = match orphan.kind {
            OrphanKind::OtherVersion => return None,
            OrphanKind::Damaged => WayOut::ByHand(orphan.remedy.clone()),
            _ if orphan.bytes == 0 => return None,
            _ => way_out(&orphan.backend, &name)?,
        };
        let (backend, what) = (orphan.backend.clone(), Some(orphan.kind.text()));
        Some(Self { name, backend, bytes: orphan.bytes, what, way_out })
    }
}

/// What removes what is left of a stream; `None`: somebody uses it, or may.
fn way_out(backend: &Backend, name: &StreamName) -> Option<WayOut> {
    let mut options = CollectOptions::default();
    options.dry_run = true;
    match framebus::collect(backend, name, options) {
        Ok(()) => Some(WayOut::Collect),
        Err(KeepReason::Persists) => Some(WayOut::CollectPersisted),
        Err(KeepReason::Mapped) => Some(WayOut::Remove),
        Err(KeepReason::Foreign(_)) => Some(WayOut::Owner),
        Err(_) => None,
    }
}

/// Where the stream itself is not there, a dry removal says what its next producer finds: both look in the same way.
fn remains(demand: &Demand, streams: &[Stream], orphans: &[Orphan]) -> BTreeMap<StreamName, Remains> {
    let names = demand.streams.iter().map(|stream| &stream.name);
    let missing = names.filter(|name| !streams.iter().any(|stream| stream.name == **name));
    let found = missing.filter_map(|name| {
        let mut options = CollectOptions::default();
        (options.persisted, options.dry_run) = (true, true);
        let reason = match framebus::collect(&Backend::SysV, name, options) {
            Ok(()) | Err(KeepReason::Nothing | KeepReason::Published(_) | KeepReason::Read(_) | KeepReason::Mapped) => {
                return Some((name.clone(), Remains::Ours));
            }
            // Frames that prove nothing are empty, and their creator is dead.
            Err(KeepReason::Unproven) => return Some((name.clone(), Remains::Ours)),
            // The caller knows more of these, from the kernel's table.
            Err(KeepReason::Stranger(Stranger::Foreign | Stranger::Collision { .. }) | KeepReason::System(_)) => {
                return None;
            }
            Err(reason) => reason,
        };
        let by_hand = || {
            let orphan = orphans.iter().find(|orphan| orphan.name.as_ref() == Some(name))?;
            Some(orphan.remedy.clone())
        };
        let remedy = match &reason {
            KeepReason::Foreign(_) => Some(format!("sudo framebus gc {name}")),
            KeepReason::Stranger(_) => by_hand(),
            _ => None,
        };
        Some((name.clone(), Remains::InTheWay { reason: reason.to_string(), remedy }))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use framebus::{Content, Publisher, StreamOptions};

    use super::super::testing::demand;
    use super::*;

    #[test]
    fn a_backend_that_can_not_be_looked_at_hides_no_other_and_is_named() {
        // A file is no directory.
        let broken = Backend::File { directory: std::env::current_exe().unwrap() };
        let name: StreamName = format!("doctor-present-{}/s", std::process::id()).parse().unwrap();
        let _publisher = Publisher::open(&name, &StreamOptions::new(Content::Bytes { capacity: 8 })).unwrap();
        let present = Present::on(&[broken.clone(), Backend::SysV], &demand("", ""));
        assert!(present.streams.iter().any(|stream| stream.name == name));
        assert!(!present.leftovers.iter().any(|leftover| leftover.name == name), "somebody publishes it");
        assert_eq!([&broken, &Backend::SysV].map(|backend| present.has_seen(backend)), [false, true]);
        let words = present.unseen().unwrap();
        assert!(words.contains(&format!("on {broken}")) && words.contains("Not a directory"), "{words}");
        assert_eq!(Present::on(&[Backend::SysV], &demand("", "")).unseen(), None);
    }
}
