//! A synthetic planar laser scanner: [`framebus::sensors::LaserScan`] of a room in which people walk.
//!
//! ```text
//!  y ▲  ┌───────────  ────────┐     the scanner stands at ⊕ and looks along x; beams go counter-clockwise, from behind
//!    │  │      ◦              │     it once around; ▪ is a pillar, ◦ walk
//!    │  │        ⊕     ◦      │     through the door in the upper wall nothing comes back: infinity, as REP 117 has it
//!    │  │             ▪       │
//!    └──└─────────────────────┘─▶ x
//! ```
//! Scan n is that of n turns after the start, all its beams at the same moment; each run is the same.

use std::f64::consts::{PI, TAU};

use framebus::sensors::{LaserScan, MAX_BEAMS};
use framebus::{Content, Rate, Record};
use zerocopy::{FromZeros, IntoBytes};

use super::Order;
use super::random::Random;

/// The rate where nobody says one.
pub(crate) const DEFAULT_RATE: Rate = Rate::new(10, 1).unwrap();
/// Beams where nobody says how many: one each half degree.
pub(crate) const DEFAULT_BEAMS: u32 = 720;

const RANGE_MIN_M: f64 = 0.1;
const RANGE_MAX_M: f64 = 12.0;
/// Standard deviation.
const NOISE_M: f64 = 0.01;

/// The room's walls: least and greatest x, and y, as seen from the scanner.
const WALLS_M: [(f64, f64); 2] = [(-4.0, 6.0), (-2.5, 3.5)];
/// The door, along the wall at the greatest y.
const DOOR_M: (f64, f64) = (0.8, 1.9);

/// Something round: its middle, and its radius.
type Round = ([f64; 2], f64);

/// The sensor.
#[derive(Debug)]
pub(crate) struct Lidar {
    beams: u32,
    rate: Rate,
}

impl Lidar {
    pub(crate) fn new(beams: u32) -> Self {
        Self { beams, rate: DEFAULT_RATE }
    }

    /// Reads a number of beams.
    pub(crate) fn parse_beams(text: &str) -> Result<u32, String> {
        let beams = text.parse().ok().filter(|beams| (1..=MAX_BEAMS as u32).contains(beams));
        beams.ok_or_else(|| format!("{text:?} is no number of beams: expected 1 to {MAX_BEAMS}, as in lidar:360"))
    }

    /// What its stream carries.
    pub(crate) fn content() -> Content {
        Content::Record { type_name: LaserScan::TYPE_NAME.to_owned(), bytes: size_of::<LaserScan>() as u32 }
    }

    pub(crate) fn prepare(&mut self, order: &Order) {
        self.rate = order.rate;
    }

    pub(crate) fn write(&mut self, bytes: &mut [u8], sequence: u64) {
        bytes.copy_from_slice(self.scan(sequence).as_bytes());
    }

    fn scan(&self, sequence: u64) -> LaserScan {
        let increment = TAU / f64::from(self.beams);
        let period_s = 1.0 / self.rate.hz();
        let round = round_things(sequence as f64 * period_s);
        let mut random = Random::of(sequence);
        let mut scan = LaserScan::new_zeroed();
        scan.angle_min_rad = -PI as f32;
        scan.angle_increment_rad = increment as f32;
        (scan.range_min_m, scan.range_max_m) = (RANGE_MIN_M as f32, RANGE_MAX_M as f32);
        (scan.scan_time_s, scan.beams) = (period_s as f32, self.beams);
        for (beam, range) in scan.ranges_m.iter_mut().take(self.beams as usize).enumerate() {
            let metres = distance(-PI + beam as f64 * increment, &round) + random.noise() * NOISE_M;
            *range = if metres <= RANGE_MAX_M { metres.max(RANGE_MIN_M) as f32 } else { f32::INFINITY };
        }
        scan
    }
}

