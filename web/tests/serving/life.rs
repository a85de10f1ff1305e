//! When streams are subscribed to, and what happens when they come and go.

use std::time::{Duration, Instant};

use framebus::{Backend, PixelFormat, Publisher, Subscriber, SubscriberOptions, remove};
use serde_json::json;

use crate::support::{Bus, Camera, is_about, status, until};

#[test]
fn nobody_subscribes_before_somebody_looks_nor_after() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 32, 32, PixelFormat::Mono8);
    camera.publish(&[1]);
    let web = bus.serve();
    let mut page = web.page();
    // The list alone needs no place.
    let figures = page.figures();
    assert_eq!(figures["streams"][0]["stream"], name.to_string());
    assert_eq!((figures["server"]["clients"].as_u64(), figures["server"]["encoders"].as_u64()), (Some(1), Some(1)));
    assert!(figures["server"]["busy_percent"].is_number());
    web.get("/metrics");
    assert_eq!(camera.0.subscribers(), 0);

    page.picture(&name, 0);
    assert_eq!(camera.0.subscribers(), 1);
    assert_eq!(status(&name).subscribers[0].holder.label, "web");
    until("the place to be given back", || (camera.0.subscribers() == 0).then_some(()));
    page.picture(&name, 0);
    drop(page);
    until("the place to be given back", || (camera.0.subscribers() == 0).then_some(()));
}

#[test]
fn a_stream_that_is_looked_at_stays_subscribed_to_between_two_wants() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 32, 32, PixelFormat::Mono8);
    camera.publish(&[1]);
    let web = bus.serve_with(|settings| settings.linger = Duration::from_secs(3600));
    let mut page = web.page();
    page.picture(&name, 0);
    drop(page);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        assert_eq!(camera.0.subscribers(), 1);
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(web);
    assert_eq!(camera.0.subscribers(), 0, "a server that ends gives its places back");
}

#[test]
fn figures_are_told_while_somebody_looks() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let camera = Camera::open(&name, 64, 64, PixelFormat::Mono8).run(Duration::from_millis(10));
    let (_web, mut page) = bus.serve().page_of();
    let mut after = 0;
    until("figures of a whole second", || {
        after = page.picture(&name, after).sequence();
        let watch = &page.figures["streams"][0]["watch"];
        let is_whole = watch["fps"].as_f64().is_some_and(|fps| fps > 1.0);
        is_whole.then(|| {
            assert!(watch["latency_p50_ns"].as_u64() <= watch["latency_p99_ns"].as_u64(), "{watch}");
            assert!(watch["latency_p99_ns"].as_u64() <= watch["latency_max_ns"].as_u64(), "{watch}");
            assert!(watch["encoded_fps"].as_f64().unwrap() > 0.0 && watch["encode_ms"].as_f64().unwrap() > 0.0);
            assert!(watch["seen"].as_u64().unwrap() > 0 && watch["error"].is_null(), "{watch}");
        })
    });
    drop(camera);
}

#[test]
fn a_producer_that_is_restarted_and_another_size_heal() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 64, 32, PixelFormat::Rgb8);
    (0..5).for_each(|_| {
        camera.publish(&[1, 2, 3]);
    });
    let (_web, mut page) = bus.serve().page_of();
    let after = page.picture(&name, 0).sequence();
    assert_eq!(after, 5);
    drop(camera);
    let answer = page.picture(&name, after).header;
    assert_eq!(answer["nothing"], true);
    assert!(["closed", "none"].contains(&answer["publisher"].as_str().unwrap()), "{answer}");
    // Its numbers begin anew, below those that the page has seen.
    let mut camera = Camera::open(&name, 128, 16, PixelFormat::Mono8);
    camera.publish(&[77]);
    let answer = until("the new picture", || {
        let answer = page.picture(&name, after);
        (!answer.body.is_empty()).then_some(answer)
    });
    assert_eq!((answer.sequence(), answer.pixels().dimensions()), (1, (128, 16)));
    assert!(is_about(&answer.pixels(), [77; 3]));
}

