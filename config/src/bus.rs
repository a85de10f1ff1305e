//! A bus as a program uses it: streams by name, opened as the configuration says.

use crate::bus_error::BusError;
use crate::config::{Config, StreamConfig};
use crate::contract::SubscriberConfig;
use framebus::{
    Content, Publisher, Record, RecordPublisher, RecordSubscriber, StreamName, StreamOptions, Subscriber,
    SubscriberOptions,
};
use std::path::Path;
use std::sync::Arc;

/// The streams of a configuration, to be opened by name. Cloning it is cheap; it holds no resource itself.
///
/// ```no_run
/// # use framebus_config::Bus;
/// use std::time::{Duration, Instant};
///
/// let bus = Bus::find()?;
/// let mut camera = bus.subscriber("front")?;
/// while camera.wait(Instant::now() + Duration::from_secs(1))? {
///     let Some(frame) = camera.latest()? else { continue };
///     println!("frame {} of {}", frame.info().sequence, camera.content());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bus {
    config: Arc<Config>,
    group: Option<u32>,
}

impl Bus {
    /// A bus of a configuration; its group is looked up here, the only step that can fail.
    ///
    /// # Errors
    /// [`BusError::UnknownGroup`] and [`BusError::Group`].
    pub fn from_config(config: Config) -> Result<Bus, BusError> {
        let group = config.bus.group.as_deref().map(|group| group_id(&config.bus.name, group)).transpose()?;
        Ok(Bus { config: Arc::new(config), group })
    }

