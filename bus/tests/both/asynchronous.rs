//! Asynchronous subscribers and descriptors, under tokio.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use framebus::*;
use futures_core::Stream;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::common::{attach, options};
use crate::fork::fork_publisher;

fn name() -> StreamName {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let bus = format!("test-{}-async-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    StreamName::new(&bus, "front").unwrap()
}

fn publisher(name: &StreamName, change: impl FnOnce(&mut StreamOptions)) -> Publisher {
    let mut settings = options(Content::Bytes { capacity: 64 });
    change(&mut settings);
    Publisher::open(name, &settings).unwrap()
}

fn subscriber(name: &StreamName) -> AsyncSubscriber {
    AsyncSubscriber::new(attach(name).unwrap()).unwrap()
}

/// Long enough for a wait that ends, and short enough for a watchdog.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("nobody woke the task")
}

fn publish(publisher: &mut Publisher) -> u64 {
    publisher.loan().unwrap().publish()
}

/// For closures that shall return nothing.
fn keep(_: u64) {}

/// On a runtime of one thread, and on one of many.
fn on_both_runtimes<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let build = |mut builder: tokio::runtime::Builder| builder.enable_all().build().unwrap();
    build(tokio::runtime::Builder::new_current_thread()).block_on(test());
    build(tokio::runtime::Builder::new_multi_thread()).block_on(test());
}

/// One poll, of a task that nobody needs to wake.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())).await
}

#[test]
fn tasks_are_woken_by_the_frames_of_their_streams() {
    on_both_runtimes(|| async {
        let (front, rear) = (name(), name());
        let (mut front, mut rear) = (publisher(&front, |_| {}), publisher(&rear, |_| {}));
        let (mut of_front, mut of_rear) = (subscriber(front.name()), subscriber(rear.name()));
        let (found, mut finding) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                let (index, frame) = tokio::select! {
                    frame = of_front.latest() => (0, frame.unwrap()),
                    frame = of_rear.next() => (1, frame.unwrap()),
                };
                found.send((index, frame.info().sequence)).unwrap();
            }
        });
        // Who is not woken looks after 100 ms: with enough frames the watchdog tells.
        soon(async {
            for round in 1..=300 {
                publish(&mut front);
                assert_eq!(finding.recv().await, Some((0, round)));
                publish(&mut rear);
                assert_eq!(finding.recv().await, Some((1, round)));
            }
        })
        .await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!((front.subscribers(), rear.subscribers()), (0, 0));
    });
}

#[test]
fn a_future_that_is_dropped_loses_no_frame_and_leaves_no_one_asleep() {
    on_both_runtimes(|| async {
        let name = name();
        let mut publisher = publisher(&name, |options| options.history = 64);
        let mut subscriber = subscriber(&name);
        for published in 1..=300 {
            {
                let mut pending = std::pin::pin!(subscriber.next());
                assert!(is_pending(&mut pending).await);
                if published % 2 == 0 {
                    assert!(timeout(Duration::from_micros(50), pending).await.is_err());
                }
            }
            publish(&mut publisher);
            // Dropped before it is polled, and while its task is about to be woken.
            drop(subscriber.next());
            soon(subscriber.wait()).await.unwrap();
            assert_eq!(soon(subscriber.next()).await.unwrap().info().sequence, published);
        }
        assert_eq!(subscriber.subscriber().counters().missed, 0);
    });
}

