//! Addresses for scripts.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::Duration;

use framebus::{Backend, PixelFormat, Subscriber, SubscriberOptions};

use crate::support::{Bus, Camera, Web, is_about, until};

#[test]
fn all_streams_of_the_bus_are_listed() {
    let bus = Bus::new();
    let mut camera = Camera::open_with(&bus.stream("front"), 32, 16, PixelFormat::Nv12, |options| {
        options.rate = framebus::Rate::new(30, 1);
    });
    let _depth = Camera::open(&bus.stream("depth"), 8, 8, PixelFormat::DepthF32);
    let other = Bus::new();
    let _hidden = Camera::open(&other.stream("hidden"), 8, 8, PixelFormat::Mono8);
    camera.publish(&[1]);
    let web = bus.serve();
    let streams = web.get("/api/streams").json();
    let names: Vec<_> = streams.as_array().unwrap().iter().map(|stream| stream["stream"].as_str().unwrap()).collect();
    assert_eq!(names, [bus.stream("depth").to_string(), bus.stream("front").to_string()]);
    let front = &streams[1];
    assert_eq!((front["kind_of"].as_str(), front["format"].as_str()), (Some("image"), Some("nv12")));
    assert_eq!((front["width"].as_u64(), front["height"].as_u64()), (Some(32), Some(16)));
    assert_eq!((front["rate_hz"].as_f64(), front["last_sequence"].as_u64()), (Some(30.0), Some(1)));
    assert!(front["watch"].is_null() && front["published_hz"].is_null() && front["type"].is_null());
    assert_eq!((front["backend"].as_str(), front["publisher"].as_str()), (Some("sysv"), Some("alive")));
    assert_eq!(web.get(&format!("/snapshot/{}.png", other.stream("hidden"))).status, 404, "not shown, not served");
}

#[test]
fn a_backend_that_can_not_be_listed_is_told_and_hides_no_other() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 8, 8, PixelFormat::Mono8);
    camera.publish(&[1]);
    // A file is no directory.
    let broken = Backend::File { directory: std::env::current_exe().unwrap() };
    let web = bus.serve_with(|settings| settings.scope.backends = vec![broken.clone(), Backend::SysV]);
    let reply = web.get("/api/streams");
    assert_eq!((reply.status, reply.json()[0]["stream"].as_str()), (200, Some(name.to_string().as_str())));
    let words = format!("some streams can not be seen: listing the streams of backend {broken}");
    assert!(reply.header("x-framebus-unlisted").unwrap().contains(&words.to_lowercase()), "{reply:?}");
    assert!(web.get("/metrics").text().contains(&format!("stream=\"{}\"", name.stream())));
    assert_eq!(web.get(&format!("/snapshot/{name}.png")).status, 200);
    let figures = web.page().figures();
    assert_eq!(figures["streams"].as_array().unwrap().len(), 1);
    assert!(figures["unlisted"][0].as_str().unwrap().starts_with(&words), "{figures}");
    // What is not found may be where nobody can look.
    let reply = web.get(&format!("/snapshot/{}.png", bus.stream("rear")));
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
    assert!(reply.text().contains(&words), "{}", reply.text());

    let web = bus.serve_with(|settings| settings.scope.backends = vec![broken]);
    for path in ["/api/streams", "/metrics"] {
        let reply = web.get(path);
        assert_eq!(reply.status, 503, "{path}");
        assert!(reply.text().starts_with(&words) && reply.text().ends_with('\n'), "{path}: {}", reply.text());
    }
}

#[test]
fn the_rate_is_measured_between_two_looks() {
    let bus = Bus::new();
    let camera = Camera::open(&bus.stream("front"), 8, 8, PixelFormat::Mono8).run(Duration::from_millis(10));
    let web = bus.serve();
    let hz = until("a measured rate", || web.get("/api/streams").json()[0]["published_hz"].as_f64());
    assert!(hz > 1.0, "{hz}");
    drop(camera);
}

#[test]
fn a_snapshot_is_the_whole_frame() {
    let bus = Bus::new();
    let name = bus.stream("thermal.left");
    let mut camera = Camera::open(&name, 20, 10, PixelFormat::Mono16);
    camera.publish(&0x1234_u16.to_ne_bytes());
    let web = bus.serve();
    for (end, media) in [("png", "image/png"), ("tiff", "image/tiff"), ("tif", "image/tiff")] {
        let reply = web.get(&format!("/snapshot/{name}.{end}"));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(media)));
        assert_eq!(reply.header("x-framebus-sequence"), Some("1"));
        let picture = image::load_from_memory(&reply.body).unwrap();
        assert!(picture.as_luma16().unwrap().pixels().all(|pixel| pixel.0 == [0x1234]), "{end}");
    }
    let reply = web.get(&format!("/snapshot/{name}.jpg"));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(image::load_from_memory(&reply.body).unwrap().width(), 20);
}

