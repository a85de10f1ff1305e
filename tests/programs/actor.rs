//! A process that uses the library as no program does: it stops in the middle, to be killed there.
//!
//! It is this test binary itself, told by an environment variable which part to play.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use framebus::{Content, Publisher, StreamName, Subscriber, mark};
use serde_json::{Value, json};

use crate::harness::{Running, TestStream, options, subscriber_options};
use crate::{exec, namespaces, scribblers, signals};

const PART: &str = "FRAMEBUS_TEST_PART";

/// Starts an actor: `hold N` takes N frames and keeps them, `write` publishes one marked frame and stops in the middle
/// of the second.
///
/// `scribblers`, `exec`, `namespaces` and `signals` have parts of their own.
pub fn start(stream: &TestStream, part: &str) -> Running {
    Running::start(command(&stream.name, part))
}

/// The process of an actor, not started so far.
pub fn command(name: &StreamName, part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "actor::play", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(PART, format!("{name} {part}"));
    command
}

/// Content of the stream that `write` opens.
pub fn content() -> Content {
    Content::Bytes { capacity: 100_000 }
}

#[test]
#[ignore = "not a test: the other tests start it as a process"]
fn play() {
    let Ok(part) = std::env::var(PART) else { return };
    let mut words = part.split(' ');
    let name: StreamName = words.next().unwrap().parse().unwrap();
    match (words.next().unwrap(), words.next()) {
        ("hold", Some(count)) => hold(&name, count.parse().unwrap()),
        ("write", None) => write(&name),
        ("view", None) => scribblers::view(&name),
        ("scribble", Some(what)) => scribblers::scribble(&name, what),
        ("exec", None) => exec::exec(&name),
        ("spawn", None) => exec::spawn(&name),
        ("stay", None) => stop_here(0),
        ("interrupted", None) => signals::interrupted(&name),
        ("leave", None) => namespaces::leave(&name),
        other => panic!("no such part: {other:?}"),
    }
}

/// Tells the test something.
pub fn say(object: &Value) {
    // The test runner has begun a line.
    println!("\n{object}");
    std::io::stdout().flush().unwrap();
}

/// Tells the test how far we are, and stays there.
pub fn stop_here(sequence: u64) -> ! {
    say(&json!({ "at": sequence }));
    // Should the test die, this must not stay for ever.
    std::thread::sleep(Duration::from_secs(120));
    std::process::exit(1);
}

fn hold(name: &StreamName, count: usize) {
    let mut settings = subscriber_options();
    settings.label = "holder".to_owned();
    settings.patience = Duration::from_secs(60);
    let mut subscriber = Subscriber::attach_with(name, settings).unwrap();
    let mut frames = Vec::new();
    while frames.len() < count {
        assert!(subscriber.wait(Instant::now() + Duration::from_secs(60)).unwrap());
        frames.extend(subscriber.latest().unwrap());
    }
    stop_here(frames.last().unwrap().info().sequence);
}

fn write(name: &StreamName) {
    let mut publisher = Publisher::open(name, &options(content())).unwrap();
    let mut loan = publisher.loan().unwrap();
    let sequence = loan.sequence();
    mark::stamp(&mut loan, sequence, 0);
    loan.publish();
    let mut loan = publisher.loan().unwrap();
    let half = loan.len() / 2;
    loan[..half].fill(0xee);
    stop_here(loan.sequence());
}
