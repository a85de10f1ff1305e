//! The wall of all streams.

use std::time::{Duration, Instant};

use framebus::{PixelFormat, StreamName, Subscriber};

use crate::harness::{TestStream, eventually, subscriber_options};
use crate::page::{DESK, PHONE, Page, quoted};
use crate::publish::{Producer, Publishing};
use crate::server::Server;

/// The selector of something on a stream's card.
pub fn on_card(name: &StreamName, what: &str) -> String {
    format!("[data-stream=\"{name}\"] {what}")
}

/// The number at the beginning of a text like `29.97 Hz`.
fn number(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.replace(',', "").parse().ok()).unwrap_or(f64::NAN)
}

#[test]
fn pictures_move_and_numbers_change() {
    let stream = TestStream::new("moves");
    let _producer = Producer::start(&stream, "--width 1280 --height 720 --format rgb8 --rate 30");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    let canvas = on_card(&stream.name, ".screen canvas");
    page.wait_for("a picture", &format!("document.querySelector({}).dataset.sequence > 0", quoted(&canvas)));
    page.wait_for_movement(&canvas);
    page.wait_for_movement(&canvas);

    // As large as it is shown, or the next whole fraction above.
    let widths = format!("(canvas => [canvas.width, canvas.clientWidth])(document.querySelector({}))", quoted(&canvas));
    let widths = page.evaluate(&widths);
    let (picture, shown) = (widths[0].as_u64().unwrap(), widths[1].as_u64().unwrap());
    let step = 1280_u64.div_ceil(picture);
    assert!(step > 1 && (shown..2 * shown).contains(&picture), "{widths}");
    assert!(1280 / (step + 1) < shown, "{widths}");

    eventually("the rate is measured", || {
        let rate = number(&page.text(&on_card(&stream.name, ".dial-rate strong")));
        (rate > 20.0 && rate < 40.0).then_some(())
    });
    let latency = on_card(&stream.name, ".dial-latency strong");
    eventually("the latency is measured", || page.text(&latency).contains('s').then_some(()));
    // The microseconds of the next second are others, and so is the sparkline.
    let (before, sparkline) = (page.text(&latency), on_card(&stream.name, ".dial-latency canvas"));
    eventually("the latency changes", || (page.text(&latency) != before).then_some(()));
    page.wait_for_movement(&sparkline);

    assert_eq!(page.text(&on_card(&stream.name, ".badge")), "Live");
    assert_eq!(page.text(&on_card(&stream.name, ".content")), "rgb8 1280×720");
    let pid = stream.status().unwrap().publisher_pid.unwrap();
    assert_eq!(page.text(&on_card(&stream.name, ".publisher")), format!("pid {pid} alive"));
    page.screenshot("wall-one-stream");
}

#[test]
fn a_picture_is_asked_for_once() {
    let stream = TestStream::new("once");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format mono8 --rate 10");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    let canvas = format!("document.querySelector({})", quoted(&on_card(&stream.name, ".screen canvas")));
    // Sequence and questions so far, at one moment.
    let both = format!("{canvas}.dataset.sequence && [Number({canvas}.dataset.sequence), framebus.link.number]");
    let begun = page.wait_for("a picture", &both);
    let later = format!(
        "{canvas}.dataset.sequence > {} + 15 && [Number({canvas}.dataset.sequence), framebus.link.number]",
        begun[0]
    );
    let ended = page.wait_for("15 more", &later);
    let grown = |index: usize| ended[index].as_u64().unwrap() - begun[index].as_u64().unwrap();
    assert!(grown(1) <= grown(0) + 2, "{} questions for {} frames", grown(1), grown(0));
}

#[test]
fn a_card_that_can_not_be_seen_asks_for_nothing() {
    let stream = TestStream::new("unseen");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format mono8 --rate 30");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.wait_for_movement(&on_card(&stream.name, ".screen canvas"));
    page.key("/");
    page.key("%");
    page.wait_for(
        "it is hidden and has its last answer",
        "framebus.wall.keys().length === 0 && framebus.link.questions.size === 0",
    );
    let asked = page.evaluate("framebus.link.number");
    let reached = stream.wait_for_frame(1);
    stream.wait_for_frame(reached + 15);
    assert_eq!(page.evaluate("framebus.link.number"), asked);
    page.key("Backspace");
    page.wait_for_movement(&on_card(&stream.name, ".screen canvas"));
}

