//! `--web`: the web server, for the streams that the viewer's options name.

use std::net::SocketAddr;

use anyhow::Context;
use framebus::StreamName;
use framebus_config::Config;

use crate::arguments::Arguments;

/// Serves until Ctrl-C.
///
/// # Errors
/// As for [`framebus_web::run`]; a config that can not be read.
pub(crate) fn serve(arguments: &Arguments, listen: SocketAddr) -> anyhow::Result<()> {
    framebus_web::run(&scope(arguments, listen)?)
}

/// What the viewer's options come to. Without `--stream` and `--config` it is all streams; the config that would be found
/// without a word says nothing then.
fn scope(arguments: &Arguments, listen: SocketAddr) -> anyhow::Result<framebus_web::Arguments> {
    let mut web = framebus_web::Arguments::at(listen);
    (web.backend, web.quiet, web.listen_option) = (arguments.backend.clone(), arguments.quiet, "--web");
    match arguments.stream.as_deref() {
        Some(full) if full.contains('/') => web.stream = Some(full.parse().context("--stream")?),
        Some(stream) => {
            let config = Config::find(arguments.config.as_deref())?;
            web.stream = Some(StreamName::new(&config.bus.name, stream).context("--stream")?);
            web.backend = web.backend.or(Some(config.bus.backend));
        }
        None => {}
    }
    if let Some(path) = arguments.config.as_deref().filter(|_| arguments.stream.is_none()) {
        let config = Config::load(path)?;
        web.bus = Some(config.bus.name);
        web.backend = web.backend.or(Some(config.bus.backend));
    }
    Ok(web)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use framebus::Backend;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn scope_of(words: &[&str]) -> framebus_web::Arguments {
        let words = std::iter::once(&"viewer").chain(words);
        let arguments = Program::try_parse_from(words).unwrap().arguments;
        scope(&arguments, "127.0.0.1:0".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_port_in_use_names_the_option_that_the_viewer_has() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let arguments = Program::try_parse_from(["viewer", "--web", &address.to_string()]).unwrap().arguments;
        let error = format!("{:#}", serve(&arguments, address).unwrap_err());
        assert!(error.contains(&address.to_string()) && error.contains("with --web"), "{error}");
        assert!(!error.contains("--listen"), "{error}");
    }

    #[test]
    fn stream_config_and_backend_say_what_is_shown() {
        let all = scope_of(&["--web", "0"]);
        assert_eq!((all.stream, all.bus, all.backend), (None, None, None));
        let one = scope_of(&["--web", "0", "--stream", "robot/front", "--backend", "sysv"]);
        assert_eq!((one.stream, one.backend), (Some("robot/front".parse().unwrap()), Some(Backend::SysV)));

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.toml");
        let streams = "[streams.front]\nwidth = 8\nheight = 8\nformat = \"mono8\"\n";
        std::fs::write(&path, format!("[bus]\nname = \"robot\"\nbackend = \"file\"\n{streams}")).unwrap();
        let config = ["--web", "0", "--config", path.to_str().unwrap()];
        let bus = scope_of(&config);
        assert_eq!((bus.bus.as_deref(), bus.backend), (Some("robot"), Some(Backend::default_file())));
        let one = scope_of(&[&config[..], &["--stream", "front"]].concat());
        assert_eq!((one.stream, one.bus), (Some("robot/front".parse().unwrap()), None));
    }
}
