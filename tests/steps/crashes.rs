//! `kill -9` at every step of every scene.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use framebus_steps::steps::{self, Step};

use crate::aftermath::{Stage, left_by};
use crate::scenes::{Event, Scene};

const PART: &str = "FRAMEBUS_TEST_PART";
/// The scene was played to its end.
const PLAYED: &str = "played";
const CLOSING: &str = "closing";

/// How a victim ended.
struct Ended {
    pid: u32,
    /// What it has certainly published.
    published: u64,
    /// It may have closed or removed the stream.
    closed: bool,
    /// The names of its steps, where it was not killed.
    steps: Option<Vec<String>>,
}

pub fn stream_name() -> framebus::StreamName {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    framebus::StreamName::new(&format!("test-{}-step-{number}", std::process::id()), "front").unwrap()
}

/// A process plays the scene and dies at the step of this number, or notes its steps (0).
fn run_victim(scene: Scene, stage: &Stage, step: usize) -> Ended {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crashes::play", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(PART, format!("{} {} {} {step}", scene.name(), stage.backend, stage.name));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let published = text.lines().filter_map(|line| line.strip_prefix("published ")?.parse().ok()).max().unwrap_or(0);
    let steps = text
        .lines()
        .find_map(|line| line.strip_prefix(PLAYED))
        .map(|steps| steps.split(';').map(str::trim).filter(|step| !step.is_empty()).map(str::to_owned).collect());
    let closed = text.lines().any(|line| line == CLOSING);
    let killed = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(libc::SIGKILL);
    assert!(killed == steps.is_none(), "step {step} of {scene:?}: {output:?}");
    Ended { pid, published, closed, steps }
}

#[test]
#[ignore = "not a test: the other tests start it as a process"]
fn play() {
    let Ok(part) = std::env::var(PART) else { return };
    let words: Vec<_> = part.split(' ').collect();
    let [scene, backend, name, step] = words[..] else { panic!("no such part: {part}") };
    let scene = Scene::ALL.into_iter().find(|found| found.name() == scene).unwrap();
    let (backend, name) = (backend.parse().unwrap(), name.parse().unwrap());
    let say = |text: String| {
        // The test runner has begun a line.
        println!("\n{text}");
        std::io::stdout().flush().unwrap();
    };
    steps::take_from(match step.parse().unwrap() {
        0 => Step::Note,
        number => Step::Die(number),
    });
    let mut tell = |event| match event {
        Event::Published(sequence) => say(format!("published {sequence}")),
        Event::Closing => say(CLOSING.to_owned()),
    };
    scene.play(&backend, &name, &mut tell).unwrap();
    say(format!("{PLAYED} {}", steps::taken().join(";")));
}

/// Kills a victim at each step of the scene, twice: once for a successor, once for `rm`.
fn is_survived_at_every_step(scene: Scene) {
    for backend in [framebus::Backend::SysV, framebus::Backend::default_file()] {
        let stage = Stage::prepare(scene.before(), &backend, stream_name());
        let steps = run_victim(scene, &stage, 0).steps.unwrap();
        stage.check_with_successor(0, true);
        println!("{scene:?} on {backend}: {} steps", steps.len());
        for number in 1..=steps.len() {
            let what = || format!("killed at step {number} of {scene:?} on {backend}, {}", steps[number - 1]);
            for with_successor in [true, false] {
                let stage = Stage::prepare(scene.before(), &backend, stream_name());
                let ended = run_victim(scene, &stage, number);
                let check = std::panic::AssertUnwindSafe(|| {
                    if with_successor {
                        stage.check_with_successor(ended.published, ended.closed);
                    } else {
                        stage.check_with_removal();
                    }
                    assert_eq!(left_by(ended.pid), Vec::<String>::new(), "segments of the victim");
                });
                if std::panic::catch_unwind(check).is_err() {
                    panic!("{}: see above ({})", what(), if with_successor { "successor" } else { "rm" });
                }
            }
        }
    }
}

/// A creator dies, and who clears up after it dies too: both at many steps.
fn is_survived_twice(scene: Scene) {
    for backend in [framebus::Backend::SysV, framebus::Backend::default_file()] {
        let stage = Stage::prepare(scene.before(), &backend, stream_name());
        let steps = run_victim(scene, &stage, 0).steps.unwrap().len();
        stage.check_with_successor(0, true);
        // Steps that have nothing in common, so that over the whole all sorts of pairs occur.
        for first in (1..=steps).step_by(11) {
            for second in (1 + first % 13..=steps).step_by(13) {
                let stage = Stage::prepare(scene.before(), &backend, stream_name());
                let one = run_victim(scene, &stage, first);
                // Where the first one left much, the second one's way may be shorter, and it plays to its end.
                let two = run_victim(scene, &stage, second);
                // Behind a closed stream the second one may have begun anew.
                let published = if one.closed { two.published } else { one.published.max(two.published) };
                println!("{backend}: killed at steps {first} and {second}");
                stage.check_with_successor(published, one.closed || two.closed);
                assert_eq!([left_by(one.pid), left_by(two.pid)].concat(), Vec::<String>::new());
            }
        }
    }
}

#[test]
fn a_creator_may_die_in_what_a_dead_creator_left() {
    is_survived_twice(Scene::Publish);
}

#[test]
fn a_publisher_that_changes_the_size_may_die_in_what_a_dead_one_left() {
    is_survived_twice(Scene::Resize);
}

macro_rules! survived {
    ($($test:ident: $scene:ident;)*) => { $( #[test] fn $test() { is_survived_at_every_step(Scene::$scene) } )* };
}

survived! {
    a_creator_may_die_at_every_step: Publish;
    a_successor_may_die_at_every_step: TakeOver;
    a_publisher_that_changes_the_size_may_die_at_every_step: Resize;
    a_living_publisher_that_changes_the_size_may_die_at_every_step: Grow;
    a_publisher_that_is_robbed_of_its_stream_may_die_at_every_step: Renew;
    a_subscriber_may_die_at_every_step: Read;
    a_sleeping_subscriber_may_die_at_every_step: Sleep;
    a_lossless_subscriber_may_die_at_every_step: ReadAll;
    a_subscriber_that_follows_may_die_at_every_step: Follow;
    whoever_removes_a_stream_may_die_at_every_step: Remove;
}
