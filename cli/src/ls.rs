//! `framebus ls`: what the kernel's table has.

use std::io::Write;

use framebus::{Backend, Content, PublisherState, StreamStatus, SubscriberStatus};
use serde_json::{Value, json};

/// Lists streams, without touching them.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only streams whose BUS/STREAM begins so.
    prefix: Option<String>,
    /// One JSON object a stream and line.
    #[arg(long)]
    json: bool,
    /// Only those made of this: sysv, file, or file:/DIRECTORY [default: sysv and file].
    #[arg(long, value_name = "BACKEND")]
    backend: Option<Backend>,
}

/// Where to look: where it was said, or wherever streams are without further word.
pub fn backends(asked: Option<&Backend>) -> Vec<Backend> {
    asked.map_or_else(|| vec![Backend::SysV, Backend::default_file()], |backend| vec![backend.clone()])
}

/// The streams of some backends, in the order of their names.
pub fn list(backends: &[Backend]) -> anyhow::Result<Vec<StreamStatus>> {
    let mut streams = Vec::new();
    for backend in backends {
        streams.extend(framebus::list(backend)?);
    }
    streams.sort_by(|a, b| (&a.name, &a.backend).cmp(&(&b.name, &b.backend)));
    Ok(streams)
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let prefix = arguments.prefix.as_deref().unwrap_or("");
    let mut streams = list(&backends(arguments.backend.as_ref()))?;
    streams.retain(|stream| stream.name.to_string().starts_with(prefix));
    let mut out = std::io::stdout().lock();
    for stream in &streams {
        if arguments.json {
            writeln!(out, "{}", to_json(stream))?;
        } else {
            print(&mut out, stream)?;
        }
    }
    if streams.is_empty() && !arguments.json {
        match prefix {
            "" => eprintln!("no streams; framebus demo makes some"),
            prefix => eprintln!("no streams whose name begins with {prefix}; framebus ls shows all"),
        }
    }
    Ok(0)
}

fn state(stream: &StreamStatus) -> &'static str {
    match stream.publisher {
        PublisherState::Alive => "alive",
        PublisherState::Closed => "closed",
        _ => "gone",
    }
}

fn print(out: &mut impl Write, stream: &StreamStatus) -> std::io::Result<()> {
    let content = stream.content.as_ref().map_or("damaged header".to_owned(), Content::to_string);
    let rate = stream.rate.map_or(String::new(), |rate| format!(" at {rate}"));
    writeln!(out, "{}  {content}{rate}", stream.name)?;
    let publisher = match stream.publisher_pid {
        Some(pid) => format!("{} (pid {pid})", state(stream)),
        None => state(stream).to_owned(),
    };
    let age = stream
        .age_ns
        .map_or("no frame so far".to_owned(), |age| format!("frame {}, {} old", stream.last_sequence, duration(age)));
    writeln!(
        out,
        "  publisher {publisher}, {age}, refused {}, late {}",
        stream.counters.refused, stream.counters.late
    )?;
    writeln!(
        out,
        "  {} slots, history {}, {} of {} MiB in memory, {} (id {}), uid {}, mode {:04o}",
        stream.geometry.slots(),
        stream.geometry.history(),
        stream.resident_bytes.div_ceil(1 << 20),
        stream.geometry.frames_bytes().div_ceil(1 << 20),
        stream.backend,
        stream.segment_id,
        stream.uid,
        stream.mode
    )?;
    for SubscriberStatus { holder, held, counters, blamed, .. } in &stream.subscribers {
        writeln!(
            out,
            "  viewer {holder}: seen {}, skipped {}, missed {}, holds {held}, refused frames because of it {blamed}",
            counters.seen, counters.skipped, counters.missed
        )?;
    }
    Ok(())
}

fn duration(ns: u64) -> String {
    format!("{:.1?}", std::time::Duration::from_nanos(ns))
}

fn to_json(stream: &StreamStatus) -> Value {
    let subscribers: Vec<Value> = stream
        .subscribers
        .iter()
        .map(|subscriber| {
            json!({
                "place": subscriber.holder.place,
                "pid": subscriber.holder.pid,
                "label": subscriber.holder.label,
                "held": subscriber.held,
                "seen": subscriber.counters.seen,
                "skipped": subscriber.counters.skipped,
                "missed": subscriber.counters.missed,
                "refused": subscriber.counters.refused,
                "last_sequence": subscriber.counters.last_sequence,
                "blamed": subscriber.blamed,
            })
        })
        .collect();
    json!({
        "kind": "stream",
        "stream": stream.name.to_string(),
        "content": stream.content.as_ref().map(Content::to_string),
        "rate_hz": stream.rate.map(|rate| rate.hz()),
        "publisher": state(stream),
        "publisher_pid": stream.publisher_pid,
        "last_sequence": stream.last_sequence,
        "age_ns": stream.age_ns,
        "refused": stream.counters.refused,
        "abandoned": stream.counters.abandoned,
        "late": stream.counters.late,
        "slots": stream.geometry.slots(),
        "history": stream.geometry.history(),
        "max_subscribers": stream.geometry.max_subscribers(),
        "max_held": stream.geometry.max_held(),
        "slot_capacity_bytes": stream.geometry.slot_capacity_bytes(),
        "frames_bytes": stream.geometry.frames_bytes(),
        "resident_bytes": stream.resident_bytes,
        "backend": stream.backend.to_string(),
        "segment_id": stream.segment_id,
        "uid": stream.uid,
        "mode": format!("{:04o}", stream.mode),
        "subscribers": subscribers,
    })
}
