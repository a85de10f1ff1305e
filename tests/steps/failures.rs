//! A failure of every system call of every scene: an error, and nothing lost or left.

use framebus::Backend;
use framebus_steps::steps::{self, Step};

use crate::aftermath::Stage;
use crate::crashes::stream_name;
use crate::scenes::{Event, Scene};

const ERRORS: [i32; 6] = [libc::ENOSPC, libc::EPERM, libc::EACCES, libc::ENOMEM, libc::EIO, libc::EINTR];

/// What came of a scene.
struct Played {
    result: Result<(), String>,
    published: u64,
    closed: bool,
    steps: Vec<String>,
}

/// Plays a scene in this very thread.
fn play(scene: Scene, stage: &Stage, step: Step) -> Played {
    let (backend, name) = (stage.backend.to_string().parse().unwrap(), stage.name.to_string().parse().unwrap());
    let (mut published, mut closed) = (0, false);
    steps::take_from(step);
    let result = scene.play(&backend, &name, &mut |event| match event {
        Event::Published(sequence) => published = sequence,
        Event::Closing => closed = true,
    });
    // A scene that gives up drops its publisher, which closes the stream.
    closed |= published > 0 && result.is_err();
    Played { result, published, closed, steps: steps::taken() }
}

/// Each system call of the scene fails once with each error.
fn survives_every_failure(scene: Scene) {
    for backend in [Backend::SysV, Backend::default_file()] {
        let stage = Stage::prepare(scene.before(), &backend, stream_name());
        let whole = play(scene, &stage, Step::Note);
        whole.result.unwrap();
        stage.check_with_successor(0, true);
        let is_call = |(_, name): &(usize, &String)| name.ends_with("()");
        let mut failed = 0;
        for (index, name) in whole.steps.iter().enumerate().filter(is_call) {
            // They can not fail while the set exists; a lease that is not given back is one that is held. (A lock goes with
            // its file; but a process that another test spawns just now has that, too.)
            if ["semop(-1)()", "fcntl(F_UNLCK)()"].contains(&name.as_str()) {
                continue;
            }
            for errno in ERRORS {
                let stage = Stage::prepare(scene.before(), &backend, stream_name());
                let played = play(scene, &stage, Step::Fail(index + 1, errno));
                let result = played.result;
                println!("{scene:?} on {backend}, {name} says {errno}: {result:?}");
                assert!(errno != libc::EINTR || result.is_ok(), "a signal is no reason to give up");
                if result.is_err() {
                    failed += 1;
                    // What comes after the memory was had on trial can only fail where it goes meanwhile: the old
                    // epoch is over then, and its sequence carried on.
                    let is_over =
                        scene == Scene::Resize && whole.steps[..index].iter().any(|step| !step.ends_with("()"));
                    if played.published == 0 && !played.closed && !is_over {
                        stage.check_unchanged(scene.before());
                    }
                }
                stage.check_with_successor(played.published, played.closed);
            }
        }
        // Were the failures not reported, this test would test nothing.
        assert!(failed > 0, "{scene:?} on {backend}");
    }
}

macro_rules! survived {
    ($($test:ident: $scene:ident;)*) => { $( #[test] fn $test() { survives_every_failure(Scene::$scene) } )* };
}

survived! {
    a_creator_survives_every_failure: Publish;
    a_successor_survives_every_failure: TakeOver;
    a_publisher_that_changes_the_size_survives_every_failure: Resize;
    a_living_publisher_that_changes_the_size_survives_every_failure: Grow;
    a_publisher_that_is_robbed_of_its_stream_survives_every_failure: Renew;
    a_subscriber_survives_every_failure: Read;
    a_sleeping_subscriber_survives_every_failure: Sleep;
    a_lossless_subscriber_survives_every_failure: ReadAll;
    a_subscriber_that_follows_survives_every_failure: Follow;
    whoever_removes_a_stream_survives_every_failure: Remove;
}
