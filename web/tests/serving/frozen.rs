//! Pausing, stepping, and what the pixels say.

use framebus::PixelFormat;
use serde_json::{Value, json};

use crate::support::{Bus, Camera, is_about, until};

#[test]
fn a_frozen_frame_stays_until_it_is_stepped_or_thawed() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 32, 32, PixelFormat::Rgb8);
    camera.publish(&[250, 0, 0]);
    let web = bus.serve();
    let (mut page, mut other) = (web.page(), web.page());
    let want = |want: &str| json!({ "want": want, "stream": name.to_string() });
    let answer = page.ask(want("freeze")).header;
    assert_eq!((answer["frozen"].as_bool(), answer["sequence"].as_str()), (Some(true), Some("1")));

    camera.publish(&[0, 250, 0]);
    until("the live picture", || (other.picture(&name, 0).sequence() == 2).then_some(()));
    // Whatever `after` says: it is the frozen one that is wanted.
    for after in [0, 1, 2] {
        let answer = page.picture(&name, after);
        assert_eq!((answer.sequence(), answer.header["frozen"].as_bool()), (1, Some(true)));
        assert!(is_about(&answer.pixels(), [250, 0, 0]));
    }
    let pixel = json!({ "want": "pixel", "stream": name.to_string(), "x": 3, "y": 3 });
    assert_eq!(page.ask(pixel.clone()).header["readings"][0], json!({ "channel": "R", "value": 250.0 }));
    assert_eq!(
        other.ask(pixel).header["readings"][1],
        json!({ "channel": "G", "value": 250.0 }),
        "others see the live one"
    );

    let answer = page.ask(want("step")).header;
    assert_eq!((answer["frozen"].as_bool(), answer["sequence"].as_str()), (Some(true), Some("2")));
    assert!(is_about(&page.picture(&name, 2).pixels(), [0, 250, 0]));
    let answer = page.ask(want("step")).header;
    assert_eq!((answer["nothing"].as_bool(), answer["publisher"].as_str()), (Some(true), Some("alive")));
    let answer = page.ask(want("thaw")).header;
    assert_eq!((answer["frozen"].as_bool(), answer["sequence"].as_str()), (Some(false), Some("2")));
    camera.publish(&[0, 0, 250]);
    let answer = page.picture(&name, 2);
    assert_eq!((answer.sequence(), answer.header["frozen"].as_bool()), (3, Some(false)));
}

#[test]
fn a_frozen_frame_holds_no_slot_and_outlives_its_stream() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 32, 32, PixelFormat::Mono8);
    camera.publish(&[99]);
    let (_web, mut page) = bus.serve().page_of();
    page.ask(json!({ "want": "freeze", "stream": name.to_string() }));
    let held = || crate::support::status(&name).subscribers.iter().map(|reader| reader.held).sum::<usize>();
    until("no slot that is held", || (held() == 0).then_some(()));
    drop(camera);
    assert!(is_about(&page.picture(&name, 0).pixels(), [99; 3]));
}

#[test]
fn four_streams_can_be_frozen() {
    let bus = Bus::new();
    let names: Vec<_> = (0..5).map(|index| bus.stream(&format!("s{index}"))).collect();
    let mut cameras: Vec<_> = names.iter().map(|name| Camera::open(name, 16, 16, PixelFormat::Mono8)).collect();
    cameras.iter_mut().for_each(|camera| {
        camera.publish(&[1]);
    });
    let (_web, mut page) = bus.serve().page_of();
    let mut ask =
        |want: &str, index: usize| page.ask(json!({ "want": want, "stream": names[index].to_string() })).header;
    (0..4).for_each(|index| assert_eq!(ask("freeze", index)["frozen"], true));
    assert!(ask("freeze", 4)["error"].as_str().unwrap().contains("4 streams are frozen"));
    assert_eq!(ask("freeze", 0)["frozen"], true, "again");
    ask("thaw", 0);
    assert_eq!(ask("freeze", 4)["frozen"], true);
}

#[test]
fn frozen_frames_have_a_limit_in_bytes_over_all_pages() {
    let bus = Bus::new();
    let names = ["a", "b"].map(|stream| bus.stream(stream));
    let mut cameras = names.clone().map(|name| Camera::open(&name, 32, 32, PixelFormat::Mono8));
    for camera in &mut cameras {
        camera.publish(&[1]);
    }
    // One frame and a half.
    let web = bus.serve_with(|settings| settings.frozen_bytes = 1536);
    let (mut page, mut other) = (web.page(), web.page());
    let want = |want: &str, index: usize| json!({ "want": want, "stream": names[index].to_string() });
    assert_eq!(page.ask(want("freeze", 0)).header["frozen"], true);
    let error = other.ask(want("freeze", 1)).header["error"].as_str().unwrap().to_owned();
    assert!(error.contains("1024 bytes") && error.contains("1024 of 1536") && error.contains("go on first"), "{error}");
    // A frozen frame that takes the place of one needs no more.
    cameras[0].publish(&[2]);
    assert_eq!(page.ask(want("step", 0)).header["sequence"], "2");
    assert_eq!(page.ask(want("freeze", 0)).header["frozen"], true);
    // Room comes back with a thaw, and with the page that goes.
    page.ask(want("thaw", 0));
    assert_eq!(other.ask(want("freeze", 1)).header["frozen"], true);
    drop(other);
    until("the room of the page that went", || (page.ask(want("freeze", 0)).header["frozen"] == true).then_some(()));
}

