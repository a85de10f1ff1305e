//! Removing a stream by its name: under the publisher's lease, as everything in a stream's life; by force also without.

use crate::backend::Backend;
use crate::call::CallError;
use crate::error::{PlaceHolder, RemoveError, Stranger};
use crate::lease::{Holder, LeaseSet, Refused};
use crate::lifecycle;
use crate::name::StreamName;
use crate::region::{self, Found, FramesView};
use crate::segment::Part;
use crate::site::{FoundLeases, Segment, Site};

use super::ours::{self, Proof};
use super::{place_holders, subscribers};

/// Removes a stream that nobody publishes: what crashed runs and `persist` leave.
///
/// Refuses while somebody reads it, unless `force`; readers keep what they hold, and move to the next stream of the name.
/// One that is published is removed by [`remove_published`] alone.
///
/// # Errors
/// [`RemoveError`]; nothing was removed then.
pub fn remove(backend: &Backend, name: &StreamName, force: bool) -> Result<(), RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let not_found = || RemoveError::NotFound { stream: name.clone() };
    let site = Site::of(backend, name);
    // The file of leases is written into when they are claimed, so it is looked at before.
    if matches!(site, Site::File(_)) && ours::proof(&site, name).map_err(failed())? == Proof::Foreign {
        let frames = site.find(Part::Frames).map_err(failed())?;
        let object = frames.map_or_else(|| site.describe_leases(), |frames| site.describe(&frames, Part::Frames));
        return Err(RemoveError::Stranger { stream: name.clone(), object, stranger: Stranger::Foreign });
    }
    let (set, robbed) = match site.find_leases().map_err(failed())? {
        FoundLeases::Leases(set) => (set, false),
        _ => match make_leases(&site, name)? {
            Some(set) => (set, true),
            None => return Err(not_found()),
        },
    };
    // What follows is done as a publisher does it: under the lease.
    let _lease = match set.claim(Holder::Publisher) {
        Ok(lease) => lease,
        Err(Refused::Held) => {
            let pid = set.holder_pid(Holder::Publisher);
            return Err(RemoveError::Publishing { stream: name.clone(), pid });
        }
        Err(Refused::Gone) => return Err(not_found()),
        Err(Refused::System(error)) => return Err(failed()(error).into()),
    };
    let removed = remove_segments(&site, name, &set, force, robbed);
    if removed.is_ok() || robbed {
        set.remove().map_err(failed())?;
        site.clear();
    }
    removed
}

/// Removes a stream from under its living publisher, which holds the lease that everything else needs: for one that hangs
/// or is stopped, and can not be killed.
///
/// Its subscribers are told that the stream is closed; they keep what they hold, and move to the next stream of the name.
/// Another publisher can begin at once. The old one, where it still runs, looks once a second whether its stream is there:
/// it makes it anew, behind its last sequence, or fails with [`LoanError::LeaseLost`](crate::LoanError::LeaseLost) where
/// another publisher has the name by then. Until it looks, it writes into segments that nobody finds any more.
///
/// Returns the publisher's process, where there is one that can be seen from here.
///
/// # Errors
/// [`RemoveError`]; nothing was removed then, unless a system call failed half way, and then it can be repeated.
pub fn remove_published(backend: &Backend, name: &StreamName) -> Result<Option<u32>, RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let site = Site::of(backend, name);
    let FoundLeases::Leases(set) = site.find_leases().map_err(failed())? else {
        // Whoever publishes has none, and notices it.
        return remove(backend, name, true).map(|()| None);
    };
    let pid = set.holder_pid(Holder::Publisher);
    // All that goes is found beforehand, and is removed by its number (of a file, the number is compared directly before): what
    // another publisher begins meanwhile is not ours.
    let frames = site.find(Part::Frames).map_err(failed())?;
    let Some(frames) = frames else { return Err(RemoveError::NotFound { stream: name.clone() }) };
    let look = frames.attach_read().map_err(failed())?;
    let (stream, object) = (name.clone(), site.describe(&frames, Part::Frames));
    let header = match region::examine(&look, name) {
        Found::Stranger(stranger) => return Err(RemoveError::Stranger { stream, object, stranger }),
        Found::Blank => return Err(RemoveError::Unfinished { stream, object, pid }),
        Found::Unfinished => None,
        Found::Stream(header, ..) => Some(header),
    };
    let places = site.find(Part::Places).map_err(failed())?;
    let places = places.filter(|places| header.as_ref().is_some_and(|header| header.places_id == places.number()));
    // Only its owner may, which is known from here on.
    let writable = frames.attach_write().map_err(failed())?;
    drop((look, writable));
    // First: while it is there, the publisher would make the rest anew under it, and its successor find no lease to claim.
    if set.exists() {
        unless_gone(set.remove()).map_err(failed())?;
    }
    if site.find(Part::Frames).map_err(failed())?.as_ref() == Some(&frames) {
        unless_gone(lifecycle::end(name, &frames).map(drop)).map_err(failed())?;
    }
    if let Some(places) = places
        && site.find(Part::Places).map_err(failed())?.as_ref() == Some(&places)
    {
        unless_gone(places.remove()).map_err(failed())?;
    }
    // Else somebody is making the stream anew there.
    if let FoundLeases::None = site.find_leases().map_err(failed())? {
        site.clear();
    }
    Ok(pid)
}

