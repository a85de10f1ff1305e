//! Who comes, and who is turned away, for the log.
//!
//! What lasts is told as it begins and as it ends: a page that is open, a video that is read. Single requests are for debugging.
//! Anybody may knock as often as they like, and who may come in may come and go as quickly; so there are only so many lines a
//! second of either, and the next one says how many were left out.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock;

/// Visits that are told within a second.
const VISITS: u32 = 10;

/// Refusals, likewise.
const REFUSALS: u32 = 1;

const SECOND: Duration = Duration::from_secs(1);

/// Where a connection comes from; among each request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// What was told of them all.
#[derive(Debug)]
pub(crate) struct Visitors {
    /// It is told to who debugs alone.
    quiet: bool,
    visits: Mutex<Told>,
    refusals: Mutex<Told>,
}

/// Something that lasts; its end is told when it is dropped, where its beginning was.
pub(crate) struct Visit {
    peer: SocketAddr,
    what: &'static str,
    /// Where it is one stream's.
    stream: Option<String>,
    begun: Instant,
    is_told: bool,
}

impl Visitors {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, visits: Mutex::default(), refusals: Mutex::default() }
    }

    /// Tells of one who is turned away.
    pub(crate) fn refuse(&self, peer: SocketAddr, cause: &str) {
        match lock(&self.refusals).turn(Instant::now(), REFUSALS).filter(|_| !self.quiet) {
            Some(untold) => tracing::warn!(%peer, cause, untold, "a visitor was refused"),
            None => tracing::debug!(%peer, cause, "a visitor was refused"),
        }
    }

    /// Tells of one who comes in.
    pub(crate) fn enter(&self, Peer(peer): Peer, what: &'static str, stream: Option<String>) -> Visit {
        let begun = Instant::now();
        let turn = lock(&self.visits).turn(begun, VISITS).filter(|_| !self.quiet);
        match turn {
            Some(0) => tracing::info!(%peer, stream, "{what} opened"),
            Some(untold) => tracing::info!(%peer, stream, untold, "{what} opened"),
            None => tracing::debug!(%peer, stream, "{what} opened"),
        }
        Visit { peer, what, stream, begun, is_told: turn.is_some() }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Self { peer, what, stream, begun, is_told } = self;
        let (stream, seconds) = (stream.as_deref(), begun.elapsed().as_secs());
        match is_told {
            true => tracing::info!(%peer, stream, seconds, "{what} closed"),
            false => tracing::debug!(%peer, stream, seconds, "{what} closed"),
        }
    }
}

/// What was told of one kind.
#[derive(Debug, Default)]
struct Told {
    /// When the present second began.
    begun: Option<Instant>,
    /// In it.
    lines: u32,
    /// Since the last line.
    untold: u64,
}

impl Told {
    /// Where there is room for a line: how many had none before it.
    fn turn(&mut self, now: Instant, most: u32) -> Option<u64> {
        if self.begun.is_none_or(|begun| now >= begun + SECOND) {
            (self.begun, self.lines) = (Some(now), 0);
        }
        if self.lines >= most {
            self.untold += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_there_are_so_many_lines_a_second_and_all_are_counted() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut told = Told::default();
        assert_eq!(told.turn(at(0), 1), Some(0));
        assert!((1..=999).all(|ms| told.turn(at(ms), 1).is_none()));
        let turns = [1000, 1999, 9000].map(|ms| told.turn(at(ms), 1));
        assert_eq!(turns, [Some(999), None, Some(1)]);
        let mut told = Told::default();
        let turns: Vec<_> = (0..5).map(|ms| told.turn(at(ms), 3)).collect();
        assert_eq!(turns, [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(told.turn(at(1000), 3), Some(2));
    }

    #[test]
    fn who_is_not_told_to_come_is_not_told_to_go() {
        let (visitors, peer) = (Visitors::new(false), Peer("127.0.0.1:9".parse().unwrap()));
        let visits: Vec<_> = (0..VISITS + 2).map(|_| visitors.enter(peer, "page", None).is_told).collect();
        assert_eq!(visits.iter().filter(|told| **told).count() as u32, VISITS);
        assert!(!Visitors::new(true).enter(peer, "page", None).is_told, "quiet");
    }
}
