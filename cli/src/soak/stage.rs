//! The soak while it runs: starts the cast, does what the plan says, and listens to everybody.
//!
//! One thread does all this, from an agenda of what is due when; threads beside it only read what processes print, and
//! watch the streams (`witness`). How it ends is in `finale`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use indicatif::ProgressBar;
use rustix::process::Signal;
use serde_json::Value;

use crate::actor::{Message, Said};

use super::arguments::Settings;
use super::cast::{Life, Role};
use super::judge::{self, End};
use super::ledger::{LONGEST_SILENCE_S, Ledger, Who};
use super::plan::{Act, Deed, Member, Plan};
use super::verdict::Promise;
use super::witness::{Remark, Tally, Witness};

const SECOND: Duration = Duration::from_secs(1);
/// How often the streams' headers are looked at: a place that is blamed may be free soon after.
const LOOK: Duration = Duration::from_millis(100);

/// What is due at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// The next act on a stream.
    Act(usize),
    /// A role's next life.
    Start(usize),
    /// A fuse has burnt down; of this life only.
    Kill(usize, u64),
    /// The end of a stop; of this life only.
    Continue(usize, u64),
    /// A look at the headers.
    Look,
    /// The end of a second.
    Second,
}

/// Everything that a running soak has.
pub(super) struct Stage<'a> {
    pub settings: &'a Settings,
    pub ledger: Ledger<'a>,
    pub roles: Vec<Role>,
    plans: Vec<(Plan, Act)>,
    pub witnesses: Vec<Witness>,
    /// The witnesses' counts at the end of the second before.
    pub tallies: Vec<Tally>,
    /// When each stream was last closing: from when its producer was told to until that had ended.
    pub closes: Vec<Option<Instant>>,
    agenda: BinaryHeap<Reverse<(Instant, Task)>>,
    lives: u64,
    /// All processes that there were.
    pub pids: HashSet<u32>,
    sender: Sender<Message>,
    messages: Receiver<Message>,
    remarks: Receiver<(usize, Remark)>,
    /// Nobody is started any more.
    pub ending: bool,
}

impl<'a> Stage<'a> {
    pub(super) fn new(settings: &'a Settings) -> anyhow::Result<Self> {
        let (sender, messages) = unbounded();
        let (say, remarks) = unbounded();
        let period = settings.rate.time_of(1);
        let streams = settings.streams.iter().enumerate();
        let witnesses = streams.map(|(index, stream)| Witness::start(index, stream, period, say.clone()));
        let plans = (0..settings.streams.len()).map(|stream| {
            let mut plan = Plan::new(settings, stream);
            let first = plan.next();
            (plan, first)
        });
        Ok(Self {
            witnesses: witnesses.collect::<anyhow::Result<_>>()?,
            tallies: vec![Tally::default(); settings.streams.len()],
            closes: vec![None; settings.streams.len()],
            plans: plans.collect(),
            ledger: Ledger::new(settings),
            roles: Role::all(settings),
            agenda: BinaryHeap::new(),
            lives: 0,
            pids: HashSet::new(),
            settings,
            sender,
            messages,
            remarks,
            ending: false,
        })
    }

    fn due(&mut self, after: Duration, task: Task) {
        self.agenda.push(Reverse((Instant::now() + after, task)));
    }

