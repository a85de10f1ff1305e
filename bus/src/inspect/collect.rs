//! Removing what provably nobody uses.
//!
//! A look without any lease first: it disturbs nobody, and is all that a dry run does. Then the same look under the
//! publisher's lease, and the removal, as `remove` does it. Proven is:
//!
//! * nobody publishes it, and nobody begins to: we hold the publisher's lease;
//! * nobody reads it: no place's lease is held (a subscriber's lives as long as its last frame);
//! * nobody has it mapped, with a lease or without one, as observers do: the kernel counts a segment's attachments, and gives
//!   a lease for writing on no file that somebody has open or mapped;
//! * it is ours: see `survey`, and `ours`.
//!
//! Who attaches between look and removal is told that the stream is closed, and waits for the next one.

use std::path::Path;

use crate::backend::Backend;
use crate::call::CallError;
use crate::error::{PlaceHolder, Stranger, SystemError, list_holders, pid_text};
use crate::lease::{Holder, LeaseSet, Refused};
use crate::lifecycle;
use crate::name::StreamName;
use crate::process;
use crate::region::{self, Found, FramesView};
use crate::segment::Part;
use crate::site::{FoundLeases, Site};
use crate::sync::Ordering::Relaxed;

use super::ours::{self, Proof};
use super::remove::make_leases;
use super::{Orphan, place_holders, subscribers};

/// Why something was not collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepReason {
    /// There is nothing of it, any more.
    #[error("there is nothing of it any more")]
    Nothing,
    /// Somebody publishes it.
    #[error("{} publishes it", pid_text(.0))]
    Published(Option<u32>),
    /// Somebody reads it, or holds frames of it.
    #[error("it is read by {}", list_holders(.0))]
    Read(Vec<PlaceHolder>),
    /// Somebody has it mapped: an observer, as a rule.
    #[error("somebody has it mapped, or the kernel can not tell")]
    Mapped,
    /// Its publisher was to leave it there.
    #[error("it was left on purpose (persist)")]
    Persists,
    /// Its creator is not provably dead.
    #[error("it is empty, and {} that created it may still be at work", pid_text(.0))]
    Unfinished(Option<u32>),
    /// It belongs to another user.
    #[error("it belongs to user {0}, and only he or root may remove it")]
    Foreign(u32),
    /// It is not framebus's, or not this version's.
    #[error("{0}")]
    Stranger(Stranger),
    /// Nothing proves that it is framebus's.
    #[error("nothing proves that it is framebus's")]
    Unproven,
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// What is gone between two of our calls, somebody else has removed.
fn failed(name: &StreamName) -> impl FnOnce(CallError) -> KeepReason {
    let action = format!("collecting stream {name}");
    move |error| match error.is_gone() {
        true => KeepReason::Nothing,
        false => CallError::at(action)(error).into(),
    }
}

/// What [`collect`] does.
///
/// ```
/// let mut options = framebus::CollectOptions::default();
/// options.dry_run = true;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectOptions {
    /// Also what its publisher was to leave there (`persist`).
    pub persisted: bool,
    /// Only says whether it would be removed.
    pub dry_run: bool,
}

/// Removes what there is of a stream, where it is provably framebus's and provably nobody uses it.
///
/// # Errors
/// [`KeepReason`]; nothing was removed then.
pub fn collect(backend: &Backend, name: &StreamName, options: CollectOptions) -> Result<(), KeepReason> {
    let site = Site::of(backend, name);
    let failed = || failed(name);
    let look = Look { site: &site, name, persisted: options.persisted, patience_ms: 100 };
    let found = match site.find_leases().map_err(failed())? {
        FoundLeases::Leases(set) => Some(set),
        FoundLeases::None => None,
        FoundLeases::Foreign => return Err(KeepReason::Unproven),
    };
    if let Some(set) = found.as_ref().filter(|set| set.is_held(Holder::Publisher)) {
        return Err(KeepReason::Published(set.holder_pid(Holder::Publisher)));
    }
    // Before the lease is claimed, which writes into a file. Of files it is first asked whose they are: to ask the kernel who has them
    // mapped is felt by who opens them just then. Of an empty segment its creator says more than that it is empty.
    if let Site::File(_) = site {
        look.is_ours()?;
        look.is_unused(found.as_ref())?;
    } else {
        look.is_unused(found.as_ref())?;
        look.is_ours()?;
    }
    if options.dry_run {
        return Ok(());
    }
    let (set, made) = match found {
        Some(set) => (set, false),
        None => match make_leases(&site, name) {
            Ok(Some(set)) => (set, true),
            // Directories alone, which are gone now, or somebody else was faster.
            Ok(None) => return Ok(()),
            Err(crate::RemoveError::System(error)) => return Err(error.into()),
            Err(_) => return Err(KeepReason::Unproven),
        },
    };
    let _lease = match set.claim(Holder::Publisher) {
        Ok(lease) => lease,
        Err(Refused::Held) => return Err(KeepReason::Published(set.holder_pid(Holder::Publisher))),
        Err(Refused::Gone) => return Err(KeepReason::Nothing),
        Err(Refused::System(error)) => return Err(failed()(error)),
    };
    let look = Look { patience_ms: UNDER_LEASE_MS, ..look };
    let collected = look.is_ours().and_then(|()| look.is_unused(Some(&set))).and_then(|()| {
        let frames = site.find(Part::Frames).map_err(failed())?;
        let named = frames.map(|frames| lifecycle::end(name, &frames)).transpose().map_err(failed())?;
        lifecycle::remove_rest(&site, name, named.flatten()).map_err(failed())
    });
    if collected.is_ok() || made {
        set.remove().map_err(failed())?;
        site.clear();
    }
    collected
}

