//! Pictures over the WebSocket.

use std::time::Duration;

use framebus::PixelFormat;
use serde_json::json;

use crate::support::{Bus, Camera, is_about, picture, status, until};

#[test]
fn a_picture_has_the_size_and_the_colour_of_the_frame() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 64, 48, PixelFormat::Rgb8);
    camera.publish(&[200, 100, 50]);
    let web = bus.serve();
    let mut page = web.page();
    let answer = page.picture(&name, 0);
    let pixels = answer.pixels();
    assert_eq!(pixels.dimensions(), (64, 48));
    assert!(is_about(&pixels, [200, 100, 50]), "{:?}", pixels.get_pixel(0, 0));
    let header = &answer.header;
    assert_eq!((header["sequence"].as_str(), header["step"].as_u64()), (Some("1"), Some(1)));
    assert_eq!((header["width"].as_u64(), header["height"].as_u64()), (Some(64), Some(48)));
    assert_eq!((header["format"].as_str(), header["frozen"].as_bool()), (Some("rgb8"), Some(false)));
    assert_eq!(header["stream"], name.to_string());
    assert!(header["age_ms"].as_f64().unwrap() >= 0.0 && header["latency_ns"].is_null(), "it was there before us");

    camera.publish(&[0, 0, 250]);
    let answer = page.picture(&name, 1);
    assert_eq!(answer.sequence(), 2);
    assert!(is_about(&answer.pixels(), [0, 0, 250]));
    assert!(answer.header["latency_ns"].as_u64().unwrap() > 0);
}

#[test]
fn a_thumbnail_is_made_to_fit() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 640, 480, PixelFormat::Bgr8);
    camera.publish(&[10, 20, 230]);
    let (_web, mut page) = bus.serve().page_of();
    let want = json!({ "want": "picture", "stream": name.to_string(), "width": 160, "height": 0, "quality": 90 });
    let answer = page.ask(want);
    assert_eq!((answer.pixels().dimensions(), answer.header["step"].as_u64()), ((160, 120), Some(4)));
    assert!(is_about(&answer.pixels(), [230, 20, 10]));
}

#[test]
fn depth_has_false_colours_and_tells_its_range() {
    let bus = Bus::new();
    let name = bus.stream("depth");
    let mut camera = Camera::open(&name, 32, 32, PixelFormat::DepthF32);
    camera.publish(&[1.0_f32.to_ne_bytes(), 3.0_f32.to_ne_bytes()].concat());
    let (_web, mut page) = bus.serve().page_of();
    let want = |range| json!({ "want": "picture", "stream": name.to_string(), "palette": "turbo", "range": range });
    let answer = page.ask(want(json!(null)));
    assert_eq!(answer.header["range"], json!([1.0, 3.0]), "what there is");
    let answer = page.ask(want(json!([0.0, 1.0])));
    assert_eq!(answer.header["range"], json!([0.0, 1.0]));
    let [red, green, blue] = answer.pixels().get_pixel(0, 0).0;
    assert!(red > blue && red > green, "the highest is red: {red} {green} {blue}");
}

#[test]
fn nothing_new_is_said_after_two_seconds_with_what_became_of_the_publisher() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 16, 16, PixelFormat::Mono8);
    let sequence = camera.publish(&[7]);
    let (_web, mut page) = bus.serve().page_of();
    assert_eq!(page.picture(&name, 0).sequence(), sequence);
    let answer = page.picture(&name, sequence).header;
    assert_eq!((answer["nothing"].as_bool(), answer["publisher"].as_str()), (Some(true), Some("alive")));
}

#[test]
fn who_asks_slowly_gets_the_newest_and_never_a_queue() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 64, 64, PixelFormat::Mono8);
    camera.publish(&[1]);
    let (_web, mut page) = bus.serve().page_of();
    let mut after = page.picture(&name, 0).sequence();
    for _ in 0..5 {
        for value in 0..20 {
            camera.publish(&[value]);
        }
        let newest = camera.publish(&[200]);
        // It is told of frames by a thread of its own, which may be on its way.
        until("the newest frame", || {
            let answer = page.picture(&name, after);
            after = answer.sequence();
            (after == newest).then(|| assert!(is_about(&answer.pixels(), [200; 3])))
        });
    }
}

