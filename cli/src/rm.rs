//! `framebus rm`: removes streams that nobody publishes.

use framebus::{Backend, RemoveError, StreamName};

/// Removes streams. One that is published is never removed; one that is read only with --force, and its readers keep
/// what they hold.
#[derive(clap::Args)]
pub struct Arguments {
    /// BUS/STREAM, or BUS for all its streams.
    #[arg(required = true)]
    names: Vec<String>,
    /// Also streams that are being read.
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
                Ok(()) => println!("removed {stream}"),
                Err(error) => {
                    failed = true;
                    eprintln!("error: {error}");
                }
            }
        }
    }
    Ok(u8::from(failed))
}

/// Removes a stream from wherever it is.
fn remove(stream: &StreamName, backends: &[Backend], force: bool) -> Result<(), RemoveError> {
    let mut result = Err(RemoveError::NotFound { stream: stream.clone() });
    for backend in backends {
        match framebus::remove(backend, stream, force) {
            Err(RemoveError::NotFound { .. }) => {}
            Ok(()) => result = Ok(()),
            error => return error,
        }
    }
    result
}

fn streams_of(name: &str, backends: &[Backend]) -> anyhow::Result<Vec<StreamName>> {
    if name.contains('/') {
        let stream = name.parse()?;
        return Ok(vec![stream]);
    }
    let streams = framebus_program::list(backends)?.into_iter().map(|stream| stream.name);
    let mut streams: Vec<_> = streams.filter(|stream| stream.bus() == name).collect();
    streams.dedup();
    if streams.is_empty() {
        anyhow::bail!("can not remove bus {name}: it has no streams; look at the names with framebus ls");
    }
    Ok(streams)
}
