//! The live table on a terminal: looks once an interval, draws, and obeys the keys. However it ends, the terminal is
//! restored: ratatui's panic hook does it for a panic, a guard for everything else. Signals only set a flag.

use std::io::IsTerminal;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::{cursor, queue};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::paint::Paint;
use super::probe::Probes;
use super::screen::{self, View};
use super::ui::{Action, Probed, Ui};
use super::watch::Watch;
use super::{Arguments, Looked, Source, Told};

/// Longest time until a signal is heeded.
const SLICE: Duration = Duration::from_millis(200);

/// Restores the terminal.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        // The panic hook has done it before it told of the panic; a second time, the words would be written over.
        if !std::thread::panicking() {
            // There is nobody to tell where it is closed.
            let _ = queue!(std::io::stdout(), cursor::Show);
            let _ = ratatui::try_restore();
        }
    }
}

/// Shows the table until the user has seen enough.
pub fn run(arguments: &Arguments, source: &Source, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    for (is_terminal, what) in [(std::io::stdout().is_terminal(), "output"), (std::io::stdin().is_terminal(), "input")]
    {
        if !is_terminal {
            return Err(framebus_program::usage!(
                "can not draw a table: standard {what} is no terminal; --once prints one look as text, --json one object \
                 a stream and interval"
            ));
        }
    }
    let (mut watch, mut told) = (Watch::default(), Told::default());
    // What is wrong from the start is told before the screen is ours.
    let Looked { look, unlisted, .. } = source.look()?;
    told.say(unlisted);
    watch.take(look);
    let mut ui = Ui::new(arguments.interval, arguments.sort);
    ui.settle(&watch);
    if arguments.probe {
        ui.probed = Probed::Shown;
    }
    let mut probes = Probes::default();
    probes.follow(&ui.wanted(&watch));
    let mut fault: Option<String> = None;
    let paint = Paint::from_environment();

    // Before it is needed: setting up may fail halfway.
    let _guard = Guard;
    // Never dropped: it would show the cursor, which the guard does, and complain where the terminal is closed; and a
    // complaint to a closed terminal is a panic.
    let mut terminal = ManuallyDrop::new(ratatui::try_init().context("can not set up the terminal")?);
    let mut looked = Instant::now();
    let mut changed = true;
    while !stop.load(Ordering::Relaxed) {
        if changed {
            watch.note(probes.readings());
            let view = View { watch: &watch, prefix: &source.prefix, fault: fault.as_deref(), paint };
            terminal.draw(|frame| screen::draw(frame, &view, &mut ui)).context("can not draw on the terminal")?;
        }
        let due = looked + ui.interval;
        let left = due.saturating_duration_since(Instant::now());
        let waits = if ui.paused { SLICE } else { left.min(SLICE) };
        if !is_open_after(waits).context("can not read the keyboard")? {
            break;
        }
        changed = event::poll(Duration::ZERO).context("can not read the keyboard")?;
        if changed {
            match event::read().context("can not read the keyboard")? {
                Event::Key(key) if key.kind == KeyEventKind::Release => {}
                Event::Key(key) if ui.key(key, &watch) == Action::Quit => break,
                // Obeyed, or no key at all, such as a new size: it is drawn.
                _ => {}
            }
            probes.follow(&ui.wanted(&watch));
        }
        if !ui.paused && Instant::now() >= looked + ui.interval {
            looked = Instant::now();
            match source.look() {
                Ok(Looked { look, unlisted, .. }) => {
                    watch.take(look);
                    fault = news(&told.unlisted, &unlisted);
                }
                Err(error) => fault = Some(format!("{error:#}")),
            }
            probes.end_interval();
            probes.follow(&ui.wanted(&watch));
            ui.settle(&watch);
            changed = true;
        }
    }
    Ok(())
}

/// What can not be seen now, and was not told from the start.
pub fn news(told: &[String], unlisted: &[String]) -> Option<String> {
    unlisted.iter().find(|fault| !told.contains(fault)).cloned()
}

/// Waits for a key, or until the time is over; false: the terminal was closed. crossterm, which reads the keys, would look at a closed one
/// for ever.
fn is_open_after(time: Duration) -> std::io::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        // The keys come from elsewhere.
        return event::poll(time).map(|_| true);
    }
    let mut watched = [PollFd::new(&input, PollFlags::IN)];
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    match rustix::event::poll(&mut watched, Some(&time)) {
        // A signal: a new size, perhaps.
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(!watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR))
}
