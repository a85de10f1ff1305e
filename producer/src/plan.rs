//! What arguments, config and source come to: which stream, of which shape, at which rate.
//!
//! | | comes from, the first that says it |
//! |---|---|
//! | bus | `--stream BUS/NAME`, the config |
//! | width, height, format, of images | the arguments, the config file, the source (y4m header, first image), the built-in demo |
//! | rate | a camera, `--rate`, the config file, the source (y4m header), the built-in demo, 30 Hz |
//! | all else | the arguments, the config, the bus's defaults |
//!
//! A file says what its owner wants, so a source that is something else is an error. The built-in demo was asked for by
//! nobody: it gives way to a source that knows better. A camera was asked for the rate of `--rate` or the file, has said
//! which one of its own is next to that, and keeps to it: the stream promises that one.
//!
//! Where the source publishes records, they are the stream's: the file may say the same, or nothing.
//!
//! A source that can not make frames of that shape refuses it afterwards, before the stream is touched.

use std::time::Duration;

use framebus::{Backend, Content, ImageShape, OnFull, OnStuck, Rate, StreamName, StreamOptions};
use framebus_config::{Bus, Config};

use crate::arguments::{Arguments, Full, Stuck};
use crate::source::{SourceSpec, Told, Wish};
use framebus_program::usage;

/// The rate of a stream for which nobody says one.
const DEFAULT_RATE: Option<Rate> = Rate::new(30, 1);
const DEFAULT_WAIT: Duration = Duration::from_millis(1000);

/// The stream that was asked for, and what the config says of it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: StreamName,
    /// Its options; `None` where the stream is not in the config.
    configured: Option<StreamOptions>,
    /// Backend of the config's bus, for a stream that is not in it.
    backend: Backend,
    /// Permissions of the config's bus, likewise.
    mode: u32,
    group: Option<u32>,
    /// Where the config came from, for messages.
    origin: String,
    /// Whether there is no config file, and the built-in demo stands in.
    is_built_in: bool,
}

impl Target {
    /// Finds the stream.
    pub(crate) fn find(arguments: &Arguments) -> anyhow::Result<Self> {
        let mut config = Config::find(arguments.config.as_deref())?;
        let origin = config.origin.clone();
        let is_built_in = config == Config::demo();
        let names: Vec<String> = config.streams.keys().cloned().collect();
        let (bus_name, stream) = match arguments.stream.as_deref() {
            Some(asked) => match asked.split_once('/') {
                Some((bus, stream)) => (Some(bus.to_owned()), stream.to_owned()),
                None => (None, asked.to_owned()),
            },
            None => (None, only_one(&names, &origin)?),
        };
        if let (Some(record), Some(found)) = (arguments.source.record(), config.streams.get_mut(&stream)) {
            complete(&mut found.options.content, record, &stream, &origin)?;
        }
        let bus = Bus::from_config(config)?;
        let bus_name = bus_name.unwrap_or_else(|| bus.name().to_owned());
        let name = StreamName::new(&bus_name, &stream).map_err(|error| usage!("can not use --stream: {error}"))?;
        let configured = names.contains(&stream).then(|| bus.options(&stream)).transpose()?;
        // The group's number is the bus's to find; it is the same for all its streams.
        let group = names.iter().find_map(|any| bus.options(any).ok()).and_then(|options| options.group);
        let bus = &bus.config().bus;
        Ok(Self { name, configured, backend: bus.backend.clone(), mode: bus.mode, group, origin, is_built_in })
    }

    /// What is asked for, before the source is asked what it has: a camera can choose.
    pub(crate) fn wish(&self, arguments: &Arguments) -> Wish {
        let configured = self.configured.as_ref().filter(|_| !self.is_built_in);
        let shape = configured.and_then(|options| match &options.content {
            Content::Image(shape) => Some(*shape),
            _ => None,
        });
        Wish {
            width: arguments.width.or(shape.map(|shape| shape.width())),
            height: arguments.height.or(shape.map(|shape| shape.height())),
            format: arguments.format.or(shape.map(|shape| shape.format())),
            rate: arguments.rate.or(configured.and_then(|options| options.rate)),
        }
    }

