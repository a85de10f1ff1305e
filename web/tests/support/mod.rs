//! A server, streams of its own, and plain sockets to it.
#![allow(dead_code)] // not every test file needs all of it

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use framebus::{
    Backend, Content, ImageShape, PixelFormat, Publisher, StreamName, StreamOptions, StreamStatus, list, remove,
};
use framebus_web::{Server, Settings};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// Longest time for anything: a watchdog, no measure.
pub const WATCHDOG: Duration = Duration::from_secs(30);

/// How long streams stay subscribed to, where a test does not say.
const LINGER: Duration = Duration::from_millis(300);

/// A bus of one test.
pub struct Bus(pub String);

impl Bus {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self(format!("web-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    pub fn stream(&self, stream: &str) -> StreamName {
        StreamName::new(&self.0, stream).unwrap()
    }

    /// A server that shows this bus.
    pub fn serve(&self) -> Web {
        self.serve_with(|_| {})
    }

    pub fn serve_with(&self, set: impl FnOnce(&mut Settings)) -> Web {
        let mut settings = Settings::at("127.0.0.1:0".parse().unwrap());
        settings.scope.bus = Some(self.0.clone());
        settings.scope.backends = vec![Backend::SysV];
        settings.linger = LINGER;
        set(&mut settings);
        Web(Server::start(settings).unwrap())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        for stream in list(&Backend::SysV).unwrap_or_default() {
            if stream.name.bus() == self.0 {
                // Its publisher may be about to do it itself.
                let _ = remove(&Backend::SysV, &stream.name, true);
            }
        }
    }
}

/// What is known of a stream from outside.
pub fn status(name: &StreamName) -> StreamStatus {
    list(&Backend::SysV).unwrap().into_iter().find(|found| found.name == *name).unwrap()
}

/// Looks until it is so.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < WATCHDOG, "{what} has not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A camera whose pictures have one value a byte.
pub struct Camera(pub Publisher);

impl Camera {
    pub fn open(name: &StreamName, width: u32, height: u32, format: PixelFormat) -> Self {
        Self::open_with(name, width, height, format, |_| {})
    }

    pub fn open_with(
        name: &StreamName,
        width: u32,
        height: u32,
        format: PixelFormat,
        set: impl FnOnce(&mut StreamOptions),
    ) -> Self {
        let shape = ImageShape::new(width, height, format).unwrap();
        let mut options = StreamOptions::new(Content::Image(shape));
        set(&mut options);
        Self(Publisher::open(name, &options).unwrap())
    }

    /// Publishes a picture that repeats these bytes.
    pub fn publish(&mut self, bytes: &[u8]) -> u64 {
        let mut loan = self.0.loan().unwrap();
        loan.chunks_mut(bytes.len()).for_each(|chunk| chunk.copy_from_slice(&bytes[..chunk.len()]));
        loan.publish()
    }

    /// Goes on publishing in a thread, each frame `pause` after the last, until it is dropped.
    pub fn run(mut self, pause: Duration) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Refused frames are counted in the stream.
                if let Ok(mut loan) = self.0.loan() {
                    let value = loan.sequence() as u8;
                    loan.fill(value);
                    loan.publish();
                }
                std::thread::sleep(pause);
            }
            self
        });
        Running { stop, thread: Some(thread) }
    }
}

/// A camera that runs.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Camera>>,
}

impl Running {
    pub fn stop(mut self) -> Camera {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A server.
pub struct Web(pub Server);

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// In lower case, with the line's end.
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.split_once(':').filter(|(found, _)| *found == name));
        line.map(|(_, value)| value.trim())
    }
}

impl Web {
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    pub fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(WATCHDOG)).unwrap();
        socket.set_write_timeout(Some(WATCHDOG)).unwrap();
        socket
    }

    pub fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[])
    }

    /// With further lines in the head; `Host` may be among them.
    pub fn get_with(&self, path: &str, lines: &[&str]) -> Reply {
        let mut request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n");
        if !lines.iter().any(|line| line.starts_with("Host:")) {
            request += &format!("Host: {}\r\n", self.address());
        }
        lines.iter().for_each(|line| request += &format!("{line}\r\n"));
        self.send(format!("{request}\r\n").as_bytes())
    }

    /// Sends bytes, and reads all that comes back.
    pub fn send(&self, request: &[u8]) -> Reply {
        let mut socket = self.connect();
        // It may be refused before all of it is sent.
        let _ = socket.write_all(request);
        let mut bytes = Vec::new();
        let _ = socket.read_to_end(&mut bytes);
        parse(&bytes)
    }

    pub fn page(&self) -> Page {
        Page::open(self, &[]).unwrap()
    }
}

