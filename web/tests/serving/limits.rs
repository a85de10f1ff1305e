//! What is too much.

use std::io::{Read, Write};

use serde_json::json;
use tungstenite::Message;

use crate::support::{Bus, Page, parse, until};

#[test]
fn requests_that_are_too_long_are_refused() {
    let bus = Bus::new();
    let web = bus.serve();
    let long = "x".repeat(9000);
    assert_eq!(web.get_with("/", &[&format!("X-Long: {long}")]).status, 431);
    assert!([414, 431].contains(&web.get(&format!("/{long}")).status));
    let many: Vec<String> = (0..200).map(|index| format!("X-{index}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(web.get_with("/", &many).status, 431);
    assert_eq!(web.get("/").status, 200, "the server is well");
}

#[test]
fn requests_have_no_body_and_are_read_only() {
    let bus = Bus::new();
    let web = bus.serve();
    assert_eq!(web.get_with("/", &["Content-Length: 5"]).status, 413);
    assert_eq!(web.get_with("/", &["Transfer-Encoding: chunked"]).status, 413);
    let post = format!("POST /api/streams HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", web.address());
    assert_eq!(web.send(post.as_bytes()).status, 405);
}

#[test]
fn paths_are_never_files() {
    let bus = Bus::new();
    let web = bus.serve();
    for path in ["/../../etc/passwd", "/snapshot/..%2f..%2fetc/passwd.png", "/snapshot/../etc.png", "/page/app.js"] {
        assert!([400, 404].contains(&web.get(path).status), "{path}");
    }
    assert!(web.get("/snapshot/a%20b/c.png").text().contains("letters, digits"));
}

#[test]
fn nonsense_ends_the_connection_and_nothing_else() {
    let bus = Bus::new();
    let web = bus.serve();
    assert_eq!(web.send(b"\x16\x03\x01\x02\x00\r\n\r\n").status, 400);
    assert_eq!(web.get("/").status, 200);
}

#[test]
fn connections_beyond_the_most_are_told_so() {
    let bus = Bus::new();
    let web = bus.serve_with(|settings| settings.max_clients = 3);
    let mut pages: Vec<Page> = (0..3).map(|_| web.page()).collect();
    // They are there when they have heard something.
    pages.iter_mut().for_each(|page| drop(page.figures()));
    let reply = web.get("/");
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("--max-clients"));
    drop(pages.pop());
    until("the place of the one who went", || (web.get("/").status == 200).then_some(()));
}

#[test]
fn messages_that_are_too_long_or_no_json_close_the_socket() {
    let bus = Bus::new();
    let web = bus.serve();
    for (message, code) in [
        (Message::text("x".repeat(5000)), 1009),
        (Message::text("x".repeat(200_000)), 1009),
        (Message::text("{\"id\":1"), 1007),
        (Message::binary(vec![1, 2, 3]), 1003),
    ] {
        let mut page = web.page();
        // It may be refused before all of it is sent.
        let _ = page.socket.send(message);
        assert_eq!(page.closed(), code);
    }
    assert_eq!(web.get("/").status, 200);
}

#[test]
fn wants_that_make_no_sense_are_answered_in_words() {
    let bus = Bus::new();
    let web = bus.serve();
    let mut page = web.page();
    let stream = bus.stream("none").to_string();
    for (want, expected) in [
        (json!({}), "not understood"),
        (json!({ "want": "dance", "stream": stream }), "unknown variant `dance`"),
        (json!({ "want": "picture", "stream": stream }), "there is no stream"),
        (json!({ "want": "picture", "stream": "../etc" }), "bus name"),
        (json!({ "want": "picture", "stream": stream, "after": "-1" }), "no sequence"),
        (json!({ "want": "pixel", "stream": stream, "x": -1, "y": 0 }), "not understood"),
    ] {
        let answer = page.ask(want.clone());
        let error = answer.header["error"].as_str().unwrap();
        assert!(error.contains(expected), "{want}: {error}");
    }
}

#[test]
fn open_wants_have_a_limit() {
    let bus = Bus::new();
    let mut camera = crate::support::Camera::open(&bus.stream("slow"), 16, 16, framebus::PixelFormat::Mono8);
    let sequence = camera.publish(&[1]);
    let web = bus.serve();
    let mut page = web.page();
    assert_eq!(page.picture(&bus.stream("slow"), 0).sequence(), sequence);
    let wants: Vec<u64> = (0..70).map(|_| page.want(crate::support::picture(&bus.stream("slow"), sequence))).collect();
    let answers: Vec<_> = wants.iter().map(|_| page.next().header).collect();
    let refused = answers.iter().filter(|answer| answer.get("error").is_some()).count();
    let nothing = answers.iter().filter(|answer| answer["nothing"] == true).count();
    assert_eq!((refused, nothing), (6, 64));
}

#[test]
fn whoever_sends_no_request_is_closed() {
    let bus = Bus::new();
    let web = bus.serve();
    let mut socket = web.connect();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let mut bytes = Vec::new();
    // The watchdog of this read is longer than the server's patience.
    socket.read_to_end(&mut bytes).unwrap();
    assert!(bytes.is_empty() || parse(&bytes).status == 408);
}
