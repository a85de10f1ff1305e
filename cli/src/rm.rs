//! `framebus rm`: removes streams by name.

use framebus::{Backend, NameError, RemoveError, StreamName, Survey, check_part};
use framebus_program::{Level, Output, say, survey_each, unlisted};

/// Removes streams. One that somebody publishes or reads is refused, and who it is named, unless it is forced.
///
/// With --force, readers keep what they hold, and move to the next stream of the name. A publisher that is alive loses the
/// stream too: another one can begin at once. Where it still runs, it makes the stream anew within a second, unless
/// another one has the name by then: it fails, then. So --force is for a publisher that hangs or is stopped, and
/// can not be killed; to end a stream, stop its publisher.
#[derive(clap::Args)]
pub struct Arguments {
    /// BUS/STREAM, or BUS for all its streams.
    #[arg(required = true)]
    names: Vec<String>,
    /// Also streams that somebody publishes or reads.
    #[arg(long)]
    force: bool,
    /// Only where it is made of this: sysv, file, or file:/DIRECTORY [default: sysv and file].
    #[arg(long, value_name = "BACKEND")]
    backend: Option<Backend>,
}

/// What is to be removed.
enum Asked {
    Stream(StreamName),
    /// All streams of this bus.
    Bus(String),
}

/// A stream, and where to remove it from.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    stream: StreamName,
    backends: Vec<Backend>,
}

/// What became of a stream.
#[derive(Debug)]
struct Removed {
    /// Something of it is gone.
    is_removed: bool,
    /// Who still publishes it.
    publisher: Option<String>,
    errors: Vec<RemoveError>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    // A mistake is told before anything is removed.
    let asked: Vec<Asked> = arguments.names.iter().map(|name| Asked::of(name)).collect::<Result<_, _>>()?;
    let backends = framebus_program::backends(arguments.backend.as_ref());
    let (mut failed, mut output) = (false, Output::default());
    let mut fail = |words: String| {
        failed = true;
        say(Level::Error, format_args!("error: {words}"));
    };
    for asked in asked {
        let (found, faults) = asked.find(&backends);
        faults.into_iter().for_each(&mut fail);
        for Found { stream, backends } in found {
            let removed = remove(&stream, &backends, arguments.force);
            if removed.is_removed {
                output.line(format_args!("removed {stream}"));
            }
            if let Some(publisher) = removed.publisher {
                let words = "unless it hangs, it makes it anew within a second; stop it to end the stream";
                say(Level::Warning, format_args!("{publisher} still publishes {stream}: {words}"));
            }
            removed.errors.iter().map(ToString::to_string).for_each(&mut fail);
        }
    }
    if failed {
        return Ok(1);
    }
    output.finish()?;
    Ok(0)
}

/// Removes a stream from wherever it is. What fails in one place keeps it from no other.
fn remove(stream: &StreamName, backends: &[Backend], force: bool) -> Removed {
    let mut removed = Removed { is_removed: false, publisher: None, errors: Vec::new() };
    for backend in backends {
        let mut result = framebus::remove(backend, stream, force);
        if force && matches!(result, Err(RemoveError::Publishing { .. })) {
            result = framebus::remove_published(backend, stream).map(|pid| {
                removed.publisher = Some(pid.map_or("a process".to_owned(), |pid| format!("process {pid}")));
            });
        }
        match result {
            Ok(()) => removed.is_removed = true,
            Err(RemoveError::NotFound { .. }) => {}
            Err(error) => removed.errors.push(error),
        }
    }
    if !removed.is_removed && removed.errors.is_empty() {
        removed.errors.push(RemoveError::NotFound { stream: stream.clone() });
    }
    removed
}

impl Asked {
    fn of(name: &str) -> Result<Self, NameError> {
        if name.contains('/') {
            return name.parse().map(Self::Stream);
        }
        check_part("bus", name)?;
        Ok(Self::Bus(name.to_owned()))
    }

    /// What there is of it, and why there may be more.
    fn find(self, backends: &[Backend]) -> (Vec<Found>, Vec<String>) {
        let bus = match self {
            Self::Stream(stream) => return (vec![Found { stream, backends: backends.to_vec() }], Vec::new()),
            Self::Bus(bus) => bus,
        };
        let (Survey { streams, orphans, .. }, failures) = survey_each(backends);
        let streams = streams.into_iter().map(|stream| (stream.name, stream.backend));
        let orphans = orphans.into_iter().filter_map(|orphan| Some((orphan.name?, orphan.backend)));
        let mut there: Vec<_> = streams.chain(orphans).filter(|(stream, _)| stream.bus() == bus).collect();
        there.sort();
        there.dedup();
        let mut found: Vec<Found> = Vec::new();
        for (stream, backend) in there {
            match found.last_mut().filter(|last| last.stream == stream) {
                Some(last) => last.backends.push(backend),
                None => found.push(Found { stream, backends: vec![backend] }),
            }
        }
        let mut faults: Vec<String> = failures.iter().map(unlisted).collect();
        if found.is_empty() && faults.is_empty() {
            faults.push(format!("can not remove bus {bus}: it has no streams; look at the names with framebus ls"));
        }
        (found, faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{Content, Publisher, StreamOptions};

    /// A stream that was left there, in a folder of this test's own.
    fn left(directory: &std::path::Path, name: &str) -> (Backend, StreamName) {
        let backend = Backend::File { directory: directory.to_owned() };
        let mut options = StreamOptions::new(Content::Bytes { capacity: 64 });
        (options.backend, options.persist) = (backend.clone(), true);
        let name = name.parse().unwrap();
        drop(Publisher::open(&name, &options).unwrap());
        (backend, name)
    }

    #[test]
    fn a_backend_that_can_not_be_read_keeps_no_stream_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let (there, front) = left(folder.path(), "robot/front");
        let (_, rear) = left(folder.path(), "robot/rear");
        // A link to itself leads nowhere.
        let directory = folder.path().join("loop");
        std::os::unix::fs::symlink(&directory, &directory).unwrap();
        let broken = Backend::File { directory };
        let backends = [broken, there.clone()];
        let (found, faults) = Asked::of("robot").unwrap().find(&backends);
        assert!(faults.len() == 1 && faults[0].starts_with("some streams can not be seen: listing "), "{faults:?}");
        let expected = |stream: &StreamName| Found { stream: stream.clone(), backends: vec![there.clone()] };
        assert_eq!(found, [expected(&front), expected(&rear)]);
        let removed = remove(&front, &found[0].backends, false);
        assert!(removed.is_removed && removed.errors.is_empty(), "{removed:?}");
        // By its name it is looked for everywhere: what went is told, and what could not be looked at.
        let removed = remove(&rear, &backends, false);
        assert!(removed.is_removed && removed.errors.len() == 1, "{removed:?}");
        let removed = remove(&rear, std::slice::from_ref(&there), false);
        assert!(matches!(removed.errors[..], [RemoveError::NotFound { .. }]), "{removed:?}");
        let (found, faults) = Asked::of("robot").unwrap().find(&[there]);
        assert!(found.is_empty() && faults[0].starts_with("can not remove bus robot: it has no streams"), "{faults:?}");
    }

    #[test]
    fn what_is_no_name_is_a_mistake() {
        assert!(Asked::of("a/b/c").is_err() && Asked::of("a b").is_err());
    }
}
