//! What a file with mistakes is told, word by word.

use framebus_config::{Config, ConfigError};

fn refused(text: &str) -> ConfigError {
    match Config::parse(text, "framebus.toml") {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(error) => error,
    }
}

/// `line:column message | help` of each mistake.
fn mistakes(text: &str) -> Vec<String> {
    let error = refused(text);
    let line = |found: &framebus_config::Diagnostic| {
        let help = found.help.as_deref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{}:{} {}{help}", found.line, found.column, found.message)
    };
    error.diagnostics().iter().map(line).collect()
}

/// The mistakes of a stream with this line (line 6) besides what an image stream needs.
fn mistakes_of_image(line: &str) -> Vec<String> {
    mistakes(&format!("[bus]\nname = \"robot\"\n[streams.front]\nwidth = 64\nheight = 48\n{line}\nformat = \"rgb8\""))
}

/// As for images, line 4 of a stream without content.
fn mistakes_of_stream(lines: &str) -> Vec<String> {
    mistakes(&format!("[bus]\nname = \"robot\"\n[streams.front]\n{lines}\n"))
}

/// The mistakes of a bus with this line, the second.
fn mistakes_of_bus(line: &str) -> Vec<String> {
    mistakes(&format!("[bus]\n{line}\n[streams.front]\nsize = 8\n"))
}

#[test]
fn all_mistakes_of_a_file_are_shown_at_once() {
    let text = r#"[bus]
name = "my robot"

[streams.front]
widht = 1280
height = "720"
format = "rgb"
histroy = 4

[streams.rear]
width = 1280
height = 720
format = "bgr8"
stride = 1280
slots = 3
max_held = 4

[streams.imu]
size = 24
width = 10
"#;
    let expected = r#"can not use framebus.toml: it has 8 mistakes

error: bus name "my robot" has ' ' at byte 2
 --> framebus.toml:2:8
  |
2 | name = "my robot"
  |        ^^^^^^^^^^
  |
  = help: a name has letters, digits, '_', '-' and '.' and begins with a letter or digit

error: unknown key `widht` in [streams.front]
 --> framebus.toml:5:1
  |
5 | widht = 1280
  | ^^^^^
  |
  = help: did you mean `width`?

error: `height` is a string, expected an integer
 --> framebus.toml:6:10
  |
6 | height = "720"
  |          ^^^^^
  |
  = help: write it without quotes: height = 720

error: format = "rgb" is unknown
 --> framebus.toml:7:10
  |
7 | format = "rgb"
  |          ^^^^^
  |
  = help: did you mean "rgb8"? expected "mono8", "mono16", "rgb8", "bgr8", "rgba8", "bgra8", "yuyv", "nv12", "i420", "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8", "bayer_rggb16", "bayer_bggr16", "bayer_gbrg16", "bayer_grbg16" or "depth_f32"

error: unknown key `histroy` in [streams.front]
 --> framebus.toml:8:1
  |
8 | histroy = 4
  | ^^^^^^^
  |
  = help: did you mean `history`?

error: a stride of 1280 bytes does not fit
  --> framebus.toml:14:10
   |
14 | stride = 1280
   |          ^^^^
   |
   = help: it must be at least 3840 and a multiple of 1

error: slots = 3 is too few for history = 1 and max_held = 4
  --> framebus.toml:15:9
   |
15 | slots = 3
   |         ^
   |
   = help: expected at least 5, which is the window, a slot to write and one that is read (history + 2), and one more than a subscriber may hold (max_held + 1); slots = "auto" computes the number with which none is ever missing

error: `size` does not go with `width`
  --> framebus.toml:19:1
   |
19 | size = 24
   | ^^^^
   |
   = help: images have width, height and format, records have type and size; keep one of the two"#;
    assert_eq!(refused(text).to_string(), expected);
}

