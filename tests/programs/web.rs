//! `framebus web` as a program: it serves, holds a place while somebody looks, tells the log who comes, and ends in good order.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::{Running, TestStream, WATCHDOG, eventually, framebus};

/// A request whose answer is read as it comes.
fn get(address: &str, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(WATCHDOG)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    socket
}

#[test]
fn ctrl_c_ends_the_web_server_while_somebody_looks_and_its_place_is_free() {
    let stream = TestStream::new("web-ends");
    let producer = stream.producer("--width 64 --height 48 --format rgb8 --rate 50");
    stream.wait_for_frame(1);
    let mut command = framebus();
    command.args(["web", "--listen", "127.0.0.1:0", "--json", "--backend", &crate::backend().to_string()]);
    command.args(["--bus", stream.name.bus()]);
    let server = Running::start(command);
    let address = server.next_object()["address"].as_str().unwrap().to_owned();
    assert!(stream.status().unwrap().subscribers.is_empty(), "nobody looks so far");

    let mut reader = get(&address, &format!("/stream/{}.mjpeg", stream.name));
    let mut seen = vec![0; 64 << 10];
    let count = reader.read(&mut seen).unwrap();
    assert!(String::from_utf8_lossy(&seen[..count]).starts_with("HTTP/1.1 200"));
    let label = || Some(stream.status()?.subscribers.first()?.holder.label.clone());
    assert_eq!(eventually("the server has a place", label), "web");

    let ended = server.interrupt();
    assert!(ended.status.success(), "{ended:?}");
    assert!(stream.status().unwrap().subscribers.is_empty());
    // Its end is the reader's, too.
    while reader.read(&mut seen).is_ok_and(|count| count > 0) {}
    assert_eq!(producer.interrupt().number("drops"), 0);
}

#[test]
fn the_log_says_who_looks_and_who_was_refused_and_not_the_token() {
    let stream = TestStream::new("web-log");
    let producer = stream.producer("--width 64 --height 48 --format rgb8 --rate 50");
    stream.wait_for_frame(1);
    let mut command = framebus();
    command.args(["web", "--listen", "127.0.0.1:0", "--json", "--token", "open-sesame"]);
    command.args(["--bus", stream.name.bus(), "--backend", &crate::backend().to_string()]).env("FRAMEBUS_LOG", "info");
    let server = Running::start(command);
    let address = server.next_object()["address"].as_str().unwrap().to_owned();
    let answer = |socket: &mut TcpStream| {
        let mut bytes = [0; 1024];
        let count = socket.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    // The first one is told, those that come in the same second are counted.
    let mut strangers = Vec::new();
    for _ in 0..3 {
        let mut stranger = get(&address, "/?token=open-barley");
        assert!(answer(&mut stranger).starts_with("HTTP/1.1 401"));
        strangers.push(stranger.local_addr().unwrap());
    }
    let mut reader = get(&address, &format!("/stream/{}.mjpeg?token=open-sesame", stream.name));
    assert!(answer(&mut reader).starts_with("HTTP/1.1 200"));
    let url = format!("ws://{address}/ws?token=open-sesame");
    let (mut page, _) = tungstenite::client(url, TcpStream::connect(&address).unwrap()).unwrap();
    page.read().unwrap();
    let (video, page_at) = (reader.local_addr().unwrap(), page.get_ref().local_addr().unwrap());

    let ended = server.interrupt();
    assert!(ended.status.success(), "{ended:?}");
    let told = |with: &[&str]| ended.stderr.lines().filter(|line| with.iter().all(|part| line.contains(part))).count();
    let first = format!("peer={}", strangers[0]);
    assert_eq!(
        told(&[" WARN ", "a visitor was refused", &first, "cause=\"no token, or a wrong one\""]),
        1,
        "{ended:?}"
    );
    let (video, page_at) = (format!("peer={video}"), format!("peer={page_at}"));
    let name = format!("stream=\"{}\"", stream.name);
    for what in ["opened", "closed"] {
        assert_eq!(told(&[&format!(" INFO video {what}"), &video, &name]), 1, "{}", ended.stderr);
        assert_eq!(told(&[&format!(" INFO page {what}"), &page_at]), 1, "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("open-"), "no token, right or wrong: {}", ended.stderr);
    assert_eq!(producer.interrupt().number("drops"), 0);
}
