//! Which stream to view, and how to wait for its frames: the command line first, then the config.

use crate::arguments::Arguments;
use anyhow::Context;
use framebus::{Backend, StreamName, Wait};
use framebus_config::Config;
use framebus_program::UsageError;

/// A stream by name, as found.
#[derive(Debug)]
pub(crate) struct Target {
    pub name: StreamName,
    pub backend: Backend,
    pub wait: Wait,
}

impl Target {
    pub(crate) fn find(arguments: &Arguments) -> anyhow::Result<Self> {
        Self::of(&Config::find(arguments.config.as_deref())?, arguments)
    }

    fn of(config: &Config, arguments: &Arguments) -> anyhow::Result<Self> {
        let bus = &config.bus.name;
        let name = match arguments.stream.as_deref() {
            Some(full) if full.contains('/') => full.parse().context("--stream")?,
            Some(stream) => StreamName::new(bus, stream).context("--stream")?,
            None => StreamName::new(bus, only_stream(config)?)?,
        };
        let configured = (name.bus() == bus).then(|| config.streams.get(name.stream())).flatten();
        let wait = arguments.wait.map(Wait::from).or(configured.map(|stream| stream.wait)).unwrap_or_default();
        let backend = arguments.backend.as_ref().unwrap_or(&config.bus.backend).clone();
        Ok(Self { name, backend, wait })
    }
}

fn only_stream(config: &Config) -> Result<&str, UsageError> {
    let names: Vec<&str> = config.streams.keys().map(String::as_str).collect();
    match names[..] {
        [only] => Ok(only),
        [] => Err(UsageError(format!("which stream? {} has none: say it with --stream [BUS/]NAME", config.origin))),
        _ => Err(UsageError(format!(
            "which stream? {} has {}: choose one with --stream NAME",
            config.origin,
            names.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::WaitKind;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn target(config: Config, words: &[&str]) -> anyhow::Result<Target> {
        let words = std::iter::once(&"viewer").chain(words);
        Target::of(&config, &Program::try_parse_from(words).unwrap().arguments)
    }

    #[test]
    fn the_only_stream_need_not_be_named() {
        let found = target(Config::demo(), &[]).unwrap();
        assert_eq!(found.name.to_string(), "demo/camera");
    }

    #[test]
    fn a_bus_on_the_command_line_wins_and_streams_need_not_be_configured() {
        let found = target(Config::demo(), &["--stream", "robot/front"]).unwrap();
        assert_eq!((found.name.to_string().as_str(), found.backend), ("robot/front", Backend::SysV));
        assert_eq!(target(Config::demo(), &["--stream", "depth"]).unwrap().name.to_string(), "demo/depth");
        assert!(target(Config::demo(), &["--stream", "a/b/c"]).is_err());
        let found = target(Config::demo(), &["--backend", "file:/run"]).unwrap();
        assert_eq!(found.backend, Backend::File { directory: "/run".into() });
    }

    #[test]
    fn the_command_line_decides_how_to_wait_before_the_config_does() {
        let mut config = Config::demo();
        config.streams.values_mut().for_each(|stream| stream.wait = Wait::Spin);
        let block = ["--wait", "block"];
        assert_eq!(Wait::from(WaitKind::Spin), Wait::Spin);
        assert_eq!(target(config, &block).unwrap().wait, Wait::Block);
        let mut config = Config::demo();
        config.streams.values_mut().for_each(|stream| stream.wait = Wait::Spin);
        assert_eq!(target(config, &[]).unwrap().wait, Wait::Spin);
    }

    #[test]
    fn several_streams_are_listed_and_none_is_guessed() {
        let (mut config, demo) = (Config::demo(), Config::demo());
        config.streams.extend(demo.streams.into_values().map(|stream| ("second".to_owned(), stream)));
        let error = target(config, &[]).unwrap_err().to_string();
        assert!(error.contains("has camera, second: choose one with --stream NAME"), "{error}");
    }
}
