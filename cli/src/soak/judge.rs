//! Reads what a process told and how it ended: into the books, and whether it should have been so.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use framebus_viewer::Violations;
use serde_json::Value;

use super::cast::{Life, Role};
use super::ledger::{Ledger, Who};
use super::plan::Member;
use super::verdict::Promise;

const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
/// So many characters of a process's last words are kept.
const WORDS: usize = 600;

/// How a life ended.
pub(super) struct End<'a> {
    /// `None` where the kernel does not tell.
    pub status: Option<ExitStatus>,
    /// Its words on standard error.
    pub words: &'a str,
    /// The whole soak ends.
    pub ending: bool,
}

/// What a process counts. Of a producer: refused, late. Of a viewer: frames, skipped, missed, torn, and violations of its
/// contract: too old, too many skipped, stale.
pub(super) type Counted = [u64; 7];

fn counts(member: Member, object: &Value) -> Counted {
    let number = |key: &str| object[key].as_u64().unwrap_or(0);
    match member {
        Member::Producer => [number("drops"), number("late"), 0, 0, 0, 0, 0],
        Member::Viewer(_) => {
            let violations = |key: &str| object["violations"][key].as_u64().unwrap_or(0);
            let [old, many, stale] = ["too_old", "too_many_skipped", "stale"].map(violations);
            [number("frames"), number("skipped"), number("missed"), number("torn"), old, many, stale]
        }
    }
}

/// A member's interval. `closed`: its stream was closing at some time since this life began.
pub(super) fn interval(ledger: &mut Ledger, role: &mut Role, object: &Value, closed: bool) {
    let Some(life) = &mut role.life else { return };
    let (stream, pid) = (role.stream, life.actor.pid());
    let who = Who { stream, label: &role.label, pid: Some(pid) };
    let sequence = object["last_sequence"].as_u64();
    if let (Some(last), Some(now)) = (life.last_sequence, sequence)
        && now < last
        && !closed
    {
        let detail = format!("pid {pid} told of frame {now} after frame {last}, and nobody had closed the stream");
        ledger.broken(Promise::Order, Some(stream), who.label, detail);
    }
    life.last_sequence = sequence.or(life.last_sequence);
    let counts = counts(role.member, object);
    for (sum, more) in life.told.iter_mut().zip(counts) {
        *sum += more;
    }
    book(ledger, role.member, who, counts, sequence);
}

/// What a process told: into the present second, and into the events where it cost frames.
fn book(ledger: &mut Ledger, member: Member, who: Who, counts: Counted, sequence: Option<u64>) {
    let calm = ledger.settings.calm;
    let page = &mut ledger.pages[who.stream];
    let near = sequence.map_or(String::new(), |sequence| format!(", up to frame {sequence}"));
    let mut costs: Vec<(&'static str, u64, &str)> = Vec::new();
    match member {
        Member::Producer => {
            let [refused, late, ..] = counts;
            page.told_refused += refused;
            costs.push(("late", late, "published behind their deadline"));
        }
        Member::Viewer(_) => {
            let [frames, skipped, missed, torn, old, many, stale] = counts;
            page.row.viewer_frames += frames;
            page.row.skipped += skipped;
            page.row.missed += missed;
            page.row.torn += torn;
            page.row.violations += old + many + stale;
            if torn > 0 {
                let detail = format!("pid {} found {torn} frames torn{near}", who.pid.unwrap_or(0));
                ledger.note(who, "torn", torn, detail.clone());
                ledger.broken(Promise::Torn, Some(who.stream), who.label, detail);
            }
            let violations = Violations { too_old: old, too_many_skipped: many, stale };
            if violations.total() > 0 {
                let detail = format!("pid {}: {violations}{near}", who.pid.unwrap_or(0));
                ledger.note(who, "violation", 0, detail.clone());
                ledger.broken(Promise::Contract, Some(who.stream), who.label, detail);
            }
            costs.push(("skipped", skipped, "passed over for a newer one"));
            costs.push(("missed", missed, "gone before they were asked for"));
        }
    }
    // In a storm there are too many to tell of each; the rows have their numbers.
    for (event, frames, how) in costs.into_iter().filter(|&(_, frames, _)| frames > 0 && calm) {
        ledger.note(who, event, frames, format!("{how}{near}"));
        ledger.broken(Promise::Smooth, Some(who.stream), who.label, format!("{frames} frames {how}{near}"));
    }
}

/// The end of a life. True: it was by order.
pub(super) fn end(ledger: &mut Ledger, role: &Role, life: &Life, end: &End) -> bool {
    let who = Who { stream: role.stream, label: &role.label, pid: Some(life.actor.pid()) };
    if let Some(summary) = &life.actor.summary {
        // What came after the last interval.
        let totals = counts(role.member, summary);
        let rest: Counted = std::array::from_fn(|index| totals[index].saturating_sub(life.told[index]));
        book(ledger, role.member, who, rest, summary["last_sequence"].as_u64());
    }
    let Some(fault) = fault(life, end) else { return true };
    let words: String = end.words.trim().chars().take(WORDS).collect();
    let words = if words.is_empty() { "it said nothing".to_owned() } else { format!("it said: {words}") };
    let detail = format!(
        "pid {} {fault}, {} ms after its start ({}); {words}",
        life.actor.pid(),
        life.begun.elapsed().as_millis(),
        life.part.describe(ledger.settings, role.member),
    );
    ledger.note(who, "fault", 1, detail.clone());
    let promise = if words.contains(" places are taken") { Promise::Places } else { Promise::Actors };
    ledger.broken(promise, Some(role.stream), who.label, detail);
    false
}

/// What is wrong with an end; `None`: it was by order.
fn fault(life: &Life, end: &End) -> Option<String> {
    let Some(status) = end.status else { return Some("ended, and the kernel does not tell how".to_owned()) };
    judge(status, life.killed, life.interrupted, life.part.frames.is_some() || end.ending)
}

/// `may_end`: of itself, without being told.
fn judge(status: ExitStatus, killed: bool, interrupted: bool, may_end: bool) -> Option<String> {
    match (status.code(), status.signal()) {
        (_, Some(SIGKILL)) if killed => None,
        // Before its handler was there.
        (_, Some(SIGINT)) if interrupted => None,
        (Some(0), _) if interrupted || may_end => None,
        (Some(0), _) => Some("ended without being told to".to_owned()),
        _ => Some(format!("ended with {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_by_order_is_in_order() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let signal = ExitStatus::from_raw;
        assert_eq!(judge(signal(9), true, false, false), None);
        assert_eq!(judge(exit(0), false, true, false), None);
        assert_eq!(judge(exit(0), false, false, true), None);
        assert_eq!(judge(signal(2), false, true, false), None, "interrupted before its handler was there");
        assert!(judge(exit(0), false, false, false).is_some(), "nobody told it to end");
        assert!(judge(exit(1), true, true, true).unwrap().contains("exit status: 1"));
        assert!(judge(signal(9), false, false, true).is_some(), "somebody else killed it");
        assert!(judge(signal(11), true, true, true).is_some(), "it crashed before we killed it");
    }
}