#[test]
fn two_who_want_the_same_share_one_encoding() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 64, 64, PixelFormat::Rgb8);
    camera.publish(&[1, 2, 3]);
    let web = bus.serve_with(|settings| settings.linger = Duration::from_secs(3600));
    let (mut one, mut other) = (web.page(), web.page());
    let pictures = 20;
    let mut after;
    for _ in 0..pictures {
        after = camera.publish(&[9, 9, 9]);
        let first = one.picture(&name, after - 1);
        assert_eq!(first.sequence(), after);
        // It finds what was made for the first.
        let second = other.picture(&name, 0);
        assert_eq!((second.sequence(), &second.body), (after, &first.body));
    }
    // All of it was encoded in a few of the windows that are told each second.
    let mut encoded = 0.0;
    let mut last = json!(null);
    until("the last window's figures", || {
        let figures = one.figures();
        let watch = figures["streams"][0]["watch"].clone();
        if watch != last {
            encoded += watch["encoded_fps"].as_f64().unwrap();
            last = watch.clone();
        }
        (watch["encoded_fps"] == 0.0 && encoded > 0.0).then_some(())
    });
    assert!(encoded < 1.5 * f64::from(pictures), "{encoded} encodings of {pictures} frames for two pages");
}

#[test]
fn a_page_that_reads_nothing_never_costs_the_publisher_a_frame() {
    let bus = Bus::new();
    let name = bus.stream("front");
    // Whoever held all that it may would leave none.
    let camera = Camera::open_with(&name, 640, 480, PixelFormat::Rgb8, |options| {
        (options.max_held, options.slots) = (4, framebus::Slots::Exactly(5));
    });
    let camera = camera.run(Duration::from_millis(5));
    let web = bus.serve();
    let mut idle = web.page();
    for _ in 0..60 {
        idle.want(picture(&name, 0));
    }
    let mut page = web.page();
    let mut after = 0;
    for _ in 0..50 {
        after = page.picture(&name, after).sequence();
    }
    let camera = camera.stop();
    assert_eq!(camera.0.counters().refused, 0);
    drop(idle);
    until("slots that nobody holds", || status(&name).subscribers.iter().all(|reader| reader.held == 0).then_some(()));
}

#[test]
fn a_stream_whose_subscribers_hold_one_frame_is_shown_too() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let camera = Camera::open_with(&name, 640, 480, PixelFormat::Rgb8, |options| options.max_held = 1);
    let camera = camera.run(Duration::from_micros(200));
    let (_web, mut page) = bus.serve().page_of();
    let mut after = 0;
    for _ in 0..100 {
        let sequence = page.picture(&name, after).sequence();
        assert!(sequence > after);
        after = sequence;
    }
    assert_eq!(status(&name).subscribers[0].counters.refused, 0, "it knows what it holds");
    drop(camera);
}

#[test]
fn several_pages_have_their_own_pace_and_look() {
    let bus = Bus::new();
    let names = ["a", "b", "c"].map(|stream| bus.stream(stream));
    let cameras: Vec<_> = names
        .iter()
        .map(|name| Camera::open(name, 320, 240, PixelFormat::Rgb8).run(Duration::from_millis(10)))
        .collect();
    let web = bus.serve_with(|settings| settings.encoders = 2);
    let mut pages: Vec<_> = (0..3).map(|_| web.page()).collect();
    for round in 0..10 {
        for (index, page) in pages.iter_mut().enumerate() {
            let width = 80 * (index as u32 + 1);
            for name in &names {
                page.want(json!({ "want": "picture", "stream": name.to_string(), "width": width }));
            }
            for _ in &names {
                let answer = page.next();
                assert_eq!(answer.pixels().width(), 320 / 320_u32.div_ceil(width), "{round}: {}", answer.header);
            }
        }
    }
    drop(cameras);
}
