//! A synthetic camera: scenes of which every frame differs, and every byte can be verified.
//!
//! | scene | what it shows | made for |
//! |---|---|---|
//! | `card` | bars, a ramp, a ball, a sweeping line, number and time | looking whether all is well |
//! | `bars` | SMPTE colour bars (EG 1), with the frame's number | colours, conversions |
//! | `ramp` | gradients with every level, moving slowly | levels that are lost, banding |
//! | `noise` | random pixels | compressors, checks, worst cases |
//! | `checkerboard` | a board that moves | geometry, scaling, sharpness |
//! | `edges` | edges of several angles at several speeds | motion, tearing, skipped frames |
//! | `depth` | a room with moving things, and places without a measurement | distances |
//!
//! Each in every format. In 16 bits, gradients, edges and noise have all 16; `ramp` also has bands of 12 bits, of which a
//! viewer of 8 shows next to nothing. `depth` is in metres (depth_f32; NaN where there is none), millimetres (mono16; 0),
//! or grey, the nearer the brighter (all else; black).
//!
//! What does not change is painted once, in the stream's own format, also where it moves as a whole ([`tile`]); a frame is
//! a copy of that, the moving parts, and at last the mark ([`framebus::mark`]) with the check sum over all bytes. Streams
//! of records and bytes get bytes that count up, beginning with the low byte of the sequence, and the same mark.

mod bars;
mod board;
mod card;
mod noise;
mod room;
mod tile;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use framebus::mark::{MARK_BYTES, stamp};
use framebus::{Content, ImageShape, now_ns};

use super::{Arrival, Order};
use bars::Bars;
use card::Card;
use framebus_program::usage;
use noise::Noise;
use room::Room;
use tile::Bands;

/// What the pattern shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scene {
    /// A test card with the frame's number and time.
    #[default]
    Card,
    /// SMPTE colour bars.
    Bars,
    /// Gradients that move slowly.
    Ramp,
    /// Random pixels.
    Noise,
    /// A checkerboard that moves.
    Checkerboard,
    /// Edges of several angles that move at several speeds.
    Edges,
    /// A room as a depth camera sees it.
    Depth,
}

impl Scene {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Card, Self::Bars, Self::Ramp, Self::Noise, Self::Checkerboard, Self::Edges, Self::Depth];

    /// What it is called behind `pattern:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Bars => "bars",
            Self::Ramp => "ramp",
            Self::Noise => "noise",
            Self::Checkerboard => "checkerboard",
            Self::Edges => "edges",
            Self::Depth => "depth",
        }
    }
}

