//! Streams that are no pictures.

use std::time::Duration;

use framebus::sensors::{Imu, LaserScan};
use framebus::{Content, Record};
use zerocopy::{FromZeros, IntoBytes};

use crate::harness::TestStream;
use crate::page::Page;
use crate::publish::Publishing;
use crate::server::Server;
use crate::wall::on_card;

fn content<R: Record>() -> Content {
    Content::Record { type_name: R::TYPE_NAME.to_owned(), bytes: size_of::<R>() as u32 }
}

#[test]
fn an_imu_is_drawn_as_lines() {
    let stream = TestStream::new("imu");
    let _publishing = Publishing::start(&stream.name, content::<Imu>(), Duration::from_millis(5), |bytes, number| {
        let turn = (number as f32 / 30.0).sin();
        let sample = Imu {
            angular_velocity_rad_s: [turn, -turn, 0.25],
            linear_acceleration_m_s2: [0.0, turn, 9.81],
            orientation_xyzw: [0.0, 0.0, 0.0, 1.0],
        };
        bytes.copy_from_slice(sample.as_bytes());
    });
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.wait_for_movement(&on_card(&stream.name, ".record canvas"));
    assert_eq!(page.text(&on_card(&stream.name, ".content")), "framebus.Imu");

    page.visit(&format!("#{}", stream.name));
    page.wait_for("two plots", "document.querySelectorAll('#full-record canvas').length === 2");
    page.wait_for("samples", "framebus.full.view.times.length > 200");
    page.wait_for_movement("#full-record canvas");
    // What came is what was published.
    let values = page.evaluate("[framebus.full.view.values.gz.at(-1), framebus.full.view.values.az.at(-1)]");
    assert!((values[0].as_f64().unwrap() - 0.25).abs() < 1e-6 && (values[1].as_f64().unwrap() - 9.81).abs() < 1e-5);
    // Each of the three lines has its colour in the first plot. They grow as samples come; a level one may lie across two rows.
    let colours = "['axis-x', 'axis-y', 'axis-z'].map(name => {
        const wanted = colours.get(name).match(/\\d+/g).map(Number);
        const canvas = document.querySelector('#full-record canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 60, canvas.width, canvas.height - 60);
        let found = 0;
        for (let at = 0; at < data.length; at += 4) {
            if (wanted.every((value, channel) => Math.abs(data[at + channel] - value) < 12) && data[at + 3] > 80) found += 1;
        }
        return found > 100;
    })";
    page.wait_for("three lines", &format!("{colours}.every(Boolean)"));
    page.screenshot("full-imu");

    // Paused, nothing is added.
    page.key(" ");
    let before = page.evaluate("framebus.full.view.sequence");
    let reached = stream.wait_for_frame(1);
    stream.wait_for_frame(reached + 100);
    assert_eq!(page.evaluate("framebus.full.view.sequence"), before);
}

#[test]
fn a_laser_scan_is_drawn_from_above() {
    let stream = TestStream::new("scan");
    let _publishing =
        Publishing::start(&stream.name, content::<LaserScan>(), Duration::from_millis(50), |bytes, number| {
            let mut scan = LaserScan::new_zeroed();
            (scan.angle_min_rad, scan.angle_increment_rad) = (-std::f32::consts::PI, std::f32::consts::TAU / 360.0);
            (scan.range_min_m, scan.range_max_m, scan.beams) = (0.1, 12.0, 360);
            scan.ranges_m[..360].fill(3.0 + (number % 10) as f32 / 10.0);
            scan.ranges_m[7] = f32::INFINITY;
            bytes.copy_from_slice(scan.as_bytes());
        });
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.wait_for("the scan", "framebus.full.view.scan.ranges.length === 360");
    page.wait_for_movement("#full-record canvas");
    // 359 hits, each a few pixels; the lines of the paper have other colours.
    let hits = "(canvas => {
        const wanted = colours.get('accent').match(/\\d+/g).map(Number);
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let found = 0;
        for (let at = 0; at < data.length; at += 4) {
            found += data[at + 3] > 200 && wanted.every((value, channel) => Math.abs(data[at + channel] - value) < 12);
        }
        return found > 300;
    })(document.querySelector('#full-record canvas'))";
    page.wait_for("the hits", hits);
    page.screenshot("full-scan");
}

#[test]
fn other_bytes_are_shown_as_they_are() {
    let stream = TestStream::new("bytes");
    let content = Content::Bytes { capacity: 64 };
    let _publishing = Publishing::start(&stream.name, content, Duration::from_millis(50), |bytes, number| {
        bytes[..4].copy_from_slice(&1.5_f32.to_ne_bytes());
        bytes[4..12].copy_from_slice(b"framebus");
        bytes[12] = number as u8;
    });
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.wait_for("bytes", "document.querySelector('#full-record .hex').textContent.includes('framebus')");
    assert!(page.text("#full-record .floats").contains("1.50000"));
    let before = page.text("#full-record .hex");
    page.wait_for(
        "others",
        &format!("document.querySelector('#full-record .hex').innerText !== {}", crate::page::quoted(&before)),
    );
}

#[test]
fn a_record_of_a_known_name_and_another_size_is_shown_as_bytes() {
    let stream = TestStream::new("newer");
    // As a later version may have it.
    let content = Content::Record { type_name: Imu::TYPE_NAME.to_owned(), bytes: 48 };
    let _publishing = Publishing::start(&stream.name, content, Duration::from_millis(50), |bytes, _| {
        bytes[..8].copy_from_slice(b"framebus");
    });
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    let hex = crate::page::quoted(&on_card(&stream.name, ".hex"));
    page.wait_for("bytes on the card", &format!("document.querySelector({hex}).textContent.includes('framebus')"));
    page.visit(&format!("#{}", stream.name));
    page.wait_for("bytes", "document.querySelector('#full-record .hex').textContent.includes('framebus')");
}
