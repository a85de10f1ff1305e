//! framebus: loan, stamp in place, publish; wait, then the newest frame (or the next) in place.

use super::{Contender, Delivery, PATIENCE, Publish, Seen, Site, Subscribe};
use crate::contestant::{Contestant, FramebusWait};
use anyhow::Result;
use framebus::{Content, OnFull, Publisher, Rate, StreamName, StreamOptions, Subscriber, SubscriberOptions, Wait};
use std::time::{Duration, Instant};

/// Frames that a lossless subscriber may be behind.
const LOSSLESS_HISTORY: u32 = 64;

/// The library's own word for a way of waiting.
fn library_wait(wait: FramebusWait) -> Wait {
    match wait {
        FramebusWait::Block => Wait::Block,
        FramebusWait::Spin => Wait::Spin,
        FramebusWait::Predict => Wait::Predict,
    }
}

pub struct Framebus;

impl Contender for Framebus {
    type Publisher = Publisher;
    type Subscriber = FramebusSubscriber;

    fn publisher(site: &Site) -> Result<Publisher> {
        let mut options = StreamOptions::new(Content::Bytes { capacity: site.bytes as u32 });
        options.max_subscribers = site.subscribers as u32;
        options.rate = site.hz.and_then(Rate::from_hz);
        if site.delivery == Delivery::Lossless {
            options.history = LOSSLESS_HISTORY;
            options.on_full = OnFull::Wait(Duration::from_secs(5));
        }
        Ok(Publisher::open(&name(site)?, &options)?)
    }

    fn subscriber(site: &Site) -> Result<FramebusSubscriber> {
        let mut options = SubscriberOptions::default();
        let Contestant::Framebus(wait) = site.contestant else { anyhow::bail!("not a contestant of framebus") };
        options.wait = library_wait(wait);
        options.lossless = site.delivery == Delivery::Lossless;
        options.patience = PATIENCE;
        let in_order = options.lossless;
        Ok(FramebusSubscriber { subscriber: Subscriber::attach_with(&name(site)?, options)?, in_order })
    }
}

fn name(site: &Site) -> Result<StreamName> {
    Ok(StreamName::new(&site.run, &format!("{}-{}", site.link, site.topic))?)
}

impl Publish for Publisher {
    #[inline]
    fn publish(&mut self, stamp: impl FnOnce() -> u64) -> Result<()> {
        let mut loan = self.loan()?;
        loan[..8].copy_from_slice(&stamp().to_ne_bytes());
        loan.publish();
        Ok(())
    }
}

pub struct FramebusSubscriber {
    subscriber: Subscriber,
    in_order: bool,
}

impl Subscribe for FramebusSubscriber {
    #[inline]
    fn wait(&mut self, deadline: Instant, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        if !self.subscriber.wait(deadline)? {
            return Ok(None);
        }
        let frame = if self.in_order { self.subscriber.next()? } else { self.subscriber.latest()? };
        Ok(frame.map(|frame| look(&frame)))
    }

    #[inline]
    fn acquire(&mut self, look: impl Fn(&[u8]) -> Seen) -> Result<Option<Seen>> {
        Ok(self.subscriber.latest()?.map(|frame| look(&frame)))
    }
}
