//! What dies is found again, and nobody has to load the page anew.

use std::time::Duration;

use framebus::PixelFormat;

use crate::harness::TestStream;
use crate::line::Line;
use crate::page::{Page, quoted};
use crate::publish::{Producer, Publishing};
use crate::server::Server;
use crate::wall::on_card;

/// The page is marked; loading it anew would lose that.
fn mark(page: &mut Page) {
    page.evaluate("window.neverLoadedAnew = true");
}

fn assert_never_loaded_anew(page: &mut Page) {
    assert_eq!(page.evaluate("window.neverLoadedAnew"), true);
}

#[test]
fn a_producer_that_is_killed_is_shown_as_gone_and_its_successor_live() {
    let stream = TestStream::new("producer");
    let arguments = "--width 320 --height 240 --format rgb8 --rate 30";
    let producer = Producer::start(&stream, arguments);
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    mark(&mut page);
    let canvas = on_card(&stream.name, ".screen canvas");
    page.wait_for_movement(&canvas);
    producer.kill();
    let badge = quoted(&on_card(&stream.name, ".badge"));
    page.wait_for("it is gone", &format!("document.querySelector({badge}).textContent === 'Publisher gone'"));
    page.screenshot("wall-gone");

    let producer = Producer::start(&stream, arguments);
    page.wait_for("it is back", &format!("document.querySelector({badge}).textContent === 'Live'"));
    page.wait_for_movement(&canvas);

    // Closed and made anew, it begins with 1 again, and in another size.
    drop(producer);
    let _producer = Producer::start(&stream, "--width 200 --height 100 --format mono8 --rate 30");
    let content = quoted(&on_card(&stream.name, ".content"));
    page.wait_for("its new size", &format!("document.querySelector({content}).textContent === 'mono8 200×100'"));
    page.wait_for_movement(&canvas);
    assert_never_loaded_anew(&mut page);
}

#[test]
fn a_server_that_is_killed_and_restarted_is_found_again() {
    let stream = TestStream::new("server");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format rgb8 --rate 30");
    let mut server = Server::start(stream.name.bus());
    let Some(mut wall) = Page::open(&server.host, "") else { return };
    let Some(mut full) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    let canvas = on_card(&stream.name, ".screen canvas");
    for (page, picture) in [(&mut wall, canvas.as_str()), (&mut full, "#stage")] {
        page.expects_lost_connections = true;
        mark(page);
        page.wait_for_movement(picture);
    }
    // A frozen frame goes with the server that had it.
    full.key(" ");
    full.wait_for("the frozen frame", "framebus.full.header.frozen && !framebus.full.busy");
    server.kill();
    for page in [&mut wall, &mut full] {
        page.wait_for("the banner", "!document.getElementById('banner').hidden");
    }
    wall.screenshot("wall-disconnected");
    server.restart();
    for (page, picture) in [(&mut wall, canvas.as_str()), (&mut full, "#stage")] {
        page.wait_for("no banner", "document.getElementById('banner').hidden");
        page.wait_for_movement(picture);
        assert_never_loaded_anew(page);
    }
    assert_eq!(full.evaluate("framebus.full.paused"), false);
}

#[test]
fn a_slow_line_is_no_dead_one() {
    let stream = TestStream::new("slow");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format rgb8 --rate 30");
    let server = Server::start(stream.name.bus());
    let line = Line::to(&server.host);
    let Some(mut page) = Page::open(&line.host, "") else { return };
    let canvas = on_card(&stream.name, ".screen canvas");
    page.wait_for_movement(&canvas);
    page.evaluate("window.first = framebus.link.socket; 0");
    line.hold_sockets();
    // Long enough for two looks whether the server is there.
    page.wait_for("a long silence", "performance.now() - framebus.link.heardAt > 15000");
    assert_eq!(page.evaluate("framebus.link.connected && framebus.link.socket === window.first"), true);
    line.pass();
    page.wait_for_movement(&canvas);
    assert_eq!(page.evaluate("framebus.link.socket === window.first"), true);
    drop(page);
}

