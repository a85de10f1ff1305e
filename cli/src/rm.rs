//! `framebus rm`: removes streams by name.

use framebus::{Backend, RemoveError, StreamName};

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

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let mut failed = false;
    let backends = framebus_program::backends(arguments.backend.as_ref());
    for name in &arguments.names {
        for stream in streams_of(name, &backends)? {
            match remove(&stream, &backends, arguments.force) {
                Ok(publisher) => {
                    println!("removed {stream}");
                    if let Some(publisher) = publisher {
                        eprintln!(
                            "{publisher} still publishes {stream}: unless it hangs, it makes it anew within a second; stop \
                             it to end the stream"
                        );
                    }
                }
                Err(error) => {
                    failed = true;
                    eprintln!("error: {error}");
                }
            }
        }
    }
    Ok(u8::from(failed))
}

/// Removes a stream from wherever it is. Returns who still publishes it.
fn remove(stream: &StreamName, backends: &[Backend], force: bool) -> Result<Option<String>, RemoveError> {
    let mut result = Err(RemoveError::NotFound { stream: stream.clone() });
    for backend in backends {
        match framebus::remove(backend, stream, force) {
            Err(RemoveError::NotFound { .. }) => {}
            Ok(()) => result = Ok(None),
            Err(RemoveError::Publishing { .. }) if force => {
                let pid = framebus::remove_published(backend, stream)?;
                result = Ok(Some(pid.map_or("a process".to_owned(), |pid| format!("process {pid}"))));
            }
            Err(error) => return Err(error),
        }
    }
    result
}

fn streams_of(name: &str, backends: &[Backend]) -> anyhow::Result<Vec<StreamName>> {
    if name.contains('/') {
        let stream = name.parse()?;
        return Ok(vec![stream]);
    }
    let found = framebus_program::survey(backends)?;
    let names = found.streams.into_iter().map(|stream| stream.name);
    let names = names.chain(found.orphans.into_iter().filter_map(|orphan| orphan.name));
    let mut streams: Vec<_> = names.filter(|stream| stream.bus() == name).collect();
    streams.sort();
    streams.dedup();
    if streams.is_empty() {
        anyhow::bail!("can not remove bus {name}: it has no streams; look at the names with framebus ls");
    }
    Ok(streams)
}
