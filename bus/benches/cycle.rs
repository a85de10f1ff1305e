//! What a frame costs, in one process, whatever its size: loan + publish + latest + drop.
//!
//! `clock` is the one clock reading that every publication contains, to see the rest by itself.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use framebus::{Content, Publisher, StreamName, StreamOptions, Subscriber};
use std::hint::black_box;

fn stream(capacity: u32, subscribers: u32) -> (Publisher, Vec<Subscriber>) {
    let bus = format!("bench-{}", std::process::id());
    let name = StreamName::new(&bus, "cycle").expect("a good name");
    let mut options = StreamOptions::new(Content::Bytes { capacity });
    options.max_subscribers = subscribers.max(8);
    let publisher = Publisher::open(&name, &options).expect("a stream of its own");
    let subscribe = |_| Subscriber::attach(&name).expect("a free place");
    (publisher, (0..subscribers).map(subscribe).collect())
}

fn cycle(publisher: &mut Publisher, subscribers: &mut [Subscriber]) {
    publisher.loan().expect("a free slot").publish();
    for subscriber in subscribers {
        let frame = subscriber.latest().expect("a free pin").expect("a frame");
        black_box(frame.as_ptr());
    }
}

fn benches(criterion: &mut Criterion) {
    criterion.bench_function("clock", |bencher| bencher.iter(framebus::now_ns));

    let mut group = criterion.benchmark_group("cycle, 1080p rgb8, by subscribers");
    for count in [1, 2, 4, 8, 16, 32] {
        let (mut publisher, mut subscribers) = stream(1920 * 1080 * 3, count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| cycle(&mut publisher, &mut subscribers));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("cycle, one subscriber, by bytes of a frame");
    for bytes in [64, 4096, 1920 * 1080 * 3, 3840 * 2160 * 4, 7680 * 4320 * 4] {
        let (mut publisher, mut subscribers) = stream(bytes, 1);
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter(|| cycle(&mut publisher, &mut subscribers));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("latest alone, by bytes of a frame");
    for bytes in [64, 3840 * 2160 * 4] {
        let (mut publisher, mut subscribers) = stream(bytes, 1);
        publisher.loan().expect("a free slot").publish();
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter(|| cycle_latest(&mut subscribers[0]));
        });
    }
    group.finish();
}

fn cycle_latest(subscriber: &mut Subscriber) {
    black_box(subscriber.latest().expect("a free pin").expect("a frame").as_ptr());
}

criterion_group!(all, benches);
criterion_main!(all);