#[test]
fn what_is_no_toml_is_shown_in_the_same_way() {
    let expected = r#"can not use framebus.toml: it has 2 mistakes

error: string values must be quoted
 --> framebus.toml:2:8
  |
2 | name = robot
  |        ^^^^^
  |
  = help: expected literal string

error: unclosed table
 --> framebus.toml:3:15
  |
3 | [streams.front
  |               ^
  |
  = help: expected `]`"#;
    assert_eq!(refused("[bus]\nname = robot\n[streams.front\nsize = 8\n").to_string(), expected);
}

#[test]
fn unknown_keys_are_refused_in_every_table_with_the_nearest_or_all_known_ones() {
    assert_eq!(
        mistakes("colour = 1\n[buss]\nname = \"robot\"\n[stream.front]\nsize = 8\n"),
        [
            "1:1 unknown key `colour` in the file | known keys are bus, streams",
            "2:2 unknown key `buss` in the file | did you mean `bus`?",
            "4:2 unknown key `stream` in the file | did you mean `streams`?",
        ]
    );
    assert_eq!(
        mistakes_of_bus("nam = \"robot\"\nuser = \"me\""),
        [
            "2:1 unknown key `nam` in [bus] | did you mean `name`?",
            "3:1 unknown key `user` in [bus] | known keys are name, backend, directory, mode, group",
        ]
    );
    assert_eq!(
        mistakes_of_image("fps = 30"),
        ["6:1 unknown key `fps` in [streams.front] | did you mean `rate_hz`?"],
        "words from elsewhere are known"
    );
}

#[test]
fn values_of_the_wrong_type_are_refused_with_the_type_found() {
    let cases = [
        ("history = \"4\"", "`history` is a string, expected an integer | write it without quotes: history = 4"),
        ("history = 1.5", "`history` is a number with a fraction, expected an integer"),
        ("lock = 1", "`lock` is an integer, expected true or false"),
        ("lock = \"true\"", "`lock` is a string, expected true or false | write it without quotes: lock = true"),
        ("wait = true", "`wait` is a boolean, expected \"block\", \"spin\" or \"predict\""),
        ("prefault = 3", "`prefault` is an integer, expected \"warm\", \"off\" or \"all\""),
        ("slots = []", "`slots` is an array, expected \"auto\" or an integer"),
        (
            "rate_hz = { hz = 30 }",
            "`rate_hz` is a table, expected a number | expected 0.001 to 1000000 frames a second, or a fraction such as \
             \"30000/1001\"",
        ),
    ];
    for (line, expected) in cases {
        let column = line.find('=').unwrap() + 3;
        assert_eq!(mistakes_of_image(line), [format!("6:{column} {expected}")]);
    }
    assert_eq!(
        mistakes("bus = \"robot\"\nstreams = [1]\n"),
        [
            "1:7 `bus` is a string, expected a table | add [bus] with name = \"robot\"",
            "2:11 `streams` is an array, expected a table | add at least one, as [streams.camera]",
        ]
    );
    assert_eq!(
        mistakes("[bus]\nname = \"robot\"\n[streams]\nfront = 3\n[[streams.rear]]\nsize = 8\n"),
        [
            "4:1 `front` in [streams] is an integer, expected a table | write its keys under [streams.front]",
            "5:11 `rear` in [streams] is an array, expected a table | write its keys under [streams.rear]",
        ]
    );
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    let rates = "expected 0.001 to 1000000 frames a second, or a fraction such as \"30000/1001\"";
    let cases = [
        ("history = 0", "history = 0 is out of range | expected 1 to 16384".to_owned()),
        ("history = 16385", "history = 16385 is out of range | expected 1 to 16384".to_owned()),
        ("history = -1", "history = -1 is out of range | expected 1 to 16384".to_owned()),
        ("max_subscribers = 256", "max_subscribers = 256 is out of range | expected 1 to 255".to_owned()),
        ("max_held = 29", "max_held = 29 is out of range | expected 1 to 28".to_owned()),
        ("slots = 65534", "slots = 65534 is out of range | expected 1 to 65533".to_owned()),
        (
            "max_held = 99999999999999999999999999999999999999999",
            "max_held = 99999999999999999999999999999999999999999 is out of range | expected 1 to 28".to_owned(),
        ),
        ("rate_hz = 0", format!("rate_hz = 0 is out of range | {rates}")),
        ("rate_hz = 1e7", format!("rate_hz = 1e7 is out of range | {rates}")),
        ("rate_hz = nan", format!("rate_hz = nan is out of range | {rates}")),
        ("rate_hz = \"30/0\"", format!("rate_hz = \"30/0\" is no rate | {rates}")),
        ("rate_hz = \"1/2000000\"", format!("rate_hz = \"1/2000000\" is no rate | {rates}")),
        ("rate_hz = \"30\"", format!("rate_hz = \"30\" is no rate | {rates}")),
    ];
    for (line, expected) in cases {
        let column = line.find('=').unwrap() + 3;
        assert_eq!(mistakes_of_image(line), [format!("6:{column} {expected}")]);
    }
}

#[test]
fn words_that_are_none_of_the_allowed_ones_are_refused_with_those() {
    let cases = [
        ("on_full = \"block\"", "on_full = \"block\" is unknown | expected \"drop\" or \"wait\""),
        ("wait = \"poll\"", "wait = \"poll\" is unknown | expected \"block\", \"spin\" or \"predict\""),
        (
            "wait = \"spinn\"",
            "wait = \"spinn\" is unknown | did you mean \"spin\"? expected \"block\", \"spin\" or \"predict\"",
        ),
        ("prefault = \"on\"", "prefault = \"on\" is unknown | expected \"warm\", \"off\" or \"all\""),
        ("slots = \"many\"", "slots = \"many\" is unknown | expected \"auto\" or an integer"),
        ("slots = \"3\"", "slots = \"3\" is unknown | write it without quotes: slots = 3"),
    ];
    for (line, expected) in cases {
        let column = line.find('=').unwrap() + 3;
        assert_eq!(mistakes_of_image(line), [format!("6:{column} {expected}")]);
    }
    assert_eq!(
        mistakes_of_bus("name = \"robot\"\nbackend = \"files\""),
        ["3:11 backend = \"files\" is unknown | did you mean \"file\"? expected \"sysv\" or \"file\""]
    );
    assert_eq!(
        mistakes_of_bus("name = \"robot\"\ndirectory = \"/run/robot\""),
        ["3:1 `directory` needs backend = \"file\" | add backend = \"file\", or remove `directory`"]
    );
    assert_eq!(
        mistakes_of_bus("name = \"robot\"\nbackend = \"file\"\ndirectory = \"run\""),
        [
            "4:13 directory = \"run\" is no absolute path | name one by its whole path, in memory as a rule: directory = \
             \"/dev/shm/framebus\""
        ]
    );
}

#[test]
fn formats_under_their_ros_and_v4l2_names_are_recognised() {
    let format = |name: &str| mistakes_of_stream(&format!("width = 1\nheight = 1\nformat = \"{name}\""));
    assert_eq!(format("32FC1"), ["6:10 format = \"32FC1\" is unknown | it is called \"depth_f32\" here"]);
    assert_eq!(format("yuv422_yuy2"), ["6:10 format = \"yuv422_yuy2\" is unknown | it is called \"yuyv\" here"]);
    assert_eq!(format("YU12"), ["6:10 format = \"YU12\" is unknown | it is called \"i420\" here"]);
}

#[test]
fn impossible_images_are_refused_at_the_key_that_makes_them_so() {
    let range = "is out of range | expected 1 to 2147483647";
    assert_eq!(
        mistakes_of_stream("width = 0\nheight = 0\nformat = \"rgb8\""),
        [format!("4:9 width = 0 {range}"), format!("5:10 height = 0 {range}")]
    );
    let too_large = "is larger than 2 GiB, the most that a frame may have";
    assert_eq!(
        mistakes_of_stream("width = 60000\nheight = 70000\nformat = \"rgb8\""),
        [format!("5:10 an image of 60000 × 70000 rgb8 {too_large}")]
    );
    assert_eq!(
        mistakes_of_stream("width = 2147483647\nheight = 1\nformat = \"rgb8\""),
        [format!("4:9 an image of 2147483647 × 1 rgb8 {too_large}")]
    );
    assert_eq!(
        mistakes_of_image("stride = 2_000_000_000"),
        [format!("6:10 an image of 64 × 48 rgb8 {too_large}")],
        "without the stride it would fit"
    );
    assert_eq!(
        mistakes_of_image("stride = 191"),
        ["6:10 a stride of 191 bytes does not fit | it must be at least 192 and a multiple of 1"]
    );
    let odd = mistakes_of_stream("width = 10\nheight = 1\nformat = \"mono16\"\nstride = 21");
    assert_eq!(odd, ["7:10 a stride of 21 bytes does not fit | it must be at least 20 and a multiple of 2"]);
}

#[test]
fn a_stream_says_completely_and_only_what_it_carries() {
    assert_eq!(
        mistakes_of_stream("width = 64"),
        [
            "3:10 `height` is missing in [streams.front] | add height = 1080 (pixels)",
            "3:10 `format` is missing in [streams.front] | add format = \"rgb8\"",
        ]
    );
    assert_eq!(
        mistakes_of_stream("rate_hz = 10"),
        ["3:10 the stream does not say what it carries | add width, height and format for images, type and size for \
          records, or size alone for bytes"]
    );
    let one_of_two = "images have width, height and format, records have type and size; keep one of the two";
    assert_eq!(
        mistakes_of_image("size = 24\ntype = \"Imu\""),
        [
            format!("6:1 `size` does not go with `width` | {one_of_two}"),
            format!("7:1 `type` does not go with `width` | {one_of_two}"),
        ]
    );
    assert_eq!(mistakes_of_stream("size = 0"), ["4:8 size = 0 is out of range | expected 1 to 2147483648"]);
    assert_eq!(
        mistakes_of_stream("type = \"\""),
        ["4:8 type = \"\" has 0 bytes | expected 1 to 63: the TYPE_NAME of a framebus::Record"]
    );
    assert_eq!(
        mistakes_of_stream("type = \"a\\u0000b\""),
        ["4:8 type = \"a\\0b\" has a control character | expected the TYPE_NAME of a framebus::Record"]
    );
    assert_eq!(
        mistakes_of_stream("type = 3\nsize = 8"),
        ["4:8 `type` is an integer, expected a string | write type = \"ImuSample\""]
    );
}

#[test]
fn numbers_that_do_not_go_together_are_refused_also_where_other_keys_are_wrong() {
    let found = mistakes_of_image("slots = 5\nhistory = 4\nrate_hz = 0");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("6:9 slots = 5 is too few for history = 4 and max_held = 2 | expected at least 6,"));
    let found = mistakes_of_stream("type = \"Imu\"\nslots = 2");
    assert!(found[0].starts_with("5:9 slots = 2 is too few"), "the size is not needed for that: {found:?}");
}

