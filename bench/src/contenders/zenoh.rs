//! zenoh with shared memory: peers over one Unix socket, no scouting; frames from an explicit shared-memory provider.
//!
//! The publisher allocates from its provider (as the project's `z_pub_shm` does), stamps in place and puts, express, so that
//! nothing is held back for a batch. A subscriber looks at a frame in zenoh's own callback, which is the earliest that a user
//! gets it, and whoever answers, answers from there, as in `z_pong`.

use super::{Contender, Delivery, LAST, PATIENCE, Publish, Seen, Site, Subscribe, look_at_clock, patiently, stamp_of};
use anyhow::{Result, anyhow, ensure};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use zenoh::qos::CongestionControl;
use zenoh::shm::{BlockOn, GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder};
use zenoh::{Session, Wait};

/// Frames in the provider's memory.
const POOL_FRAMES: usize = 4;

pub struct Zenoh;

/// One session a process, as long as somebody uses it.
static SESSION: Mutex<Weak<Session>> = Mutex::new(Weak::new());

fn failed(error: zenoh::Error) -> anyhow::Error {
    anyhow!("zenoh: {error}")
}

fn session(site: &Site) -> Result<Arc<Session>> {
    let mut shared = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(session) = shared.upgrade() {
        return Ok(session);
    }
    let endpoint = format!("[\"unixsock-stream/{}/{}.sock\"]", site.directory.display(), site.link);
    let mut config = zenoh::Config::default();
    let mut set = |key: &str, value: &str| config.insert_json5(key, value).map_err(failed);
    set("mode", "\"peer\"")?;
    set("scouting/multicast/enabled", "false")?;
    set("scouting/gossip/enabled", "false")?;
    set("transport/shared_memory/enabled", "true")?;
    set("transport/shared_memory/mode", "\"init\"")?;
    if site.hosts {
        set("listen/endpoints", &endpoint)?;
    } else {
        set("listen/endpoints", "[]")?;
        set("connect/endpoints", &endpoint)?;
        set("connect/timeout_ms", &PATIENCE.as_millis().to_string())?;
        set("connect/exit_on_failure", "true")?;
    }
    let session = Arc::new(zenoh::open(config).wait().map_err(failed)?);
    *shared = Arc::downgrade(&session);
    Ok(session)
}

impl Contender for Zenoh {
    type Publisher = ZenohPublisher;
    type Subscriber = ZenohSubscriber;

    fn publisher(site: &Site) -> Result<ZenohPublisher> {
        let session = session(site)?;
        let control =
            if site.delivery == Delivery::Lossless { CongestionControl::Block } else { CongestionControl::Drop };
        let publisher =
            session.declare_publisher(site.name()).congestion_control(control).express(true).wait().map_err(failed)?;
        let backend = PosixShmProviderBackend::builder(POOL_FRAMES * site.bytes.max(4096))
            .wait()
            .map_err(|error| anyhow!("zenoh's memory: {error:?}"))?;
        let provider = ShmProviderBuilder::backend(backend).wait();
        Ok(ZenohPublisher { publisher, provider, bytes: site.bytes, _session: session })
    }

    fn subscriber(site: &Site) -> Result<ZenohSubscriber> {
        let session = session(site)?;
        let (sender, frames) = channel();
        let subscriber = session
            .declare_subscriber(site.name())
            .callback(move |sample| {
                // A frame in one piece is borrowed here, not copied.
                let _ = sender.send(look_at_clock(&sample.payload().to_bytes()));
            })
            .wait()
            .map_err(failed)?;
        Ok(ZenohSubscriber {
            frames,
            newest_only: site.delivery == Delivery::Latest,
            _subscriber: subscriber,
            _session: session,
        })
    }

    fn answer(there: &Site, back: &Site, ready: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut publisher = Self::publisher(back)?;
        let (ended, end) = channel();
        let session = session(there)?;
        publisher.prepare()?;
        let subscriber = session
            .declare_subscriber(there.name())
            .callback_mut(move |sample| {
                let stamp = stamp_of(&sample.payload().to_bytes());
                let answered = if stamp == LAST { Ok(()) } else { publisher.publish(|| stamp) };
                if stamp == LAST || answered.is_err() {
                    let _ = ended.send(answered);
                }
            })
            .wait()
            .map_err(failed)?;
        ready()?;
        let outcome = loop {
            match end.recv_timeout(Duration::from_millis(100)) {
                Ok(outcome) => break outcome,
                Err(_) if crate::actor::stopped() => break Ok(()),
                Err(_) => {}
            }
        };
        subscriber.undeclare().wait().map_err(failed)?;
        outcome
    }
}

type Provider = ShmProvider<PosixShmProviderBackend>;

pub struct ZenohPublisher {
    publisher: zenoh::pubsub::Publisher<'static>,
    provider: Provider,
    bytes: usize,
    _session: Arc<Session>,
}

impl ZenohPublisher {
    /// The first allocation does more than the others.
    fn prepare(&self) -> Result<()> {
        self.provider.alloc(self.bytes).wait().map(drop).map_err(|error| anyhow!("zenoh's memory: {error:?}"))
    }
}

impl Publish for ZenohPublisher {
    #[inline]
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()> {
        let mut frame = self
            .provider
            .alloc(self.bytes)
            .with_policy::<BlockOn<GarbageCollect>>()
            .wait()
            .map_err(|error| anyhow!("zenoh's memory: {error:?}"))?;
        frame[..8].copy_from_slice(&stamp().to_ne_bytes());
        self.publisher.put(frame).wait().map_err(failed)
    }

    fn settle(&mut self, _subscribers: usize) -> Result<()> {
        self.prepare()?;
        patiently("subscriber", || {
            let status = self.publisher.matching_status().wait().map_err(failed)?;
            ensure!(status.matching(), "nobody has subscribed");
            Ok(())
        })
    }
}

pub struct ZenohSubscriber {
    frames: Receiver<Seen>,
    newest_only: bool,
    _subscriber: zenoh::pubsub::Subscriber<()>,
    _session: Arc<Session>,
}

impl Subscribe for ZenohSubscriber {
    fn wait(&mut self, deadline: Instant, _look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        let mut seen = match self.frames.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(seen) => seen,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("zenoh has dropped the subscriber's callback")),
        };
        if self.newest_only {
            while let Ok(newer) = self.frames.try_recv() {
                seen = newer;
            }
        }
        Ok(Some(seen))
    }

    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        self.wait(Instant::now() + Duration::from_secs(1), look)
    }
}