    /// The bus of a file.
    ///
    /// # Errors
    /// As for [`Config::load`] and [`from_config`](Bus::from_config).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Bus, BusError> {
        Bus::from_config(Config::load(path.as_ref())?)
    }

    /// The bus of the file that [`Config::find`] finds.
    ///
    /// # Errors
    /// As for [`Config::find`] and [`from_config`](Bus::from_config).
    pub fn find() -> Result<Bus, BusError> {
        Bus::from_config(Config::find(None)?)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.bus.name
    }

    /// What it was made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The full name of a stream, which need not be in the configuration.
    ///
    /// # Errors
    /// [`BusError::Name`].
    pub fn stream_name(&self, stream: &str) -> Result<StreamName, BusError> {
        Ok(StreamName::new(self.name(), stream)?)
    }

    /// What a stream's publisher opens it with: everything that the configuration says, the bus's mode and group too.
    ///
    /// # Errors
    /// [`BusError::UnknownStream`]; [`BusError::SizeUnknown`] where the configuration leaves the size to a type.
    pub fn options(&self, stream: &str) -> Result<StreamOptions, BusError> {
        let config = self.stream(stream)?;
        match &config.options.content {
            Content::Record { type_name, .. } if !config.size_is_known() => Err(BusError::SizeUnknown {
                stream: format!("{}/{stream}", self.name()),
                origin: self.config.origin.clone(),
                type_name: type_name.clone(),
            }),
            _ => Ok(self.complete(config)),
        }
    }

    /// What this program attaches to a stream with: the configuration's `wait` and backend, and what it says of subscribers that are
    /// called as this program is. For those who want to set the rest themselves, and go on with
    /// [`subscriber_with`](Bus::subscriber_with).
    ///
    /// # Errors
    /// [`BusError::UnknownStream`].
    pub fn subscriber_options(&self, stream: &str) -> Result<SubscriberOptions, BusError> {
        let mut options = self.subscriber_options_as(stream, &program_name())?;
        // The library calls it so, too.
        options.label.clear();
        Ok(options)
    }

    /// As [`subscriber_options`](Bus::subscriber_options), for a subscriber that calls itself `label`: contract and `lossless` are those
    /// of its table `[streams.NAME.subscribers.LABEL]`, or the stream's.
    ///
    /// # Errors
    /// As there.
    pub fn subscriber_options_as(&self, stream: &str, label: &str) -> Result<SubscriberOptions, BusError> {
        let mut options = SubscriberOptions::default();
        let config = self.stream(stream)?;
        let SubscriberConfig { contract, lossless } = config.subscriber(label);
        (options.contract, options.lossless) = (contract, lossless.unwrap_or(options.lossless));
        options.label = label.to_owned();
        options.wait = config.wait.unwrap_or_default();
        options.spin_budget_percent = config.spin_budget_percent.unwrap_or(options.spin_budget_percent);
        options.backend = self.config.bus.backend.clone();
        Ok(options)
    }

    /// Opens a stream for publishing.
    ///
    /// # Errors
    /// As for [`options`](Bus::options); [`BusError::Open`].
    pub fn publisher(&self, stream: &str) -> Result<Publisher, BusError> {
        Ok(Publisher::open(&self.stream_name(stream)?, &self.options(stream)?)?)
    }

    /// Attaches to a stream that is there; waiting for frames, and relying on them, as the configuration says.
    ///
    /// # Errors
    /// [`BusError::UnknownStream`]; [`BusError::Attach`].
    pub fn subscriber(&self, stream: &str) -> Result<Subscriber, BusError> {
        self.subscriber_with(stream, self.subscriber_options(stream)?)
    }

    /// As [`subscriber`](Bus::subscriber), calling itself `label`: what the configuration says of that label applies.
    ///
    /// # Errors
    /// As there.
    pub fn subscriber_as(&self, stream: &str, label: &str) -> Result<Subscriber, BusError> {
        self.subscriber_with(stream, self.subscriber_options_as(stream, label)?)
    }

    /// As [`subscriber`](Bus::subscriber), with options of one's own: to wait for a stream that is not there yet, say.
    ///
    /// # Errors
    /// As there.
    pub fn subscriber_with(&self, stream: &str, options: SubscriberOptions) -> Result<Subscriber, BusError> {
        self.stream(stream)?;
        Ok(Subscriber::attach_with(&self.stream_name(stream)?, options)?)
    }

    /// Opens a stream of `T` for publishing.
    ///
    /// # Errors
    /// [`BusError::RecordMismatch`] where the configuration says something else of its type or size;
    /// [`BusError::UnknownStream`]; [`BusError::Open`].
    pub fn record_publisher<T: Record>(&self, stream: &str) -> Result<RecordPublisher<T>, BusError> {
        let options = self.complete(self.stream_of::<T>(stream)?);
        Ok(RecordPublisher::open(&self.stream_name(stream)?, &options)?)
    }

    /// Attaches to a stream of `T` that is there.
    ///
    /// # Errors
    /// [`BusError::RecordMismatch`], [`BusError::UnknownStream`], [`BusError::Attach`].
    pub fn record_subscriber<T: Record>(&self, stream: &str) -> Result<RecordSubscriber<T>, BusError> {
        self.record_subscriber_with(stream, self.subscriber_options(stream)?)
    }

    /// As [`record_subscriber`](Bus::record_subscriber), with options of one's own.
    ///
    /// # Errors
    /// As there.
    pub fn record_subscriber_with<T: Record>(
        &self,
        stream: &str,
        options: SubscriberOptions,
    ) -> Result<RecordSubscriber<T>, BusError> {
        self.stream_of::<T>(stream)?;
        Ok(RecordSubscriber::attach_with(&self.stream_name(stream)?, options)?)
    }

    fn stream(&self, stream: &str) -> Result<&StreamConfig, BusError> {
        self.config.streams.get(stream).ok_or_else(|| BusError::UnknownStream {
            bus: self.name().to_owned(),
            found: stream.to_owned(),
            origin: self.config.origin.clone(),
            known: self.config.streams.keys().cloned().collect(),
        })
    }

    /// The stream, where what the configuration says of its content agrees with `T`.
    fn stream_of<T: Record>(&self, stream: &str) -> Result<&StreamConfig, BusError> {
        let config = self.stream(stream)?;
        let agrees = match &config.options.content {
            Content::Record { type_name, bytes } => {
                type_name == T::TYPE_NAME && (!config.size_is_known() || *bytes as usize == size_of::<T>())
            }
            Content::Bytes { capacity } => *capacity as usize == size_of::<T>(),
            _ => false,
        };
        if agrees {
            return Ok(config);
        }
        let found = match &config.options.content {
            Content::Record { type_name, .. } if !config.size_is_known() => format!("records {type_name}"),
            content => content.to_string(),
        };
        Err(BusError::RecordMismatch {
            stream: format!("{}/{stream}", self.name()),
            origin: self.config.origin.clone(),
            found,
            expected: format!("records {} of {} bytes", T::TYPE_NAME, size_of::<T>()),
        })
    }

    fn complete(&self, config: &StreamConfig) -> StreamOptions {
        let mut options = config.options.clone();
        options.group = self.group;
        options
    }
}

/// The name of this program (proc(5), `/proc/self/comm`), which is the label of a subscriber that gives none.
fn program_name() -> String {
    std::fs::read_to_string("/proc/self/comm").map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// The number of a group that is given by number or name (getgrnam(3)).
fn group_id(bus: &str, group: &str) -> Result<u32, BusError> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    match nix::unistd::Group::from_name(group) {
        Ok(Some(found)) => Ok(found.gid.as_raw()),
        Ok(None) => Err(BusError::UnknownGroup { bus: bus.to_owned(), group: group.to_owned() }),
        Err(errno) => Err(BusError::Group { bus: bus.to_owned(), group: group.to_owned(), source: errno.into() }),
    }
}
