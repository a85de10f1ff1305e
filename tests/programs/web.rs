//! `framebus web` as a program: it serves, holds a place while somebody looks, and ends in good order.

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