#[test]
fn a_stream_that_becomes_another_kind_is_shown_as_that() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 16, 16, PixelFormat::Mono8);
    let after = camera.publish(&[1]);
    let (_web, mut page) = bus.serve().page_of();
    assert_eq!(page.picture(&name, 0).sequence(), after);
    drop(camera);
    let options = framebus::StreamOptions::new(framebus::Content::Bytes { capacity: 8 });
    let mut bytes = Publisher::open(&name, &options).unwrap();
    bytes.loan().unwrap().publish();
    bytes.loan().unwrap().publish();
    let error = until("an error", || page.picture(&name, after).header["error"].as_str().map(str::to_owned));
    assert!(error.contains("no images"), "{error}");
    let samples = json!({ "want": "samples", "stream": name.to_string(), "after": "0" });
    assert_eq!(page.ask(samples).header["samples"][0]["bytes"], 8);
}

#[test]
fn the_last_frame_of_a_producer_that_is_gone_is_shown() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open_with(&name, 32, 32, PixelFormat::Mono8, |options| options.persist = true);
    camera.publish(&[55]);
    drop(camera);
    let (web, mut page) = bus.serve().page_of();
    let answer = page.picture(&name, 0);
    assert!(is_about(&answer.pixels(), [55; 3]));
    let answer = page.picture(&name, 1).header;
    assert_eq!((answer["nothing"].as_bool(), answer["publisher"].as_str()), (Some(true), Some("gone")));
    assert_eq!(web.get(&format!("/snapshot/{name}.png")).status, 200);
}

#[test]
fn a_stream_that_is_removed_by_hand_and_made_anew_heals() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open_with(&name, 32, 32, PixelFormat::Mono8, |options| options.persist = true);
    let after = camera.publish(&[55]);
    drop(camera);
    let (_web, mut page) = bus.serve().page_of();
    assert_eq!(page.picture(&name, 0).sequence(), after);
    remove(&Backend::SysV, &name, true).unwrap();
    let mut camera = Camera::open(&name, 16, 16, PixelFormat::Mono8);
    camera.publish(&[1]);
    let newest = camera.publish(&[88]);
    until("the new picture", || {
        let answer = page.picture(&name, after);
        (!answer.body.is_empty() && answer.sequence() == newest).then(|| assert!(is_about(&answer.pixels(), [88; 3])))
    });
}

#[test]
fn a_stream_that_appears_later_is_found() {
    let bus = Bus::new();
    let name = bus.stream("late");
    let (_web, mut page) = bus.serve().page_of();
    assert!(page.picture(&name, 0).header["error"].as_str().unwrap().contains("there is no stream"));
    let mut camera = Camera::open(&name, 16, 16, PixelFormat::Mono8);
    camera.publish(&[9]);
    until("the stream", || (!page.picture(&name, 0).body.is_empty()).then_some(()));
    until("the list", || (page.figures()["streams"][0]["stream"] == name.to_string()).then_some(()));
}

#[test]
fn a_stream_whose_places_are_all_taken_says_so_and_heals() {
    let bus = Bus::new();
    let name = bus.stream("full");
    let mut camera = Camera::open_with(&name, 16, 16, PixelFormat::Mono8, |options| options.max_subscribers = 1);
    camera.publish(&[9]);
    let mut options = SubscriberOptions::default();
    options.label = "greedy".to_owned();
    let greedy = Subscriber::attach_with(&name, options).unwrap();
    let (web, mut page) = bus.serve().page_of();
    let error = page.picture(&name, 0).header["error"].as_str().unwrap().to_owned();
    assert!(error.contains("all 1 places are taken by greedy"), "{error}");
    let reply = web.get(&format!("/snapshot/{name}.jpg"));
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("all 1 places are taken"), "{}", reply.text());
    page.want(crate::support::picture(&name, 0));
    let told = web.get("/api/streams").json()[0]["watch"]["error"].as_str().map(str::to_owned);
    assert_eq!(told, Some(error));
    drop(greedy);
    until("a free place", || (!page.next_or_ask(&name).is_empty()).then_some(()));
}
