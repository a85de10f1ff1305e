//! ringfire: small messages in a ring, frames in its blob arena, in place on both sides.
//!
//! A blob consumer cannot sleep; the ring's consumer can (`FutexWait`). So who sleeps for frames waits on a ring of
//! doorbells beside the blobs, which is the best that the library offers. It has no deadline: the publisher's last frame
//! ends the wait.

use super::{Contender, Delivery, Publish, Seen, Site, Subscribe, patiently, poll};
use crate::contestant::{Contestant, RingfireWait};
use anyhow::Result;
use ringfire::{
    BlobConsumer, BlobProducer, BlobProducerBuilder, FlowControl, FutexWait, RingConsumer, RingProducer,
    RingProducerBuilder,
};
use std::path::PathBuf;
use std::time::Instant;

/// What goes through the ring itself.
type Message = [u64; 8];

/// Slots of a ring.
const MESSAGES: u64 = 64;
const BLOBS: u64 = 4;

pub struct Ringfire;

fn doorbell_path(site: &Site) -> PathBuf {
    PathBuf::from(format!("{}-bell", site.shm_path().display()))
}

fn ring<T: Copy + 'static>(site: &Site, path: PathBuf) -> Result<RingProducer<T>> {
    let flow = if site.delivery == Delivery::Lossless {
        FlowControl::LosslessBackpressure
    } else {
        FlowControl::LossyLatestWins
    };
    Ok(RingProducerBuilder::new(MESSAGES).flow_control(flow).max_readers(site.subscribers.max(1)).build(path)?)
}

fn sleeps(site: &Site) -> bool {
    site.contestant == Contestant::Ringfire(RingfireWait::Futex)
}

impl Contender for Ringfire {
    type Publisher = RingfirePublisher;
    type Subscriber = RingfireSubscriber;

    fn publisher(site: &Site) -> Result<RingfirePublisher> {
        if site.bytes <= size_of::<Message>() {
            return Ok(RingfirePublisher::Messages(ring(site, site.shm_path())?));
        }
        // The arena is written round and round: three frames, and what does not fit at its end.
        let arena = (3 * site.bytes).next_power_of_two();
        let doorbell = if sleeps(site) { Some(ring(site, doorbell_path(site))?) } else { None };
        let blobs =
            BlobProducerBuilder::new(BLOBS, arena).max_readers(site.subscribers.max(1)).build(site.shm_path())?;
        Ok(RingfirePublisher::Frames { blobs, bytes: site.bytes, doorbell })
    }

    fn subscriber(site: &Site) -> Result<RingfireSubscriber> {
        let wait = sleeps(site).then(FutexWait::default);
        let newest_only = site.delivery == Delivery::Latest;
        if site.bytes <= size_of::<Message>() {
            let ring = patiently("ring", || Ok(RingConsumer::attach(site.shm_path())?))?;
            return Ok(RingfireSubscriber::Messages { ring, wait, newest_only });
        }
        let blobs = patiently("ring of blobs", || Ok(BlobConsumer::attach(site.shm_path())?))?;
        let doorbell = match wait {
            Some(wait) => Some((patiently("doorbell", || Ok(RingConsumer::attach(doorbell_path(site))?))?, wait)),
            None => None,
        };
        Ok(RingfireSubscriber::Frames { blobs, doorbell })
    }
}

pub enum RingfirePublisher {
    Messages(RingProducer<Message>),
    Frames { blobs: BlobProducer<()>, bytes: usize, doorbell: Option<RingProducer<u64>> },
}

impl Publish for RingfirePublisher {
    #[inline]
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()> {
        match self {
            Self::Messages(ring) => ring.push(&[stamp(), 0, 0, 0, 0, 0, 0, 0]),
            Self::Frames { blobs, bytes, doorbell } => {
                let (sequence, ()) =
                    blobs.push_with(&(), *bytes, |frame| frame[..8].copy_from_slice(&stamp().to_ne_bytes()))?;
                if let Some(doorbell) = doorbell {
                    doorbell.push(&sequence);
                }
            }
        }
        Ok(())
    }
}

pub enum RingfireSubscriber {
    Messages { ring: RingConsumer<Message>, wait: Option<FutexWait>, newest_only: bool },
    Frames { blobs: BlobConsumer<()>, doorbell: Option<(RingConsumer<u64>, FutexWait)> },
}

#[inline]
fn look_at_message(message: Message, look: impl Fn(&[u8]) -> Seen) -> Seen {
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(&message[0].to_ne_bytes());
    look(&bytes)
}

impl Subscribe for RingfireSubscriber {
    #[inline]
    fn wait(&mut self, deadline: Instant, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        match self {
            Self::Messages { ring, wait: None, newest_only: true } => poll(deadline, || {
                if ring.lag() > 1 {
                    ring.jump_to_latest();
                }
                Ok(ring.try_recv().map(|message| look_at_message(message, &look)))
            }),
            Self::Messages { ring, wait: None, .. } => {
                poll(deadline, || Ok(ring.try_recv().map(|message| look_at_message(message, &look))))
            }
            Self::Messages { ring, wait: Some(wait), .. } => Ok(Some(look_at_message(ring.recv_blocking(wait), &look))),
            Self::Frames { blobs, doorbell: None } => poll(deadline, || Ok(blobs.view(|_, frame| look(frame))?)),
            Self::Frames { blobs, doorbell: Some((doorbell, wait)) } => {
                doorbell.recv_blocking(wait);
                Ok(blobs.view(|_, frame| look(frame))?)
            }
        }
    }

    #[inline]
    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        match self {
            Self::Messages { ring, .. } => Ok(ring.try_recv().map(|message| look_at_message(message, &look))),
            Self::Frames { blobs, .. } => Ok(blobs.view(|_, frame| look(frame))?),
        }
    }
}
