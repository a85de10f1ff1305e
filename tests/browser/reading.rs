//! What a stream's pixels say: values, histograms, colours, files.

use framebus::{Content, ImageShape, PixelFormat, Publisher, StreamName};

use crate::harness::{TestStream, options};
use crate::page::Page;
use crate::publish::Publishing;
use crate::server::Server;

const WIDTH: u32 = 64;
const HEIGHT: u32 = 48;

/// Red goes with x, green with y, and blue is the same everywhere.
fn gradient() -> Vec<u8> {
    (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| [3 * x as u8, 5 * y as u8, 77])).collect()
}

/// Points at the middle of a pixel of the frame.
fn point_at(page: &mut Page, x: u32, y: u32) {
    let place = page.evaluate(&format!(
        "(({{ stage }}) => {{
            const box = stage.canvas.getBoundingClientRect();
            return [box.x + box.width / 2 + ({x} + 0.5 - stage.middle.x) * stage.zoom,
                    box.y + box.height / 2 + ({y} + 0.5 - stage.middle.y) * stage.zoom];
        }})(framebus.full)"
    ));
    page.point(place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
}

#[test]
fn the_value_under_the_cursor_is_the_frames() {
    let stream = TestStream::new("pixel");
    let _still = Publishing::still(&stream.name, WIDTH, HEIGHT, PixelFormat::Rgb8, gradient());
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.wait_for("a picture", "framebus.full.header");
    for (x, y) in [(0, 0), (20, 30), (63, 47)] {
        point_at(&mut page, x, y);
        let place = format!("document.getElementById('pixel-place').textContent.match(/\\d+/g).join() === '{x},{y}'");
        page.wait_for("the place", &place);
        let value = page.text("#pixel-value");
        assert_eq!(value.split_whitespace().collect::<Vec<_>>().join(" "), format!("R {} G {} B 77", 3 * x, 5 * y));
    }
    // Paused, no new picture asks for it, and it is of the frame that is shown.
    page.key(" ");
    let quiet = "framebus.full.header.frozen && !framebus.full.busy && !framebus.full.readings.pixelAsked";
    page.wait_for("the frozen frame", quiet);
    point_at(&mut page, 33, 9);
    page.wait_for("its value", "document.getElementById('pixel-value').textContent.includes('R 99')");
    let sequences =
        "document.getElementById('pixel').dataset.sequence === document.getElementById('stage').dataset.sequence";
    assert_eq!(page.evaluate(sequences), true);
    page.screenshot("full-pixel");
}

#[test]
fn what_is_saved_is_the_frame() {
    let stream = TestStream::new("save");
    let _still = Publishing::still(&stream.name, WIDTH, HEIGHT, PixelFormat::Rgb8, gradient());
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.wait_for("a picture", "framebus.full.header");
    page.key(" ");
    page.wait_for("the frozen frame", "framebus.full.header.frozen && !framebus.full.busy");
    let sequence = page.text("#frame-number").replace("frame ", "");
    page.key("s");
    page.click("#save-menu [data-kind=png]");
    let (name, bytes) = page.download(".png");
    let stem = format!("{}-{}", stream.name.bus(), stream.name.stream());
    assert_eq!(name, format!("{stem}-{sequence}.png"));
    let image = image::load_from_memory(&bytes).unwrap();
    assert_eq!((image.width(), image.height()), (WIDTH, HEIGHT));
    assert_eq!(image.into_rgb8().into_raw(), gradient());

    page.click("#save");
    page.click("#save-menu [data-kind=tiff]");
    let (_, bytes) = page.download(".tiff");
    assert_eq!(&bytes[..4], b"II*\0");
    page.click("#save");
    page.click("#save-menu [data-kind=jpg]");
    let (_, bytes) = page.download(".jpg");
    assert_eq!(&bytes[..3], [0xff, 0xd8, 0xff]);
}

#[test]
fn the_histogram_is_of_the_frames_values() {
    let stream = TestStream::new("histogram");
    let _still = Publishing::still(&stream.name, WIDTH, HEIGHT, PixelFormat::Rgb8, gradient());
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.wait_for("a picture", "framebus.full.header");
    page.key("h");
    page.wait_for("three channels", "document.getElementById('histogram').dataset.channels === 'R G B'");
    // All of blue is at 77.
    let blue = "framebus.full.readings.channels[2]";
    page.wait_for("blue", &format!("{blue}.bins[77] > 0 && {blue}.bins.filter(number => number > 0).length === 1"));
    // Something is drawn: pixels that are not transparent.
    let drawn = "(canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value))\
                 (document.getElementById('histogram'))";
    page.wait_for("a drawing", drawn);
    page.screenshot("full-histogram");
    page.key("h");
    page.wait_for("none", "document.getElementById('histogram-box').hidden");
}

