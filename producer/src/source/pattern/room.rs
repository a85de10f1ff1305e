//! A room as a depth camera sees it: floor, ceiling and walls, a box that comes and goes, and two balls.
//!
//! ```text
//! ┌───────────────────────────┐
//! │\        ceiling          /│   distances are those along the camera's axis, in metres
//! │  \┌──────────────────┐  / │
//! │   │ back wall  ▓▓▓▓  │    │   ▓ a window: nothing comes back
//! │   │  ░●       ░┌──┐  │    │   ░ what one of the camera's two eyes does not see: no distance, either
//! │  /└────────────│  │──┘  \ │
//! │/     floor     └──┘      \│   and a pixel of 512, here and there, another in each frame
//! └───────────────────────────┘
//! ```

use framebus::ImageShape;

use crate::paint::Painter;
use crate::source::random::Random;

/// Height of the camera above the floor, of the ceiling above the camera, and distance to the walls, in metres.
const FLOOR_M: f32 = 1.2;
const CEILING_M: f32 = 1.4;
const SIDE_M: f32 = 3.0;
const BACK_M: f32 = 7.0;
/// Between the camera's two eyes.
const BASELINE_M: f32 = 0.06;
/// Half the horizontal field of view: 35°, its tangent.
const HALF_VIEW: f32 = 0.7;
/// A pixel of so many has no distance.
const SPECKLE: usize = 512;

/// The room.
#[derive(Debug)]
pub(super) struct Room {
    painter: Painter,
    /// The empty room.
    background: Vec<u8>,
    /// Pixels a unit of direction, and the middle of the picture.
    focal: f32,
    middle: (f32, f32),
}

/// What moves in it: its middle, in metres to the right, down and ahead.
#[derive(Clone, Copy, Debug)]
enum Thing {
    Ball {
        middle: [f32; 3],
        radius: f32,
    },
    /// Its front, which faces the camera.
    Front {
        middle: [f32; 3],
        half: (f32, f32),
    },
}

impl Room {
    pub(super) fn new(shape: &ImageShape) -> Self {
        let painter = Painter::new(shape);
        let (width, height) = (painter.width(), painter.height());
        let middle = (width as f32 / 2.0, height as f32 * 0.45);
        let mut room = Self { painter, background: Vec::new(), focal: width as f32 / 2.0 / HALF_VIEW, middle };
        let mut background = vec![0; shape.frame_bytes()];
        for y in 0..height {
            for x in 0..width {
                room.painter.put_depth(&mut background, x, y, room.empty(x, y));
            }
        }
        room.background = background;
        room
    }

    /// The direction of a pixel: right and down, per metre ahead.
    fn direction(&self, x: usize, y: usize) -> (f32, f32) {
        let per_pixel = 1.0 / self.focal;
        ((x as f32 + 0.5 - self.middle.0) * per_pixel, (y as f32 + 0.5 - self.middle.1) * per_pixel)
    }

    /// The distance of floor, ceiling or wall.
    fn empty(&self, x: usize, y: usize) -> f32 {
        let (right, down) = self.direction(x, y);
        let level = if down > 0.0 { FLOOR_M / down } else { CEILING_M / -down };
        let near = level.min(SIDE_M / right.abs());
        let is_window = (0.8..2.2).contains(&(right * BACK_M)) && (-1.0..0.1).contains(&(down * BACK_M));
        if near < BACK_M {
            near
        } else if is_window {
            f32::NAN
        } else {
            BACK_M
        }
    }

    /// Draws a frame.
    pub(super) fn draw(&self, bytes: &mut [u8], sequence: u64) {
        bytes.copy_from_slice(&self.background);
        let mut things = things(sequence);
        // What is nearer hides what is behind.
        things.sort_by(|one, other| other.ahead().total_cmp(&one.ahead()));
        things.iter().for_each(|thing| self.put(bytes, thing));
        let (width, height) = (self.painter.width(), self.painter.height());
        let mut random = Random::of(sequence);
        for _ in 0..width * height / SPECKLE {
            let (x, y) = (random.below(width), random.below(height));
            self.painter.put_depth(bytes, x, y, f32::NAN);
        }
    }

    fn put(&self, bytes: &mut [u8], thing: &Thing) {
        let hidden = (self.focal * BASELINE_M * (1.0 / thing.ahead() - 1.0 / BACK_M)).max(0.0) as usize;
        for y in 0..self.painter.height() {
            let down = self.direction(0, y).1;
            let Some((left, right)) = thing.span(down) else { continue };
            // The pixels whose middles lie in it.
            let column = |right: f32| (self.middle.0 + right * self.focal + 0.5).max(0.0) as usize;
            let (begin, end) = (column(left), column(right).min(self.painter.width()));
            (begin.saturating_sub(hidden)..begin.min(end)).for_each(|x| self.painter.put_depth(bytes, x, y, f32::NAN));
            match *thing {
                Thing::Front { middle, .. } => {
                    (begin..end).for_each(|x| self.painter.put_depth(bytes, x, y, middle[2]));
                }
                Thing::Ball { middle, radius } => {
                    for x in begin..end {
                        let metres = to_ball(self.direction(x, y).0, down, middle, radius);
                        self.painter.put_depth(bytes, x, y, metres);
                    }
                }
            }
        }
    }
}