#[test]
fn without_streams_there_is_a_hint_and_a_new_stream_appears_by_itself() {
    let stream = TestStream::new("appears");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.wait_for("the hint", "!document.getElementById('none').hidden");
    assert!(page.text("#none").contains("framebus demo"));
    page.screenshot("wall-no-streams");

    let still = Publishing::still(&stream.name, 32, 24, PixelFormat::Mono8, vec![200; 32 * 24]);
    let card = quoted(&on_card(&stream.name, ".badge"));
    page.wait_for("the card", &format!("document.querySelector({card}).textContent === 'Live'"));
    page.wait_for("no hint", "document.getElementById('none').hidden");
    drop(still);
    // Its end is told, and not just its absence.
    page.wait_for("its end", &format!("['Closed', 'Ended'].includes(document.querySelector({card}).textContent)"));
}

#[test]
fn what_can_not_be_listed_is_said() {
    // A file is no directory.
    let broken = format!("file:{}", std::env::current_exe().unwrap().display());
    let server = Server::start_with("nothing", &["--backend", &broken]);
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.wait_for("the words", "!document.getElementById('unlisted').hidden");
    let words = page.text("#unlisted");
    assert!(
        words.contains(&format!("some streams can not be seen: listing the streams of backend {broken}")),
        "{words}"
    );
    assert_eq!(page.evaluate("document.getElementById('none').hidden"), true);
    page.screenshot("wall-unlisted");
}

#[test]
fn a_reader_whose_pid_is_not_known_has_none() {
    let stream = TestStream::new("pid");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    let cells = page.evaluate(
        "(place => {
            const reader = { label: 'a', pid: null, seen: 1, skipped: 0, missed: 0, held: 0, blamed: 0 };
            fillReaders(place, { figures: { subscribers: [reader] } }, SHORT);
            return [...place.querySelectorAll('td')].map(cell => cell.textContent);
        })(document.createElement('div'))",
    );
    assert_eq!(cells[0], "–");
}

