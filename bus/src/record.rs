//! Streams of plain-data records: an IMU's samples, say. The type's name and size are checked at both ends.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{AcquireError, AttachError, LoanError, OpenError};
use crate::frame::Frame;
use crate::layout::FrameInfo;
use crate::name::StreamName;
use crate::options::{Content, StreamOptions};
use crate::publisher::{Loan, Publisher};
use crate::subscriber::{Subscriber, SubscriberOptions};

/// A plain-data type that can be a stream's record: any bytes are a value of it, and it has no padding.
///
/// ```
/// use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct ImuSample {
///     angular_velocity_rad_s: [f32; 3],
///     linear_acceleration_m_s2: [f32; 3],
/// }
///
/// impl framebus::Record for ImuSample {
///     const TYPE_NAME: &'static str = "ImuSample";
/// }
/// ```
pub trait Record: FromBytes + IntoBytes + Immutable + KnownLayout + 'static {
    /// What the type is called in the stream's header: both ends must say the same. 1 to 63 bytes.
    const TYPE_NAME: &'static str;
}

fn content_of<T: Record>() -> Content {
    Content::Record { type_name: T::TYPE_NAME.to_owned(), bytes: size_of::<T>() as u32 }
}

// Slots begin at pages, so any alignment up to that holds.
const fn check_alignment<T>() {
    assert!(align_of::<T>() <= crate::layout::PAGE_BYTES, "a record is aligned to a page at most");
}

/// A [`Publisher`] of records.
pub struct RecordPublisher<T> {
    publisher: Publisher,
    record: PhantomData<fn(T)>,
}

impl<T: Record> RecordPublisher<T> {
    /// Opens a stream of `T`; the content in the options is replaced by it.
    ///
    /// # Errors
    /// As for [`Publisher::open`].
    pub fn open(name: &StreamName, options: &StreamOptions) -> Result<Self, OpenError> {
        const { check_alignment::<T>() };
        let options = StreamOptions { content: content_of::<T>(), ..options.clone() };
        Ok(Self { publisher: Publisher::open(name, &options)?, record: PhantomData })
    }

    /// Publishes one record; returns its sequence.
    ///
    /// # Errors
    /// As for [`Publisher::loan`].
    pub fn publish(&mut self, record: &T) -> Result<u64, LoanError> {
        let mut loan = self.publisher.loan()?;
        loan.copy_from_slice(record.as_bytes());
        Ok(loan.publish())
    }

    /// Lends the next record, to be written in place.
    ///
    /// # Errors
    /// As for [`Publisher::loan`].
    pub fn loan(&mut self) -> Result<RecordLoan<'_, T>, LoanError> {
        Ok(RecordLoan { loan: self.publisher.loan()?, record: PhantomData })
    }

    /// The publisher underneath.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }
}

/// A [`Loan`] that dereferences to the record.
pub struct RecordLoan<'a, T> {
    loan: Loan<'a>,
    record: PhantomData<fn(T)>,
}

impl<T: Record> RecordLoan<'_, T> {
    /// As [`Loan::set_capture_ns`].
    pub fn set_capture_ns(&mut self, capture_ns: u64) {
        self.loan.set_capture_ns(capture_ns);
    }

    /// As [`Loan::publish`].
    pub fn publish(self) -> u64 {
        self.loan.publish()
    }
}

impl<T: Record> Deref for RecordLoan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        T::ref_from_bytes(&self.loan).unwrap_or_else(|_| unreachable!("the slot was made for T"))
    }
}

impl<T: Record> DerefMut for RecordLoan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        T::mut_from_bytes(&mut self.loan).unwrap_or_else(|_| unreachable!("the slot was made for T"))
    }
}

/// A [`Subscriber`] of records.
pub struct RecordSubscriber<T> {
    subscriber: Subscriber,
    /// The epoch whose content was found to be `T`.
    checked_epoch: u64,
    record: PhantomData<fn() -> T>,
}

