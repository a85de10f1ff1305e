//! What dies is found again, and nobody has to load the page anew.

use crate::harness::TestStream;
use crate::page::{Page, quoted};
use crate::publish::Producer;
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
