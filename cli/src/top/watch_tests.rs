use framebus::PublisherState;

use super::*;
use crate::top::testing::{SECOND, key, later, look, robot, stream, subscriber};
use crate::top::trouble::{self, Severity};

/// What is known of a stream after looks a second apart.
fn after(streams: impl IntoIterator<Item = Option<Stream>>) -> Watch {
    let mut watch = Watch::default();
    for (second, stream) in streams.into_iter().enumerate() {
        watch.take(look(second as f64, stream.into_iter().collect()));
    }
    watch
}

fn only(watch: &Watch) -> &Watched {
    assert_eq!(watch.streams.len(), 1);
    watch.streams.values().next().unwrap()
}

fn texts(watch: &Watch) -> Vec<String> {
    trouble::of_stream(only(watch), watch.at_ns).into_iter().map(|trouble| trouble.text).collect()
}

#[test]
fn one_look_has_no_rates() {
    let watch = after([Some(stream("a/b"))]);
    assert_eq!((watch.seconds, only(&watch).rates), (None, StreamRates::default()));
}

#[test]
fn the_rate_is_taken_from_frame_to_frame_and_not_from_look_to_look() {
    let first = stream("a/b");
    // 31 frames lie in this second, but the last one is by nearly a period younger.
    let mut second = later(&first, 31);
    (second.age_ns, second.late, second.abandoned) = (Some(10_000_000 - 33_333_333 / 4), 3, 2);
    let mut first = first;
    first.age_ns = Some(10_000_000 + 33_333_333 * 3 / 4);
    let watch = after([Some(first), Some(second)]);
    let rates = only(&watch).rates;
    assert!((rates.published_hz.unwrap() - 30.0).abs() < 0.001, "{rates:?}");
    assert_eq!((rates.published, rates.late_hz, rates.abandoned_hz), (Some(31), Some(3.0), Some(2.0)));
}

#[test]
fn a_stream_slower_than_the_looks_keeps_its_rate_until_a_frame_is_overdue() {
    let mut slow = stream("a/b");
    slow.nominal_hz = None;
    (slow.last_sequence, slow.age_ns) = (1, Some(2 * SECOND));
    let mut came = later(&slow, 1);
    came.age_ns = Some(0);
    let mut waits = came.clone();
    let mut looks = vec![Some(slow), Some(came)];
    for age in 1..=8 {
        waits.age_ns = Some(age * SECOND);
        looks.push(Some(waits.clone()));
        let hz = only(&after(looks.clone())).rates.published_hz.unwrap();
        // Frames 3 s apart.
        assert!((hz - if age < 6 { 1.0 / 3.0 } else { 0.0 }).abs() < 0.001, "{age} s: {hz}");
    }
}

#[test]
fn a_successor_goes_on_and_counts_as_a_restart() {
    let first = stream("a/b");
    let mut second = later(&first, 20);
    second.publisher_pid = Some(4001);
    let watch = after([Some(first), Some(second)]);
    assert_eq!((only(&watch).rates.published, only(&watch).restarts), (Some(20), 1));
}

#[test]
fn a_pause_between_two_publishers_makes_the_second_one_not_slow() {
    let mut dead = stream("a/b");
    (dead.publisher, dead.publisher_pid, dead.age_ns) = (PublisherState::Gone, None, Some(20 * SECOND));
    let mut back = later(&stream("a/b"), 30);
    back.publisher_pid = Some(4001);
    let watch = after([Some(dead.clone()), Some(back.clone())]);
    let rates = only(&watch).rates;
    assert_eq!((rates.published, rates.published_hz, texts(&watch)), (Some(30), None, Vec::<String>::new()));
    assert_eq!(only(&after([Some(dead), Some(back.clone()), Some(later(&back, 30))])).rates.published_hz, Some(30.0));
}

