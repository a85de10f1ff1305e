//! When everybody has ended: is every slot and every place still there?
//!
//! A publisher takes over what the last kill left. As many subscribers as there are places attach, each takes and keeps as
//! many frames as it may, all of them different ones; and still the publisher goes on. That needs each single slot of
//! `history + 1 + max_subscribers × max_held`. Then all close, and the stream must be gone.

use std::time::Duration;

use framebus::{Frame, Publisher, Slots, StreamOptions, Subscriber, mark};

use super::backend::{Stream, subscriber};
use super::verdict::Promise;

/// Something lost.
#[derive(Debug)]
pub(super) struct Loss {
    pub promise: Promise,
    pub detail: String,
}

/// Examines a stream that nobody uses. `options` are those of its last producer; `at_least` is the sequence that comes
/// next at the earliest.
pub(super) fn examine(stream: &Stream, options: &StreamOptions, at_least: u64) -> Vec<Loss> {
    let mut losses = Vec::new();
    if let Err(loss) = examine_all(stream, options, at_least, &mut losses) {
        losses.push(loss);
    }
    losses
}

fn examine_all(stream: &Stream, options: &StreamOptions, at_least: u64, losses: &mut Vec<Loss>) -> Result<(), Loss> {
    let loss = |promise, detail: String| Loss { promise, detail: format!("the probe at the end: {detail}") };
    let name = &stream.name;
    let mut options = options.clone();
    options.backend = stream.backend.clone();
    let mut publisher = Publisher::open(name, &options)
        .map_err(|error| loss(Promise::GoesOn, format!("{:#}", anyhow::Error::new(error))))?;
    if publisher.next_sequence() < at_least {
        let detail =
            format!("the stream goes on with frame {}, and frame {at_least} is due", publisher.next_sequence());
        losses.push(loss(Promise::Order, detail));
    }
    let mut subscribers = Vec::new();
    for place in 0..options.max_subscribers {
        let wish = subscriber(&stream.backend, &format!("probe-{}", place + 1), Duration::ZERO);
        let subscriber = Subscriber::attach_with(name, wish)
            .map_err(|error| loss(Promise::Places, format!("{:#}", anyhow::Error::new(error))))?;
        subscribers.push(subscriber);
    }
    let mut held: Vec<Frame> = Vec::new();
    if options.slots == Slots::Auto {
        for subscriber in &mut subscribers {
            for _ in 0..options.max_held {
                publish(&mut publisher).map_err(|detail| loss(Promise::Slots, detail))?;
                match subscriber.latest() {
                    Ok(Some(frame)) => held.push(frame),
                    Ok(None) => losses.push(loss(Promise::Slots, "a frame was published and is not there".to_owned())),
                    Err(error) => losses.push(loss(Promise::Slots, format!("{:#}", anyhow::Error::new(error)))),
                }
            }
        }
        // Around the window once more, with everything held.
        for _ in 0..=2 * options.history {
            publish(&mut publisher).map_err(|detail| loss(Promise::Slots, detail))?;
        }
    }
    for frame in &held {
        if let Err(error) = mark::verify(frame, frame.info().sequence) {
            losses.push(loss(Promise::Torn, format!("a frame that was held: {error}")));
        }
    }
    Ok(())
    // Dropped in this order: frames, subscribers, the publisher, which closes the stream.
}

fn publish(publisher: &mut Publisher) -> Result<(), String> {
    let mut loan = publisher.loan().map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
    let sequence = loan.sequence();
    mark::stamp(&mut loan, sequence, 0);
    loan.publish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::testing::settings;

    #[test]
    fn a_stream_in_order_loses_nothing_and_is_gone_afterwards() {
        let settings = settings(&format!("--bus test-{}-probe --size 32x32", std::process::id()));
        let losses = examine(&settings.streams[0], &settings.options(0), 1);
        assert!(losses.is_empty(), "{losses:?}");
        assert!(
            framebus::list(&settings.streams[0].backend)
                .unwrap()
                .iter()
                .all(|left| left.name != settings.streams[0].name)
        );
    }

    #[test]
    fn a_place_that_is_taken_and_a_sequence_that_went_back_are_losses() {
        let settings = settings(&format!("--bus test-{}-probe-lost --size 32x32", std::process::id()));
        let name = &settings.streams[0].name;
        let mut left = settings.options(0);
        left.persist = true;
        drop(Publisher::open(name, &left).unwrap());
        let _taken = Subscriber::attach(name).unwrap();
        let losses = examine(&settings.streams[0], &settings.options(0), 100);
        let promises: Vec<Promise> = losses.iter().map(|loss| loss.promise).collect();
        assert_eq!(promises, [Promise::Order, Promise::Places], "{losses:?}");
    }
}
