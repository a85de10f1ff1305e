//! The streams that are followed: those that were named, on every backend, and those of a bus as they come.

use std::time::{Duration, Instant};

use framebus::{Backend, StreamName, Trace, check_part, now_ns};

use super::event::Event;

/// From one look for new streams of a bus to the next: it goes through all segments of the machine.
const NEW_STREAMS: Duration = Duration::from_millis(500);

/// A stream, in one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub name: StreamName,
    pub backend: Backend,
}

/// Something of a stream to tell.
pub struct Told {
    pub stream: Place,
    /// `CLOCK_MONOTONIC`, ns.
    pub at_ns: u64,
    pub what: What,
}

pub enum What {
    Event(Event),
    /// So many events were overwritten before they were read.
    Lost(u64),
}

struct Followed {
    stream: Place,
    trace: Trace,
    /// Why it could not be followed at the last look.
    fault: Option<String>,
}

pub struct Streams {
    backends: Vec<Backend>,
    followed: Vec<Followed>,
    buses: Vec<String>,
    /// Events before are not asked for.
    since_ns: u64,
    looked_for_new: Option<Instant>,
    has_begun: bool,
}

impl Streams {
    /// # Errors
    /// A name is none.
    pub fn new(names: &[String], backends: Vec<Backend>, since_ns: u64) -> anyhow::Result<Self> {
        let mut streams = Self {
            backends,
            followed: Vec::new(),
            buses: Vec::new(),
            since_ns,
            looked_for_new: None,
            has_begun: false,
        };
        for name in names {
            if name.contains('/') {
                let name: StreamName = name.parse()?;
                for backend in streams.backends.clone() {
                    streams.follow(Place { name: name.clone(), backend });
                }
            } else {
                check_part("bus", name)?;
                streams.buses.push(name.clone());
            }
        }
        Ok(streams)
    }

    fn follow(&mut self, stream: Place) {
        if self.followed.iter().all(|other| other.stream != stream) {
            let trace = Trace::open(&stream.backend, &stream.name);
            self.followed.push(Followed { stream, trace, fault: None });
        }
    }

    /// What happened since the last look, in the order of its times.
    ///
    /// # Errors
    /// At the first look: what is there under a name is no stream of ours, or may not be read. Later that is said once, and the
    /// others are followed on.
    pub fn poll(&mut self) -> anyhow::Result<Vec<Told>> {
        self.look_for_new()?;
        let mut told = Vec::new();
        for followed in &mut self.followed {
            let (stream, since_ns) = (&followed.stream, self.since_ns);
            let traced = match followed.trace.poll() {
                Ok(traced) => traced,
                Err(error) if !self.has_begun && self.buses.is_empty() => return Err(error.into()),
                Err(error) => {
                    let text = error.to_string();
                    if followed.fault.as_ref() != Some(&text) {
                        eprintln!("{text}");
                    }
                    followed.fault = Some(text);
                    continue;
                }
            };
            followed.fault = None;
            let events = traced.events.into_iter().map(Event::of).filter(|event| event.at_ns >= since_ns);
            told.extend(events.map(|event| Told {
                stream: stream.clone(),
                at_ns: event.at_ns,
                what: What::Event(event),
            }));
            if traced.lost > 0 {
                told.push(Told { stream: stream.clone(), at_ns: now_ns(), what: What::Lost(traced.lost) });
            }
        }
        told.sort_by_key(|told| told.at_ns);
        if !std::mem::replace(&mut self.has_begun, true) {
            self.say_what_is_not_there();
        }
        Ok(told)
    }

    fn look_for_new(&mut self) -> anyhow::Result<()> {
        let is_due = self.looked_for_new.is_none_or(|last| last.elapsed() >= NEW_STREAMS);
        if self.buses.is_empty() || !is_due {
            return Ok(());
        }
        self.looked_for_new = Some(Instant::now());
        for status in framebus_program::list(&self.backends)? {
            if self.buses.iter().any(|bus| bus == status.name.bus()) {
                self.follow(Place { name: status.name, backend: status.backend });
            }
        }
        Ok(())
    }

    fn say_what_is_not_there(&self) {
        let mut names: Vec<&StreamName> = Vec::new();
        for followed in &self.followed {
            let of_name = |other: &&Followed| other.stream.name == followed.stream.name;
            if !names.contains(&&followed.stream.name)
                && !self.followed.iter().filter(of_name).any(|one| one.trace.is_there())
            {
                names.push(&followed.stream.name);
                eprintln!("waiting for stream {}, which is not there; framebus ls shows all", followed.stream.name);
            }
        }
        for bus in &self.buses {
            if self.followed.iter().all(|followed| followed.stream.name.bus() != bus) {
                eprintln!("waiting for streams of bus {bus}, which has none; framebus ls shows all");
            }
        }
    }
}
