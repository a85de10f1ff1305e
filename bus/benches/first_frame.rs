//! What the first frame costs, against later ones, by `prefault` and `huge_pages`, on both backends: prints a table.
//!
//!     cargo bench -p framebus --bench first_frame [-- REPETITIONS]
//!
//! Each repetition makes a stream of 1080p rgb8 and attaches a subscriber, so that all memory is fresh. Figures are medians.
//! What a first frame is to the publisher is each of the first three, one a slot; so it is to the subscriber.

use std::hint::black_box;
use std::time::Instant;

use framebus::{
    Backend, Content, Frame, ImageShape, PixelFormat, Prefault, Publisher, StreamName, StreamOptions, Subscriber,
    SubscriberOptions,
};

const REPETITIONS: usize = 31;
/// Warm slots, each of which has a first frame.
const WARM: usize = 3;
/// Later frames of which the median of a repetition is taken.
const LATER: usize = 30;

/// In ns, but for the last.
#[derive(Default)]
struct Sample {
    open: u64,
    attach: u64,
    first_write: u64,
    later_write: u64,
    first_read: u64,
    later_read: u64,
    huge_bytes: u64,
}

fn time<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed().as_nanos() as u64, result)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Loan, write all of the frame, publish.
fn write(publisher: &mut Publisher, value: u8) -> u64 {
    time(|| {
        let mut loan = publisher.loan().expect("a free slot");
        loan.fill(value);
        loan.publish()
    })
    .0
}

/// Take the newest frame, and read all of it.
fn read(subscriber: &mut Subscriber) -> (u64, Frame) {
    time(|| {
        let frame = subscriber.latest().expect("a free pin").expect("a frame");
        let words = frame.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("8 bytes")));
        black_box(words.fold(0, |sum: u64, word| sum.wrapping_add(word)));
        frame
    })
}

fn sample(backend: &Backend, prefault: Prefault, huge_pages: bool) -> Sample {
    let shape = ImageShape::new(1920, 1080, PixelFormat::Rgb8).expect("a good shape");
    let name = StreamName::new(&format!("bench-{}", std::process::id()), "first-frame").expect("a good name");
    let mut options = StreamOptions::new(Content::Image(shape));
    (options.backend, options.prefault, options.huge_pages) = (backend.clone(), prefault, huge_pages);
    let mut reading = SubscriberOptions::default();
    reading.backend = backend.clone();
    let (open, publisher) = time(|| Publisher::open(&name, &options));
    let mut publisher = publisher.expect("a stream of its own");
    let (attach, subscriber) = time(|| Subscriber::attach_with(&name, reading));
    let mut subscriber = subscriber.expect("a free place");
    let (mut writes, mut reads, mut held) = (Vec::new(), Vec::new(), None);
    for number in 0..WARM + LATER {
        writes.push(write(&mut publisher, number as u8));
        let (ns, frame) = read(&mut subscriber);
        reads.push(ns);
        // Held until the next one is there, so that three slots are used.
        held = Some(frame);
    }
    drop(held);
    let (later_writes, later_reads) = (writes.split_off(WARM), reads.split_off(WARM));
    let huge = [publisher.memory(), subscriber.memory()].map(|memory| memory.map_or(0, |memory| memory.huge_bytes));
    Sample {
        open,
        attach,
        first_write: median(writes),
        later_write: median(later_writes),
        first_read: median(reads),
        later_read: median(later_reads),
        huge_bytes: huge[0].min(huge[1]),
    }
}

fn main() {
    let repetitions = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(REPETITIONS).max(1);
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    println!(
        "1080p rgb8, medians of {repetitions} repetitions, in ms; shmem_enabled: {}\n",
        setting.unwrap_or_default().trim()
    );
    println!(
        "| backend | prefault | huge pages | open | attach | first write | later | first read | later | in huge pages |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let backends = [Backend::SysV, Backend::default_file()];
    let prefaults = [("off", Prefault::Off), ("warm", Prefault::Warm), ("all", Prefault::All)];
    let kinds: Vec<_> = backends
        .iter()
        .flat_map(|backend| [false, true].map(|huge| (backend, huge)))
        .flat_map(|(backend, huge)| prefaults.map(|(name, prefault)| (backend, huge, name, prefault)))
        .collect();
    let mut samples: Vec<Vec<Sample>> = kinds.iter().map(|_| Vec::new()).collect();
    // In turn, so that a noisy moment of the machine is shared by all.
    for _ in 0..repetitions {
        for (index, (backend, huge, _, prefault)) in kinds.iter().enumerate() {
            samples[index].push(sample(backend, *prefault, *huge));
        }
    }
    for ((backend, huge, name, _), samples) in kinds.iter().zip(samples) {
        let of = |field: fn(&Sample) -> u64| median(samples.iter().map(field).collect());
        let ms = |field: fn(&Sample) -> u64| of(field) as f64 / 1e6;
        let backend = if **backend == Backend::SysV { "sysv" } else { "file" };
        println!(
            "| {backend} | {name} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} MiB |",
            if *huge { "yes" } else { "no" },
            ms(|sample| sample.open),
            ms(|sample| sample.attach),
            ms(|sample| sample.first_write),
            ms(|sample| sample.later_write),
            ms(|sample| sample.first_read),
            ms(|sample| sample.later_read),
            of(|sample| sample.huge_bytes) >> 20,
        );
    }
}
