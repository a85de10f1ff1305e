//! A subscriber for asynchronous programs, on whatever runtime.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::helper::{Bell, Watched};
use crate::error::{AcquireError, WatchError};
use crate::frame::Frame;
use crate::subscriber::Subscriber;

/// A [`Subscriber`] whose waits are futures, for any runtime.
///
/// ```no_run
/// # async fn perception() -> Result<(), Box<dyn std::error::Error>> {
/// use framebus::{AsyncSubscriber, Subscriber};
/// let mut front = AsyncSubscriber::new(Subscriber::attach(&"robot/front".parse()?)?)?;
/// let mut rear = AsyncSubscriber::new(Subscriber::attach(&"robot/rear".parse()?)?)?;
/// loop {
///     let frame = tokio::select! {
///         frame = front.latest() => frame?,
///         frame = rear.latest() => frame?,
///     };
///     println!("frame {} has {} bytes", frame.info().sequence, frame.len());
/// }
/// # }
/// ```
///
/// All its futures are cancellation safe: a frame is taken in the very poll that returns it, so who drops a future has lost
/// nothing. They never end because a stream does: they wait for its successor, as [`Subscriber::wait`] does.
///
/// One thread of this process, which is there only while it has such subscribers (or [`EventSubscriber`](crate::EventSubscriber)s),
/// sleeps for all of them and wakes their tasks, however they were told to wait. A forked child has no such thread: the
/// subscriber is refused there.
pub struct AsyncSubscriber {
    watched: Watched,
}

/// Which frames are taken.
#[derive(Clone, Copy, Debug)]
enum Order {
    Newest,
    Every,
}

impl AsyncSubscriber {
    /// Makes the subscriber an asynchronous one.
    ///
    /// # Errors
    /// [`WatchError`]; the subscriber is gone then.
    pub fn new(subscriber: Subscriber) -> Result<Self, WatchError> {
        Ok(Self { watched: Watched::new(subscriber, Bell::Waker(None))? })
    }

    /// Waits until there is a frame newer than the last one taken.
    ///
    /// # Errors
    /// As for [`Subscriber::wait`].
    pub async fn wait(&mut self) -> Result<(), AcquireError> {
        poll_fn(|context| self.poll_wait(context)).await
    }

    /// Waits for a frame newer than the last one taken, and takes the newest.
    ///
    /// # Errors
    /// As for [`Subscriber::latest`].
    pub async fn latest(&mut self) -> Result<Frame, AcquireError> {
        poll_fn(|context| self.poll_take(context, Order::Newest)).await
    }

    /// Waits for the next frame in order, and takes it, as [`Subscriber::next`] does.
    ///
    /// # Errors
    /// As for [`Subscriber::next`].
    pub async fn next(&mut self) -> Result<Frame, AcquireError> {
        poll_fn(|context| self.poll_take(context, Order::Every)).await
    }

    /// The newest frame, again and again, and never a backlog: whoever is slow skips frames.
    pub fn into_newest(self) -> FrameStream {
        FrameStream { subscriber: self, order: Order::Newest }
    }

    /// Every frame, in order, as long as the stream's history reaches.
    pub fn into_every(self) -> FrameStream {
        FrameStream { subscriber: self, order: Order::Every }
    }

    /// The subscriber underneath.
    pub fn subscriber(&self) -> &Subscriber {
        &self.watched.subscriber
    }

    /// The subscriber, for waits that are none of a runtime's again.
    pub fn into_subscriber(self) -> Subscriber {
        self.watched.into_subscriber()
    }

    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<Result<(), AcquireError>> {
        loop {
            if self.watched.look()? {
                return Poll::Ready(Ok(()));
            }
            if !self.watched.settle(Some(context.waker())) {
                return Poll::Pending;
            }
        }
    }

    fn poll_take(&mut self, context: &mut Context<'_>, order: Order) -> Poll<Result<Frame, AcquireError>> {
        ready!(self.poll_wait(context))?;
        let subscriber = &mut self.watched.subscriber;
        let taken = match order {
            Order::Newest => subscriber.latest()?,
            Order::Every => subscriber.next()?,
        };
        match taken {
            Some(frame) => Poll::Ready(Ok(frame)),
            // Not in a loop, in which somebody else could keep this task.
            None => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// A stream's frames as a [`Stream`]: of [`AsyncSubscriber::into_newest`] or [`AsyncSubscriber::into_every`].
///
/// It never ends; after an error, it goes on.
pub struct FrameStream {
    subscriber: AsyncSubscriber,
    order: Order,
}

impl FrameStream {
    /// The subscriber underneath.
    pub fn subscriber(&self) -> &Subscriber {
        self.subscriber.subscriber()
    }

    /// The asynchronous subscriber, back again.
    pub fn into_inner(self) -> AsyncSubscriber {
        self.subscriber
    }
}

impl Stream for FrameStream {
    type Item = Result<Frame, AcquireError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let order = self.order;
        self.subscriber.poll_take(context, order).map(Some)
    }
}
