//! The streams that are followed: those that were named, on every backend, and those of a bus as they come.

use std::time::{Duration, Instant};

use framebus::{Backend, StreamName, Trace, check_part, now_ns};
use framebus_program::{Level, Listing, list_each, say, unlisted};

use super::event::Event;

/// From one look for new streams of a bus to the next: it goes through all segments of the machine.
const NEW_STREAMS: Duration = Duration::from_millis(500);

/// So long a stream of a bus that is no longer there is followed on: whoever makes it anew has, as a rule, done so by then. Later
/// it is one that comes.
const REMEMBERED: Duration = Duration::from_secs(60);

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
    /// It was asked for by its name, and not by that of its bus.
    is_named: bool,
    /// When it was there last, or could not be looked at.
    seen: Instant,
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
    /// Why the last look for new streams did not see all.
    unlisted: Vec<String>,
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
            unlisted: Vec::new(),
            has_begun: false,
        };
        for name in names {
            if name.contains('/') {
                let name: StreamName = name.parse()?;
                for backend in streams.backends.clone() {
                    streams.follow(Place { name: name.clone(), backend }, true);
                }
            } else {
                check_part("bus", name)?;
                streams.buses.push(name.clone());
            }
        }
        Ok(streams)
    }

    fn follow(&mut self, stream: Place, is_named: bool) {
        if self.followed.iter().all(|other| other.stream != stream) {
            let trace = Trace::open(&stream.backend, &stream.name);
            self.followed.push(Followed { stream, trace, is_named, seen: Instant::now(), fault: None });
        }
    }

    /// What happened since the last look, in the order of its times.
    ///
    /// # Errors
    /// At the first look: of a stream there is nothing that could be followed, and what is there is none of ours, or may not be
    /// read; or nothing at all can be listed. All else is said once, and the others are followed on.
    pub fn poll(&mut self) -> anyhow::Result<Vec<Told>> {
        self.look_for_new(Instant::now())?;
        let (mut told, mut faults) = (Vec::new(), Vec::new());
        for followed in &mut self.followed {
            let (stream, since_ns) = (&followed.stream, self.since_ns);
            let traced = match followed.trace.poll() {
                Ok(traced) => traced,
                Err(error) => {
                    followed.seen = Instant::now();
                    let text = error.to_string();
                    if followed.fault.as_ref() != Some(&text) {
                        faults.push((stream.name.clone(), error));
                    }
                    followed.fault = Some(text);
                    continue;
                }
            };
            followed.fault = None;
            if followed.trace.is_there() {
                followed.seen = Instant::now();
            }
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
        for (name, error) in faults {
            // It may stand in one place, and be closed or a stranger in the other.
            if !self.has_begun && self.buses.is_empty() && !self.is_there(&name) {
                return Err(error.into());
            }
            say(Level::Warning, error);
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            self.say_what_is_not_there();
        }
        Ok(told)
    }

    /// Whether a stream of this name was there at the last look.
    fn is_there(&self, name: &StreamName) -> bool {
        self.followed.iter().any(|followed| followed.stream.name == *name && followed.trace.is_there())
    }

    fn look_for_new(&mut self, now: Instant) -> anyhow::Result<()> {
        let is_due = self.looked_for_new.is_none_or(|last| now.duration_since(last) >= NEW_STREAMS);
        if self.buses.is_empty() || !is_due {
            return Ok(());
        }
        self.looked_for_new = Some(now);
        self.followed.retain(|one| one.is_named || now.duration_since(one.seen) < REMEMBERED);
        let Listing { streams, mut failures } = list_each(&self.backends);
        if !self.has_begun && failures.len() == self.backends.len() {
            return Err(failures.remove(0));
        }
        let faults: Vec<String> = failures.iter().map(unlisted).collect();
        faults.iter().filter(|fault| !self.unlisted.contains(fault)).for_each(|fault| say(Level::Warning, fault));
        self.unlisted = faults;
        for status in streams {
            if self.buses.iter().any(|bus| bus == status.name.bus()) {
                self.follow(Place { name: status.name, backend: status.backend }, false);
            }
        }
        Ok(())
    }

    fn say_what_is_not_there(&self) {
        let mut names: Vec<&StreamName> = Vec::new();
        for Followed { stream: Place { name, .. }, .. } in &self.followed {
            if !names.contains(&name) && !self.is_there(name) {
                names.push(name);
                say(
                    Level::Warning,
                    format_args!("waiting for stream {name}, which is not there; framebus ls shows all"),
                );
            }
        }
        for bus in &self.buses {
            if self.followed.iter().all(|followed| followed.stream.name.bus() != bus) {
                say(
                    Level::Warning,
                    format_args!("waiting for streams of bus {bus}, which has none; framebus ls shows all"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{Content, Publisher, StreamOptions};

    fn publisher(backend: &Backend, name: &str) -> Publisher {
        let mut options = StreamOptions::new(Content::Bytes { capacity: 64 });
        options.backend = backend.clone();
        Publisher::open(&name.parse().unwrap(), &options).unwrap()
    }

    fn names(streams: &Streams) -> Vec<String> {
        streams.followed.iter().map(|followed| followed.stream.name.to_string()).collect()
    }

    #[test]
    fn a_stream_of_a_bus_that_has_gone_is_forgotten_after_a_minute_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::File { directory: folder.path().to_owned() };
        let asked = ["robot".to_owned(), "other/named".to_owned()];
        let mut streams = Streams::new(&asked, vec![backend.clone()], 0).unwrap();
        let (front, _rear) = (publisher(&backend, "robot/front"), publisher(&backend, "robot/rear"));
        assert_eq!(streams.poll().unwrap().len(), 2);
        assert_eq!(names(&streams), ["other/named", "robot/front", "robot/rear"]);
        drop(front);
        assert_eq!(streams.poll().unwrap().len(), 1, "it was closed");
        let now = Instant::now();
        streams.look_for_new(now + REMEMBERED / 2).unwrap();
        assert_eq!(names(&streams).len(), 3, "it may come again");
        streams.followed[2].seen = now + REMEMBERED;
        streams.look_for_new(now + REMEMBERED).unwrap();
        assert_eq!(names(&streams), ["other/named", "robot/rear"]);
        let _front = publisher(&backend, "robot/front");
        streams.looked_for_new = None;
        assert_eq!(streams.poll().unwrap().len(), 1, "it began");
        assert_eq!(names(&streams), ["other/named", "robot/rear", "robot/front"]);
    }

    #[test]
    fn a_backend_that_can_not_be_read_keeps_no_stream_of_another_from_being_followed() {
        let folder = tempfile::tempdir().unwrap();
        let there = Backend::File { directory: folder.path().to_owned() };
        // A link to itself leads nowhere.
        let directory = folder.path().join("loop");
        std::os::unix::fs::symlink(&directory, &directory).unwrap();
        let broken = Backend::File { directory };
        let _front = publisher(&there, "robot/front");
        for asked in ["robot", "robot/front"] {
            let mut streams = Streams::new(&[asked.to_owned()], vec![broken.clone(), there.clone()], 0).unwrap();
            assert_eq!(streams.poll().unwrap().len(), 1, "{asked}: it began");
            assert!(streams.is_there(&"robot/front".parse().unwrap()));
            assert_eq!(streams.unlisted.len(), usize::from(asked == "robot"));
            let mut streams = Streams::new(&[asked.to_owned()], vec![broken.clone()], 0).unwrap();
            assert!(streams.poll().is_err(), "{asked}: there is nothing else to follow");
            // Once it has begun, such a thing ends it no more.
            streams.has_begun = true;
            streams.looked_for_new = None;
            assert!(streams.poll().is_ok(), "{asked}");
        }
    }
}