#[test]
fn the_filter_and_the_order_are_obeyed() {
    let slow = TestStream::new("order");
    let quick = StreamName::new(slow.name.bus(), "zippy").unwrap();
    let bytes = || vec![90; 32 * 24];
    let content = framebus::Content::Image(framebus::ImageShape::new(32, 24, PixelFormat::Mono8).unwrap());
    let _slow = Publishing::still(&slow.name, 32, 24, PixelFormat::Mono8, bytes());
    let period = Duration::from_millis(10);
    let _quick = Publishing::start(&quick, content, period, |frame, _| frame.fill(9));
    let server = Server::start(slow.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.wait_for("both cards", "framebus.wall.keys().length === 2");
    assert_eq!(page.evaluate("framebus.wall.keys()"), serde_json::json!([slow.name.to_string(), quick.to_string()]));

    // A number comes with the second look.
    let both = "[...framebus.model.streams.values()].every(stream => stream.figures.published_hz > 0)";
    page.wait_for("both rates", both);
    page.evaluate(
        "(() => { const order = document.getElementById('order'); order.value = 'rate'; \
                   order.dispatchEvent(new Event('change')); })()",
    );
    assert_eq!(page.evaluate("framebus.wall.keys()"), serde_json::json!([quick.to_string(), slow.name.to_string()]));

    page.key("/");
    for letter in ["z", "i", "p"] {
        page.key(letter);
    }
    assert_eq!(page.evaluate("framebus.wall.keys()"), serde_json::json!([quick.to_string()]));
    for letter in ["q", "q"] {
        page.key(letter);
    }
    page.wait_for("words", "!document.getElementById('none-match').hidden");
}

#[test]
fn labels_of_other_processes_are_text() {
    let stream = TestStream::new("label");
    let _still = Publishing::still(&stream.name, 32, 24, PixelFormat::Mono8, vec![50; 32 * 24]);
    let mut settings = subscriber_options();
    // As long as a label may be.
    let hostile = "<img src=x onerror=alert(1)>";
    settings.label = hostile.to_owned();
    let _subscriber = Subscriber::attach_with(&stream.name, settings).unwrap();
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.click(&on_card(&stream.name, ".readers"));
    let shown = format!(
        "[...document.querySelectorAll({})].some(cell => cell.textContent === {})",
        quoted(&on_card(&stream.name, "tbody th")),
        quoted(hostile)
    );
    page.wait_for("the label as it is", &shown);
    assert_eq!(page.evaluate("document.images.length"), 0);
    page.visit(&format!("#{}", stream.name));
    page.wait_for(
        "the label in the full view",
        &shown.replace(&format!("[data-stream=\\\"{}\\\"]", stream.name), "#full"),
    );
    assert_eq!(page.evaluate("document.images.length"), 0);
}

#[test]
fn a_phone_shows_all_of_it_and_nothing_is_wider_than_the_screen() {
    let stream = TestStream::new("phone");
    let _producer = Producer::start(&stream, "--width 320 --height 240 --format mono8 --rate 20");
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.size(PHONE);
    page.wait_for_movement(&on_card(&stream.name, ".screen canvas"));
    let width = "document.documentElement.scrollWidth";
    assert_eq!(page.evaluate(width), PHONE.0);
    // A thumb needs 40 pixels.
    let small = "[...document.querySelectorAll('button, select, input, a')].filter(node => { \
                 const { width, height } = node.getBoundingClientRect(); \
                 return width > 0 && height < 40 && !node.matches('.open'); }).map(node => node.outerHTML)";
    assert_eq!(page.evaluate(small), serde_json::json!([]));
    page.screenshot("phone-wall");
    page.visit(&format!("#{}", stream.name));
    page.wait_for("a picture", "document.getElementById('stage').dataset.sequence > 0");
    assert_eq!(page.evaluate(width), PHONE.0);
    let small = small.replace("!node.matches('.open')", "!node.matches('.open, [type=checkbox]')");
    assert_eq!(page.evaluate(&small), serde_json::json!([]));
    page.screenshot("phone-full");
}

#[test]
fn dark_and_light_follow_the_system_until_somebody_chooses() {
    let stream = TestStream::new("theme");
    let _still = Publishing::still(&stream.name, 32, 24, PixelFormat::Mono8, vec![50; 32 * 24]);
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, "") else { return };
    page.size(DESK);
    page.wait_for("the card", "framebus.wall.keys().length === 1");
    // Brightness of the page's ground, 0 to 255.
    let ground = "(/\\d+/.exec(getComputedStyle(document.body).backgroundColor) ?? [128])[0] | 0";
    let brightness = |page: &mut Page| page.evaluate(ground).as_u64().unwrap();
    assert!(brightness(&mut page) < 60);
    page.screenshot("theme-dark");
    page.theme("light");
    assert!(brightness(&mut page) > 200);
    page.screenshot("theme-light");
    // auto, light, dark: and that stays when the page is loaded anew.
    page.click("#theme");
    page.click("#theme");
    assert!(brightness(&mut page) < 60);
    page.visit("");
    assert!(brightness(&mut page) < 60);
}

#[test]
fn the_full_view_tells_when_each_reader_had_its_frames_and_whose_contract_was_not_kept() {
    let stream = TestStream::new("accounts");
    let _still = Publishing::still(&stream.name, 32, 24, PixelFormat::Mono8, vec![50; 32 * 24]);
    let mut settings = subscriber_options();
    settings.label = "monitor".to_owned();
    // Whoever asks later than this violates it: here, always.
    settings.contract.max_age = Some(Duration::from_nanos(1));
    let mut subscriber = Subscriber::attach_with(&stream.name, settings).unwrap();
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    let cells = "[...document.querySelectorAll('#full-readers tbody tr')].map(row => [...row.children].map(cell => \
                 cell.textContent)).find(row => row[0] === 'monitor')";
    page.wait_for("the reader", &format!("({cells}) !== undefined"));
    for _ in 0..3 {
        assert!(subscriber.wait(Instant::now() + Duration::from_secs(20)).unwrap());
        drop(subscriber.latest().unwrap());
    }
    // Seen, latency, age, held for, violated.
    page.wait_for("its figures", &format!("({cells})[2] === '3' && ({cells})[9] === '3'"));
    for column in [5, 6, 7] {
        let both = format!("/^[0-9.]+ (ns|µs|ms|s) \\/ [0-9.]+ (ns|µs|ms|s)$/.test(({cells})[{column}])");
        assert_eq!(page.evaluate(&both), true, "{}", page.evaluate(cells));
    }
    assert_eq!(page.evaluate("document.querySelectorAll('#full-readers tr.guilty').length"), 1);
}
