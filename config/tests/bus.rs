//! Streams opened by name from a configuration.

use framebus::{Content, Record, StreamName, Subscriber, SubscriberOptions, Wait};
use framebus_config::{Bus, BusError, Config};
use std::path::Path;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Imu {
    turn_rad_s: [f32; 3],
    push_m_s2: [f32; 3],
}

impl Record for Imu {
    const TYPE_NAME: &'static str = "Imu";
}

const STREAMS: &str = r#"
[streams.front]
width = 64
height = 48
format = "mono8"
wait = "predict"
spin_budget_percent = 1.5
[streams.imu]
type = "Imu"
[streams.imu_with_size]
type = "Imu"
size = 24
[streams.imu_of_another_size]
type = "Imu"
size = 32
[streams.bytes]
size = 24
on_full = "wait"
max_age_ms = 50
[streams.bytes.subscribers.recorder]
max_skipped_per_s = 0
lossless = true
[streams.more_bytes]
size = 25
[streams.gps]
type = "Gps"
"#;

/// A bus of the test's own, that must have left nothing in the kernel when the test ends.
struct TestBus(Bus);

impl TestBus {
    fn new(test: &str, bus_keys: &str) -> Self {
        let name = format!("test-{}-config-{test}", std::process::id());
        let text = format!("[bus]\nname = \"{name}\"\n{bus_keys}\n{STREAMS}");
        let config = Config::parse(&text, "test.toml").unwrap_or_else(|error| panic!("{error}"));
        Self(Bus::from_config(config).unwrap())
    }
}

impl Drop for TestBus {
    fn drop(&mut self) {
        for stream in self.0.config().streams.keys() {
            let name = self.0.stream_name(stream).unwrap();
            for key in [name.key(), name.places_key()] {
                for table in ["/proc/sysvipc/shm", "/proc/sysvipc/sem"] {
                    let left = lines_of(table, key);
                    assert!(left.is_empty() || std::thread::panicking(), "{name} left {left:?} in {table}");
                }
            }
        }
    }
}

/// The lines of one of the kernel's tables that have this key (proc(5): the first column, as a signed number).
fn lines_of(table: &str, key: i32) -> Vec<String> {
    let key = key.to_string();
    let text = std::fs::read_to_string(table).unwrap();
    text.lines().filter(|line| line.split_whitespace().next() == Some(&key)).map(str::to_owned).collect()
}

#[test]
fn a_stream_is_published_and_read_by_its_name_alone() {
    let test = TestBus::new("front", "");
    let bus = &test.0;
    let mut camera = bus.publisher("front").unwrap();
    let mut viewer = bus.subscriber("front").unwrap();
    camera.loan().unwrap().publish();
    assert_eq!(viewer.latest().unwrap().unwrap().info().width, 64);
    assert_eq!(viewer.content(), &bus.options("front").unwrap().content);
    assert!(!lines_of("/proc/sysvipc/shm", camera.name().key()).is_empty(), "the check at the end can see it");
}

#[test]
fn subscribers_wait_as_the_file_says() {
    let test = TestBus::new("wait", "");
    assert_eq!(test.0.subscriber_options("front").unwrap().wait, Wait::Predict);
    assert_eq!(test.0.subscriber_options("front").unwrap().spin_budget_percent, 1.5);
    assert_eq!(test.0.subscriber_options("bytes").unwrap().wait, Wait::Block);
}

#[test]
fn records_go_through_whether_the_file_gives_type_or_size_or_both() {
    let test = TestBus::new("records", "");
    for stream in ["imu", "imu_with_size", "bytes"] {
        let sample = Imu { turn_rad_s: [0.1; 3], push_m_s2: [9.8; 3] };
        let mut imu = test.0.record_publisher::<Imu>(stream).unwrap();
        let mut reader = test.0.record_subscriber::<Imu>(stream).unwrap();
        imu.publish(&sample).unwrap();
        assert_eq!(*reader.latest().unwrap().unwrap(), sample);
    }
}

#[test]
fn a_record_that_is_not_what_the_file_says_is_refused_at_both_ends() {
    let test = TestBus::new("mismatch", "");
    let cases = [
        ("imu_of_another_size", "records Imu of 32 bytes"),
        ("gps", "records Gps"),
        ("more_bytes", "up to 25 bytes a frame"),
        ("front", "images of 64 × 48 mono8"),
    ];
    for (stream, found) in cases {
        let expected = format!(
            "can not open stream {}/{stream} for records Imu of 24 bytes: test.toml says {found}; correct the type there, \
             or the one in the program",
            test.0.name()
        );
        let publisher = test.0.record_publisher::<Imu>(stream).err().expect("refused");
        assert!(matches!(publisher, BusError::RecordMismatch { .. }));
        assert_eq!(publisher.to_string(), expected);
        assert_eq!(test.0.record_subscriber::<Imu>(stream).err().expect("refused").to_string(), expected);
    }
}