#[test]
fn a_snapshot_can_be_a_preview() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 320, 160, PixelFormat::Mono8);
    camera.publish(&[100]);
    let web = bus.serve();
    let reply = web.get(&format!("/snapshot/{name}.jpg?width=80&low=50&high=100"));
    let picture = image::load_from_memory(&reply.body).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (80, 40));
    assert!(is_about(&picture, [255; 3]), "the highest of the range");
    for (query, expected) in [
        ("jpg?palette=jet", "expected one of grey"),
        ("jpg?low=1", "both low and high"),
        ("jpg?low=2&high=1", "the lower one first"),
        ("png?width=80", "ask for .jpg"),
        ("png?quality=50", "ask for .jpg"),
        ("jpg?width=wide", "width=wide can not be: expected pixels"),
        ("jpg?quality=300", "quality=300 can not be: expected 1 to 100"),
        ("jpg?low=", "low= can not be: expected metres"),
    ] {
        let reply = web.get(&format!("/snapshot/{name}.{query}"));
        assert_eq!(reply.status, 400, "{query}");
        assert!(reply.text().contains(expected) && reply.text().ends_with('\n'), "{query}: {}", reply.text());
    }
    let reply = web.get(&format!("/stream/{name}.mjpeg?fps=fast"));
    assert_eq!((reply.status, reply.text().contains("as in fps=5")), (400, true), "{}", reply.text());
    for path in ["/snapshot/%ff/x.png", "/stream/%ff/x.mjpeg"] {
        let reply = web.get(path);
        assert_eq!((reply.status, reply.text().contains("expected BUS/STREAM")), (400, true), "{}", reply.text());
    }
    let reply = web.get("/ws");
    assert_eq!((reply.status, reply.text().contains("expected a request that opens a WebSocket")), (400, true));
    assert_eq!(web.get(&format!("/snapshot/{name}.gif")).status, 404);
    assert_eq!(web.get(&format!("/snapshot/{name}.jpg?backend=file:/nowhere")).status, 404, "only what is shown");
}

#[test]
fn a_whole_jpeg_has_the_quality_that_was_asked_for() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 320, 160, PixelFormat::Mono8);
    camera.publish(&(0..=255).map(|value: u8| value.wrapping_mul(37)).collect::<Vec<_>>());
    let web = bus.serve();
    let size = |query: &str| {
        let reply = web.get(&format!("/snapshot/{name}.jpg{query}"));
        assert_eq!(image::load_from_memory(&reply.body).unwrap().width(), 320);
        reply.body.len()
    };
    assert!(2 * size("?quality=10") < size("?quality=95"), "{} {}", size("?quality=10"), size("?quality=95"));
}

#[test]
fn a_stream_without_a_frame_has_no_snapshot() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let _camera = Camera::open(&name, 8, 8, PixelFormat::Mono8);
    let reply = bus.serve().get(&format!("/snapshot/{name}.jpg"));
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("no frame so far"), "{}", reply.text());
}

/// The parts of an MJPEG stream: sequence and picture, as they come.
struct Parts {
    socket: std::net::TcpStream,
    buffer: Vec<u8>,
}

impl Parts {
    fn open(web: &Web, path: &str) -> Self {
        let mut socket = web.connect();
        // HTTP/1.0 has no chunks.
        write!(socket, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", web.address()).unwrap();
        let mut parts = Self { socket, buffer: Vec::new() };
        let head = parts.until(b"\r\n\r\n");
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains("multipart/x-mixed-replace; boundary=frame"), "{head}");
        assert_eq!(parts.until(b"\r\n"), b"--frame\r\n");
        parts
    }

    fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return self.buffer.drain(..at + end.len()).collect();
            }
            self.read();
        }
    }

    fn read(&mut self) {
        let mut bytes = [0; 65536];
        let count = self.socket.read(&mut bytes).unwrap();
        assert!(count > 0, "the stream has ended");
        self.buffer.extend_from_slice(&bytes[..count]);
    }

    fn next(&mut self) -> (u64, Vec<u8>) {
        let head = String::from_utf8(self.until(b"\r\n\r\n")).unwrap();
        let value = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{head}"));
            line.trim().parse::<u64>().unwrap()
        };
        let (length, sequence) = (value("Content-Length:") as usize, value("X-Framebus-Sequence:"));
        assert!(head.contains("Content-Type: image/jpeg"));
        while self.buffer.len() < length {
            self.read();
        }
        let jpeg = self.buffer.drain(..length).collect();
        assert_eq!(self.until(b"--frame\r\n"), b"\r\n--frame\r\n");
        (sequence, jpeg)
    }
}

#[test]
fn mjpeg_has_a_part_for_each_newest_frame() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 64, 32, PixelFormat::Rgb8);
    camera.publish(&[0, 0, 200]);
    let web = bus.serve();
    let mut parts = Parts::open(&web, &format!("/stream/{name}.mjpeg?width=32"));
    let (sequence, jpeg) = parts.next();
    let picture = image::load_from_memory(&jpeg).unwrap().to_rgb8();
    assert_eq!((sequence, picture.dimensions()), (1, (32, 16)));
    assert!(is_about(&picture, [0, 0, 200]));
    camera.publish(&[0, 200, 0]);
    let (sequence, jpeg) = parts.next();
    assert_eq!(sequence, 2);
    assert!(is_about(&image::load_from_memory(&jpeg).unwrap().to_rgb8(), [0, 200, 0]));
    assert_eq!(web.get(&format!("/stream/{name}.mjpeg?fps=0")).status, 400);
    assert_eq!(web.get(&format!("/stream/{name}.mjpeg?fps=-1")).status, 400);
    assert_eq!(web.get(&format!("/stream/{name}.avi")).status, 404);
}