    /// Runs until the time is over, or until `stop`.
    pub(super) fn run(&mut self, bar: &ProgressBar, stop: &AtomicBool) -> anyhow::Result<()> {
        for role in 0..self.roles.len() {
            self.due(Duration::ZERO, Task::Start(role));
        }
        self.due(LOOK, Task::Look);
        self.due(SECOND, Task::Second);
        if !self.settings.calm {
            // Everybody is to be there when it begins.
            for stream in 0..self.settings.streams.len() {
                let first = self.plans[stream].1.after;
                self.due(SECOND / 2 + first, Task::Act(stream));
            }
        }
        let until = self.ledger.begun + self.settings.time;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            let next = self.agenda.peek().map_or(until, |Reverse((when, _))| *when).min(until);
            self.listen(next.min(Instant::now() + LOOK));
            while let Some(&Reverse((when, task))) = self.agenda.peek() {
                if when > Instant::now() {
                    break;
                }
                self.agenda.pop();
                self.perform(task, bar)?;
            }
        }
        Ok(())
    }

    /// Hears everybody until `until`.
    pub(super) fn listen(&mut self, until: Instant) {
        while let Ok(message) = self.messages.recv_deadline(until) {
            self.hear(message);
        }
        while let Ok((stream, remark)) = self.remarks.try_recv() {
            self.ledger.hear(stream, remark);
        }
    }

    fn perform(&mut self, task: Task, bar: &ProgressBar) -> anyhow::Result<()> {
        match task {
            Task::Start(role) => self.start(role)?,
            Task::Act(stream) => {
                let (plan, act) = &mut self.plans[stream];
                let now = *act;
                *act = plan.next();
                let after = act.after;
                self.due(after, Task::Act(stream));
                let found = self.roles.iter().position(|role| role.stream == stream && role.member == now.member);
                if let Some(role) = found {
                    self.act(role, now.deed);
                }
            }
            Task::Kill(role, number) => {
                if self.is_life(role, number) {
                    self.act(role, Deed::Kill);
                }
            }
            Task::Continue(role, number) => {
                if self.is_life(role, number)
                    && let Some(life) = &mut self.roles[role].life
                {
                    life.actor.signal(Signal::CONT);
                    life.stopped = false;
                }
            }
            Task::Look => {
                self.look()?;
                self.due(LOOK, Task::Look);
            }
            Task::Second => {
                self.end_second(bar)?;
                self.due(SECOND, Task::Second);
            }
        }
        Ok(())
    }

    fn is_life(&self, role: usize, number: u64) -> bool {
        self.roles[role].life.as_ref().is_some_and(|life| life.number == number)
    }

    fn start(&mut self, index: usize) -> anyhow::Result<()> {
        let role = &mut self.roles[index];
        let part = role.next_part(self.settings);
        self.lives += 1;
        let (fuse, number) = (part.fuse, self.lives);
        let detail = part.describe(self.settings, role.member);
        let pid = role.start(self.settings, part, number, &self.sender)?.actor.pid();
        self.pids.insert(pid);
        let who = Who { stream: role.stream, label: &role.label, pid: Some(pid) };
        self.ledger.note(who, "start", 0, detail);
        self.ledger.pages[role.stream].row.starts += 1;
        if let Some(fuse) = fuse {
            self.due(fuse, Task::Kill(index, number));
        }
        Ok(())
    }

    /// Does something to somebody who is there; nothing to those who are not, or who are ending already.
    pub(super) fn act(&mut self, index: usize, deed: Deed) {
        let role = &mut self.roles[index];
        let Some(life) = role.life.as_mut().filter(|life| !life.killed) else { return };
        let who = Who { stream: role.stream, label: &role.label, pid: Some(life.actor.pid()) };
        let age_ms = life.begun.elapsed().as_millis();
        let row = &mut self.ledger.pages[role.stream].row;
        let (event, what) = match deed {
            Deed::Kill => {
                row.kills += 1;
                life.killed = true;
                life.actor.signal(Signal::KILL);
                ("kill", format!("kill -9, {age_ms} ms after its start"))
            }
            Deed::Interrupt if life.interrupted || life.stopped => return,
            Deed::Interrupt => {
                row.interrupts += 1;
                life.interrupted = true;
                if role.member == Member::Producer && !life.part.persist {
                    // Before the signal: the witness may see what comes of it at once.
                    self.closes[role.stream] = Some(Instant::now());
                    self.witnesses[role.stream].expect_close();
                }
                life.actor.signal(Signal::INT);
                ("interrupt", format!("Ctrl-C, {age_ms} ms after its start"))
            }
            Deed::Stop(_) if life.stopped => return,
            Deed::Stop(time) => {
                row.stops += 1;
                life.stopped = true;
                life.actor.signal(Signal::STOP);
                let task = Task::Continue(index, life.number);
                self.agenda.push(Reverse((Instant::now() + time, task)));
                ("stop", format!("stopped for {} ms", time.as_millis()))
            }
        };
        if role.member == Member::Producer {
            self.ledger.explain(who, &what);
        }
        self.ledger.note(who, event, 0, what);
    }

    fn hear(&mut self, message: Message) {
        let is_from = |role: &Role| role.life.as_ref().is_some_and(|life| life.number == message.from);
        let Some(index) = self.roles.iter().position(is_from) else { return };
        let role = &mut self.roles[index];
        let Some(life) = &mut role.life else { return };
        match message.said {
            Said::Object(object) if object["kind"] == "interval" => {
                let closed = self.closes[role.stream].is_some_and(|closing| closing >= life.begun);
                judge::interval(&mut self.ledger, role, &object, closed);
            }
            Said::Object(object) => life.actor.summary = Some(object),
            Said::End(words) => {
                if let Some(life) = role.life.take() {
                    self.bury(index, life, &words);
                }
            }
        }
    }

    /// The end of a life, and whether it should have been.
    fn bury(&mut self, index: usize, mut life: Life, words: &str) {
        let status = life.actor.wait();
        let role = &self.roles[index];
        if role.member == Member::Producer && life.interrupted && !life.part.persist {
            self.witnesses[role.stream].note_closed();
            // It may have published for a while after it was told to end: a viewer that came meanwhile has seen both.
            self.closes[role.stream] = Some(Instant::now());
        }
        let in_order = judge::end(&mut self.ledger, role, &life, &End { status, words, ending: self.ending });
        if !self.ending {
            // What fails at once would otherwise be started and fail all the time.
            let rest = if in_order { role.next_part(self.settings).rest } else { SECOND };
            self.due(rest, Task::Start(index));
        }
    }

    /// Looks at the streams' headers.
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        for (index, stream) in self.settings.streams.iter().enumerate() {
            if let Some(status) = stream.status()? {
                self.ledger.look(index, &status);
            }
        }
        Ok(())
    }

    fn end_second(&mut self, bar: &ProgressBar) -> anyhow::Result<()> {
        let mut words = Vec::new();
        for stream in 0..self.settings.streams.len() {
            let witness = &self.witnesses[stream];
            let tally = witness.tally();
            let before = std::mem::replace(&mut self.tallies[stream], tally);
            let row = self.ledger.end_second(stream, witness, &before, &tally);
            if self.settings.json {
                let mut object = serde_json::to_value(&row)?;
                object["kind"] = "interval".into();
                object["stream"] = self.settings.streams[stream].name.to_string().into();
                print_line(&object)?;
            }
            words.push(format!("{:.1} Hz", row.rate_hz));
            let silence = witness.silence();
            if silence.as_secs() >= LONGEST_SILENCE_S && silence.as_secs().is_multiple_of(LONGEST_SILENCE_S) {
                let detail = format!("there was no frame for {} s", silence.as_secs());
                self.ledger.broken(Promise::GoesOn, Some(stream), "producer", detail);
            }
        }
        bar.set_position(self.ledger.begun.elapsed().as_secs().min(self.settings.time.as_secs()));
        let torn = self.ledger.findings.count(Promise::Torn);
        let kills = self.ledger.events.count("kill");
        bar.set_message(format!("{}, {kills} kills, {torn} torn", words.join(" · ")));
        Ok(())
    }
}

/// A line of JSON on standard output.
pub(super) fn print_line(object: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{object}")?;
    Ok(out.flush()?)
}
