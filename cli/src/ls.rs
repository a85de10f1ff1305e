//! `framebus ls`: what the kernel's table has.

use std::io::Write;

use framebus::{Backend, Content, StreamStatus};
use framebus_program::{
    backends, duration, list, no_streams, publisher_state, stream_json, stream_lines, subscriber_lines,
};

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

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let prefix = arguments.prefix.as_deref().unwrap_or("");
    let mut streams = list(&backends(arguments.backend.as_ref()))?;
    streams.retain(|stream| stream.name.to_string().starts_with(prefix));
    let mut out = std::io::stdout().lock();
    for stream in &streams {
        if arguments.json {
            writeln!(out, "{}", stream_json(stream))?;
        } else {
            print(&mut out, stream)?;
        }
    }
    if streams.is_empty() && !arguments.json {
        let (what, remedy) = no_streams(prefix);
        eprintln!("{what}; {remedy}");
    }
    Ok(0)
}

fn print(out: &mut impl Write, stream: &StreamStatus) -> std::io::Result<()> {
    let content = stream.content.as_ref().map_or("damaged header".to_owned(), Content::to_string);
    let rate = stream.rate.map_or(String::new(), |rate| format!(" at {rate}"));
    writeln!(out, "{}  {content}{rate}", stream.name)?;
    let publisher = match stream.publisher_pid {
        Some(pid) => format!("{} (pid {pid})", publisher_state(stream.publisher)),
        None => publisher_state(stream.publisher).to_owned(),
    };
    let age = stream
        .age_ns
        .map_or("no frame so far".to_owned(), |age| format!("frame {}, {} old", stream.last_sequence, duration(age)));
    writeln!(out, "  publisher {publisher}, {age}")?;
    for line in stream_lines(stream) {
        writeln!(out, "  {line}")?;
    }
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
    for subscriber in &stream.subscribers {
        let holder = &subscriber.holder;
        let pid = holder.pid.map_or("pid unknown".to_owned(), |pid| format!("pid {pid}"));
        let label = if holder.label.is_empty() { "unnamed" } else { &holder.label };
        writeln!(out, "  viewer {label} (place {}, {pid})", holder.place)?;
        for line in subscriber_lines(subscriber) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}
