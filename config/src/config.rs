//! What a file says, and which file it is that is read.

use crate::contract::SubscriberConfig;
use crate::diagnostic::ConfigError;
use crate::parse::parse;
use crate::{memory, presets};
use framebus::{Backend, Content, Contract, StreamOptions, Wait};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The environment variable that names the file.
const VARIABLE: &str = "FRAMEBUS_CONFIG";
/// The file that is looked for in the current directory.
const FILE_NAME: &str = "framebus.toml";
const DEMO_ORIGIN: &str = "built-in demo";

/// What a configuration file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The table `[bus]`.
    pub bus: BusConfig,
    /// The tables `[streams.NAME]`, by name.
    pub streams: BTreeMap<String, StreamConfig>,
    /// Name of the file, or `built-in demo`.
    pub origin: String,
}

/// What all streams have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusConfig {
    /// Name of the bus.
    pub name: String,
    /// What the streams are made of.
    pub backend: Backend,
    /// Permissions of every stream, as of a file; 0600 unless the file says otherwise.
    pub mode: u32,
    /// Group of every stream, by name or number; that of the publisher's process if there is none here.
    pub group: Option<String>,
}

/// What the file says of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// How its publisher opens it. Backend and mode are the bus's; the group is known to [`Bus`](crate::Bus) only.
    ///
    /// Where the file gives a `type` and no `size`, the content is a record of 0 bytes: see
    /// [`size_is_known`](StreamConfig::size_is_known).
    pub options: StreamOptions,
    /// How its subscribers wait, unless they decide themselves; `None` where the file does not say.
    pub wait: Option<Wait>,
    /// With `wait = "predict"`: [`SubscriberOptions::spin_budget_percent`](framebus::SubscriberOptions), where the file
    /// says it.
    pub spin_budget_percent: Option<f32>,
    /// What its subscribers rely on, but for those of a label in `subscribers`.
    pub contract: Contract,
    /// The tables `[streams.NAME.subscribers.LABEL]`, by label.
    pub subscribers: BTreeMap<String, SubscriberConfig>,
}

impl StreamConfig {
    /// What the file says of a subscriber that calls itself `label`.
    pub fn subscriber(&self, label: &str) -> SubscriberConfig {
        let of_all = SubscriberConfig { contract: self.contract, lossless: None };
        self.subscribers.get(label).copied().unwrap_or(of_all)
    }

    /// False where the file gives the `type` of a record and no `size`: then only a program that has the type can open
    /// the stream, with [`Bus::record_publisher`](crate::Bus::record_publisher).
    pub fn size_is_known(&self) -> bool {
        !matches!(self.options.content, Content::Record { bytes: 0, .. })
    }
}

impl Config {
    /// Reads a configuration from a text; `origin` is what messages call it.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with everything that is wrong.
    ///
    /// ```
    /// use framebus_config::Config;
    /// let error = Config::parse("[bus]\nname = 7", "robot.toml").unwrap_err();
    /// assert_eq!(error.diagnostics()[1].message, "`name` is an integer, expected a string");
    /// assert_eq!((error.diagnostics()[1].line, error.diagnostics()[1].column), (2, 8));
    /// ```
    pub fn parse(text: &str, origin: &str) -> Result<Config, ConfigError> {
        Ok(parse(text, origin, memory::machine_bytes())?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`]: it can not be read, or has mistakes.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        load(path, "")
    }

    /// Reads the file that `explicit` names; else the one that the environment variable `FRAMEBUS_CONFIG` names; else
    /// `framebus.toml` in the current directory, where there is one; else [`Config::demo`].
    ///
    /// # Errors
    /// As for [`load`](Config::load): a file that was named, or is there, is never passed over.
    pub fn find(explicit: Option<&Path>) -> Result<Config, ConfigError> {
        match find(explicit, std::env::var_os(VARIABLE).as_deref(), Path::new("")) {
            Found::File(path, named_by) => load(&path, named_by),
            Found::Demo => Ok(Config::demo()),
        }
    }

    /// The embedded default: bus `demo`, one 1080p camera at 60 Hz ([`presets::DEMO`]).
    pub fn demo() -> Config {
        parse(presets::DEMO, DEMO_ORIGIN, None).unwrap_or_else(|error| unreachable!("a test parses it: {error}"))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The file, and who named it where that was not the caller.
    File(PathBuf, &'static str),
    Demo,
}

fn find(explicit: Option<&Path>, variable: Option<&OsStr>, directory: &Path) -> Found {
    if let Some(path) = explicit {
        return Found::File(path.to_owned(), "");
    }
    if let Some(path) = variable.filter(|path| !path.is_empty()) {
        return Found::File(path.into(), " (named by FRAMEBUS_CONFIG)");
    }
    let path = directory.join(FILE_NAME);
    // Also where it is a link that leads nowhere: an error is better than another configuration than the one meant.
    if path.symlink_metadata().is_ok() { Found::File(path, "") } else { Found::Demo }
}

fn load(path: &Path, named_by: &'static str) -> Result<Config, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), named_by, source };
    let text = std::fs::read_to_string(path).map_err(read)?;
    Config::parse(&text, &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_named_comes_before_the_environment_and_that_before_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let (named, variable) = (Path::new("named.toml"), OsStr::new("variable.toml"));
        let find = |explicit, variable| find(explicit, variable, directory.path());

        assert_eq!(find(None, None), Found::Demo);
        let here = directory.path().join(FILE_NAME);
        std::fs::write(&here, "").unwrap();
        assert_eq!(find(None, None), Found::File(here.clone(), ""));
        assert_eq!(find(None, Some(OsStr::new(""))), Found::File(here, ""), "an empty variable names nothing");
        let by_variable = Found::File(variable.into(), " (named by FRAMEBUS_CONFIG)");
        assert_eq!(find(None, Some(variable)), by_variable);
        assert_eq!(find(Some(named), Some(variable)), Found::File(named.into(), ""));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().join(FILE_NAME);
        std::os::unix::fs::symlink("nowhere.toml", &here).unwrap();
        assert_eq!(find(None, None, directory.path()), Found::File(here, ""));
    }

    #[test]
    fn a_file_that_can_not_be_read_says_which_who_named_it_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let message = |path: &Path, named_by| load(path, named_by).unwrap_err().to_string();
        let missing = directory.path().join("missing.toml");
        assert_eq!(
            message(&missing, " (named by FRAMEBUS_CONFIG)"),
            format!(
                "can not read the configuration file {} (named by FRAMEBUS_CONFIG): No such file or directory (os error 2); \
                 correct the path, or unset the variable",
                missing.display()
            )
        );
        assert!(message(&missing, "").ends_with("(os error 2); correct the path"));
        assert!(message(directory.path(), "").ends_with("(os error 21); name the file in that directory"));
        let binary = directory.path().join("binary.toml");
        std::fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert!(message(&binary, "").ends_with("; save it as UTF-8 text"), "{}", message(&binary, ""));
    }
}
