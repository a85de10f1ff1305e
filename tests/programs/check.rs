//! `framebus check`, as a user and a script run it.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::harness::framebus;

/// What `framebus check` makes of a text on its standard input.
fn check(text: &str, arguments: &[&str]) -> Output {
    let mut command = framebus();
    command.arg("check").args(arguments).arg("-");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

const ROBOT: &str = include_str!("../../config/presets/robot.toml");
const WRONG: &str = "[bus]\nname = \"lab\"\n[streams.front]\nwidth = 640\nheigth = 480\nformat = \"rgb9\"\n";

#[test]
fn a_config_is_told_stream_by_stream_and_in_total() {
    let output = check(ROBOT, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        "standard input: bus robot, 5 streams\n",
        "\nrobot/front  images of 1280 × 720 rgb8 at 30 Hz\n",
        "10 history + 1 to write + 8 subscribers × 3 held = 35\n",
        "\nall streams\n  slots = \"auto\"",
        "  the publisher always finds a free slot, whatever subscribers hold\n",
        "\nrobot/imu  records ImuSample of 24 bytes at 200 Hz\n",
        "  subscribers.recorder = { lossless = true, max_age_ms = \"none\", max_skipped_per_s = 0 }\n  ",
        "\nin total  ",
    ] {
        assert!(said.contains(expected), "{expected:?} in\n{said}");
    }
}

#[test]
fn objects_agree_with_the_library_and_with_their_sum() {
    let output = check(ROBOT, &["--json"]);
    let objects = objects(&output);
    let kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["bus", "stream", "stream", "stream", "stream", "stream", "summary"]);
    let number = |object: &Value, key: &str| object[key].as_u64().unwrap_or_else(|| panic!("{key} in {object}"));
    let mut all_bytes = 0;
    let config = framebus_config::Config::parse(ROBOT, "robot.toml").unwrap();
    for (object, (name, stream)) in objects[1..].iter().zip(&config.streams) {
        let geometry = framebus::Geometry::of(&stream.options).unwrap();
        assert_eq!(object["stream"], format!("robot/{name}"));
        assert_eq!(number(object, "slots"), geometry.slots() as u64);
        assert_eq!(number(object, "frames_bytes"), geometry.frames_bytes() as u64);
        assert!(number(object, "touched_bytes") <= number(object, "frames_bytes") + number(object, "places_bytes"));
        all_bytes += number(object, "frames_bytes") + number(object, "places_bytes");
        let guarantees = object["guarantees"].as_array().unwrap();
        assert!(guarantees.len() >= 10 && guarantees.iter().all(|said| said["guarantee"].is_string()), "{object}");
    }
    assert_eq!(number(&objects[6], "all_bytes"), all_bytes);
}

#[test]
fn mistakes_are_told_all_at_once_to_people_and_to_scripts() {
    let output = check(WRONG, &["--json"]);
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let found: Vec<_> = objects(&output);
    let places: Vec<_> = found.iter().map(|mistake| (&mistake["kind"], mistake["line"].as_u64())).collect();
    let mistake = Value::from("mistake");
    assert_eq!(places, [(&mistake, Some(5)), (&mistake, Some(6))]);
    assert_eq!(found[0]["help"], "did you mean `height`?");
    assert!(said.contains(" --> standard input:5:1") && said.contains(" --> standard input:6:10"), "{said}");
}

#[test]
fn a_file_is_named_and_a_missing_one_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.toml");
    std::fs::write(&file, framebus_config::presets::DEMO).unwrap();
    let output = framebus().arg("check").arg(&file).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&format!("{}: bus demo, 1 stream\n", file.display())));
    let output = framebus().arg("check").arg(folder.path().join("missing.toml")).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true));
}
