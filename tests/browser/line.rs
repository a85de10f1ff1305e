//! A line between a page and a server that can be slow, or dead: what comes from the server waits in it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const PASSES: u8 = 0;
/// Nothing passes to a WebSocket, as if the rest of a large message were still under way.
const HOLDS_SOCKETS: u8 = 1;
/// Nothing passes to anybody.
const HOLDS_ALL: u8 = 2;
const ENDS: u8 = 3;

/// Ends with all its connections when it is dropped.
pub struct Line {
    /// `127.0.0.1:PORT`, in the place of the server's.
    pub host: String,
    state: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (state, open) = (Arc::new(AtomicU8::new(PASSES)), Arc::new(Mutex::new(Vec::new())));
        let (server, shared, kept) = (server.to_owned(), state.clone(), open.clone());
        let thread = std::thread::spawn(move || {
            let mut threads = Vec::new();
            for page in listener.incoming() {
                if shared.load(Ordering::Relaxed) == ENDS {
                    break;
                }
                let (page, server) = (page.unwrap(), TcpStream::connect(&server).unwrap());
                kept.lock().unwrap().extend([page.try_clone().unwrap(), server.try_clone().unwrap()]);
                let state = shared.clone();
                threads.push(std::thread::spawn(move || connection(page, server, &state)));
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Self { host, state, open, thread: Some(thread) }
    }

    pub fn pass(&self) {
        self.state.store(PASSES, Ordering::Relaxed);
    }

    pub fn hold_sockets(&self) {
        self.state.store(HOLDS_SOCKETS, Ordering::Relaxed);
    }

    pub fn hold_all(&self) {
        self.state.store(HOLDS_ALL, Ordering::Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.state.store(ENDS, Ordering::Relaxed);
        // Whoever waits for a connection gets one.
        let _ = TcpStream::connect(&self.host);
        for socket in self.open.lock().unwrap().drain(..) {
            // It may have ended.
            let _ = socket.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the line panicked");
        }
    }
}

/// Until one of both ends.
fn connection(mut page: TcpStream, mut server: TcpStream, state: &Arc<AtomicU8>) {
    let mut bytes = vec![0; 64 << 10];
    let Some(count) = page.read(&mut bytes).ok().filter(|count| *count > 0) else { return };
    let is_socket = bytes.starts_with(b"GET /ws");
    if server.write_all(&bytes[..count]).is_err() {
        return;
    }
    let (up, down) = (page.try_clone().unwrap(), server.try_clone().unwrap());
    let upward = std::thread::spawn(move || copy(up, down, || {}));
    let state = state.clone();
    copy(server, page, || {
        loop {
            match state.load(Ordering::Relaxed) {
                HOLDS_ALL => {}
                HOLDS_SOCKETS if is_socket => {}
                _ => return,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    upward.join().unwrap();
}

fn copy(mut from: TcpStream, mut to: TcpStream, wait: impl Fn()) {
    let mut bytes = vec![0; 64 << 10];
    while let Some(count) = from.read(&mut bytes).ok().filter(|count| *count > 0) {
        wait();
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other direction ends, too.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