#[test]
fn a_record_without_size_needs_its_type() {
    let test = TestBus::new("size", "");
    let error = test.0.publisher("gps").err().expect("refused");
    assert!(matches!(error, BusError::SizeUnknown { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "can not open stream {}/gps without its type: test.toml gives type = \"Gps\" and no size; add size (bytes), \
             or open it with record_publisher",
            test.0.name()
        )
    );
}

#[test]
fn a_stream_that_is_not_in_the_file_is_refused_with_those_that_are() {
    let test = TestBus::new("unknown", "");
    let expected = format!(
        "bus {} has no stream \"fornt\": test.toml has bytes, front, gps, imu, imu_of_another_size, imu_with_size, \
         more_bytes; did you mean \"front\"?",
        test.0.name()
    );
    assert_eq!(test.0.publisher("fornt").err().expect("refused").to_string(), expected);
    assert_eq!(test.0.subscriber("fornt").err().expect("refused").to_string(), expected);
    let with = test.0.subscriber_with("fornt", SubscriberOptions::default());
    assert_eq!(with.err().expect("refused").to_string(), expected);
    assert_eq!(test.0.stream_name("fornt").unwrap().stream(), "fornt", "a name is a name");
    assert!(matches!(test.0.stream_name("fr ont"), Err(BusError::Name(_))));
}

#[test]
fn mode_and_group_arrive_at_the_kernel() {
    let group = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap();
    let Some(group) = group else {
        eprintln!("skipped: this process's group has no name");
        return;
    };
    let test = TestBus::new("group", &format!("mode = \"0660\"\ngroup = {:?}", group.name));
    let options = test.0.options("bytes").unwrap();
    assert_eq!((options.mode, options.group), (0o660, Some(group.gid.as_raw())));
    let publisher = test.0.publisher("bytes").unwrap();
    // proc(5): key, id, permissions. Subscribers write the places; the frames they only read.
    let places = lines_of("/proc/sysvipc/shm", publisher.name().places_key()).remove(0);
    assert!(places.split_whitespace().nth(2).unwrap().ends_with("660"), "{places}");
}

#[test]
fn a_group_is_known_by_name_or_number_or_refused() {
    let bus = |group: &str| {
        let mut config = Config::demo();
        config.bus.group = Some(group.to_owned());
        Bus::from_config(config)
    };
    assert_eq!(bus("4321").unwrap().options("camera").unwrap().group, Some(4321));
    assert_eq!(bus("root").unwrap().options("camera").unwrap().group, Some(0));
    assert_eq!(
        bus("no-such-group").unwrap_err().to_string(),
        "can not open bus demo: there is no group \"no-such-group\" on this machine; name one of those that getent group \
         lists, or create it"
    );
}

#[test]
fn a_bus_comes_from_a_file_in_one_step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("framebus.toml");
    std::fs::write(&path, format!("[bus]\nname = \"filed\"\n{STREAMS}")).unwrap();
    let bus = Bus::from_file(&path).unwrap();
    assert_eq!(bus.clone().name(), "filed");
    assert_eq!(bus.options("bytes").unwrap().content, Content::Bytes { capacity: 24 });
    assert!(matches!(Bus::from_file(Path::new("no such file.toml")), Err(BusError::Config(_))));
}

#[test]
fn a_stream_that_nobody_publishes_is_the_librarys_error() {
    let test = TestBus::new("nobody", "");
    assert!(matches!(test.0.subscriber("front"), Err(BusError::Attach(framebus::AttachError::NotFound { .. }))));
    let name: StreamName = test.0.stream_name("front").unwrap();
    assert!(Subscriber::attach(&name).is_err());
}

#[test]
fn a_subscriber_gets_the_contract_of_its_label() {
    let test = TestBus::new("contract", "");
    let bus = &test.0;
    let _publisher = bus.publisher("bytes").unwrap();
    let age = Some(std::time::Duration::from_millis(50));
    let recorder = bus.subscriber_as("bytes", "recorder").unwrap();
    assert_eq!((recorder.contract().max_age, recorder.contract().max_skipped_per_s), (age, Some(0)));
    assert!(recorder.is_lossless());
    let other = bus.subscriber("bytes").unwrap();
    assert_eq!((other.contract().max_age, other.contract().max_skipped_per_s), (age, None));
    assert!(!other.is_lossless());
    let labels = framebus::list(&framebus::Backend::SysV).unwrap();
    let labels = labels.iter().filter(|stream| stream.name == *recorder.name()).flat_map(|stream| &stream.subscribers);
    assert!(labels.filter(|subscriber| subscriber.holder.label == "recorder").count() == 1);
}
