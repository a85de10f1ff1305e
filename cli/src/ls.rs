//! `framebus ls`: what the kernel's table has.

use std::io::Write;
use std::time::{Duration, SystemTime};

use framebus::{Backend, Content, Orphan, StreamStatus, SubscriberStatus, Survey, Unreadable};
use framebus_program::{
    Level, backends, duration, no_streams, orphan_json, owner, publisher_state, say, stream_json, stream_lines,
    subscriber_lines, survey_each, unlisted, unreadable_json,
};

/// Lists streams, and what crashed runs left of some, without touching them.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only what belongs to BUS/STREAMs that begin so.
    prefix: Option<String>,
    /// Also what may be a stream of another user's and is closed to us, as the kernel's table has it.
    #[arg(long)]
    all: bool,
    /// One JSON object a stream, or orphan, and line.
    #[arg(long)]
    json: bool,
    /// Only those made of this: sysv, file, or file:/DIRECTORY [default: sysv and file].
    #[arg(long, value_name = "BACKEND")]
    backend: Option<Backend>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let prefix = arguments.prefix.as_deref().unwrap_or("");
    let (survey, failures) = survey_each(&backends(arguments.backend.as_ref()));
    let Survey { mut streams, mut orphans, mut unreadable, .. } = survey;
    for failure in &failures {
        say(Level::Error, format_args!("error: {}", unlisted(failure)));
    }
    let code = u8::from(!failures.is_empty());
    streams.retain(|stream| stream.name.to_string().starts_with(prefix));
    // What has no name may be anybody's.
    let begins = |name: &Option<framebus::StreamName>| {
        name.as_ref().map_or(prefix.is_empty(), |name| name.to_string().starts_with(prefix))
    };
    orphans.retain(|orphan| begins(&orphan.name));
    unreadable.retain(|closed| begins(&closed.name));
    let mut out = std::io::stdout().lock();
    if arguments.json {
        streams.iter().try_for_each(|stream| writeln!(out, "{}", stream_json(stream)))?;
        orphans.iter().try_for_each(|orphan| writeln!(out, "{}", orphan_json(orphan)))?;
        if arguments.all {
            unreadable.iter().try_for_each(|closed| writeln!(out, "{}", unreadable_json(closed)))?;
        }
        return Ok(code);
    }
    for bus in streams.chunk_by(|a, b| a.name.bus() == b.name.bus()) {
        if bus.len() > 1 {
            let sum = |bytes: fn(&StreamStatus) -> u64| size(bus.iter().map(bytes).sum());
            let (resident, all) =
                (sum(|stream| stream.resident_bytes), sum(|stream| stream.geometry.frames_bytes() as u64));
            writeln!(out, "{}: {} streams, {resident} of {all} in memory", bus[0].name.bus(), bus.len())?;
        }
        bus.iter().try_for_each(|stream| print(&mut out, stream))?;
    }
    if !orphans.is_empty() {
        writeln!(out, "orphans: left of streams that are none any more")?;
        orphans.iter().try_for_each(|orphan| writeln!(out, "  {}", orphan_text(orphan)))?;
    }
    if arguments.all && !unreadable.is_empty() {
        writeln!(out, "closed to this user: may be streams, or anybody's")?;
        unreadable.iter().try_for_each(|closed| writeln!(out, "  {}", unreadable_text(closed)))?;
    }
    if streams.is_empty() && orphans.is_empty() && failures.is_empty() {
        let (what, remedy) = no_streams(prefix);
        say(Level::Note, format_args!("{what}; {remedy}"));
    }
    if !arguments.all && !unreadable.is_empty() {
        let (count, are) = (unreadable.len(), if unreadable.len() == 1 { "is" } else { "are" });
        let words = format!("{count} of other users {are} closed to this one, and may be streams");
        say(Level::Warning, format_args!("{words}; framebus ls --all names them"));
    }
    Ok(code)
}

/// A size for people, rounded up.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

