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
fn a_connection_that_is_idle_or_slow_with_its_request_is_closed() {
    let bus = Bus::new();
    let web = bus.serve();
    let whole = format!("GET /ping HTTP/1.1\r\nHost: {}\r\n\r\n", web.address());
    // All at a time: each takes the server's whole patience.
    let sockets = ["", "GET / HTTP/1.1\r\nHost: ", &whole].map(|request| {
        let mut socket = web.connect();
        socket.write_all(request.as_bytes()).unwrap();
        (request, socket)
    });
    for (request, mut socket) in sockets {
        let mut bytes = Vec::new();
        // The watchdog of this read is longer than that patience: a connection that stays fails here.
        socket.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("{request:?} stays open: {error}"));
        match request == whole {
            true => assert_eq!(parse(&bytes).status, 204),
            false => assert!(bytes.is_empty() || parse(&bytes).status == 408, "{request:?}"),
        }
    }
}

#[test]
fn a_peer_that_vanishes_without_a_word_is_asked_for() {
    let bus = Bus::new();
    let web = bus.serve();
    let page = web.page();
    let (own, peer) = (web.address().port(), page.socket.get_ref().local_addr().unwrap().port());
    // The server is in this process, and so is its end of the connection: `02:` is a timer that keeps it alive (proc(5)).
    until("a keepalive timer", || {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let row = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|words| words[1].ends_with(&format!(":{own:04X}")) && words[2].ends_with(&format!(":{peer:04X}")))?;
        row[5].starts_with("02:").then_some(())
    });
}
