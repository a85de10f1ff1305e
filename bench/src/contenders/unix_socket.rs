//! A stream socket: each frame is copied into the kernel and out of it again, once for each subscriber.
//!
//! The address is an abstract one (unix(7)), of which nothing is left. A thread of the publisher accepts subscribers, so that
//! publishing costs nothing for it.

use super::{Contender, Publish, Seen, Site, Subscribe, patiently};
use anyhow::{Result, ensure};
use std::io::{ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub struct UnixSocket;

fn address(site: &Site) -> Result<SocketAddr> {
    Ok(SocketAddr::from_abstract_name(site.name())?)
}

impl Contender for UnixSocket {
    type Publisher = SocketPublisher;
    type Subscriber = SocketSubscriber;

    fn publisher(site: &Site) -> Result<SocketPublisher> {
        let listener = UnixListener::bind_addr(&address(site)?)?;
        let streams = Arc::new(Mutex::new(Vec::new()));
        let accepted = streams.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                lock(&accepted).push(stream);
            }
        });
        Ok(SocketPublisher { streams, frame: vec![0; site.bytes] })
    }

    fn subscriber(site: &Site) -> Result<SocketSubscriber> {
        let address = address(site)?;
        let stream = patiently("socket", || Ok(UnixStream::connect_addr(&address)?))?;
        Ok(SocketSubscriber { stream, frame: vec![0; site.bytes], filled: 0, patience: None })
    }
}

fn lock(streams: &Mutex<Vec<UnixStream>>) -> MutexGuard<'_, Vec<UnixStream>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct SocketPublisher {
    streams: Arc<Mutex<Vec<UnixStream>>>,
    frame: Vec<u8>,
}

impl Publish for SocketPublisher {
    #[inline]
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()> {
        self.frame[..8].copy_from_slice(&stamp().to_ne_bytes());
        // Who has gone is forgotten.
        lock(&self.streams).retain_mut(|stream| stream.write_all(&self.frame).is_ok());
        Ok(())
    }

    fn settle(&mut self, subscribers: usize) -> Result<()> {
        patiently("subscriber", || {
            ensure!(lock(&self.streams).len() >= subscribers, "not all subscribers have connected");
            Ok(())
        })
    }
}

pub struct SocketSubscriber {
    stream: UnixStream,
    frame: Vec<u8>,
    /// Bytes of the next frame that are here already.
    filled: usize,
    patience: Option<Duration>,
}

impl Subscribe for SocketSubscriber {
    #[inline]
    fn wait(&mut self, deadline: Instant, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        // One setting for all waits: it costs a system call.
        if self.patience.is_none() {
            self.patience = Some(Duration::from_millis(100));
            self.stream.set_read_timeout(self.patience)?;
        }
        loop {
            match self.stream.read(&mut self.frame[self.filled..]) {
                Ok(0) => {
                    // The publisher has closed; nothing comes any more.
                    std::thread::sleep(Duration::from_millis(10));
                    return Ok(None);
                }
                Ok(bytes) => self.filled += bytes,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    if Instant::now() >= deadline {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error.into()),
            }
            if self.filled == self.frame.len() {
                self.filled = 0;
                return Ok(Some(look(&self.frame)));
            }
        }
    }

    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        self.wait(Instant::now() + Duration::from_secs(1), look)
    }
}