fn print(out: &mut impl Write, stream: &StreamStatus) -> std::io::Result<()> {
    let content = stream.content.as_ref().map_or("damaged header".to_owned(), Content::to_string);
    let rate = stream.rate.map_or(String::new(), |rate| format!(" at {rate}"));
    writeln!(out, "{}  {content}{rate}", stream.name)?;
    let publisher = match (stream.publisher_pid, stream.last_publisher_pid) {
        _ if !stream.has_leases => "unknown (somebody has removed the stream's leases)".to_owned(),
        (Some(pid), _) => format!("{} (pid {pid})", publisher_state(stream.publisher)),
        (None, Some(pid)) => format!("{} (was pid {pid})", publisher_state(stream.publisher)),
        (None, None) => publisher_state(stream.publisher).to_owned(),
    };
    let age = stream
        .age_ns
        .map_or("no frame so far".to_owned(), |age| format!("frame {}, {} old", stream.last_sequence, duration(age)));
    writeln!(out, "  publisher {publisher}, {age}")?;
    for line in stream_lines(stream) {
        writeln!(out, "  {line}")?;
    }
    let geometry = &stream.geometry;
    writeln!(
        out,
        "  {} slots of {}, history {}, {} of {} in memory; {} places in {}",
        geometry.slots(),
        size(geometry.slot_capacity_bytes() as u64),
        geometry.history(),
        size(stream.resident_bytes),
        size(geometry.frames_bytes() as u64),
        geometry.max_subscribers(),
        size(geometry.places_bytes() as u64),
    )?;
    writeln!(
        out,
        "  {} (id {}), owner {}, mode {:04o}, made {} ago",
        stream.backend,
        stream.segment_id,
        owner(stream.uid, stream.gid),
        stream.mode,
        duration(age_of(stream.created_unix_ns)),
    )?;
    for subscriber in &stream.subscribers {
        print_viewer(out, "viewer", subscriber)?;
    }
    for subscriber in &stream.dead_subscribers {
        print_viewer(out, "dead viewer", subscriber)?;
    }
    if stream.is_orphan() {
        writeln!(out, "  {}", orphaned(stream))?;
    }
    Ok(())
}

/// Who reads, or died reading, and what it counted and measured.
fn print_viewer(out: &mut impl Write, what: &str, subscriber: &SubscriberStatus) -> std::io::Result<()> {
    // How long it holds what it holds stands below.
    let mut holder = subscriber.holder.clone();
    holder.held_ns = None;
    writeln!(out, "  {what} {holder}")?;
    subscriber_lines(subscriber).iter().try_for_each(|line| writeln!(out, "    {line}"))
}

/// By the clock that people set: only for them.
fn age_of(unix_ns: u64) -> u64 {
    let made = SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_ns);
    SystemTime::now().duration_since(made).map_or(0, |age| age.as_nanos() as u64)
}

fn orphaned(stream: &StreamStatus) -> String {
    match (stream.attached, stream.persists) {
        (Some(1..), _) => "orphan: nobody publishes or reads it, but somebody has it mapped, and keeps it".to_owned(),
        (_, true) => "orphan: left on purpose (persist); framebus gc --persisted removes it".to_owned(),
        _ => "orphan: nobody publishes or reads it; framebus gc removes it".to_owned(),
    }
}

pub fn orphan_text(orphan: &Orphan) -> String {
    let name = orphan.name.as_ref().map_or(String::new(), |name| format!("{name}: "));
    let bytes = if orphan.bytes > 0 { format!(", {}", size(orphan.bytes)) } else { String::new() };
    let creator = match orphan.creator {
        Some((pid, true)) => format!(", made by pid {pid}, which is alive"),
        Some((pid, false)) => format!(", made by pid {pid}, which is dead"),
        None => String::new(),
    };
    let remedy = match orphan.is_proven() {
        true => format!("{} removes it", orphan.remedy),
        false => format!("nothing proves that it is framebus's; where you know it, {} removes it", orphan.remedy),
    };
    format!(
        "{name}{}, {}{bytes}, owner {}, mode {:04o}{creator}; {remedy}",
        orphan.kind.text(),
        orphan.object,
        owner(orphan.uid, orphan.gid),
        orphan.mode
    )
}

fn unreadable_text(closed: &Unreadable) -> String {
    let name = closed.name.as_ref().map_or(String::new(), |name| format!("{name}: "));
    let bytes = if closed.bytes > 0 { format!(", {}", size(closed.bytes)) } else { String::new() };
    let attached = closed.attached.map_or(String::new(), |times| format!(", mapped {times} times"));
    format!(
        "{name}{}{bytes}, owner {}, mode {:04o}{attached}",
        closed.object,
        owner(closed.uid, closed.gid),
        closed.mode
    )
}