#[test]
fn a_publisher_that_comes_back_after_death_counts_once() {
    let first = stream("a/b");
    let mut dead = first.clone();
    (dead.publisher, dead.publisher_pid) = (PublisherState::Gone, None);
    let watch = after([Some(first.clone()), Some(dead.clone()), Some(dead), Some(first.clone()), Some(first)]);
    assert_eq!(only(&watch).restarts, 1);
}

#[test]
fn a_sequence_that_goes_back_gives_no_rates_for_one_look() {
    let first = stream("a/b");
    let mut anew = first.clone();
    (anew.last_sequence, anew.segment_id) = (5, 8);
    let watch = after([Some(first.clone()), Some(anew.clone())]);
    assert_eq!(only(&watch).rates, StreamRates::default());
    assert_eq!(only(&watch).restarts, 1);
    let watch = after([Some(first), Some(anew.clone()), Some(later(&anew, 30))]);
    assert_eq!(only(&watch).rates.published_hz, Some(30.0));
}

#[test]
fn a_stream_made_anew_has_no_rates_for_one_look_also_where_it_is_further_already() {
    let first = stream("a/b");
    let mut anew = later(&first, 60);
    anew.segment_id = 8;
    let watch = after([Some(first), Some(anew)]);
    assert_eq!((only(&watch).rates, only(&watch).restarts), (StreamRates::default(), 1));
}

#[test]
fn a_new_epoch_goes_on_in_sequence_but_its_counters_begin_anew() {
    let mut first = stream("a/b");
    first.refused = 10;
    first.subscribers = vec![subscriber(0, 1, "one")];
    let mut epoch = later(&first, 30);
    // More than before: by chance, and yet nothing to subtract from.
    (epoch.segment_id, epoch.base_sequence, epoch.refused) = (8, 310, 12);
    let watch = after([Some(first), Some(epoch)]);
    let rates = only(&watch).rates;
    assert_eq!((rates.published, rates.refused, rates.refused_hz), (Some(30), None, None));
    assert_eq!(only(&watch).subscribers[0].rates, SubscriberRates::default());
}

#[test]
fn who_takes_a_place_does_not_inherit_the_rates_of_its_last_holder() {
    let mut first = stream("a/b");
    first.subscribers = vec![subscriber(0, 1, "one")];
    for successor in [subscriber(0, 2, "one"), subscriber(0, 1, "two")] {
        let mut second = later(&first, 30);
        second.subscribers = vec![Subscriber { seen: 200, blamed: 40, ..successor }];
        let watch = after([Some(first.clone()), Some(second.clone())]);
        assert_eq!(only(&watch).subscribers[0].rates, SubscriberRates::default());
        // From the next look on, it has its own.
        let watch = after([Some(first.clone()), Some(second.clone()), Some(later(&second, 30))]);
        assert_eq!(only(&watch).subscribers[0].rates.seen_hz, Some(30.0));
        assert_eq!(only(&watch).subscribers[0].rates.blamed_hz, Some(0.0));
    }
}

#[test]
fn a_subscriber_that_attached_again_has_no_negative_rates() {
    let mut first = stream("a/b");
    first.subscribers = vec![subscriber(0, 1, "one")];
    first.subscribers[0].skipped = 7;
    let mut second = later(&first, 30);
    // It has seen more than before already, but skipped less.
    second.subscribers[0].skipped = 0;
    let watch = after([Some(first), Some(second)]);
    assert_eq!(only(&watch).subscribers[0].rates, SubscriberRates::default());
}

#[test]
fn a_subscriber_that_leaves_is_gone_at_once_and_its_neighbour_keeps_its_rates() {
    let mut first = stream("a/b");
    first.subscribers = vec![subscriber(0, 1, "one"), subscriber(1, 2, "two")];
    let mut second = later(&first, 30);
    second.subscribers.remove(0);
    let watch = after([Some(first), Some(second)]);
    let [two] = only(&watch).subscribers.as_slice() else { panic!("{watch:?}") };
    assert_eq!((two.now.holder.label.as_str(), two.rates.seen_hz), ("two", Some(30.0)));
}