#[test]
fn a_line_that_is_dead_is_noticed_and_made_anew() {
    let stream = TestStream::new("dead");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format rgb8 --rate 30");
    let server = Server::start(stream.name.bus());
    let line = Line::to(&server.host);
    let Some(mut page) = Page::open(&line.host, "") else { return };
    page.expects_lost_connections = true;
    let canvas = on_card(&stream.name, ".screen canvas");
    page.wait_for_movement(&canvas);
    page.evaluate("window.first = framebus.link.socket; 0");
    line.hold_all();
    page.wait_for("the banner", "!document.getElementById('banner').hidden");
    line.pass();
    page.wait_for("another connection", "framebus.link.connected && framebus.link.socket !== window.first");
    page.wait_for_movement(&canvas);
    drop(page);
}

#[test]
fn without_a_connection_nothing_claims_to_be_paused() {
    let stream = TestStream::new("unpaused");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format rgb8 --rate 30");
    let mut server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.expects_lost_connections = true;
    page.wait_for_movement("#stage");
    server.kill();
    page.wait_for("the banner", "!document.getElementById('banner').hidden");
    for key in [" ", "ArrowRight"] {
        page.evaluate("document.getElementById('notice').hidden = true; 0");
        page.key(key);
        page.wait_for("a word", "!document.getElementById('notice').hidden");
        assert!(page.text("#notice").contains("no connection"), "{key:?}: {}", page.text("#notice"));
        assert_eq!(page.evaluate("framebus.full.paused"), false, "{key:?}");
    }
    server.restart();
    page.wait_for_movement("#stage");
}

#[test]
fn a_fault_in_one_picture_or_sample_does_not_end_the_stream() {
    let stream = TestStream::new("fault");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format rgb8 --rate 30");
    let imu = framebus::StreamName::new(stream.name.bus(), "imu").unwrap();
    let content = framebus::Content::Bytes { capacity: 64 };
    let _imu = Publishing::start(&imu, content, Duration::from_millis(20), |bytes, number| bytes.fill(number as u8));
    let server = Server::start(stream.name.bus());
    for (name, feed, taken) in [(&stream.name, "pictures", "picture"), (&imu, "samples", "samples")] {
        let Some(mut page) = Page::open(&server.host, &format!("#{name}")) else { return };
        let shown = "document.getElementById('frame-number').textContent";
        page.wait_for("something", shown);
        page.evaluate(&format!(
            "(feed => {{
                const take = feed.{taken};
                feed.{taken} = () => {{
                    feed.{taken} = take;
                    throw new Error('a fault of the test');
                }};
            }})(framebus.full.{feed})"
        ));
        page.wait_for(
            "the fault",
            "document.getElementById('full-trouble').textContent.includes('a fault of the test')",
        );
        let before = page.text("#frame-number");
        page.wait_for(
            "the next",
            &format!("{shown} !== {} && document.getElementById('full-trouble').hidden", quoted(&before)),
        );
        let trouble = page.trouble();
        assert!(trouble.len() == 1 && trouble[0].contains("a fault of the test"), "{trouble:?}");
    }
}

#[test]
fn a_stream_that_carries_something_else_is_shown_as_that() {
    let stream = TestStream::new("kind");
    let pictures = Publishing::still(&stream.name, 32, 24, PixelFormat::Mono8, vec![50; 32 * 24]);
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.wait_for("a picture", "framebus.full.header");
    page.key(" ");
    page.wait_for("the frozen frame", "framebus.full.header.frozen && !framebus.full.busy");
    drop(pictures);
    let content = framebus::Content::Bytes { capacity: 16 };
    let bytes = Publishing::start(&stream.name, content, Duration::from_millis(20), |bytes, _| bytes.fill(b'f'));
    page.wait_for("bytes", "document.querySelector('#full-record .hex').textContent.includes('ffff')");
    assert_eq!(page.evaluate("[framebus.full.paused, framebus.full.header]"), serde_json::json!([false, null]));
    drop(bytes);
    let _pictures = Publishing::still(&stream.name, 64, 24, PixelFormat::Mono8, vec![50; 64 * 24]);
    page.wait_for("a live picture", "framebus.full.header.width === 64 && !framebus.full.header.frozen");
}