#[test]
fn a_freeze_that_waits_for_its_frame_is_not_overtaken_by_a_thaw() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 32, 32, PixelFormat::Mono8);
    let web = bus.serve();
    let mut page = web.page();
    let want = |want: &str| json!({ "want": want, "stream": name.to_string() });
    let (freeze, thaw) = (page.want(want("freeze")), page.want(want("thaw")));
    until("somebody who waits for a frame", || (camera.0.subscribers() == 1).then_some(()));
    camera.publish(&[1]);
    let answers = [page.next().header, page.next().header];
    assert_eq!(
        answers,
        [
            json!({ "id": freeze, "sequence": "1", "frozen": true }),
            json!({ "id": thaw, "sequence": "1", "frozen": false })
        ]
    );
    camera.publish(&[2]);
    let live = page.picture(&name, 1);
    assert_eq!((live.sequence(), &live.header["frozen"]), (2, &json!(false)));
}

#[test]
fn wants_of_a_stream_see_what_was_frozen_before_them_and_nothing_later() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 32, 32, PixelFormat::Mono8);
    camera.publish(&[1]);
    let web = bus.serve();
    let mut page = web.page();
    page.picture(&name, 0);
    let words = ["picture", "freeze", "picture", "thaw", "picture", "freeze", "picture", "thaw", "picture"];
    for _ in 0..10 {
        // All at once: none waits for an answer.
        let first = page.want(json!({ "want": words[0], "stream": name.to_string() }));
        for want in &words[1..] {
            page.want(json!({ "want": want, "stream": name.to_string() }));
        }
        let mut frozen = vec![Value::Null; words.len()];
        for _ in words {
            let answer = page.next().header;
            frozen[(answer["id"].as_u64().unwrap() - first) as usize] = answer["frozen"].clone();
        }
        assert_eq!(Value::Array(frozen), json!([false, true, true, false, false, true, true, false, false]));
    }
}

#[test]
fn pixels_and_histograms_have_the_values_of_the_frame() {
    let bus = Bus::new();
    let name = bus.stream("thermal");
    let mut camera = Camera::open(&name, 8, 4, PixelFormat::Mono16);
    camera.publish(&[300_u16.to_ne_bytes(), 40_000_u16.to_ne_bytes()].concat());
    let (_web, mut page) = bus.serve().page_of();
    let mut pixel =
        |x: u32, y: u32| page.ask(json!({ "want": "pixel", "stream": name.to_string(), "x": x, "y": y })).header;
    assert_eq!(pixel(1, 3)["readings"], json!([{ "channel": "grey", "value": 40_000.0 }]));
    let outside = pixel(8, 0);
    assert_eq!((&outside["readings"], &outside["x"], &outside["sequence"]), (&Value::Null, &json!(8), &json!("1")));
    let answer = page.ask(json!({ "want": "histogram", "stream": name.to_string() })).header;
    let channel = &answer["channels"][0];
    assert_eq!((channel["channel"].as_str(), channel["high"].as_f64()), (Some("grey"), Some(40_001.0)));
    let bins: Vec<u64> = channel["bins"].as_array().unwrap().iter().map(|bin| bin.as_u64().unwrap()).collect();
    assert_eq!((bins.len(), bins.iter().sum::<u64>(), bins[255], bins[1]), (256, 32, 16, 16));
}

#[test]
fn the_frozen_frame_can_be_saved_whole() {
    let bus = Bus::new();
    let name = bus.stream("thermal");
    let mut camera = Camera::open(&name, 8, 4, PixelFormat::Mono16);
    camera.publish(&1234_u16.to_ne_bytes());
    let (_web, mut page) = bus.serve().page_of();
    page.ask(json!({ "want": "freeze", "stream": name.to_string() }));
    camera.publish(&4321_u16.to_ne_bytes());
    let mut save = |kind: &str| page.ask(json!({ "want": "save", "stream": name.to_string(), "kind": kind }));
    for kind in ["png", "tiff"] {
        let answer = save(kind);
        assert_eq!((answer.header["kind"].as_str(), answer.sequence()), (Some(kind), 1));
        let picture = image::load_from_memory(&answer.body).unwrap();
        assert!(picture.as_luma16().unwrap().pixels().all(|pixel| pixel.0 == [1234]), "{kind}");
    }
    assert_eq!(save("jpg").body[..2], [0xFF, 0xD8]);
    assert!(save("gif").header["error"].as_str().unwrap().contains("expected png, jpg or tiff"));
}