#[test]
fn a_stream_of_the_newest_frames_has_no_backlog_and_one_of_every_frame_has() {
    on_both_runtimes(|| async {
        let name = name();
        let mut publisher = publisher(&name, |options| options.history = 8);
        let (mut newest, mut every) = (subscriber(&name).into_newest(), subscriber(&name).into_every());
        for round in 1..=100 {
            (0..3).for_each(|_| keep(publish(&mut publisher)));
            let next = async |stream: &mut FrameStream| {
                let frame = soon(poll_fn(|context| Pin::new(&mut *stream).poll_next(context))).await;
                frame.unwrap().unwrap().info().sequence
            };
            assert_eq!(next(&mut newest).await, 3 * round);
            for sequence in 3 * round - 2..=3 * round {
                assert_eq!(next(&mut every).await, sequence);
            }
        }
        assert_eq!(newest.subscriber().counters().skipped, 2 * 99);
        // It goes on as another one.
        let mut every = every.into_inner();
        let mut pending = std::pin::pin!(every.latest());
        assert!(is_pending(&mut pending).await);
        publish(&mut publisher);
        assert_eq!(soon(pending).await.unwrap().info().sequence, 301);
    });
}

#[test]
fn a_task_waits_through_the_death_of_a_publisher_and_through_epochs() {
    on_both_runtimes(|| async {
        let name = name();
        let victim = fork_publisher(&name);
        let mut subscriber = subscriber(&name);
        assert_eq!(soon(subscriber.latest()).await.unwrap().info().sequence, 1);
        victim.kill();
        // The same stream goes on; then with another geometry; then closed, and made anew.
        for (capacity, persist, sequence) in [(64, true, 2), (100_000, false, 3), (64, false, 1), (64, false, 1)] {
            let mut pending = std::pin::pin!(subscriber.latest());
            assert!(is_pending(&mut pending).await);
            let mut successor = publisher(&name, |options| {
                (options.content, options.persist) = (Content::Bytes { capacity }, persist);
            });
            publish(&mut successor);
            assert_eq!(soon(pending).await.unwrap().info().sequence, sequence);
        }
        assert_eq!(subscriber.subscriber().epoch(), 3);
    });
}

#[test]
fn a_task_that_holds_all_it_may_gets_an_error_and_goes_on() {
    on_both_runtimes(|| async {
        let name = name();
        let mut publisher = publisher(&name, |options| options.max_held = 1);
        let mut subscriber = subscriber(&name);
        publish(&mut publisher);
        let held = soon(subscriber.latest()).await.unwrap();
        publish(&mut publisher);
        assert!(matches!(soon(subscriber.latest()).await, Err(AcquireError::AllHeld { .. })));
        drop(held);
        assert_eq!(soon(subscriber.latest()).await.unwrap().info().sequence, 2);
    });
}

#[test]
fn a_subscriber_that_is_dropped_while_a_task_waits_gives_its_place_back() {
    on_both_runtimes(|| async {
        let name = name();
        let publisher = publisher(&name, |_| {});
        for _ in 0..50 {
            let mut subscriber = subscriber(&name);
            {
                let mut pending = std::pin::pin!(subscriber.wait());
                assert!(is_pending(&mut pending).await);
                assert_eq!(publisher.subscribers(), 1);
            }
            drop(subscriber);
            assert_eq!(publisher.subscribers(), 0);
        }
    });
}

#[test]
fn a_descriptor_works_with_tokio_as_it_is() {
    on_both_runtimes(|| async {
        let name = name();
        let mut publisher = publisher(&name, |options| options.history = 4);
        let subscriber = EventSubscriber::new(attach(&name).unwrap()).unwrap();
        // SAFETY: the descriptor is the same one for as long as the subscriber lives, and open.
        let mut camera = unsafe { AsyncFd::register(subscriber) }.unwrap();
        soon(async {
            for round in 1..=300 {
                (0..2).for_each(|_| keep(publish(&mut publisher)));
                let mut taken = 0;
                while taken < 2 * round {
                    let mut ready = camera.readable_mut().await.unwrap();
                    match ready.get_inner_mut().try_next().unwrap() {
                        Some(frame) => taken = frame.info().sequence,
                        // tokio looks at the descriptor again.
                        None => ready.clear_ready(),
                    }
                }
                assert_eq!(taken, 2 * round);
            }
        })
        .await;
    });
}