#[test]
fn the_culprit_is_the_one_with_the_most_frames_and_is_remembered_for_a_minute() {
    let [first, second] = robot();
    let mut watch = Watch::default();
    watch.take(first);
    watch.take(second.clone());
    let front = &watch.streams[&key("robot/front")];
    let culprit = front.culprit.as_ref().unwrap();
    assert_eq!((culprit.holder.as_ref().unwrap().label.as_str(), culprit.frames), ("slow", 28));
    let troubles = trouble::of_stream(front, watch.at_ns);
    assert_eq!(troubles[0].severity, Severity::Bad);
    assert_eq!(troubles[0].text, "drops 28.0/s due to slow (pid 4200)");

    for (seconds, expected) in [(10, "dropped 28 frames 10 s ago due to slow (pid 4200)"), (61, "")] {
        let mut quiet = second.clone();
        quiet.at_ns += seconds * SECOND;
        let front = quiet.streams.iter_mut().find(|stream| stream.key == key("robot/front")).unwrap();
        *front = later(front, 30 * seconds);
        watch.take(quiet.clone());
        let troubles = trouble::of_stream(&watch.streams[&key("robot/front")], watch.at_ns);
        assert!(troubles.iter().all(|trouble| trouble.severity < Severity::Bad), "{troubles:?}");
        assert_eq!(troubles.first().map_or("", |trouble| trouble.text.as_str()), expected);
    }
}

#[test]
fn drops_of_somebody_who_has_left_are_told_without_a_name() {
    let first = stream("a/b");
    let mut second = later(&first, 10);
    second.refused = 20;
    assert_eq!(texts(&after([Some(first), Some(second)])), ["drops 20.0/s due to somebody who has left"]);
}

#[test]
fn a_culprit_that_has_left_is_still_the_culprit() {
    let [first, second] = robot();
    let mut watch = Watch::default();
    watch.take(first);
    watch.take(second.clone());
    let mut third = second;
    third.at_ns += SECOND;
    let front = &mut third.streams[0];
    *front = later(front, 20);
    front.refused += 10;
    front.subscribers.remove(1);
    watch.take(third);
    let troubles = trouble::of_stream(&watch.streams[&key("robot/front")], watch.at_ns);
    assert_eq!(troubles[0].text, "drops 10.0/s due to slow (pid 4200)");
}

#[test]
fn what_is_unusual_is_told() {
    type Change = fn(&mut Stream);
    let changes: [(Change, &str); 8] = [
        (|_| {}, ""),
        (|stream| stream.publisher = PublisherState::Gone, "publisher gone"),
        (|stream| stream.publisher = PublisherState::Closed, "closed by its publisher"),
        (|stream| stream.age_ns = Some(99_000_000), ""),
        (|stream| stream.age_ns = Some(150_000_000), "no frame for 150 ms (4 periods)"),
        (|stream| stream.age_ns = None, "no frame so far"),
        (|stream| stream.last_sequence -= 10, "slow: 20.0 of 30.0 Hz"),
        (|stream| stream.late = 3, "late 3.0/s"),
    ];
    for (change, expected) in changes {
        let first = stream("a/b");
        let mut second = later(&first, 30);
        change(&mut second);
        let texts = texts(&after([Some(first), Some(second)]));
        assert_eq!(texts.first().map_or("", String::as_str), expected);
    }
}

#[test]
fn a_subscriber_that_holds_all_it_may_or_takes_nothing_is_told() {
    let mut first = stream("a/b");
    first.subscribers = vec![subscriber(0, 1, "one"), subscriber(1, 2, "two"), subscriber(2, 3, "three")];
    first.subscribers[0].held = 2;
    let mut second = later(&first, 30);
    second.subscribers[1].seen = 100;
    second.subscribers[2].missed = 4;
    let watch = after([Some(first), Some(second)]);
    let troubles = |index: usize| trouble::of_subscriber(only(&watch), &only(&watch).subscribers[index]);
    assert_eq!(troubles(0)[0].text, "holds all 2 it may");
    assert_eq!(troubles(1)[0].text, "takes no frames");
    assert_eq!(troubles(2)[0].text, "misses 4.0/s");
}