#[test]
fn a_slow_reader_of_mjpeg_lags_by_what_its_socket_holds_and_no_more() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 640, 480, PixelFormat::Rgb8);
    // Noise: JPEGs of some size.
    let mut seed = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(640 * 480 * 3)
    .collect();
    camera.publish(&noise);
    let web = bus.serve();
    let mut parts = Parts::open(&web, &format!("/stream/{name}.mjpeg?quality=95"));
    let (_, jpeg) = parts.next();
    // Of our own end of the connection, as little as can be.
    rustix::net::sockopt::set_socket_recv_buffer_size(&parts.socket, 4096).unwrap();
    for _ in 0..300 {
        camera.publish(&noise);
        std::thread::sleep(Duration::from_millis(2));
    }
    let newest = camera.publish(&noise);
    // What was under way before is some frames, however many were published meanwhile.
    let mut stale = 0;
    while parts.next().0 < newest {
        stale += 1;
    }
    let most = (1 << 20) / jpeg.len() + 2;
    assert!(stale <= most, "{stale} pictures of {} bytes came late, expected at most {most}", jpeg.len());
}

#[test]
fn who_leaves_mjpeg_is_noticed_though_no_frame_comes() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open(&name, 64, 32, PixelFormat::Rgb8);
    camera.publish(&[0, 0, 200]);
    let web = bus.serve();
    let mut parts = Parts::open(&web, &format!("/stream/{name}.mjpeg"));
    parts.next();
    assert_eq!(camera.0.subscribers(), 1);
    drop(parts);
    until("the place to be given back", || (camera.0.subscribers() == 0).then_some(()));
}

/// Reads Prometheus's text format: value by name and labels; each name has a TYPE before.
fn read_metrics(text: &str) -> BTreeMap<String, f64> {
    let mut types = BTreeMap::new();
    let mut values = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(types.insert(name.to_owned(), kind).is_none(), "twice: {line}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap();
        assert!(types.contains_key(name), "{line}");
        assert!(
            labels.ends_with('}')
                && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit()),
            "{line}"
        );
        // A label's value ends at the first quote without a backslash.
        let mut rest = &labels[..labels.len() - 1];
        while !rest.is_empty() {
            let (key, after) = rest.split_once("=\"").unwrap();
            assert!(!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase()), "{line}");
            let mut end = 0;
            while after.as_bytes()[end] != b'"' {
                end += if after.as_bytes()[end] == b'\\' { 2 } else { 1 };
            }
            rest = after[end + 1..].strip_prefix(',').unwrap_or(&after[end + 1..]);
        }
        assert!(values.insert(series.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    values
}

#[test]
fn metrics_are_prometheus_text() {
    let bus = Bus::new();
    let name = bus.stream("front");
    let mut camera = Camera::open_with(&name, 8, 8, PixelFormat::Mono8, |options| {
        options.rate = framebus::Rate::new(30, 1);
    });
    let mut options = SubscriberOptions::default();
    options.backend = Backend::SysV;
    options.label = "a \"quoted\\ label".to_owned();
    let mut subscriber = Subscriber::attach_with(&name, options).unwrap();
    (0..5).for_each(|_| {
        camera.publish(&[1]);
    });
    let frame = subscriber.latest().unwrap();
    let reply = bus.serve().get("/metrics");
    assert!(reply.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let values = read_metrics(&reply.text());
    let labels = format!("bus=\"{}\",stream=\"front\",backend=\"sysv\"", bus.0);
    let stream = |what: &str| values[&format!("framebus_stream_{what}{{{labels}}}")];
    assert_eq!((stream("frames_total"), stream("refused_total"), stream("late_total")), (5.0, 0.0, 0.0));
    assert_eq!((stream("rate_hz"), stream("subscribers"), stream("publisher_alive")), (30.0, 1.0, 1.0));
    assert!(stream("age_seconds") > 0.0);
    let pid = std::process::id();
    let labels = format!("{labels},place=\"0\",pid=\"{pid}\",label=\"a \\\"quoted\\\\ label\"");
    let reader = |what: &str| values[&format!("framebus_subscriber_{what}{{{labels}}}")];
    assert_eq!((reader("seen_total"), reader("held"), reader("blamed_total")), (1.0, 1.0, 0.0));
    assert!(reader("latency_p50_seconds") > 0.0 && reader("holding_seconds") > 0.0);
    assert!(reader("age_p99_seconds") >= reader("latency_p50_seconds"));
    assert_eq!((reader("too_old_total"), stream("evicted_total")), (0.0, 0.0));
    let hold = format!("framebus_subscriber_hold_p50_seconds{{{labels}}}");
    assert!(!values.contains_key(&hold), "nothing was let go of");
    drop(frame);
}
