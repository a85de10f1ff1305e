//! One process a role. The program starts itself again for each, tells it its order in one line of JSON on its standard
//! input, and reads its reports, a line of JSON each, from its standard output.
//!
//! ```text
//! coordinator                       actor
//!   order ─────────────────────────▶ opens, attaches
//!         ◀───────────────────────── ready
//!   "go"  ─────────────────────────▶ works
//!         ◀───────────────────────── done {…}, or failed "…" at any time
//!   "stop" (or the end of the input) ▶ closes, removes what it made, ends
//! ```

mod process;

use crate::contenders::{Contender, Site};
use crate::contestant::{Contestant, Visit};
use crate::cores::{self, Side};
use crate::samples::Percentiles;
use crate::work::{cycle, latency, rate, round_trip, startup};
use anyhow::{Context, Result, bail};
pub use process::Actor;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The first argument of a program that is an actor.
pub const ROLE: &str = "--actor";

/// What an actor shall do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    Publish(latency::PublishOrder),
    Watch { site: Site },
    Ping(round_trip::PingOrder),
    Answer { there: Site, back: Site },
    Cycle(cycle::CycleOrder),
    Clock { seconds: f64 },
    Memcpy { bytes: usize, seconds: f64 },
    Flood { site: Site, seconds: f64 },
    Drain { site: Site },
    Attach(startup::AttachOrder),
}

/// An order, and where to carry it out.
#[derive(Debug, Serialize, Deserialize)]
struct Start {
    side: Side,
    order: Order,
}

/// What the coordinator says later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Command {
    Go,
    Stop,
}

/// What an actor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Report {
    Ready,
    Done(Outcome),
    Failed(String),
}

/// What came of an order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The times that the order was about.
    pub times: Option<Percentiles>,
    /// Times of attaching alone.
    pub attach: Option<Percentiles>,
    /// Of one core, over the measured time.
    pub cpu_percent: Option<f64>,
    /// Frames, in the measured time.
    pub frames: u64,
    /// The measured time.
    pub seconds: f64,
}

static STOP: AtomicBool = AtomicBool::new(false);

/// Whether the coordinator wants this actor to end, or is gone.
#[inline]
pub fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// The actor's end of the conversation.
pub struct Stage {
    commands: Receiver<Command>,
}

impl Stage {
    /// Everything is attached. Returns when the others are, too; an error, when there will be nothing.
    pub fn ready(&self) -> Result<()> {
        say(&Report::Ready)?;
        match self.commands.recv() {
            Ok(Command::Go) => Ok(()),
            _ => bail!("stopped before it began"),
        }
    }

    /// Says what came of it; returns when the others are done, too.
    pub fn done(&self, outcome: Outcome) -> Result<()> {
        say(&Report::Done(outcome))?;
        while !matches!(self.commands.recv(), Ok(Command::Stop) | Err(_)) {}
        Ok(())
    }
}

fn say(report: &Report) -> Result<()> {
    let mut line = serde_json::to_string(report)?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).context("the coordinator does not listen")
}

/// What an actor does instead of the program's main.
pub fn main() -> ExitCode {
    // SAFETY: no handler is installed, the signal is ignored. Ctrl-C is for the coordinator, which tells us in its own way.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    match act() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to hear it.
            let _ = say(&Report::Failed(format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn act() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let start = lines.next().context("no order")??;
    drop(lines);
    let Start { side, order } = serde_json::from_str(&start).context("an order that makes no sense")?;
    // Before anything starts a thread, for threads inherit it.
    cores::pin(side);
    let (sender, commands) = channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        for command in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
            if command == Command::Stop {
                break;
            }
            let _ = sender.send(command);
        }
        STOP.store(true, Ordering::Relaxed);
        let _ = sender.send(Command::Stop);
    });
    carry_out(order, &Stage { commands })
}

fn carry_out(order: Order, stage: &Stage) -> Result<()> {
    match order {
        Order::Clock { seconds } => cycle::clock(seconds, stage),
        Order::Memcpy { bytes, seconds } => cycle::memcpy(bytes, seconds, stage),
        order => {
            let contestant = order.contestant();
            let role = RoleOf { order, stage };
            contestant.visit(role).with_context(|| format!("{contestant} is not built in"))?
        }
    }
}

impl Order {
    fn contestant(&self) -> Contestant {
        match self {
            Self::Publish(order) => order.site.contestant,
            Self::Ping(order) => order.there.contestant,
            Self::Answer { there, .. } => there.contestant,
            Self::Cycle(order) => order.site.contestant,
            Self::Clock { .. } => Contestant::Clock,
            Self::Memcpy { .. } => Contestant::Memcpy,
            Self::Watch { site } | Self::Flood { site, .. } | Self::Drain { site } => site.contestant,
            Self::Attach(order) => order.site.contestant,
        }
    }
}

struct RoleOf<'a> {
    order: Order,
    stage: &'a Stage,
}

impl Visit for RoleOf<'_> {
    type Out = Result<()>;

    fn visit<C: Contender>(self) -> Result<()> {
        match &self.order {
            Order::Publish(order) => latency::publish::<C>(order, self.stage),
            Order::Watch { site } => latency::watch::<C>(site, self.stage),
            Order::Ping(order) => round_trip::ping::<C>(order, self.stage),
            Order::Answer { there, back } => round_trip::answer::<C>(there, back, self.stage),
            Order::Cycle(order) => cycle::cycle::<C>(order, self.stage),
            Order::Flood { site, seconds } => rate::flood::<C>(site, Duration::from_secs_f64(*seconds), self.stage),
            Order::Drain { site } => rate::drain::<C>(site, self.stage),
            Order::Attach(order) => startup::attach::<C>(order, self.stage),
            Order::Clock { .. } | Order::Memcpy { .. } => bail!("that needs no bus"),
        }
    }
}