#[test]
fn a_stream_that_vanished_is_remembered_for_a_minute_and_can_come_back() {
    let first = stream("a/b");
    let mut looks = vec![Some(first.clone()), Some(later(&first, 30)), None, None, None];
    let watch = after(looks.clone());
    assert_eq!(texts(&watch), ["closed and removed 2.0 s ago"]);
    assert_eq!(only(&watch).rates, StreamRates::default());
    looks.push(Some(stream("a/b")));
    let back = after(looks.clone());
    assert_eq!((only(&back).vanished_ns, only(&back).restarts), (None, 1));
    assert_eq!(only(&back).rates, StreamRates::default());
    looks.pop();
    looks.extend(std::iter::repeat_n(None, 60));
    assert!(after(looks).streams.is_empty());
}

#[test]
fn an_evicted_reader_is_named_and_remembered() {
    let mut first = stream("a/b");
    first.subscribers = vec![subscriber(0, 1, "viewer"), subscriber(1, 2, "recorder")];
    first.subscribers[1].lossless = true;
    let mut second = later(&first, 30);
    (second.evicted, second.subscribers[1].lossless) = (1, false);
    let watch = after([Some(first.clone()), Some(second.clone())]);
    assert_eq!(texts(&watch), ["evicted recorder (pid 2): it was stuck"]);
    assert_eq!(trouble::of_stream(only(&watch), watch.at_ns)[0].severity, Severity::Bad);
    let watch = after([Some(first.clone()), Some(second.clone()), Some(later(&second, 30))]);
    assert_eq!(texts(&watch), ["evicted recorder (pid 2) 1.0 s ago"]);
    // It has asked to be waited for again, and knows what it has missed.
    (second.subscribers[1].lossless, second.subscribers[1].missed) = (true, 20);
    assert_eq!(texts(&after([Some(first.clone()), Some(second.clone())])), ["evicted recorder (pid 2): it was stuck"]);
    second.subscribers.pop();
    assert_eq!(texts(&after([Some(first), Some(second)])), ["evicted a lossless reader: it was stuck"]);
}

#[test]
fn a_contract_that_is_not_kept_is_trouble_of_its_subscriber() {
    let mut first = stream("a/b");
    first.subscribers = vec![subscriber(0, 1, "monitor")];
    first.subscribers[0].violations.too_old = 5;
    let mut second = later(&first, 30);
    second.subscribers[0].violations.too_old = 7;
    second.subscribers[0].violations.stale = 1;
    let watch = after([Some(first), Some(second.clone()), Some(later(&second, 30))]);
    assert!(trouble::of_subscriber(only(&watch), &only(&watch).subscribers[0]).is_empty(), "none in the last second");
    let mut first = stream("a/b");
    first.subscribers = vec![subscriber(0, 1, "monitor")];
    let watch = after([Some(first), Some(second)]);
    let troubles = trouble::of_subscriber(only(&watch), &only(&watch).subscribers[0]);
    assert_eq!(troubles[0].text, "contract violated 8.0/s: frames too old, no new frame");
    assert_eq!(troubles[0].severity, Severity::Bad);
}

#[test]
fn the_culprit_is_told_with_how_long_it_has_held_a_slot() {
    let mut first = stream("a/b");
    first.subscribers = vec![subscriber(0, 1, "slow")];
    let mut second = later(&first, 10);
    (second.refused, second.subscribers[0].blamed, second.subscribers[0].blamed_held_ns) = (20, 20, 340_000_000);
    let watch = after([Some(first), Some(second)]);
    let troubles = trouble::of_subscriber(only(&watch), &only(&watch).subscribers[0]);
    assert_eq!(troubles[0].text, "the culprit: 20.0 frames/s refused, has held one for 340 ms");
}
