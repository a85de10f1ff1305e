//! What a file without mistakes means: defaults, every key, and the files that come with the library.

use framebus::Backend;
use framebus::{
    Content, Contract, ImageShape, OnFull, OnStuck, PixelFormat, Prefault, Rate, Slots, StreamOptions, Wait,
};
use framebus_config::{Config, presets};
use std::path::Path;
use std::time::Duration;

fn parsed(text: &str) -> Config {
    Config::parse(text, "framebus.toml").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_not_said_has_the_default_of_the_library() {
    let config = parsed("[bus]\nname = \"robot\"\n[streams.front]\nwidth = 64\nheight = 48\nformat = \"rgb8\"\n");
    assert_eq!((config.bus.name.as_str(), config.bus.backend, config.bus.mode), ("robot", Backend::SysV, 0o600));
    assert_eq!((config.bus.group.as_deref(), config.origin.as_str()), (None, "framebus.toml"));
    let front = &config.streams["front"];
    let shape = ImageShape::new(64, 48, PixelFormat::Rgb8).unwrap();
    assert_eq!(front.options, StreamOptions::new(Content::Image(shape)));
    assert_eq!(front.wait, None);
}

#[test]
fn every_key_arrives_in_its_option() {
    let config = parsed(
        r#"
        [bus]
        name = "robot"
        backend = "sysv"
        mode = "0660"
        group = "video"
        [streams.front]
        width = 64
        height = 48
        format = "rgb8"
        stride = 256
        rate_hz = 29.97
        history = 4
        slots = 9
        max_subscribers = 3
        max_held = 5
        on_full = "wait"
        wait_ms = 250
        wait = "spin"
        prefault = "all"
        huge_pages = true
        lock = true
        persist = true
        on_stuck = "refuse"
        max_age_ms = 0.5
        max_skipped_per_s = 3
        [streams.front.subscribers.recorder]
        max_age_ms = "none"
        max_skipped_per_s = 0
        lossless = true
        "#,
    );
    assert_eq!(config.bus.group.as_deref(), Some("video"));
    let shape = ImageShape::with_stride(64, 48, PixelFormat::Rgb8, 256).unwrap();
    let mut expected = StreamOptions::new(Content::Image(shape));
    expected.rate = Rate::new(29_970, 1000);
    expected.history = 4;
    expected.slots = Slots::Exactly(9);
    expected.max_subscribers = 3;
    expected.max_held = 5;
    expected.on_full = OnFull::Wait(Duration::from_millis(250));
    expected.prefault = Prefault::All;
    expected.on_stuck = OnStuck::Refuse;
    (expected.huge_pages, expected.lock, expected.persist) = (true, true, true);
    expected.mode = 0o660;
    assert_eq!(config.streams["front"].options, expected);
    assert_eq!(config.streams["front"].wait, Some(Wait::Spin));
    assert_eq!(config.streams["front"].contract, contract(Some(Duration::from_micros(500)), Some(3)));
    let recorder = config.streams["front"].subscriber("recorder");
    assert_eq!((recorder.contract, recorder.lossless), (contract(None, Some(0)), Some(true)));
}

fn contract(max_age: Option<Duration>, max_skipped_per_s: Option<u32>) -> Contract {
    let mut contract = Contract::default();
    (contract.max_age, contract.max_skipped_per_s) = (max_age, max_skipped_per_s);
    contract
}

#[test]
fn a_label_relies_on_what_its_table_says_and_else_on_what_the_stream_says() {
    let lines = "max_age_ms = 50\non_full = \"wait\"\nsubscribers.brake = { max_age_ms = 20 }\nsubscribers.\"my logger\" = \
                 { max_age_ms = \"none\", max_skipped_per_s = 5, lossless = false }";
    let config = parsed(&format!("[bus]\nname = \"robot\"\n[streams.front]\nsize = 8\n{lines}\n"));
    let (ms, of) = (Duration::from_millis, |label: &str| config.streams["front"].subscriber(label));
    assert_eq!((of("anybody").contract, of("anybody").lossless), (contract(Some(ms(50)), None), None));
    assert_eq!((of("brake").contract, of("brake").lossless), (contract(Some(ms(20)), None), None));
    assert_eq!((of("my logger").contract, of("my logger").lossless), (contract(None, Some(5)), Some(false)));
}

#[test]
fn values_have_the_other_forms_too() {
    let stream = |line: &str| {
        let config =
            parsed(&format!("[bus]\nname = \"robot\"\ngroup = 44\n[streams]\nfront = {{ size = 8, {line} }}\n"));
        assert_eq!(config.bus.group.as_deref(), Some("44"));
        config.streams["front"].options.clone()
    };
    assert_eq!(stream("rate_hz = 60").rate, Rate::new(60, 1));
    assert_eq!(stream("rate_hz = \"30000/1001\"").rate, Rate::new(30_000, 1001));
    assert_eq!(stream("prefault = true").prefault, Prefault::Warm);
    assert_eq!(stream("prefault = false").prefault, Prefault::Off);
    assert_eq!(stream("slots = \"auto\"").slots, Slots::Auto);
    assert_eq!(stream("on_full = \"wait\"").on_full, OnFull::Wait(Duration::from_secs(1)));
    assert_eq!(stream("on_full = \"drop\"").on_full, OnFull::Drop);
    assert_eq!(stream("history = 0x10").history, 16);
}

#[test]
fn every_mode_under_which_all_who_may_can_subscribe_is_accepted() {
    for (text, mode) in [("0600", 0o600), ("600", 0o600), ("0660", 0o660), ("0666", 0o666), ("0606", 0o606)] {
        let config = parsed(&format!("[bus]\nname = \"robot\"\nmode = \"{text}\"\n[streams.front]\nsize = 8\n"));
        assert_eq!(config.bus.mode, mode);
        assert_eq!(config.streams["front"].options.mode, mode);
    }
}

#[test]
fn every_pixel_format_is_known_by_its_name() {
    for format in PixelFormat::all() {
        let image = format!("width = 4\nheight = 4\nformat = \"{format}\"");
        let config = parsed(&format!("[bus]\nname = \"robot\"\n[streams.front]\n{image}\n"));
        let shape = ImageShape::new(4, 4, format).unwrap();
        assert_eq!(config.streams["front"].options.content, Content::Image(shape));
    }
}

#[test]
fn type_and_size_are_a_record_and_size_alone_is_bytes() {
    let stream =
        |lines: &str| parsed(&format!("[bus]\nname = \"robot\"\n[streams.imu]\n{lines}\n")).streams["imu"].clone();
    let record = stream("type = \"Imu\"\nsize = 24");
    assert_eq!(record.options.content, Content::Record { type_name: "Imu".to_owned(), bytes: 24 });
    assert!(record.size_is_known());
    let bytes = stream("size = 24");
    assert_eq!(bytes.options.content, Content::Bytes { capacity: 24 });
    assert!(bytes.size_is_known());
    assert!(!stream("type = \"Imu\"").size_is_known());
}

#[test]
fn the_demo_is_one_camera_with_all_defaults() {
    let demo = Config::demo();
    assert_eq!((demo.bus.name.as_str(), demo.origin.as_str()), ("demo", "built-in demo"));
    assert_eq!(demo.streams.keys().collect::<Vec<_>>(), ["camera"]);
    let shape = ImageShape::new(1920, 1080, PixelFormat::Rgb8).unwrap();
    let mut expected = StreamOptions::new(Content::Image(shape));
    expected.rate = Rate::new(60, 1);
    assert_eq!(demo.streams["camera"].options, expected);
}

#[test]
fn the_defaults_written_out_in_the_demo_are_the_defaults() {
    // What is commented out as `# key = value` is made valid; the stream must be the same.
    let uncommented: String = presets::DEMO
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            // They are defaults only in the sense that they need something else.
            Some(key)
                if ["group", "wait_ms", "on_stuck", "directory", "wait", "spin_budget", "subscribers"]
                    .iter()
                    .any(|name| key.starts_with(name)) =>
            {
                ""
            }
            Some(key) if key.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => key,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(uncommented.contains("\npersist = false") && uncommented.contains("\nbackend = \"sysv\""));
    let (demo, written_out) = (Config::demo(), parsed(&uncommented));
    assert_eq!(demo.bus, written_out.bus);
    assert_eq!(demo.streams, written_out.streams);
}

#[test]
fn the_robot_has_two_cameras_depth_imu_and_lidar() {
    let robot = Config::parse(presets::ROBOT, "presets/robot.toml").unwrap();
    assert_eq!(robot.streams.keys().collect::<Vec<_>>(), ["depth", "front", "imu", "lidar", "rear"]);
    let content = |stream: &str| robot.streams[stream].options.content.to_string();
    assert_eq!(content("front"), "images of 1280 × 720 rgb8");
    assert_eq!(content("depth"), "images of 640 × 480 depth_f32");
    assert_eq!(content("imu"), "records ImuSample of 24 bytes");
    assert_eq!(content("lidar"), "up to 1048576 bytes a frame");
}

#[test]
fn a_file_is_loaded_from_where_it_is_and_called_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("robot.toml");
    std::fs::write(&path, presets::ROBOT).unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config.origin, path.display().to_string());
    assert_eq!(Config::find(Some(&path)).unwrap(), config);
    assert!(Config::find(Some(Path::new("no such file.toml"))).is_err());
}