pub fn parse(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {bytes:?}"));
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head, body: bytes[end + 4..].to_vec() }
}

/// A page's end of a WebSocket.
pub struct Page {
    pub socket: WebSocket<TcpStream>,
    next_id: u64,
    /// The last figures that came unasked.
    pub figures: Value,
}

/// An answer: its header, and what follows it.
#[derive(Debug)]
pub struct Answer {
    pub header: Value,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn sequence(&self) -> u64 {
        self.header["sequence"].as_str().unwrap_or_else(|| panic!("{}", self.header)).parse().unwrap()
    }

    /// The picture's pixels.
    pub fn pixels(&self) -> image::RgbImage {
        assert_eq!(self.body[..2], [0xFF, 0xD8], "no JPEG: {}", self.header);
        image::load_from_memory(&self.body).unwrap().to_rgb8()
    }
}

impl Page {
    /// With further headers.
    pub fn open(web: &Web, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        use tungstenite::client::IntoClientRequest;
        let mut request = format!("ws://{}/ws", web.address()).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match tungstenite::client(request, web.connect()) {
            Ok((socket, _)) => Ok(Self { socket, next_id: 1, figures: Value::Null }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(reply))) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Wants something; returns the number that its answer will have.
    pub fn want(&mut self, mut want: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        want["id"] = id.into();
        self.socket.send(Message::text(want.to_string())).unwrap();
        id
    }

    /// The next answer, whosever it is.
    pub fn next(&mut self) -> Answer {
        loop {
            let answer = match self.socket.read().unwrap() {
                Message::Text(text) => Answer { header: serde_json::from_str(&text).unwrap(), body: Vec::new() },
                Message::Binary(bytes) => {
                    let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
                    let header = serde_json::from_slice(&bytes[4..4 + length]).unwrap();
                    Answer { header, body: bytes[4 + length..].to_vec() }
                }
                other => panic!("{other:?}"),
            };
            if answer.header.get("id").is_some() {
                return answer;
            }
            self.figures = answer.header;
        }
    }

    /// Wants something, and waits for the answer.
    pub fn ask(&mut self, want: Value) -> Answer {
        let id = self.want(want);
        let answer = self.next();
        assert_eq!(answer.header["id"], id, "{}", answer.header);
        answer
    }

    /// A picture of what is newer than `after`.
    pub fn picture(&mut self, stream: &StreamName, after: u64) -> Answer {
        self.ask(picture(stream, after))
    }

    /// Figures that come from now on.
    pub fn figures(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                let value: Value = serde_json::from_str(&text).unwrap();
                if value.get("id").is_none() {
                    return value;
                }
            }
        }
    }

    /// The code with which the server closes.
    pub fn closed(&mut self) -> u16 {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.unwrap().code.into(),
                Ok(_) => {}
                Err(error) => panic!("closed without a word: {error}"),
            }
        }
    }
}

pub fn picture(stream: &StreamName, after: u64) -> Value {
    json!({ "want": "picture", "stream": stream.to_string(), "after": after.to_string() })
}

/// All pixels are about so.
pub fn is_about(pixels: &image::RgbImage, colour: [u8; 3]) -> bool {
    pixels.pixels().all(|pixel| pixel.0.iter().zip(colour).all(|(found, expected)| found.abs_diff(expected) <= 6))
}

impl Web {
    /// Its first page, and itself.
    pub fn page_of(self) -> (Self, Page) {
        let page = self.page();
        (self, page)
    }
}

impl Page {
    /// The body of the next picture's answer: of one that is wanted already, or of a new one.
    pub fn next_or_ask(&mut self, stream: &StreamName) -> Vec<u8> {
        self.want(picture(stream, 0));
        self.next().body
    }
}