#[test]
fn the_histogram_follows_to_another_stream_also_where_it_has_one_frame() {
    let stream = TestStream::new("histogram-next");
    let next = StreamName::new(stream.name.bus(), "still").unwrap();
    let _moving = Publishing::still(&stream.name, WIDTH, HEIGHT, PixelFormat::Rgb8, gradient());
    let content = Content::Image(ImageShape::new(WIDTH, HEIGHT, PixelFormat::Mono8).unwrap());
    let mut publisher = Publisher::open(&next, &options(content)).unwrap();
    publisher.loan().unwrap().publish();
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.wait_for("a picture", "framebus.full.header");
    page.key("h");
    let channels = "document.getElementById('histogram').dataset.channels";
    page.wait_for("three channels", &format!("{channels} === 'R G B'"));
    page.key("n");
    page.wait_for("one channel", &format!("{channels} === 'grey'"));
    assert_eq!(page.evaluate("framebus.full.stream.name"), next.to_string());
}

/// Whether the picture's middle has a colour, and whether it has light at all.
const COLOURED: &str = "(canvas => {
    const { data } = canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2 - 40, 1, 80);
    let [colour, light] = [0, 0];
    for (let at = 0; at < data.length; at += 4) {
        const [red, green, blue] = data.slice(at, at + 3);
        colour = Math.max(colour, Math.abs(red - green), Math.abs(green - blue));
        light = Math.max(light, red, green, blue);
    }
    return colour > 60 ? 'colour' : light > 20 ? 'grey' : 'dark';
})(document.getElementById('stage'))";

#[test]
fn depth_is_coloured_by_its_palette_and_range() {
    let stream = TestStream::new("depth");
    let metres = |at: u32| 1.0 + (at / WIDTH) as f32 * 0.1;
    let bytes: Vec<u8> = (0..WIDTH * HEIGHT).flat_map(|at| metres(at).to_ne_bytes()).collect();
    let _still = Publishing::still(&stream.name, WIDTH, HEIGHT, PixelFormat::DepthF32, bytes);
    let server = Server::start(stream.name.bus());
    let Some(mut page) = Page::open(&server.host, &format!("#{}", stream.name)) else { return };
    page.wait_for("false colours", &format!("{COLOURED} === 'colour'"));
    page.wait_for("the bar", "!document.getElementById('bar').hidden");
    assert_eq!((page.text("#bar-low"), page.text("#bar-high")), ("1 m".to_owned(), "5.70 m".to_owned()));
    point_at(&mut page, 10, 20);
    page.wait_for("metres", "document.getElementById('pixel-value').textContent === 'depth 3.000 m'");
    page.screenshot("full-depth");

    let choose = |id: &str, value: &str| {
        format!(
            "(node => {{ node.value = '{value}'; node.dispatchEvent(new Event('change')); }})(document.getElementById('{id}'))"
        )
    };
    page.evaluate(&choose("palette", "grey"));
    page.wait_for("no colours", &format!("{COLOURED} === 'grey'"));
    page.click("#fixed");
    page.evaluate(&choose("high", "20"));
    page.evaluate(&choose("low", "10"));
    // All is nearer than the lowest now.
    page.wait_for("the fixed range", &format!("{COLOURED} === 'dark'"));
    page.wait_for("the bar's range", "document.getElementById('bar-high').textContent === '20 m'");
    // Paused, too, and however quickly it is changed.
    page.click("#pause");
    page.wait_for("the frozen frame", "framebus.full.header.frozen && !framebus.full.busy");
    page.evaluate(&[choose("low", "0"), choose("palette", "viridis"), choose("palette", "turbo")].join(";"));
    page.wait_for("the last of them", &format!("framebus.full.header.frozen && {COLOURED} === 'colour'"));
    page.evaluate(&[choose("palette", "turbo"), choose("low", "10"), choose("palette", "grey")].join(";"));
    page.wait_for("the last of them", &format!("framebus.full.header.frozen && {COLOURED} === 'dark'"));
    // It is remembered.
    page.visit(&format!("#{}", stream.name));
    page.wait_for("the fixed range again", "framebus.full.header.range.join() === '10,20'");
}
