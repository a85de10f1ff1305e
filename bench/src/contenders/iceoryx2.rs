//! iceoryx2: loan uninitialised, stamp in place, send; the newest sample (a buffer of one, with safe overflow), or all.
//!
//! Who sleeps does it as the project's examples do: an event service beside the data, notified after each `send`; the
//! subscriber waits on its listener, alone or in a wait set, and then receives. Everything lies under the run's own root
//! directory and prefix.

use super::{Contender, Delivery, Publish, Seen, Site, Subscribe, patiently, poll};
use crate::contestant::{Contestant, Iceoryx2Wait};
use anyhow::{Context, Result, anyhow, bail};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe};
use std::fmt::Debug;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

/// Samples that a lossless subscriber may be behind.
const LOSSLESS_BUFFER: usize = 64;

pub struct Iceoryx2;

type Data = publish_subscribe::PortFactory<ipc::Service, [u8], ()>;
type Events = event::PortFactory<ipc::Service>;

/// Most of iceoryx2's errors are no `std::error::Error` with context worth keeping.
fn failed(what: &'static str) -> impl Fn(&dyn Debug) -> anyhow::Error {
    move |error| anyhow!("iceoryx2, {what}: {error:?}")
}

fn node(site: &Site) -> Result<Node<ipc::Service>> {
    set_log_level(LogLevel::Error);
    let mut config = Config::default();
    let directory = site.directory.to_str().context("a directory with a readable name")?;
    config.global.set_root_path(&Path::new(directory.as_bytes()).map_err(|error| failed("root path")(&error))?);
    let prefix = format!("{}_", site.run);
    config.global.prefix = FileName::new(prefix.as_bytes()).map_err(|error| failed("prefix")(&error))?;
    NodeBuilder::new()
        .config(&config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<ipc::Service>()
        .map_err(|error| failed("node")(&error))
}

fn service_name(site: &Site) -> Result<ServiceName> {
    ServiceName::new(&site.name()).map_err(|error| failed("service name")(&error))
}

/// Both sides ask for the same, and the first one makes it.
fn data(node: &Node<ipc::Service>, site: &Site) -> Result<Data> {
    let lossless = site.delivery == Delivery::Lossless;
    node.service_builder(&service_name(site)?)
        .publish_subscribe::<[u8]>()
        .max_publishers(1)
        .max_subscribers(site.subscribers)
        .max_nodes(site.subscribers + 2)
        .enable_safe_overflow(!lossless)
        .subscriber_max_buffer_size(if lossless { LOSSLESS_BUFFER } else { 1 })
        .subscriber_max_borrowed_samples(2)
        .history_size(if lossless { 0 } else { 1 })
        .open_or_create()
        .map_err(|error| failed("service")(&error))
}

fn events(node: &Node<ipc::Service>, site: &Site) -> Result<Option<Events>> {
    if site.contestant == Contestant::Iceoryx2(Iceoryx2Wait::Poll) {
        return Ok(None);
    }
    let events = node
        .service_builder(&service_name(site)?)
        .event()
        .max_notifiers(1)
        .max_listeners(site.subscribers)
        .max_nodes(site.subscribers + 2)
        .open_or_create()
        .map_err(|error| failed("event service")(&error))?;
    Ok(Some(events))
}

impl Contender for Iceoryx2 {
    type Publisher = Iceoryx2Publisher;
    type Subscriber = Iceoryx2Subscriber;

    fn publisher(site: &Site) -> Result<Iceoryx2Publisher> {
        let node = node(site)?;
        let service = data(&node, site)?;
        let publisher = service
            .publisher_builder()
            .initial_max_slice_len(site.bytes)
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .map_err(|error| failed("publisher")(&error))?;
        let notifier = match events(&node, site)? {
            Some(events) => Some(events.notifier_builder().create().map_err(|error| failed("notifier")(&error))?),
            None => None,
        };
        Ok(Iceoryx2Publisher { publisher, notifier, bytes: site.bytes, _service: service, _node: node })
    }

    fn subscriber(site: &Site) -> Result<Iceoryx2Subscriber> {
        let Contestant::Iceoryx2(wait) = site.contestant else { bail!("not a contestant of iceoryx2") };
        let node = node(site)?;
        // Two processes that make the same service at once: one of them has to try again.
        let service = patiently("iceoryx2 service", || data(&node, site))?;
        let subscriber = service.subscriber_builder().create().map_err(|error| failed("subscriber")(&error))?;
        let sleeper = match patiently("iceoryx2 event service", || events(&node, site))? {
            None => None,
            Some(events) => {
                let listener = events.listener_builder().create().map_err(|error| failed("listener")(&error))?;
                Some(Sleeper::new(listener, wait)?)
            }
        };
        Ok(Iceoryx2Subscriber {
            subscriber,
            sleeper,
            in_order: site.delivery == Delivery::Lossless,
            _service: service,
            _node: node,
        })
    }
}

pub struct Iceoryx2Publisher {
    publisher: Publisher<ipc::Service, [u8], ()>,
    notifier: Option<Notifier<ipc::Service>>,
    bytes: usize,
    _service: Data,
    _node: Node<ipc::Service>,
}

impl Publish for Iceoryx2Publisher {
    #[inline]
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()> {
        let mut sample = self.publisher.loan_slice_uninit(self.bytes).map_err(|error| failed("loan")(&error))?;
        for (to, from) in sample.payload_mut()[..8].iter_mut().zip(stamp().to_ne_bytes()) {
            to.write(from);
        }
        // SAFETY: the sample lies in shared memory, which the kernel hands out zeroed; every value of its bytes is a `u8`.
        let sample = unsafe { sample.assume_init() };
        sample.send().map_err(|error| failed("send")(&error))?;
        if let Some(notifier) = &self.notifier {
            notifier.notify().map_err(|error| failed("notify")(&error))?;
        }
        Ok(())
    }
}

pub struct Iceoryx2Subscriber {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    sleeper: Option<Sleeper>,
    in_order: bool,
    _service: Data,
    _node: Node<ipc::Service>,
}

impl Iceoryx2Subscriber {
    #[inline]
    fn receive(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        let sample = self.subscriber.receive().map_err(|error| failed("receive")(&error))?;
        Ok(sample.map(|sample| look(sample.payload())))
    }
}

impl Subscribe for Iceoryx2Subscriber {
    #[inline]
    fn wait(&mut self, deadline: Instant, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        if self.sleeper.is_none() {
            return poll(deadline, || self.receive(&look));
        }
        loop {
            // More than one sample may belong to one waking up; and notifications of samples that were taken before it
            // are still to be cleared, at the next wait.
            if let Some(seen) = self.receive(&look)? {
                return Ok(Some(seen));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if let Some(sleeper) = &self.sleeper {
                sleeper.sleep(left)?;
            }
        }
    }

    #[inline]
    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        debug_assert!(!self.in_order);
        self.receive(look)
    }
}

/// Waits for notifications.
enum Sleeper {
    Listener(Box<Listener<ipc::Service>>),
    WaitSet(AttachedListener),
}

impl Sleeper {
    fn new(listener: Listener<ipc::Service>, wait: Iceoryx2Wait) -> Result<Self> {
        if wait == Iceoryx2Wait::WaitSet {
            Ok(Self::WaitSet(AttachedListener::new(listener)?))
        } else {
            Ok(Self::Listener(Box::new(listener)))
        }
    }

    fn sleep(&self, at_most: Duration) -> Result<()> {
        match self {
            Self::Listener(listener) => {
                listener.timed_wait(|_| {}, at_most).map_err(|error| failed("listener")(&error))?;
            }
            Self::WaitSet(attached) => {
                let set = attached.set;
                set.wait_and_process_once_with_timeout(|_| CallbackProgression::Continue, at_most)
                    .map_err(|error| failed("wait set")(&error))?;
                attached.listener.try_wait(|_| {}).map_err(|error| failed("listener")(&error))?;
            }
        }
        Ok(())
    }
}

/// A wait set with one listener, attached once and for all. The guard borrows both, which are therefore on the heap.
struct AttachedListener {
    guard: ManuallyDrop<WaitSetGuard<'static, 'static, ipc::Service>>,
    set: &'static WaitSet<ipc::Service>,
    listener: &'static Listener<ipc::Service>,
}

impl AttachedListener {
    fn new(listener: Listener<ipc::Service>) -> Result<Self> {
        let set = WaitSetBuilder::new()
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()
            .map_err(|error| failed("wait set")(&error))?;
        let set: &'static WaitSet<ipc::Service> = Box::leak(Box::new(set));
        let listener: &'static Listener<ipc::Service> = Box::leak(Box::new(listener));
        let guard = set.attach_notification(listener).map_err(|error| failed("attaching")(&error))?;
        Ok(Self { guard: ManuallyDrop::new(guard), set, listener })
    }
}

impl Drop for AttachedListener {
    fn drop(&mut self) {
        // SAFETY: both references came from `Box::leak` in `new`, nobody else has them (they are private, and never handed
        // out), and the guard, which borrows both, is dropped first and only here.
        unsafe {
            ManuallyDrop::drop(&mut self.guard);
            drop(Box::from_raw(std::ptr::from_ref(self.listener).cast_mut()));
            drop(Box::from_raw(std::ptr::from_ref(self.set).cast_mut()));
        }
    }
}
