//! A shared-memory frame bus for Linux: one publisher a stream, many subscribers, the newest frame read in place.
//!
//! * The publisher never waits for a subscriber, and nobody ever sees a torn frame.
//! * `kill -9` of anyone at any instruction loses no slot and no frame already published; there is no daemon, and no
//!   time-out to wait for.
//! * Subscribers map the frames read-only.
//! * Every frame is accounted for, to every subscriber.
//!
//! What it does not promise: frames do not cross machines; a subscriber that is slower than the publisher does not see
//! every frame (unless the stream is opened with `on_full = "wait"`); and processes of one user are not protected from each other's
//! malice, only from each other's faults.
//!
//! ```
//! use framebus::{Content, ImageShape, PixelFormat, Publisher, StreamName, StreamOptions, Subscriber};
//!
//! let name = StreamName::new(&format!("doc-{}", std::process::id()), "front")?;
//! let shape = ImageShape::new(64, 48, PixelFormat::Mono8)?;
//! let mut camera = Publisher::open(&name, &StreamOptions::new(Content::Image(shape)))?;
//! let mut viewer = Subscriber::attach(&name)?; // in another process, as a rule
//!
//! let mut loan = camera.loan()?;
//! loan.fill(7);
//! loan.publish();
//!
//! let frame = viewer.latest()?.ok_or("a frame was published")?;
//! assert_eq!(frame.info().sequence, 1);
//! assert!(frame.iter().all(|&byte| byte == 7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The layout in memory is described in docs/layout.md, the protocol at the top of `slots.rs`.
#![deny(unsafe_code)]

mod accounts;
mod attach;
mod backend;
mod call;
#[allow(unsafe_code)] // clock_gettime(2)
mod clock;
mod contract;
mod error;
mod fate;
mod format;
#[allow(unsafe_code)] // slots are read under a pin
mod frame;
mod geometry;
mod header;
mod histogram;
mod image_view;
mod inspect;
#[allow(unsafe_code)] // a frame's hold on its attachment
mod keep;
mod layout;
#[allow(unsafe_code)] // semaphores and locks
mod lease;
mod lifecycle;
#[cfg(feature = "mark")]
pub mod mark;
mod memory;
mod name;
mod observer;
mod options;
mod place;
#[allow(unsafe_code)] // a page that the kernel wipes at fork
mod process;
mod publisher;
#[cfg(feature = "records")]
mod record;
#[allow(unsafe_code)] // from pointers to references
mod region;
mod ring;
#[allow(unsafe_code)] // segments
mod segment;
#[cfg(feature = "records")]
pub mod sensors;
mod site;
mod slots;
#[cfg(not(feature = "steps"))]
mod steps;
#[cfg(feature = "steps")]
#[allow(unsafe_code)] // kill
pub mod steps;
mod subscriber;
#[allow(unsafe_code)] // one instruction
mod sync;
mod trace;
#[allow(unsafe_code)] // futexes, and the helper's place in its process
mod wait;
mod words;

pub use backend::{Backend, BackendError, DEFAULT_DIRECTORY};
pub use clock::now_ns;
pub use contract::{Contract, Violations};
pub use error::{
    AcquireError, AttachError, GeometryError, LoanError, NameError, ObserveError, OpenError, PlaceHolder, RemoveError,
    SetContentError, ShapeError, Stranger, SystemError, WatchError,
};
pub use fate::{Event, Fate};
pub use format::{ImageShape, PixelFormat, Plane};
pub use frame::Frame;
pub use geometry::{Geometry, MAX_HISTORY};
pub use histogram::Histogram;
pub use image_view::ImageView;
pub use inspect::{
    CollectOptions, KeepReason, Orphan, OrphanKind, StreamStatus, SubscriberStatus, Survey, Unreadable, collect,
    collect_directory, list, remove, remove_published, survey,
};
pub use layout::{FrameInfo, MAX_HELD, MAX_SLOTS, MAX_SUBSCRIBERS, USER_BYTES, UserBytes};
pub use memory::FramesMemory;
pub use name::{MAX_NAME_BYTES, StreamName, check_part};
pub use observer::{Observer, ObserverOptions};
pub use options::{Content, ContentChange, OnFull, OnStuck, Prefault, Rate, Slots, StreamOptions};
pub use place::SubscriberCounters;
pub use publisher::{Loan, Publisher, PublisherCounters};
#[cfg(feature = "records")]
pub use record::{Record, RecordFrame, RecordLoan, RecordPublisher, RecordSubscriber};
pub use subscriber::{DEFAULT_SPIN_BUDGET_PERCENT, OnChange, PublisherState, Subscriber, SubscriberOptions, Wait};
pub use trace::{Trace, TraceEvent, Traced};
#[cfg(feature = "async")]
pub use wait::{AsyncSubscriber, FrameStream};
pub use wait::{EventSubscriber, PredictionCounters, WaitSet};
