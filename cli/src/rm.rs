//! `framebus rm`: removes streams that nobody publishes.

use framebus::StreamName;

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
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let mut failed = false;
    for name in &arguments.names {
        for stream in streams_of(name)? {
            match framebus::remove(&stream, arguments.force) {
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

fn streams_of(name: &str) -> anyhow::Result<Vec<StreamName>> {
    if name.contains('/') {
        let stream = name.parse()?;
        return Ok(vec![stream]);
    }
    let streams: Vec<_> =
        framebus::list()?.into_iter().map(|stream| stream.name).filter(|stream| stream.bus() == name).collect();
    if streams.is_empty() {
        anyhow::bail!("can not remove bus {name}: it has no streams; look at the names with framebus ls");
    }
    Ok(streams)
}