#[test]
fn wait_ms_goes_with_waiting_only() {
    let wrong = ["6:1 `wait_ms` needs on_full = \"wait\" | add on_full = \"wait\", or remove `wait_ms`"];
    assert_eq!(mistakes_of_image("wait_ms = 5"), wrong);
    assert_eq!(mistakes_of_image("wait_ms = 5\non_full = \"drop\""), wrong);
    assert_eq!(
        mistakes_of_image("on_full = \"wiat\"\nwait_ms = 5"),
        ["6:11 on_full = \"wiat\" is unknown | did you mean \"wait\"? expected \"drop\" or \"wait\""],
        "it may have been meant"
    );
}

#[test]
fn a_capacity_is_for_images_and_not_less_than_one() {
    assert_eq!(
        mistakes_of_image("capacity_bytes = 5"),
        [
            "6:18 capacity_bytes = 5 is too little for images of 64 × 48 rgb8, of 9216 bytes | expected 9216 at least: the \
             largest frame that the stream may change to"
        ]
    );
    assert_eq!(
        mistakes_of_stream("size = 8\ncapacity_bytes = 50"),
        [
            "5:1 `capacity_bytes` is for images, and the stream carries up to 8 bytes a frame | records have the size of \
             their type, bytes that of `size`; remove it"
        ]
    );
}

