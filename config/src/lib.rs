//! The configuration file of a bus: `framebus.toml` says which streams there are, programs open them by name.
//!
//! ```
//! use framebus_config::{Bus, Config};
//!
//! let file = r#"
//!     [bus]
//!     name = "robot"
//!
//!     [streams.front]
//!     width = 640
//!     height = 480
//!     format = "rgb8"
//!     rate_hz = 30
//! "#;
//! let mut config = Config::parse(file, "framebus.toml")?;
//! # config.bus.name = format!("doc-{}", std::process::id());
//! let bus = Bus::from_config(config)?; // or Bus::find()? for the file itself
//!
//! let mut camera = bus.publisher("front")?;
//! let mut viewer = bus.subscriber("front")?; // in another process, as a rule
//! camera.loan()?.publish();
//! assert!(viewer.latest()?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A file with mistakes is refused as a whole, with all of them at once: file, line, column, a caret, and what would be
//! right. Without any file there is [`Config::demo`].
//!
//! How a file is read: `toml` makes a tree in which every key and value knows its place; `document` reads one table of
//! it, key by key; `parse` goes through the tables, and `bus_table`, `content`, `contract` and `stream` know what the keys mean, and report what they do not like to
//! `diagnostic`, which shows it all.
#![forbid(unsafe_code)]

mod bus;
mod bus_error;
mod bus_table;
mod config;
mod content;
mod contract;
mod diagnostic;
mod document;
mod memory;
mod parse;
pub mod presets;
mod stream;
mod suggest;

pub use bus::Bus;
pub use bus_error::BusError;
pub use bus_table::KEYS as BUS_KEYS;
pub use config::{BusConfig, Config, StreamConfig};
pub use contract::{KEYS as SUBSCRIBER_KEYS, SubscriberConfig};
pub use diagnostic::{ConfigError, Diagnostic, InvalidConfig};
pub use stream::KEYS as STREAM_KEYS;
