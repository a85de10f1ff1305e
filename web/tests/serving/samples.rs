//! Records as numbers.

use framebus::sensors::{Imu, LaserScan, MAX_BEAMS};
use framebus::{Content, Publisher, RecordPublisher, StreamOptions};
use serde_json::{Value, json};

use crate::support::{Bus, Page, until};

/// All samples after the first call, which attaches.
fn samples(page: &mut Page, stream: &str, after: &str) -> Value {
    page.ask(json!({ "want": "samples", "stream": stream, "after": after })).header
}

#[test]
fn an_imu_is_told_sample_by_sample_without_gaps() {
    let bus = Bus::new();
    let name = bus.stream("imu");
    let mut options = StreamOptions::new(Content::Bytes { capacity: 1 });
    options.history = 64;
    options.rate = framebus::Rate::new(200, 1);
    let mut imu = RecordPublisher::<Imu>::open(&name, &options).unwrap();
    let sample = |value: f32| Imu {
        angular_velocity_rad_s: [value, 2.0, 3.0],
        linear_acceleration_m_s2: [4.0, 5.0, 9.81],
        orientation_xyzw: [0.0, 0.0, 0.0, 1.0],
    };
    imu.publish(&sample(1.0)).unwrap();
    let (_web, mut page) = bus.serve().page_of();
    let stream = name.to_string();
    let first = samples(&mut page, &stream, "0");
    assert_eq!((first["type"].as_str(), first["rate_hz"].as_f64()), (Some("framebus.Imu"), Some(200.0)));
    assert_eq!(first["sequence"], "1");
    let values = &first["samples"][0]["values"];
    assert_eq!(values["gx"], 1.0);
    assert_eq!((values["az"].as_f64().unwrap() * 100.0).round(), 981.0);
    assert_eq!((&values["gy"], &values["ax"], &values["qw"]), (&json!(2.0), &json!(4.0), &json!(1.0)));
    assert!(first["samples"][0]["capture_ms"].as_f64().unwrap() > 0.0);

    (2..=40).for_each(|value| {
        imu.publish(&sample(value as f32)).unwrap();
    });
    let mut found: Vec<f64> = Vec::new();
    let mut after = "1".to_owned();
    until("all samples", || {
        let answer = samples(&mut page, &stream, &after);
        for sample in answer["samples"].as_array().unwrap() {
            found.push(sample["values"]["gx"].as_f64().unwrap());
            after = sample["sequence"].as_str().unwrap().to_owned();
        }
        (found.len() >= 39).then_some(())
    });
    assert_eq!(found, (2..=40).map(f64::from).collect::<Vec<_>>());
    let nothing = samples(&mut page, &stream, &after);
    assert_eq!((nothing["samples"].as_array().unwrap().len(), &nothing["sequence"]), (0, &Value::Null));
}

#[test]
fn of_a_laser_scanner_the_newest_turn_is_told() {
    let bus = Bus::new();
    let name = bus.stream("scan");
    let options = StreamOptions::new(Content::Bytes { capacity: 1 });
    let mut lidar = RecordPublisher::<LaserScan>::open(&name, &options).unwrap();
    let mut scan = LaserScan {
        angle_min_rad: -1.5,
        angle_increment_rad: 0.5,
        range_min_m: 0.25,
        range_max_m: 30.0,
        scan_time_s: 0.1,
        beams: 3,
        ranges_m: [1.5; MAX_BEAMS],
    };
    lidar.publish(&scan).unwrap();
    scan.ranges_m[1] = f32::INFINITY;
    lidar.publish(&scan).unwrap();
    let (_web, mut page) = bus.serve().page_of();
    let answer = samples(&mut page, &name.to_string(), "0");
    assert_eq!(answer["samples"].as_array().unwrap().len(), 1);
    let values = &answer["samples"][0]["values"];
    assert_eq!((&values["angle_min"], &values["angle_increment"]), (&json!(-1.5), &json!(0.5)));
    assert_eq!((&values["range_min"], &values["range_max"]), (&json!(0.25), &json!(30.0)));
    assert_eq!(values["ranges"], json!([1.5, null, 1.5]), "what is no number is null");
    // A number of beams that there can not be.
    scan.beams = u32::MAX;
    lidar.publish(&scan).unwrap();
    let answer = samples(&mut page, &name.to_string(), "2");
    assert_eq!(answer["samples"][0]["values"]["ranges"].as_array().unwrap().len(), MAX_BEAMS);
}

#[test]
fn bytes_of_unknown_types_are_told_as_they_are_and_as_floats() {
    let bus = Bus::new();
    let name = bus.stream("own");
    let mut publisher = Publisher::open(&name, &StreamOptions::new(Content::Bytes { capacity: 1000 })).unwrap();
    let mut loan = publisher.loan().unwrap();
    loan[..8].copy_from_slice(&[1.5_f32.to_ne_bytes(), f32::NAN.to_ne_bytes()].concat());
    loan.set_len(600);
    loan.publish();
    let (_web, mut page) = bus.serve().page_of();
    let answer = samples(&mut page, &name.to_string(), "0");
    let sample = &answer["samples"][0];
    assert_eq!((&answer["type"], sample["bytes"].as_u64()), (&Value::Null, Some(600)));
    assert_eq!(sample["hex"].as_str().unwrap().len(), 512, "of the first 256 bytes");
    assert!(sample["hex"].as_str().unwrap().starts_with("0000c03f"));
    assert_eq!((&sample["f32"][0], &sample["f32"][1]), (&json!(1.5), &Value::Null));
    assert!(sample.get("values").is_none());
}

#[test]
fn records_have_no_pictures_and_say_so() {
    let bus = Bus::new();
    let name = bus.stream("own");
    let mut publisher = Publisher::open(&name, &StreamOptions::new(Content::Bytes { capacity: 8 })).unwrap();
    publisher.loan().unwrap().publish();
    let web = bus.serve();
    let mut page = web.page();
    assert!(page.picture(&name, 0).header["error"].as_str().unwrap().contains("no images"));
    let pixel = json!({ "want": "pixel", "stream": name.to_string(), "x": 0, "y": 0 });
    assert!(page.ask(pixel).header["error"].as_str().unwrap().contains("no images"));
    assert_eq!(web.get(&format!("/snapshot/{name}.png")).status, 409);
    assert_eq!(web.get(&format!("/stream/{name}.mjpeg")).status, 409);
}