#[test]
fn on_stuck_and_lossless_go_with_waiting_only() {
    assert_eq!(
        mistakes_of_image("on_stuck = \"evict\""),
        ["6:1 `on_stuck` needs on_full = \"wait\" | add on_full = \"wait\", or remove `on_stuck`"]
    );
    assert_eq!(
        mistakes_of_image("on_full = \"wait\"\non_stuck = \"evcit\""),
        ["7:12 on_stuck = \"evcit\" is unknown | did you mean \"evict\"? expected \"evict\" or \"refuse\""]
    );
    let help = "add on_full = \"wait\" to the stream, or remove `lossless`";
    assert_eq!(
        mistakes_of_image("subscribers.recorder = { lossless = true }"),
        [format!("6:26 `lossless` needs a stream with on_full = \"wait\" | {help}")]
    );
    assert_eq!(
        mistakes_of_image("subscribers.recorder = { lossless = true }\non_full = \"wiat\"").len(),
        1,
        "it may have been meant"
    );
}

#[test]
fn contracts_have_ranges_and_may_be_none() {
    let ages = "expected 0.001 to 3600000 ms, or \"none\"";
    let cases = [
        ("max_age_ms = 0", format!("max_age_ms = 0 is out of range | {ages}")),
        ("max_age_ms = 3600000.5", format!("max_age_ms = 3600000.5 is out of range | {ages}")),
        ("max_age_ms = true", format!("`max_age_ms` is a boolean, expected a number | {ages}")),
        ("max_age_ms = \"never\"", format!("`max_age_ms` is a string, expected a number | {ages}")),
        (
            "max_age_ms = \"5\"",
            "`max_age_ms` is a string, expected a number | write it without quotes: max_age_ms = 5".to_owned(),
        ),
        ("max_skipped_per_s = -1", "max_skipped_per_s = -1 is out of range | expected 0 to 1000000".to_owned()),
        ("max_skipped_per_s = 0.5", "`max_skipped_per_s` is a number with a fraction, expected an integer".to_owned()),
    ];
    for (line, expected) in cases {
        let column = line.find('=').unwrap() + 3;
        assert_eq!(mistakes_of_image(line), [format!("6:{column} {expected}")]);
    }
    assert_eq!(
        mistakes_of_image("max_ages_ms = 5"),
        ["6:1 unknown key `max_ages_ms` in [streams.front] | did you mean `max_age_ms`?"]
    );
}