/// Removes an empty directory that a survey found.
///
/// # Errors
/// [`KeepReason`]: it is not an empty directory, or not ours to remove.
pub fn collect_directory(orphan: &Orphan) -> Result<(), KeepReason> {
    let directory: &Path = orphan.directory.as_deref().ok_or(KeepReason::Unproven)?;
    match crate::call::call("rmdir", || std::fs::remove_dir(directory)) {
        Ok(()) => Ok(()),
        // A publisher was faster, or another collector.
        Err(error) if matches!(error.errno(), Some(libc::ENOTEMPTY | libc::EEXIST | libc::ENOENT)) => {
            Err(KeepReason::Nothing)
        }
        Err(error) => Err(CallError::at(format!("removing {}", orphan.object))(error).into()),
    }
}

/// How long to wait, under the publisher's lease, for each of two segments that somebody has just mapped, ms: a publisher that
/// begins meanwhile waits for the lease a little longer than that, and is refused then.
const UNDER_LEASE_MS: u32 = 20;

struct Look<'a> {
    site: &'a Site,
    name: &'a StreamName,
    persisted: bool,
    patience_ms: u32,
}

impl Look<'_> {
    fn is_ours(&self) -> Result<(), KeepReason> {
        match ours::proof(self.site, self.name).map_err(failed(self.name))? {
            Proof::Ours => Ok(()),
            Proof::Nothing => Err(KeepReason::Nothing),
            Proof::None => Err(KeepReason::Unproven),
            Proof::Foreign => Err(KeepReason::Stranger(Stranger::Foreign)),
        }
    }

    /// Whether nobody uses any part of the stream. Of who publishes it, it is not asked here.
    fn is_unused(&self, set: Option<&LeaseSet>) -> Result<(), KeepReason> {
        let failed = || failed(self.name);
        let frames = self.site.find(Part::Frames).map_err(failed())?;
        if let Some(frames) = &frames {
            let mapping = frames.attach_read().map_err(failed())?;
            match region::examine(&mapping, self.name) {
                Found::Stranger(stranger) => return Err(KeepReason::Stranger(stranger)),
                Found::Blank => {
                    drop(mapping);
                    let creator = lifecycle::living_creator(frames).map_err(failed())?;
                    if let Some(pid) = creator {
                        return Err(KeepReason::Unfinished(Some(pid).filter(|&pid| pid != 0)));
                    }
                }
                Found::Unfinished => {}
                Found::Stream(header, geometry, _) => {
                    let view = FramesView::of(&mapping, geometry);
                    if let Some(set) = set {
                        let (readers, _) = subscribers(&view, &header, self.name, self.site, set);
                        if !readers.is_empty() {
                            return Err(KeepReason::Read(readers.into_iter().map(|reader| reader.holder).collect()));
                        }
                    }
                    if !self.persisted && view.stats().persists.load(Relaxed) != 0 {
                        return Err(KeepReason::Persists);
                    }
                }
            }
        }
        if let Some(set) = set {
            if !set.exists() {
                return Err(KeepReason::Nothing);
            }
            let holders = place_holders(set);
            if !holders.is_empty() {
                return Err(KeepReason::Read(holders));
            }
        }
        let places = self.site.find(Part::Places).map_err(failed())?;
        for segment in frames.iter().chain(&places) {
            let status = segment.status().map_err(failed())?;
            let user = process::effective_uid();
            if user != 0 && status.uid != user {
                return Err(KeepReason::Foreign(status.uid));
            }
            if !segment.is_unused(self.patience_ms).map_err(failed())? {
                return Err(KeepReason::Mapped);
            }
        }
        Ok(())
    }
}
