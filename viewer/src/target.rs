//! Which stream to view, how to wait for its frames, and what to rely on: the command line first, then the config.

use crate::arguments::{Arguments, Mode};
use crate::contract::Limit;
use anyhow::Context;
use framebus::{Backend, Contract, DEFAULT_SPIN_BUDGET_PERCENT, StreamName, Wait};
use framebus_config::{Config, SubscriberConfig};
use framebus_program::UsageError;

/// A stream by name, as found.
#[derive(Debug)]
pub(crate) struct Target {
    pub name: StreamName,
    pub backend: Backend,
    pub wait: Wait,
    pub spin_budget_percent: f32,
    pub mode: Mode,
    config: Config,
}

impl Target {
    pub(crate) fn find(arguments: &Arguments) -> anyhow::Result<Self> {
        Self::of(Config::find(arguments.config.as_deref())?, arguments)
    }

    fn of(config: Config, arguments: &Arguments) -> anyhow::Result<Self> {
        let bus = &config.bus.name;
        let name = match arguments.stream.as_deref() {
            Some(full) if full.contains('/') => full.parse().context("--stream")?,
            Some(stream) => StreamName::new(bus, stream).context("--stream")?,
            None => StreamName::new(bus, only_stream(&config)?)?,
        };
        let configured = (name.bus() == bus).then(|| config.streams.get(name.stream())).flatten();
        let configured_wait = configured.and_then(|stream| stream.wait);
        // On a stream without a rhythm it is as Block.
        let wait = arguments.wait.map(Wait::from).or(configured_wait).unwrap_or(Wait::Predict);
        let configured_budget = configured.and_then(|stream| stream.spin_budget_percent);
        let spin_budget_percent = arguments.spin_budget.or(configured_budget).unwrap_or(DEFAULT_SPIN_BUDGET_PERCENT);
        let backend = arguments.backend.as_ref().unwrap_or(&config.bus.backend).clone();
        let lossless = configured.and_then(|stream| stream.subscriber(&arguments.label).lossless);
        let mode = arguments.mode.unwrap_or(if lossless == Some(true) { Mode::Every } else { Mode::Latest });
        let target = Self { name, backend, wait, spin_budget_percent, mode, config };
        if arguments.enforce && mode != Mode::Every && target.terms(&target.name, arguments).contract.is_empty() {
            return Err(UsageError(format!(
                "--enforce has nothing to enforce: give --max-age-ms or --max-skipped-per-s, or say it of stream {} in the config",
                target.name
            ))
            .into());
        }
        Ok(target)
    }

    /// What to rely on, on this stream, and whether its publisher is to wait for a viewer that takes every frame.
    pub(crate) fn terms(&self, name: &StreamName, arguments: &Arguments) -> SubscriberConfig {
        let stream = self.config.streams.get(name.stream()).filter(|_| name.bus() == self.config.bus.name);
        let mut terms = stream.map(|stream| stream.subscriber(&arguments.label)).unwrap_or_default();
        let Contract { max_age, max_skipped_per_s, .. } = &mut terms.contract;
        *max_age = arguments.max_age_ms.map_or(*max_age, Limit::most);
        *max_skipped_per_s = arguments.max_skipped_per_s.map_or(*max_skipped_per_s, Limit::most);
        terms
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
        Target::of(config, &Program::try_parse_from(words).unwrap().arguments)
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
    fn the_contract_is_that_of_the_label_but_for_what_the_command_line_says() {
        let text = "[bus]\nname = \"robot\"\n[streams.front]\nsize = 8\non_full = \"wait\"\nmax_age_ms = 50\n\
                    subscribers.recorder = { max_age_ms = \"none\", max_skipped_per_s = 0, lossless = true }\n";
        let found = |line: &str| {
            let words: Vec<&str> = std::iter::once("viewer").chain(line.split_whitespace()).collect();
            let arguments = Program::try_parse_from(words).unwrap().arguments;
            let target = Target::of(Config::parse(text, "robot.toml").unwrap(), &arguments)?;
            let terms = target.terms(&target.name, &arguments);
            anyhow::Ok((terms.contract.max_age, terms.contract.max_skipped_per_s, target.mode))
        };
        let ms = |ms| Some(std::time::Duration::from_millis(ms));
        assert_eq!(found("").unwrap(), (ms(50), None, Mode::Latest));
        assert_eq!(found("--label recorder").unwrap(), (None, Some(0), Mode::Every));
        assert_eq!(found("--label recorder --mode latest --max-age-ms 7").unwrap(), (ms(7), Some(0), Mode::Latest));
        assert_eq!(found("--max-age-ms none --max-skipped-per-s 3").unwrap(), (None, Some(3), Mode::Latest));
        assert_eq!(found("--stream other/front").unwrap(), (None, None, Mode::Latest), "another bus");
        let error = found("--max-age-ms none --enforce").unwrap_err();
        assert!(error.is::<UsageError>() && error.to_string().contains("nothing to enforce"), "{error}");
        assert!(found("--stream other/front --mode every --enforce").is_ok(), "an eviction would fail it");
    }

    #[test]
    fn several_streams_are_listed_and_none_is_guessed() {
        let (mut config, demo) = (Config::demo(), Config::demo());
        config.streams.extend(demo.streams.into_values().map(|stream| ("second".to_owned(), stream)));
        let error = target(config, &[]).unwrap_err().to_string();
        assert!(error.contains("has camera, second: choose one with --stream NAME"), "{error}");
    }
}