#[test]
fn tables_of_subscribers_are_read_as_all_others() {
    assert_eq!(
        mistakes_of_stream("size = 8\n[streams.front.subscribers.recorder]\nmax_skiped_per_s = 0\nmax_age_ms = 0"),
        [
            "6:1 unknown key `max_skiped_per_s` in [streams.front.subscribers.recorder] | did you mean `max_skipped_per_s`?",
            "7:14 max_age_ms = 0 is out of range | expected 0.001 to 3600000 ms, or \"none\""
        ]
    );
    assert_eq!(
        mistakes_of_image("subscribers = 3"),
        [
            "6:15 `subscribers` is an integer, expected a table | write a table for each label: [streams.front.subscribers.recorder]"
        ]
    );
    assert_eq!(
        mistakes_of_image("subscribers.recorder = 3"),
        ["6:13 `recorder` in [streams.front.subscribers] is an integer, expected a table | write its keys under \
             [streams.front.subscribers.recorder]"]
    );
    assert_eq!(
        mistakes_of_image("subscribers.\"a label that is far too long for one\" = {}"),
        [
            "6:13 \"a label that is far too long for one\" can not be a subscriber's label | expected 1 to 31 bytes without control \
             characters: what a viewer's --label can be"
        ]
    );
}

#[test]
fn a_spin_budget_goes_with_predict_only_and_has_a_range() {
    let help = "add wait = \"predict\", or remove `spin_budget_percent`";
    let wrong = [format!("6:1 `spin_budget_percent` needs wait = \"predict\" | {help}")];
    assert_eq!(mistakes_of_image("spin_budget_percent = 5"), wrong);
    assert_eq!(mistakes_of_image("spin_budget_percent = 5\nwait = \"spin\""), wrong);
    let range = "expected 0.1 to 100 per cent of a core";
    for (value, found) in [("0", "0"), ("100.5", "100.5"), ("-1", "-1")] {
        assert_eq!(
            mistakes_of_image(&format!("wait = \"predict\"\nspin_budget_percent = {value}")),
            [format!("7:23 spin_budget_percent = {found} is out of range | {range}")]
        );
    }
}

