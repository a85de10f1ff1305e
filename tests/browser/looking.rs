//! One stream in full: opening it, pausing, stepping, going on.

use framebus::{PixelFormat, StreamName};

use crate::harness::{TestStream, eventually};
use crate::page::{Page, quoted};
use crate::publish::{Producer, Publishing};
use crate::server::Server;
use crate::wall::on_card;

/// The sequence of the picture that is shown.
fn sequence(page: &mut Page) -> u64 {
    let sequence = page.wait_for("a picture", "document.getElementById('stage').dataset.sequence");
    sequence.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_click_opens_a_stream_and_pausing_it_stops_nobody_else() {
    let stream = TestStream::new("pause");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format rgb8 --rate 30");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.click(&on_card(&stream.name, ".screen"));
    page.wait_for("the full view", "!document.getElementById('full').hidden");
    assert_eq!(page.evaluate("location.hash"), format!("#{}", stream.name));
    page.wait_for_movement("#stage");

    let Some(mut other) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    other.wait_for_movement("#stage");
    page.key(" ");
    page.wait_for("the frozen frame", "framebus.full.header.frozen && !framebus.full.busy");
    assert_eq!(page.text("#paused-word").to_lowercase(), "paused");
    assert_eq!(page.text("#pause-word"), "Resume");
    page.point(5.0, 5.0);
    let (stopped, shown) = (page.pixels("#stage"), sequence(&mut page));
    // Others go on meanwhile, for so many frames that a picture would have come.
    let begun = sequence(&mut other);
    eventually("20 frames at the other one", || (sequence(&mut other) > begun + 20).then_some(()));
    other.wait_for_movement("#stage");
    assert_eq!((page.pixels("#stage"), sequence(&mut page)), (stopped, shown));
    page.screenshot("full-paused");

    page.click("#pause");
    page.wait_for_movement("#stage");
    eventually("newer frames", || (sequence(&mut page) > shown).then_some(()));
    assert_eq!(page.evaluate("document.getElementById('paused-word').hidden"), true);
    // Space on the button that has the focus is one press, and not two.
    page.key(" ");
    page.wait_for("the frozen frame", "framebus.full.header.frozen && !framebus.full.busy");
}

#[test]
fn a_step_shows_one_newer_frame() {
    let stream = TestStream::new("step");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format mono8 --rate 10");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    sequence(&mut page);
    for key in ["ArrowRight", "."] {
        let before = sequence(&mut page);
        page.key(key);
        let newer = format!(
            "framebus.full.header.frozen && !framebus.full.busy && document.getElementById('stage').dataset.sequence > {before}"
        );
        page.wait_for("a newer frame", &newer);
        let (picture, after) = (page.pixels("#stage"), sequence(&mut page));
        assert!(after > before, "{before}, then {after}");
        // And no more, while others come.
        let reached = stream.wait_for_frame(1);
        stream.wait_for_frame(reached + 5);
        assert_eq!((page.pixels("#stage"), sequence(&mut page)), (picture, after));
    }
}

#[test]
fn keys_lead_from_stream_to_stream_and_back() {
    let first = TestStream::new("keys");
    let second = StreamName::new(first.name.bus(), "rear").unwrap();
    let _first = Publishing::still(&first.name, 32, 24, PixelFormat::Mono8, vec![50; 32 * 24]);
    let _second = Publishing::still(&second, 64, 24, PixelFormat::Mono8, vec![90; 64 * 24]);
    let server = Server::start(first.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.wait_for("both cards", "framebus.wall.keys().length === 2");
    let focus = format!("document.querySelector({}).focus()", quoted(&on_card(&first.name, "a.open")));
    page.evaluate(&focus);
    page.key("Enter");
    let wait_for = |page: &mut Page, name: &StreamName, width: u32| {
        page.wait_for(
            &format!("{name} in full"),
            &format!("location.hash === '#{name}' && framebus.full.header.width === {width}"),
        );
    };
    wait_for(&mut page, &first.name, 32);
    page.key("n");
    wait_for(&mut page, &second, 64);
    page.key("n");
    wait_for(&mut page, &first.name, 32);
    page.key("p");
    wait_for(&mut page, &second, 64);
    page.key("?");
    page.wait_for("the keys", "document.getElementById('help').open");
    page.screenshot("help");
    page.evaluate("document.getElementById('help').close()");
    page.key("Escape");
    page.wait_for("the wall", "!document.getElementById('wall').hidden && document.getElementById('full').hidden");

    // A link leads there without a detour.
    page.visit(&format!("#{second}"));
    wait_for(&mut page, &second, 64);
}

#[test]
fn zooming_asks_for_sharper_pictures() {
    let stream = TestStream::new("zoom");
    let _producer = Producer::start(&stream, "--width 1920 --height 1080 --format mono8 --rate 10");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    // The stage is at most 1280 wide: the whole 1920 would be for nothing, and half of it too coarse.
    page.wait_for("a picture", "framebus.full.header.width === 1920");
    let middle = page.evaluate("(box => [box.x + box.width / 2, box.y + box.height / 2])(document.getElementById('stage').getBoundingClientRect())");
    let (x, y) = (middle[0].as_f64().unwrap(), middle[1].as_f64().unwrap());
    page.size((800, 600));
    page.wait_for("a coarser one", "framebus.full.header.step > 1");
    let told = "document.getElementById('zoom').textContent === `${Math.round(framebus.full.stage.zoom * 100)} %`";
    page.wait_for("the zoom of the smaller window", told);
    page.size((1280, 800));
    page.wheel(x, y, -2000.0);
    page.wait_for("every pixel", "framebus.full.header.step === 1 && framebus.full.stage.zoom > 1");
    page.screenshot("full-zoomed");
    page.key("f");
    page.wait_for("all of it", "framebus.full.stage.fit && framebus.full.stage.zoom < 1");
}