/// Where everything is in a frame; it is there again after 2520 frames.
fn things(sequence: u64) -> [Thing; 3] {
    let turn = |frames: u64| (sequence % frames) as f32 / frames as f32 * std::f32::consts::TAU;
    let (circle, bounce, walk, cross) = (turn(252), turn(140), turn(360), turn(504));
    [
        Thing::Ball {
            middle: [0.3 + 1.3 * circle.sin(), FLOOR_M - 0.35 - 0.8 * bounce.sin().abs(), 3.2 + 0.8 * circle.cos()],
            radius: 0.35,
        },
        Thing::Ball { middle: [2.0 * cross.sin(), FLOOR_M - 0.5, 5.8], radius: 0.5 },
        Thing::Front { middle: [-1.3, FLOOR_M - 0.6, 4.2 + 1.2 * walk.sin()], half: (0.45, 0.6) },
    ]
}

impl Thing {
    fn ahead(&self) -> f32 {
        let (Self::Ball { middle, .. } | Self::Front { middle, .. }) = self;
        middle[2]
    }

    /// From where to where it is in a row of pixels, as directions to the right; `None`: it is not in that row.
    fn span(&self, down: f32) -> Option<(f32, f32)> {
        match *self {
            Self::Ball { middle: [x, y, z], radius } => {
                // Where the discriminant of `to_ball` is 0: a · right² + 2 b · right + c = 0, and a < 0.
                let (outside, along) = (x * x + y * y + z * z - radius * radius, down * y + z);
                let (a, b, c) = (x * x - outside, x * along, along * along - (down * down + 1.0) * outside);
                let root = (b * b - a * c).max(0.0).sqrt();
                (b * b > a * c).then(|| ((root - b) / a, (-root - b) / a))
            }
            Self::Front { middle: [x, y, z], half } => {
                ((down * z - y).abs() <= half.1).then(|| ((x - half.0) / z, (x + half.0) / z))
            }
        }
    }
}

/// The distance of a ball in a direction in which it is: the nearer root of |t · (right, down, 1) − middle|² = radius².
#[inline]
fn to_ball(right: f32, down: f32, [x, y, z]: [f32; 3], radius: f32) -> f32 {
    let (square, along) = (right * right + down * down + 1.0, right * x + down * y + z);
    let discriminant = along * along - square * (x * x + y * y + z * z - radius * radius);
    (along - discriminant.max(0.0).sqrt()) / square
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::PixelFormat;

    const WIDTH: usize = 640;

    fn metres(sequence: u64) -> Vec<f32> {
        let shape = ImageShape::new(WIDTH as u32, 480, PixelFormat::DepthF32).unwrap();
        let mut bytes = vec![0; shape.frame_bytes()];
        Room::new(&shape).draw(&mut bytes, sequence);
        bytes.as_chunks().0.iter().map(|pixel| f32::from_ne_bytes(*pixel)).collect()
    }

    #[test]
    fn the_floor_is_a_plane_and_every_distance_is_in_the_room_or_none() {
        let frame = metres(1);
        assert!(frame.iter().all(|metres| metres.is_nan() || (0.5..=BACK_M).contains(metres)));
        let focal = WIDTH as f32 / 2.0 / HALF_VIEW;
        let (mut on_floor, mut speckles) = (0, 0);
        for y in 440..480 {
            for x in WIDTH / 4..WIDTH * 3 / 4 {
                let height = frame[y * WIDTH + x] * (y as f32 + 0.5 - 480.0 * 0.45) / focal;
                on_floor += usize::from((height - FLOOR_M).abs() < 1e-3);
                speckles += usize::from(height.is_nan());
            }
        }
        assert_eq!(on_floor + speckles, 40 * WIDTH / 2);
        assert!((5..80).contains(&speckles), "{speckles}, of 25 that are to be expected");
    }

    #[test]
    fn some_pixels_have_no_distance_others_in_each_frame() {
        let (one, two) = (metres(1), metres(2));
        let none = |frame: &[f32]| frame.iter().filter(|metres| metres.is_nan()).count();
        for frame in [&one, &two] {
            let share = none(frame) as f64 / frame.len() as f64;
            assert!((0.01..0.15).contains(&share), "{share}");
        }
        assert!(one.iter().zip(&two).any(|(one, two)| one.is_nan() != two.is_nan()));
    }

    #[test]
    fn a_ball_is_as_far_as_it_is_and_hides_a_stripe_to_its_left() {
        let shape = ImageShape::new(WIDTH as u32, 480, PixelFormat::DepthF32).unwrap();
        let room = Room::new(&shape);
        let mut bytes = room.background.clone();
        room.put(&mut bytes, &Thing::Ball { middle: [0.0, 0.0, 3.0], radius: 0.5 });
        let at = |x: usize| {
            let pixel = (216 * WIDTH + x) * 4;
            f32::from_ne_bytes(bytes[pixel..pixel + 4].try_into().unwrap())
        };
        assert!((at(WIDTH / 2) - 2.5).abs() < 1e-3);
        let first = (0..WIDTH).find(|&x| at(x) < 3.0).unwrap();
        // 457 pixels · 0.06 m · (1/3 − 1/7)
        assert!((first - 5..first).all(|x| at(x).is_nan()) && at(first - 6) == BACK_M);
    }
}