#[test]
fn modes_under_which_nobody_could_subscribe_or_somebody_could_execute_are_refused() {
    let cases = [
        ("0700", "lets somebody execute"),
        ("0666x", "is no mode"),
        ("0o600", "is no mode"),
        ("4600", "is no mode"),
        ("+600", "is no mode"),
        ("", "is no mode"),
        ("0400", "keeps the owner from reading or writing"),
        ("0060", "keeps the owner from reading or writing"),
        ("0620", "lets the group write and not read"),
        ("0662", "lets others write and not read"),
    ];
    for (mode, wrong) in cases {
        let expected = format!(
            "3:8 mode = {mode:?} {wrong} | expected \"0600\" (own user only), \"0660\" (and a group) or \"0666\" \
             (everybody): who subscribes must read and write; who may only read (\"0640\", \"0644\") can observe"
        );
        assert_eq!(mistakes_of_bus(&format!("name = \"robot\"\nmode = \"{mode}\"")), [expected]);
    }
    for mode in ["0640", "0664"] {
        let text = format!("[bus]\nname = \"robot\"\nmode = \"{mode}\"\n[streams.front]\nsize = 64");
        assert!(Config::parse(&text, "robot.toml").is_ok(), "who may only read can observe");
    }
    assert_eq!(
        mistakes_of_bus("name = \"robot\"\nmode = 0o600"),
        ["3:8 `mode` is an integer, expected a string | write the octal digits in quotes: mode = \"0600\""]
    );
}

#[test]
fn names_with_odd_characters_are_refused() {
    let rule = "a name has letters, digits, '_', '-' and '.' and begins with a letter or digit";
    let text = "[bus]\nname = \"\"\n[streams.\"fr ont\"]\nsize = 8\n[streams._x]\nsize = 8\n";
    assert_eq!(
        mistakes(text),
        [
            "2:8 bus name \"\" has 0 bytes | a name has 1 to 63".to_owned(),
            format!("3:10 stream name \"fr ont\" has ' ' at byte 2 | {rule}"),
            format!("5:10 stream name \"_x\" has '_' at byte 0 | {rule}"),
        ]
    );
    assert_eq!(
        mistakes_of_bus("name = \"robot\"\ngroup = \"\""),
        ["3:9 group = \"\" is no group | name one of those in /etc/group"]
    );
}

#[test]
fn a_file_without_bus_or_streams_is_refused() {
    let expected = r#"can not use framebus.toml: it has 2 mistakes

error: the table [bus] is missing
 --> framebus.toml:1:1
  |
1 |
  | ^
  |
  = help: add [bus] with name = "robot"

error: there are no streams
 --> framebus.toml:1:1
  |
1 |
  | ^
  |
  = help: add at least one, as [streams.camera]"#;
    assert_eq!(refused("").to_string(), expected);
    assert_eq!(
        mistakes("[bus]\n[streams]\n"),
        [
            "1:2 `name` is missing in [bus] | add name = \"robot\"",
            "2:2 there are no streams | add at least one, as [streams.camera]",
        ]
    );
}

#[test]
fn keys_and_tables_given_twice_are_refused_with_whatever_else_is_wrong() {
    let text = "[bus]\nname = \"robot\"\nname = \"robot\"\n[streams.front]\nsize = 8\nhistory = 0\n[streams.front]\nlock = true\n";
    assert_eq!(
        mistakes(text),
        [
            "3:1 `name` is given twice | keep one of the two",
            "6:11 history = 0 is out of range | expected 1 to 16384",
            "7:10 `front` is given twice | keep one of the two",
        ]
    );
}

#[test]
fn streams_whose_system_v_keys_collide_are_refused() {
    let text = "[bus]\nname = \"robot\"\n[streams.cam47538]\nsize = 8\n[streams.cam283044]\nsize = 8\n";
    assert_eq!(
        mistakes(text),
        ["5:10 `cam283044` and `cam47538` have the same System V key 0x6991febe | rename one of the two"]
    );
}
