//! Files that come with the library.
//!
//! ```
//! use framebus_config::{Config, presets};
//! let config = Config::parse(presets::ROBOT, "presets/robot.toml")?;
//! assert!(config.streams.contains_key("imu"));
//! # Ok::<(), framebus_config::ConfigError>(())
//! ```

/// One 1080p camera at 60 Hz, with every default written out: what runs without a file.
pub const DEMO: &str = include_str!("../presets/demo.toml");

/// A small robot: two cameras, depth, IMU, lidar.
pub const ROBOT: &str = include_str!("../presets/robot.toml");