/// What somebody else removed first is removed.
fn unless_gone(removed: Result<(), CallError>) -> Result<(), CallError> {
    removed.or_else(|error| if error.is_gone() { Ok(()) } else { Err(error) })
}

/// New leases, in the place of those that somebody has removed (`ipcrm -s`, RemoveIPC, `rm`): nobody begins anything while
/// we hold them. `None` where there is nothing of the stream at all.
pub(super) fn make_leases(site: &Site, name: &StreamName) -> Result<Option<LeaseSet>, RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let mut parts = [Part::Frames, Part::Places, Part::Trial].into_iter();
    if !parts.try_fold(false, |any, part| Ok(any | site.find(part)?.is_some())).map_err(failed())? {
        // Directories, perhaps, of a publisher that was killed before it had leases.
        site.clear_bare();
        return Ok(None);
    }
    match site.open_leases(0o600).map_err(failed())? {
        FoundLeases::Leases(set) => Ok(Some(set)),
        FoundLeases::None => Ok(None),
        FoundLeases::Foreign => Err(RemoveError::Stranger {
            stream: name.clone(),
            object: site.describe_leases(),
            stranger: Stranger::Foreign,
        }),
    }
}

/// Removes all but the leases. Where the stream was `robbed` of those, nobody can tell who lives, so what somebody may have
/// attached stays, unless it is forced.
fn remove_segments(
    site: &Site,
    name: &StreamName,
    set: &LeaseSet,
    force: bool,
    robbed: bool,
) -> Result<(), RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let frames = site.find(Part::Frames).map_err(failed())?;
    if let Some(frames) = &frames {
        check_ours(site, name, frames)?;
    }
    if !force {
        if robbed {
            let places = site.find(Part::Places).map_err(failed())?;
            for segment in frames.iter().chain(&places) {
                // Of files it is not known who maps them.
                let unused = || Ok(matches!(segment, Segment::SysV(_)) && segment.status()?.attached == 0);
                if !unused().map_err(failed())? {
                    return Err(RemoveError::Unknown { stream: name.clone() });
                }
            }
        }
        // With their labels, where frames and places can be read; whoever holds a lease reads in any case.
        let mut holders = frames.as_ref().map_or_else(Vec::new, |frames| readers(site, name, frames, set));
        if holders.is_empty() {
            holders = place_holders(set);
        }
        if !holders.is_empty() {
            return Err(RemoveError::Reading { stream: name.clone(), holders });
        }
    }
    let named = frames.map(|frames| lifecycle::end(name, &frames)).transpose().map_err(failed())?.flatten();
    Ok(lifecycle::remove_rest(site, name, named).map_err(failed())?)
}

fn check_ours(site: &Site, name: &StreamName, frames: &Segment) -> Result<(), RemoveError> {
    let failed = || CallError::at(format!("removing stream {name}"));
    let mapping = frames.attach_read().map_err(failed())?;
    let found = region::examine(&mapping, name);
    // Else it would count as somebody's who uses it.
    drop(mapping);
    let (stream, object) = (name.clone(), site.describe(frames, Part::Frames));
    match found {
        Found::Stranger(stranger) => Err(RemoveError::Stranger { stream, object, stranger }),
        Found::Blank => match lifecycle::living_creator(frames).map_err(failed())? {
            Some(pid) => Err(RemoveError::Unfinished { stream, object, pid: Some(pid).filter(|&pid| pid != 0) }),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn readers(site: &Site, name: &StreamName, frames: &Segment, set: &LeaseSet) -> Vec<PlaceHolder> {
    let Ok(frames) = frames.attach_read() else { return Vec::new() };
    let Found::Stream(header, geometry, _) = region::examine(&frames, name) else { return Vec::new() };
    let view = FramesView::of(&frames, geometry);
    subscribers(&view, &header, name, site, set).0.into_iter().map(|subscriber| subscriber.holder).collect()
}