impl<T: Record> RecordSubscriber<T> {
    /// Attaches to a stream of `T`.
    ///
    /// # Errors
    /// As for [`Subscriber::attach_with`]; [`AttachError::Content`] where the stream carries something else.
    pub fn attach_with(name: &StreamName, options: SubscriberOptions) -> Result<Self, AttachError> {
        const { check_alignment::<T>() };
        let subscriber = Subscriber::attach_with(name, options)?;
        Self::check(&subscriber)?;
        Ok(Self { checked_epoch: subscriber.epoch(), subscriber, record: PhantomData })
    }

    /// As [`attach_with`](Self::attach_with), with the default options.
    ///
    /// # Errors
    /// As there.
    pub fn attach(name: &StreamName) -> Result<Self, AttachError> {
        Self::attach_with(name, SubscriberOptions::default())
    }

    fn check(subscriber: &Subscriber) -> Result<(), AttachError> {
        let (found, expected) = (subscriber.content(), content_of::<T>());
        if *found == expected {
            return Ok(());
        }
        let stream = subscriber.name().clone();
        Err(AttachError::Content { stream, found: found.to_string(), expected: expected.to_string() })
    }

    fn wrap(&mut self, frame: Option<Frame>) -> Result<Option<RecordFrame<T>>, AcquireError> {
        if self.subscriber.epoch() != self.checked_epoch {
            let stream = self.subscriber.name().clone();
            Self::check(&self.subscriber)
                .map_err(|source| AcquireError::Follow { stream, source: Box::new(source) })?;
            self.checked_epoch = self.subscriber.epoch();
        }
        match frame {
            Some(frame) if frame.len() != size_of::<T>() => {
                let (stream, from) = (self.subscriber.name().clone(), content_of::<T>());
                let to = Content::Bytes { capacity: frame.len() as u32 };
                Err(AcquireError::Changed { stream, from, to })
            }
            frame => Ok(frame.map(|frame| RecordFrame { frame, record: PhantomData })),
        }
    }

    /// As [`Subscriber::latest`].
    ///
    /// # Errors
    /// As there; [`AcquireError::Follow`] where the stream has become one of another type or size, which names both, each time until it
    /// is one of `T` again; [`AcquireError::Changed`] where a single frame has not its size.
    pub fn latest(&mut self) -> Result<Option<RecordFrame<T>>, AcquireError> {
        let frame = self.subscriber.latest()?;
        self.wrap(frame)
    }

    /// As [`Subscriber::next`].
    ///
    /// # Errors
    /// As for [`latest`](Self::latest).
    #[allow(clippy::should_implement_trait)] // None means "none so far" here
    pub fn next(&mut self) -> Result<Option<RecordFrame<T>>, AcquireError> {
        let frame = self.subscriber.next()?;
        self.wrap(frame)
    }

    /// As [`Subscriber::wait`].
    ///
    /// # Errors
    /// As there.
    pub fn wait(&mut self, deadline: Instant) -> Result<bool, AcquireError> {
        self.subscriber.wait(deadline)
    }

    /// The subscriber underneath.
    pub fn subscriber(&self) -> &Subscriber {
        &self.subscriber
    }

    /// The subscriber underneath, for a [`WaitSet`](crate::WaitSet).
    pub fn subscriber_mut(&mut self) -> &mut Subscriber {
        &mut self.subscriber
    }
}

/// A [`Frame`] that dereferences to the record.
#[derive(Debug)]
pub struct RecordFrame<T> {
    frame: Frame,
    record: PhantomData<fn() -> T>,
}

impl<T> RecordFrame<T> {
    /// As [`Frame::info`].
    pub fn info(&self) -> &FrameInfo {
        self.frame.info()
    }
}

impl<T: Record> Deref for RecordFrame<T> {
    type Target = T;

    fn deref(&self) -> &T {
        T::ref_from_bytes(&self.frame)
            .unwrap_or_else(|_| unreachable!("the length was checked, slots are page aligned"))
    }
}