    /// The stream's options, and the rate of its frames.
    pub(crate) fn options(&self, arguments: &Arguments, told: Told) -> anyhow::Result<(StreamOptions, Rate)> {
        let content = self.content(arguments, told)?;
        let mut options = self.configured.clone().unwrap_or_else(|| {
            let mut options = StreamOptions::new(content.clone());
            (options.mode, options.group) = (self.mode, self.group);
            options.backend = self.backend.clone();
            options
        });
        if let Some(backend) = &arguments.backend {
            options.backend = backend.clone();
        }
        options.content = content;
        options.history = arguments.history.unwrap_or(options.history);
        options.slots = arguments.slots.unwrap_or(options.slots);
        options.max_subscribers = arguments.max_subscribers.unwrap_or(options.max_subscribers);
        options.max_held = arguments.max_held.unwrap_or(options.max_held);
        options.on_full = on_full(arguments, options.on_full)?;
        options.on_stuck = on_stuck(arguments, &options)?;
        options.persist |= arguments.persist;
        options.rate = match &arguments.source {
            SourceSpec::V4l2(_) => told.rate.or(arguments.rate).or(options.rate),
            _ if self.is_built_in => arguments.rate.or(told.rate).or(options.rate),
            _ => arguments.rate.or(options.rate).or(told.rate),
        };
        if arguments.is_paced() {
            options.rate = options.rate.or(DEFAULT_RATE);
        }
        let rate = options.rate.or(DEFAULT_RATE).ok_or_else(|| usage!("can not pace a stream without a rate"))?;
        Ok((options, rate))
    }

    fn content(&self, arguments: &Arguments, told: Told) -> anyhow::Result<Content> {
        let asked = arguments.width.is_some() || arguments.height.is_some() || arguments.format.is_some();
        if let Some(record) = arguments.source.record() {
            return self.record(record, asked, &arguments.source);
        }
        let known = match self.configured.as_ref().map(|options| &options.content) {
            _ if self.is_built_in && told.shape.is_some() => told.shape,
            Some(Content::Image(shape)) if asked => Some(*shape),
            Some(content) if asked => {
                return Err(usage!(
                    "can not give stream {} a shape: it carries {content} in {}; leave out --width, --height and --format",
                    self.name,
                    self.origin
                ));
            }
            Some(content) => return Ok(content.clone()),
            None => told.shape,
        };
        let width = arguments.width.or(known.map(|shape| shape.width()));
        let height = arguments.height.or(known.map(|shape| shape.height()));
        let format = arguments.format.or(known.map(|shape| shape.format()));
        let (Some(width), Some(height), Some(format)) = (width, height, format) else {
            let missing =
                [("--width", width.is_none()), ("--height", height.is_none()), ("--format", format.is_none())];
            let missing: Vec<_> = missing.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
            return Err(usage!(
                "the shape of stream {} is not known: it is not in {}, and the source {} does not say it; give {}",
                self.name,
                self.origin,
                arguments.source,
                missing.join(", ")
            ));
        };
        let shape = ImageShape::new(width, height, format)
            .map_err(|error| usage!("can not give stream {} this shape: {error}", self.name))?;
        Ok(Content::Image(shape))
    }

    /// The content of a stream of the source's records.
    fn record(&self, record: Content, asked: bool, source: &SourceSpec) -> anyhow::Result<Content> {
        if asked {
            return Err(usage!(
                "can not give stream {} a shape: the source {source} publishes {record}; leave out --width, --height and \
                 --format",
                self.name
            ));
        }
        match self.configured.as_ref().map(|options| &options.content) {
            Some(content) if *content != record && !self.is_built_in => Err(usage!(
                "can not publish {source} on stream {}: it carries {content} in {}, the source publishes {record}; change \
                 the config, or give --stream NAME",
                self.name,
                self.origin
            )),
            _ => Ok(record),
        }
    }
}