impl FromStr for Scene {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scene| scene.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.into_iter().map(Self::name).collect();
            format!("{text:?} is no scene of the pattern: expected one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The synthetic camera.
#[derive(Debug)]
pub(crate) struct Pattern {
    scene: Scene,
    mark: bool,
    drawing: Drawing,
    sizes: Option<Box<Sizes>>,
}

/// What a camera does that changes its mode while it runs.
#[derive(Debug)]
struct Sizes {
    order: Order,
    /// Frames that have arrived.
    frames: u64,
    /// So many are of one size.
    each: u64,
}

/// What frames are made of.
#[derive(Debug)]
enum Drawing {
    /// Nothing: it is not prepared yet.
    Nothing,
    /// Of records and bytes: a whole turn of the counter more than a frame.
    Bytes(Vec<u8>),
    Card(Card),
    Bars(Bars),
    Bands(Bands),
    Noise(Noise),
    Room(Room),
}

/// The order of the frames of this turn, from 0.
fn of_turn(order: &Order, turn: u64) -> anyhow::Result<Order> {
    let (width, height) = order.sizes[(turn % order.sizes.len() as u64) as usize];
    let Content::Image(shape) = &order.content else { return Ok(order.clone()) };
    let shape = ImageShape::new(width, height, shape.format())
        .map_err(|error| usage!("can not give stream {} a size of --sizes: {error}", order.name))?;
    Ok(Order { content: Content::Image(shape), ..order.clone() })
}

impl Pattern {
    pub(crate) fn new(scene: Scene) -> Self {
        Self { scene, mark: false, drawing: Drawing::Nothing, sizes: None }
    }

    pub(crate) fn prepare(&mut self, order: &Order) -> anyhow::Result<()> {
        if !order.sizes.is_empty() {
            if !matches!(order.content, Content::Image(_)) {
                return Err(usage!("can not change the size of stream {}: it carries {}", order.name, order.content));
            }
            let each = (order.rate.hz().round() as u64).max(1);
            self.sizes = Some(Box::new(Sizes { order: order.clone(), frames: 0, each }));
            for turn in 0..order.sizes.len() as u64 {
                self.draw_as(&of_turn(order, turn)?)?;
            }
        }
        self.draw_as(order)
    }

    pub(crate) fn arrive(&mut self) -> anyhow::Result<Arrival> {
        let Some(sizes) = &mut self.sizes else { return Ok(Arrival::Frame) };
        let frame = sizes.frames;
        sizes.frames += 1;
        if frame >= sizes.each && frame.is_multiple_of(sizes.each) {
            sizes.order = of_turn(&sizes.order, frame / sizes.each - 1)?;
            let order = sizes.order.clone();
            self.draw_as(&order)?;
        }
        Ok(Arrival::Frame)
    }

    /// The shape of the frame that has arrived, where it changes.
    pub(crate) fn shape(&self) -> Option<ImageShape> {
        match self.sizes.as_ref()?.order.content {
            Content::Image(shape) => Some(shape),
            _ => None,
        }
    }

    fn draw_as(&mut self, order: &Order) -> anyhow::Result<()> {
        let bytes = order.content.capacity_bytes();
        if order.mark && bytes < MARK_BYTES {
            return Err(usage!(
                "can not publish the pattern on stream {}: its frames have {bytes} bytes, the mark takes {MARK_BYTES}; use \
                 larger frames or give --no-mark",
                order.name
            ));
        }
        self.mark = order.mark;
        self.drawing = match &order.content {
            Content::Image(shape) => draw(self.scene, shape, order)?,
            content if self.scene != Scene::default() => {
                return Err(usage!(
                    "can not publish pattern:{} on stream {}: it carries {content}, and scenes are images; give --source \
                     pattern",
                    self.scene,
                    order.name
                ));
            }
            _ => Drawing::Bytes((0..bytes + 256).map(|at| at as u8).collect()),
        };
        Ok(())
    }

    /// Draws frame `sequence`, captured at `capture_ns`, which may be yet to come.
    pub(crate) fn write(&mut self, bytes: &mut [u8], sequence: u64, capture_ns: u64) {
        match &self.drawing {
            Drawing::Nothing => {}
            Drawing::Bytes(counted) => {
                let from = (sequence % 256) as usize;
                bytes.copy_from_slice(&counted[from..from + bytes.len()]);
            }
            Drawing::Card(card) => card.draw(bytes, sequence, time_of_day(capture_ns)),
            Drawing::Bars(bars) => bars.draw(bytes, sequence),
            Drawing::Bands(bands) => bands.draw(bytes, sequence),
            Drawing::Noise(noise) => noise.draw(bytes, sequence),
            Drawing::Room(room) => room.draw(bytes, sequence),
        }
        if self.mark {
            stamp(bytes, sequence, capture_ns);
        }
    }
}

/// Paints what does not change.
fn draw(scene: Scene, shape: &ImageShape, order: &Order) -> anyhow::Result<Drawing> {
    let too_large = || format!("can not draw pattern:{scene} on stream {}", order.name);
    Ok(match scene {
        Scene::Card => {
            let legend = format!("{}  {}", order.name, describe(shape, order));
            Drawing::Card(Card::new(shape, &legend))
        }
        Scene::Bars => Drawing::Bars(Bars::new(shape)),
        Scene::Ramp => Drawing::Bands(board::ramp(shape).with_context(too_large)?),
        Scene::Checkerboard => Drawing::Bands(board::checkerboard(shape).with_context(too_large)?),
        Scene::Edges => Drawing::Bands(board::edges(shape).with_context(too_large)?),
        Scene::Noise => Drawing::Noise(Noise::new(shape)),
        Scene::Depth => Drawing::Room(Room::new(shape)),
    })
}

fn describe(shape: &ImageShape, order: &Order) -> String {
    format!("{}x{} {} {}", shape.width(), shape.height(), shape.format(), order.rate)
}

/// The time of day at a time of the bus's clock.
fn time_of_day(at_ns: u64) -> SystemTime {
    let (now, time) = (now_ns(), SystemTime::now());
    let near = match at_ns >= now {
        true => time.checked_add(Duration::from_nanos(at_ns - now)),
        false => time.checked_sub(Duration::from_nanos(now - at_ns)),
    };
    near.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{PixelFormat, Rate, StreamName, mark};

    fn prepared(scene: Scene, content: Content, mark: bool) -> anyhow::Result<Pattern> {
        let name = StreamName::new("test", "pattern")?;
        let mut pattern = Pattern::new(scene);
        pattern.prepare(&Order {
            name,
            content,
            rate: Rate::new(60, 1).unwrap(),
            start_over: false,
            mark,
            sizes: vec![],
        })?;
        Ok(pattern)
    }

    #[test]
    fn every_scene_in_every_format_and_odd_size_can_be_verified_by_its_mark() {
        for scene in Scene::ALL {
            for format in PixelFormat::all() {
                for (width, height) in [(320, 240), (33, 17), (1, 64), (64, 1), (9, 9)] {
                    let shape = ImageShape::new(width, height, format).unwrap();
                    let mut pattern = prepared(scene, Content::Image(shape), true).unwrap();
                    let mut bytes = vec![0; shape.frame_bytes()];
                    for sequence in [1, 2, 1000, u64::MAX] {
                        pattern.write(&mut bytes, sequence, 5);
                        assert_eq!(mark::verify(&bytes, sequence), Ok(()), "{scene} {shape}");
                    }
                }
            }
        }
    }

    #[test]
    fn frames_of_every_scene_and_format_differ_also_without_the_mark_and_leave_nothing_of_the_one_before() {
        for scene in Scene::ALL {
            for format in PixelFormat::all() {
                let stride = format.min_stride_bytes(320).unwrap() + 64;
                let shape = ImageShape::with_stride(320, 240, format, stride).unwrap();
                let mut pattern = prepared(scene, Content::Image(shape), false).unwrap();
                let [mut one, mut two] = [vec![0; shape.frame_bytes()], vec![0xAB; shape.frame_bytes()]];
                pattern.write(&mut one, 1, 0);
                assert_eq!(mark::verify(&one, 1), Err(mark::MarkError::None));
                pattern.write(&mut two, 2, 0);
                assert_ne!(one, two, "{scene} {format}");
                // The card bears the time of day.
                if scene != Scene::Card {
                    pattern.write(&mut two, 1, 0);
                    assert!(one == two, "{scene} {format}");
                }
            }
        }
    }

    #[test]
    fn bytes_count_up_from_the_sequence() {
        let mut pattern = prepared(Scene::Card, Content::Bytes { capacity: 1000 }, false).unwrap();
        let mut bytes = [0; 1000];
        pattern.write(&mut bytes, 258, 0);
        assert!(bytes.iter().enumerate().all(|(at, &byte)| byte == (at + 2) as u8));
        let record = Content::Record { type_name: "imu".to_owned(), bytes: 48 };
        let mut pattern = prepared(Scene::Card, record.clone(), true).unwrap();
        let mut bytes = [0; 48];
        pattern.write(&mut bytes, 3, 9);
        assert_eq!(mark::verify(&bytes, 3), Ok(()));
        assert_eq!(
            prepared(Scene::Bars, record, true).unwrap_err().to_string(),
            "can not publish pattern:bars on stream test/pattern: it carries records imu of 48 bytes, and scenes are \
             images; give --source pattern"
        );
    }

    #[test]
    fn frames_too_small_for_the_mark_are_refused_unless_it_is_left_out() {
        let shape = ImageShape::new(31, 1, PixelFormat::Mono8).unwrap();
        assert_eq!(
            prepared(Scene::Card, Content::Image(shape), true).unwrap_err().to_string(),
            "can not publish the pattern on stream test/pattern: its frames have 31 bytes, the mark takes 32; use larger \
             frames or give --no-mark"
        );
        let mut pattern = prepared(Scene::Card, Content::Image(shape), false).unwrap();
        pattern.write(&mut [0; 31], 1, 0);
    }

    #[test]
    fn scenes_are_read_as_they_are_written() {
        for scene in Scene::ALL {
            assert_eq!(scene.to_string().parse(), Ok(scene));
        }
        assert_eq!(
            "smpte".parse::<Scene>().unwrap_err(),
            "\"smpte\" is no scene of the pattern: expected one of card, bars, ramp, noise, checkerboard, edges, depth"
        );
    }

    #[test]
    fn the_time_of_day_is_that_of_the_capture_also_when_it_is_yet_to_come() {
        let at = |ns| {
            time_of_day(ns)
                .duration_since(SystemTime::now())
                .map_or_else(|past| -past.duration().as_secs_f64(), |future| future.as_secs_f64())
        };
        // The clocks are read one after the other: near is enough.
        assert!((at(now_ns() + 1_000_000_000_000) - 1000.0).abs() < 60.0);
        assert!((at(now_ns().saturating_sub(1_000_000_000)) + 1.0).abs() < 60.0);
    }
}
