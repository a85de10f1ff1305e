//! A subscriber for an event loop: its file descriptor is readable while there is a newer frame.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::helper::{Bell, Watched};
use crate::call::{CallError, call, check};
use crate::error::{AcquireError, WatchError};
use crate::frame::Frame;
use crate::subscriber::Subscriber;

/// A [`Subscriber`] with a file descriptor for epoll(7), poll(2), or an event loop that takes one.
///
/// The descriptor is readable while there is a frame newer than the last one taken, level-triggered. Each
/// [`try_latest`](Self::try_latest) and [`try_next`](Self::try_next) that leaves no newer frame makes it unreadable, by one read of the
/// eventfd(2) underneath. It also becomes readable when the stream ends or goes on in another epoch; there is not always a
/// frame then, and the two return `None`. Only wait for it: to read it, or to write to it, is the library's.
///
/// ```no_run
/// use framebus::{EventSubscriber, Subscriber};
/// use std::os::fd::AsRawFd;
/// let mut camera = EventSubscriber::new(Subscriber::attach(&"robot/front".parse()?)?)?;
/// let mut poll = libc::pollfd { fd: camera.as_raw_fd(), events: libc::POLLIN, revents: 0 };
/// // SAFETY: one pollfd, which lives through the call.
/// while unsafe { libc::poll(&mut poll, 1, -1) } == 1 {
///     if let Some(frame) = camera.try_latest()? {
///         println!("frame {} has {} bytes", frame.info().sequence, frame.len());
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One thread of this process, which is there only while it has such subscribers (or asynchronous ones), sleeps for all of them
/// and feeds their descriptors, however they were told to wait. A forked child has no such thread: the subscriber is refused
/// there, and its descriptor is not to be used.
pub struct EventSubscriber {
    watched: Watched,
    eventfd: Arc<File>,
}

impl EventSubscriber {
    /// Gives the subscriber a descriptor.
    ///
    /// # Errors
    /// [`WatchError`]; the subscriber is gone then.
    pub fn new(subscriber: Subscriber) -> Result<Self, WatchError> {
        // SAFETY: plain integers; the descriptor is new, and nobody else's.
        let eventfd = call("eventfd", || unsafe {
            check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)).map(|fd| OwnedFd::from_raw_fd(fd))
        })
        .map_err(CallError::at(format_args!("making a descriptor for stream {}", subscriber.name())))?;
        let eventfd = Arc::new(File::from(eventfd));
        Ok(Self { watched: Watched::new(subscriber, Bell::Eventfd(eventfd.clone()))?, eventfd })
    }

    /// Takes the newest frame, where it is newer than the last one taken; does not wait.
    ///
    /// # Errors
    /// As for [`Subscriber::latest`]. A frame that could not be taken, because too many are held, keeps the descriptor
    /// readable.
    pub fn try_latest(&mut self) -> Result<Option<Frame>, AcquireError> {
        self.take(Subscriber::latest)
    }

    /// Takes the next frame in order, as [`Subscriber::next`]; does not wait.
    ///
    /// # Errors
    /// As for [`try_latest`](Self::try_latest).
    pub fn try_next(&mut self) -> Result<Option<Frame>, AcquireError> {
        self.take(Subscriber::next)
    }

    fn take(
        &mut self,
        take: impl FnOnce(&mut Subscriber) -> Result<Option<Frame>, AcquireError>,
    ) -> Result<Option<Frame>, AcquireError> {
        let taken = match self.watched.look() {
            Ok(true) => take(&mut self.watched.subscriber),
            Ok(false) => Ok(None),
            // Not ours: neither is the eventfd.
            Err(forked @ AcquireError::Forked { .. }) => return Err(forked),
            Err(error) => Err(error),
        };
        self.watched.settle(None);
        taken
    }

    /// The subscriber underneath.
    pub fn subscriber(&self) -> &Subscriber {
        &self.watched.subscriber
    }

    /// The subscriber, without a descriptor again.
    pub fn into_subscriber(self) -> Subscriber {
        self.watched.into_subscriber()
    }
}

impl AsFd for EventSubscriber {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

impl AsRawFd for EventSubscriber {
    fn as_raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}