/// Gives a config's record of unknown size that of the source's, where that is the type it names.
fn complete(configured: &mut Content, record: Content, stream: &str, origin: &str) -> anyhow::Result<()> {
    let (Content::Record { type_name, bytes: 0 }, Content::Record { type_name: found, .. }) = (&*configured, &record)
    else {
        return Ok(());
    };
    if type_name != found {
        return Err(usage!(
            "can not publish {record} on stream {stream}: it carries records {type_name} in {origin}; change the config, or \
             give --stream NAME"
        ));
    }
    *configured = record;
    Ok(())
}

/// The config's only stream.
fn only_one(names: &[String], origin: &str) -> anyhow::Result<String> {
    match names {
        [only] => Ok(only.clone()),
        [] => Err(usage!("no stream to publish: there is none in {origin}; give --stream NAME")),
        _ => Err(usage!("which stream to publish: {origin} has {}; give --stream NAME", names.join(", "))),
    }
}

fn on_full(arguments: &Arguments, configured: OnFull) -> anyhow::Result<OnFull> {
    let wait = arguments.wait_ms.map(Duration::from_millis);
    match (arguments.on_full, wait, configured) {
        (Some(Full::Wait), Some(wait), _) | (None, Some(wait), OnFull::Wait(_)) => Ok(OnFull::Wait(wait)),
        (Some(Full::Wait), None, OnFull::Wait(wait)) => Ok(OnFull::Wait(wait)),
        (Some(Full::Wait), None, OnFull::Drop) => Ok(OnFull::Wait(DEFAULT_WAIT)),
        (_, Some(_), _) => Err(usage!("--wait-ms is of no use on a stream that drops frames: give --on-full wait too")),
        (Some(Full::Drop), None, _) => Ok(OnFull::Drop),
        (None, None, configured) => Ok(configured),
    }
}

