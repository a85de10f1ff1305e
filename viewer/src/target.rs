//! Which stream to view, and how to wait for its frames: the command line first, then the config.

use crate::arguments::Arguments;
use anyhow::Context;
use framebus::{Backend, DEFAULT_SPIN_BUDGET_PERCENT, StreamName, Wait};
use framebus_config::Config;
use framebus_program::UsageError;

/// A stream by name, as found.
#[derive(Debug)]
pub(crate) struct Target {
    pub name: StreamName,
    pub backend: Backend,
    pub wait: Wait,
    pub spin_budget_percent: f32,
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
        let configured_wait = configured.and_then(|stream| stream.wait);
        // On a stream without a rhythm it is as Block.
        let wait = arguments.wait.map(Wait::from).or(configured_wait).unwrap_or(Wait::Predict);
        let configured_budget = configured.and_then(|stream| stream.spin_budget_percent);
        let spin_budget_percent = arguments.spin_budget.or(configured_budget).unwrap_or(DEFAULT_SPIN_BUDGET_PERCENT);
        let backend = arguments.backend.as_ref().unwrap_or(&config.bus.backend).clone();
        Ok(Self { name, backend, wait, spin_budget_percent })
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
        config.streams.values_mut().for_each(|stream| stream.wait = Some(Wait::Spin));
        let block = ["--wait", "block"];
        assert_eq!(Wait::from(WaitKind::Spin), Wait::Spin);
        assert_eq!(target(config, &block).unwrap().wait, Wait::Block);
        let mut config = Config::demo();
        config.streams.values_mut().for_each(|stream| stream.wait = Some(Wait::Spin));
        assert_eq!(target(config, &[]).unwrap().wait, Wait::Spin);
        assert_eq!(target(Config::demo(), &[]).unwrap().wait, Wait::Predict);
    }

    #[test]
    fn the_spin_budget_comes_from_the_command_line_or_the_config() {
        let mut config = Config::demo();
        config.streams.values_mut().for_each(|stream| stream.spin_budget_percent = Some(5.0));
        assert_eq!(target(config.clone(), &["--spin-budget", "0.5"]).unwrap().spin_budget_percent, 0.5);
        assert_eq!(target(config, &[]).unwrap().spin_budget_percent, 5.0);
        assert_eq!(target(Config::demo(), &[]).unwrap().spin_budget_percent, DEFAULT_SPIN_BUDGET_PERCENT);
    }

    #[test]
    fn several_streams_are_listed_and_none_is_guessed() {
        let (mut config, demo) = (Config::demo(), Config::demo());
        config.streams.extend(demo.streams.into_values().map(|stream| ("second".to_owned(), stream)));
        let error = target(config, &[]).unwrap_err().to_string();
        assert!(error.contains("has camera, second: choose one with --stream NAME"), "{error}");
    }
}
