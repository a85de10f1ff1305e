//! The end: everybody goes, every slot and place is counted, and nothing may be left.

use std::time::{Duration, Instant};

use super::leaks::{self, Before};
use super::plan::{Deed, Member};
use super::probe;
use super::stage::Stage;
use super::verdict::Promise;
use super::witness::Witness;

/// Time for everybody to end.
const PATIENCE: Duration = Duration::from_secs(20);
const SLICE: Duration = Duration::from_millis(20);

/// Ends a storm with a last kill of all, a calm with Ctrl-C, viewers first; then looks at what they left.
pub(super) fn end(stage: &mut Stage, before: &Before) -> anyhow::Result<()> {
    stage.look()?;
    stage.ending = true;
    let all: Vec<usize> = (0..stage.roles.len()).collect();
    if stage.settings.calm {
        // Viewers that are left without a producer would wait for the next one.
        let is_viewer = |&role: &usize| stage.roles[role].member != Member::Producer;
        let viewers: Vec<usize> = all.iter().copied().filter(is_viewer).collect();
        viewers.iter().for_each(|&role| stage.act(role, Deed::Interrupt));
        await_ends(stage, &viewers);
        // Once more, while there is still a header that can be looked at.
        stage.look()?;
        all.iter().for_each(|&role| stage.act(role, Deed::Interrupt));
    } else {
        all.iter().for_each(|&role| stage.act(role, Deed::Kill));
    }
    await_ends(stage, &all);
    stage.witnesses.iter_mut().for_each(Witness::end);
    stage.listen(Instant::now());
    for stream in 0..stage.settings.streams.len() {
        let (witness, before) = (&stage.witnesses[stream], stage.tallies[stream]);
        let tally = witness.tally();
        stage.ledger.end_second(stream, witness, &before, &tally);
        stage.tallies[stream] = tally;
        examine(stage, stream);
    }
    for leak in leaks::look(stage.settings, before, &stage.pids)? {
        let stream = stage.settings.streams.iter().position(|stream| stream.name.to_string() == leak.stream);
        stage.ledger.broken(Promise::Leaks, stream, "", leak.what);
    }
    Ok(())
}

/// Waits until these have ended. Who does not is killed, and that is a finding.
fn await_ends(stage: &mut Stage, roles: &[usize]) {
    let deadline = Instant::now() + PATIENCE;
    while roles.iter().any(|&role| stage.roles[role].life.is_some()) && Instant::now() < deadline {
        stage.listen(Instant::now() + SLICE);
    }
    for &index in roles {
        let Some(life) = stage.roles[index].life.take() else { continue };
        let role = &stage.roles[index];
        let detail = format!("pid {} did not end within {} s", life.actor.pid(), PATIENCE.as_secs());
        stage.ledger.broken(Promise::Actors, Some(role.stream), &role.label, detail);
    }
}

fn examine(stage: &mut Stage, stream: usize) {
    let tally = stage.tallies[stream];
    if tally.taken == 0 {
        let detail = "the witness has not seen a single frame".to_owned();
        stage.ledger.broken(Promise::GoesOn, Some(stream), "producer", detail);
    }
    let page = &stage.ledger.pages[stream];
    let (told, seen) = (page.told_refused, page.timeline.total().refused);
    if told > seen {
        // In the header of an epoch that ended between two looks.
        let detail = format!("producers told of {told} refused frames, and {seen} were seen in the stream's header");
        stage.ledger.broken(Promise::Refused, Some(stream), "", detail);
    }
    // As the last producer opened it, so that it is taken over.
    let producer = stage.roles.iter().find(|role| role.stream == stream && role.member == Member::Producer);
    let shape = producer.map_or(0, |role| role.last_part(stage.settings).shape);
    // A stream that was closed since the last frame that we saw may rightly begin at 1.
    let silence = stage.witnesses[stream].silence();
    let closed = stage.closes[stream].is_some_and(|close| close.elapsed() <= silence + Duration::from_secs(1));
    let at_least = if closed { 1 } else { tally.last_sequence + 1 };
    let options = stage.settings.options(shape);
    for loss in probe::examine(&stage.settings.streams[stream], &options, at_least) {
        stage.ledger.broken(loss.promise, Some(stream), "probe", loss.detail);
    }
}