fn on_stuck(arguments: &Arguments, options: &StreamOptions) -> anyhow::Result<OnStuck> {
    match (arguments.on_stuck, options.on_full) {
        (None, _) => Ok(options.on_stuck),
        (Some(_), OnFull::Drop) => {
            Err(usage!("--on-stuck is of no use on a stream that waits for nobody: give --on-full wait too"))
        }
        (Some(Stuck::Evict), _) => Ok(OnStuck::Evict),
        (Some(Stuck::Refuse), _) => Ok(OnStuck::Refuse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use framebus::PixelFormat;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(line: &str) -> Arguments {
        Program::parse_from(["producer"].into_iter().chain(line.split_whitespace())).arguments
    }

    fn target(configured: Option<Content>) -> Target {
        let configured = configured.map(|content| {
            let mut options = StreamOptions::new(content);
            (options.rate, options.history) = (Rate::new(60, 1), 4);
            options
        });
        let name = StreamName::new("robot", "front").unwrap();
        let backend = Backend::SysV;
        Target {
            name,
            configured,
            backend,
            mode: 0o640,
            group: Some(7),
            origin: "robot.toml".to_owned(),
            is_built_in: false,
        }
    }

    fn image(width: u32, height: u32) -> Content {
        Content::Image(ImageShape::new(width, height, PixelFormat::Rgb8).unwrap())
    }

    #[test]
    fn arguments_come_before_the_config_and_that_before_the_source() {
        let told = Told { shape: ImageShape::new(5, 5, PixelFormat::Mono8).ok(), rate: Rate::new(10, 1) };
        let (options, rate) = target(Some(image(64, 48))).options(&arguments(""), told).unwrap();
        assert_eq!((options.content, rate, options.history), (image(64, 48), Rate::new(60, 1).unwrap(), 4));
        let line = "--width 32 --rate 5 --history 2 --persist --max-held 3";
        let (options, rate) = target(Some(image(64, 48))).options(&arguments(line), told).unwrap();
        assert_eq!((options.content, rate, options.history), (image(32, 48), Rate::new(5, 1).unwrap(), 2));
        assert!(options.persist && options.max_held == 3);
        let (options, rate) = target(None).options(&arguments("--format rgb8"), told).unwrap();
        assert_eq!((options.content, rate), (image(5, 5), Rate::new(10, 1).unwrap()));
        assert_eq!((options.mode, options.group), (0o640, Some(7)));
    }

    #[test]
    fn the_built_in_demo_gives_way_to_a_source_that_knows_better() {
        let demo = Target { is_built_in: true, ..target(Some(image(1920, 1080))) };
        let told = Told { shape: ImageShape::new(5, 5, PixelFormat::Rgb8).ok(), rate: Rate::new(10, 1) };
        let (options, rate) = demo.options(&arguments(""), told).unwrap();
        assert_eq!((options.content, rate), (image(5, 5), Rate::new(10, 1).unwrap()));
        let (options, rate) = demo.options(&arguments(""), Told::default()).unwrap();
        assert_eq!((options.content, rate), (image(1920, 1080), Rate::new(60, 1).unwrap()));
    }

    #[test]
    fn a_camera_runs_at_the_rate_that_it_says_whatever_it_was_asked_for() {
        let told = Told { shape: None, rate: Rate::new(15, 1) };
        let rate = |line: &str, told: Told| {
            let line = format!("--source v4l2:/dev/video0 {line}");
            target(Some(image(64, 48))).options(&arguments(&line), told).unwrap().0.rate
        };
        assert_eq!(rate("--rate 20", told), Rate::new(15, 1));
        assert_eq!(rate("", told), Rate::new(15, 1));
        // Of one that says none, what it was asked for is all that is known.
        assert_eq!(rate("--rate 20", Told::default()), Rate::new(20, 1));
        assert_eq!(rate("", Told::default()), Rate::new(60, 1));
    }

    #[test]
    fn an_unpaced_stream_has_no_rate_that_nobody_said() {
        let line = "--width 8 --height 8 --format mono8";
        assert_eq!(target(None).options(&arguments(line), Told::default()).unwrap().0.rate, DEFAULT_RATE);
        let line = format!("{line} --unpaced");
        assert_eq!(target(None).options(&arguments(&line), Told::default()).unwrap().0.rate, None);
    }

    #[test]
    fn who_is_stuck_is_dealt_with_as_the_arguments_say_where_the_stream_waits() {
        let line = "--width 8 --height 8 --format mono8";
        let plan = |more: &str| target(None).options(&arguments(&format!("{line} {more}")), Told::default());
        assert_eq!(plan("--on-full wait").unwrap().0.on_stuck, OnStuck::Evict);
        assert_eq!(plan("--on-full wait --on-stuck refuse").unwrap().0.on_stuck, OnStuck::Refuse);
        assert!(plan("--on-stuck refuse").unwrap_err().to_string().ends_with("give --on-full wait too"));
    }

    #[test]
    fn a_shape_that_nobody_says_is_asked_for() {
        let error = target(None).options(&arguments("--height 8"), Told::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the shape of stream robot/front is not known: it is not in robot.toml, and the source pattern does not say it; \
             give --width, --format"
        );
    }

    #[test]
    fn a_stream_of_bytes_is_given_no_shape() {
        let error = target(Some(Content::Bytes { capacity: 100 })).options(&arguments("--width 8"), Told::default());
        assert_eq!(
            error.unwrap_err().to_string(),
            "can not give stream robot/front a shape: it carries up to 100 bytes a frame in robot.toml; leave out --width, \
             --height and --format"
        );
    }

    #[test]
    fn a_source_of_records_says_what_the_stream_carries() {
        let imu = Content::Record { type_name: "framebus.Imu".to_owned(), bytes: 40 };
        let told = Told { shape: None, rate: Rate::new(200, 1) };
        let (options, rate) = target(None).options(&arguments("--source imu"), told).unwrap();
        assert_eq!((options.content, rate), (imu.clone(), Rate::new(200, 1).unwrap()));
        let (options, rate) = target(Some(imu.clone())).options(&arguments("--source imu"), told).unwrap();
        assert_eq!((options.content, rate, options.history), (imu, Rate::new(60, 1).unwrap(), 4));
        let demo = Target { is_built_in: true, ..target(Some(image(1920, 1080))) };
        let (options, _) = demo.options(&arguments("--source lidar"), told).unwrap();
        assert_eq!(options.content.to_string(), "records framebus.LaserScan of 5784 bytes");
        let refused =
            |configured, line: &str| target(configured).options(&arguments(line), told).unwrap_err().to_string();
        assert_eq!(
            refused(None, "--source imu --height 8"),
            "can not give stream robot/front a shape: the source imu publishes records framebus.Imu of 40 bytes; leave out \
             --width, --height and --format"
        );
        assert_eq!(
            refused(Some(image(64, 48)), "--source imu"),
            "can not publish imu on stream robot/front: it carries images of 64 × 48 rgb8 in robot.toml, the source \
             publishes records framebus.Imu of 40 bytes; change the config, or give --stream NAME"
        );
    }

    #[test]
    fn a_record_whose_size_the_config_leaves_out_has_the_sources() {
        let record = |type_name: &str, bytes| Content::Record { type_name: type_name.to_owned(), bytes };
        let (mut open, mut said) = (record("framebus.Imu", 0), record("Other", 7));
        complete(&mut open, record("framebus.Imu", 40), "imu", "robot.toml").unwrap();
        assert_eq!(open, record("framebus.Imu", 40));
        complete(&mut said, record("framebus.Imu", 40), "imu", "robot.toml").unwrap();
        assert_eq!(said, record("Other", 7));
        assert_eq!(
            complete(&mut record("Other", 0), open, "imu", "robot.toml").unwrap_err().to_string(),
            "can not publish records framebus.Imu of 40 bytes on stream imu: it carries records Other in robot.toml; change \
             the config, or give --stream NAME"
        );
    }

    #[test]
    fn the_time_to_wait_needs_a_stream_that_waits() {
        let ms = Duration::from_millis;
        let wait = |line: &str, configured| on_full(&arguments(line), configured);
        assert_eq!(wait("", OnFull::Wait(ms(5))).unwrap(), OnFull::Wait(ms(5)));
        assert_eq!(wait("--on-full drop", OnFull::Wait(ms(5))).unwrap(), OnFull::Drop);
        assert_eq!(wait("--on-full wait", OnFull::Wait(ms(5))).unwrap(), OnFull::Wait(ms(5)));
        assert_eq!(wait("--on-full wait", OnFull::Drop).unwrap(), OnFull::Wait(DEFAULT_WAIT));
        assert_eq!(wait("--on-full wait --wait-ms 7", OnFull::Drop).unwrap(), OnFull::Wait(ms(7)));
        assert_eq!(wait("--wait-ms 7", OnFull::Wait(ms(5))).unwrap(), OnFull::Wait(ms(7)));
        assert!(wait("--wait-ms 7", OnFull::Drop).is_err());
        assert!(wait("--on-full drop --wait-ms 7", OnFull::Wait(ms(5))).is_err());
    }

    #[test]
    fn the_only_stream_is_the_default() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(only_one(&names(&["front"]), "robot.toml").unwrap(), "front");
        assert_eq!(
            only_one(&names(&["front", "rear"]), "robot.toml").unwrap_err().to_string(),
            "which stream to publish: robot.toml has front, rear; give --stream NAME"
        );
        assert!(only_one(&[], "robot.toml").is_err());
    }
}