/// The pillar, and where the people are.
fn round_things(seconds: f64) -> [Round; 4] {
    let walk = |middle: [f64; 2], way: [f64; 2], period_s: f64, phase: f64| {
        let (sin, cos) = (TAU * seconds / period_s + phase).sin_cos();
        ([middle[0] + way[0] * cos, middle[1] + way[1] * sin], 0.25)
    };
    [
        ([3.0, -1.2], 0.2),
        walk([3.5, 1.0], [1.5, 1.0], 9.0, 0.0),
        walk([-2.0, 0.5], [0.8, 1.8], 12.0, 2.0),
        // Through the door and back.
        walk([1.35, 2.5], [0.1, 2.2], 15.0, 4.0),
    ]
}

/// Distance to the first thing in a direction; infinite where there is none.
fn distance(angle: f64, round: &[Round]) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let things = round.iter().map(|thing| to_round([cos, sin], thing));
    things.fold(to_wall([cos, sin]), f64::min)
}

/// From within the room; infinite through the door.
fn to_wall(direction: [f64; 2]) -> f64 {
    let to = |axis: usize| {
        let (least, greatest) = WALLS_M[axis];
        // 0 / 0 can not be: the scanner is at no wall. Along a wall it is infinite.
        (if direction[axis] < 0.0 { least } else { greatest }) / direction[axis]
    };
    let (along, across) = (to(0), to(1));
    let is_door = direction[1] > 0.0 && (DOOR_M.0..DOOR_M.1).contains(&(across * direction[0]));
    if is_door { f64::INFINITY } else { along.min(across) }
}

/// The nearer root of |t · direction − middle|² = radius².
fn to_round(direction: [f64; 2], (middle, radius): &Round) -> f64 {
    let along = direction[0] * middle[0] + direction[1] * middle[1];
    let aside = middle[0] * middle[0] + middle[1] * middle[1] - along * along;
    let half = radius * radius - aside;
    if along > 0.0 && half >= 0.0 { along - half.sqrt() } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beams_meet_what_stands_in_their_way() {
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
        near(distance(0.0, &[]), 6.0);
        near(distance(PI, &[]), 4.0);
        near(distance(-PI / 2.0, &[]), 2.5);
        near(distance(0.0, &[([3.0, 0.0], 0.5)]), 2.5);
        near(distance(0.0, &[([-3.0, 0.0], 0.5)]), 6.0);
        near(distance(0.1, &[([3.0, 1.0], 0.5)]), 6.0 / 0.1_f64.cos());
        let door = f64::atan2(3.5, 1.3);
        assert_eq!(distance(door, &[]), f64::INFINITY);
        near(distance(door, &[([1.3, 3.5], 0.3)]), 3.5_f64.hypot(1.3) - 0.3);
    }

    #[test]
    fn a_scan_goes_once_around_and_people_move_in_it() {
        for beams in [1, 360, 720, 1440] {
            let lidar = Lidar::new(beams);
            let scan = lidar.scan(3);
            assert_eq!((scan.beams, scan.ranges_m().len()), (beams, beams as usize));
            assert!((f64::from(scan.angle_increment_rad) * f64::from(beams) - TAU).abs() < 1e-5);
            assert_eq!((scan.angle_min_rad, scan.scan_time_s), (-PI as f32, 0.1));
            let in_range = |range: &f32| (0.1..=12.0).contains(range) || *range == f32::INFINITY;
            assert!(scan.ranges_m().iter().all(in_range));
            assert!(scan.ranges_m[beams as usize..].iter().all(|&range| range == 0.0));
            assert_eq!(scan, lidar.scan(3));
        }
        let lidar = Lidar::new(1440);
        let (one, later) = (lidar.scan(1), lidar.scan(20));
        let moved = one.ranges_m.iter().zip(&later.ranges_m).filter(|(one, later)| (*one - *later).abs() > 0.3).count();
        assert!((20..800).contains(&moved), "{moved}");
        assert!(one.ranges_m().contains(&f32::INFINITY), "the door");
    }

    #[test]
    fn a_number_of_beams_fits_the_record() {
        assert_eq!(Lidar::parse_beams("1440"), Ok(1440));
        for wrong in ["0", "1441", "many", ""] {
            let error = Lidar::parse_beams(wrong).unwrap_err();
            assert_eq!(error, format!("{wrong:?} is no number of beams: expected 1 to 1440, as in lidar:360"));
        }
    }
}
