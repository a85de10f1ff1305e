//! A synthetic inertial measurement unit: [`framebus::sensors::Imu`] of something that rolls, pitches, turns and sways.
//!
//! The motion is a few sines, of which everything else follows: sample n is that of n periods after the start, so that
//! angular velocity, acceleration and orientation fit each other at any rate, and each run is the same. Angular velocity
//! is in the body's axes (x ahead, y to the left, z up), the orientation turns them into the world's, and the acceleration
//! is what a real sensor measures: +9.81 m/s² upwards at rest.
//!
//! Source of the kinematics: Titterton, Weston, *Strapdown Inertial Navigation Technology*, 2004, section 3.6 (Euler angles
//! z-y-x).

use std::f64::consts::TAU;

use framebus::sensors::Imu as Sample;
use framebus::{Content, Rate, Record};
use zerocopy::IntoBytes;

use super::Order;
use super::random::Random;

/// The rate where nobody says one.
pub(crate) const DEFAULT_RATE: Rate = Rate::new(200, 1).unwrap();

const GRAVITY_M_S2: f64 = 9.806_65;
/// Standard deviations of a usual MEMS sensor.
const GYRO_NOISE_RAD_S: f64 = 0.003;
const ACCELERATION_NOISE_M_S2: f64 = 0.03;

/// `amplitude · sin(2π t / period + phase)`.
#[derive(Clone, Copy)]
struct Sine {
    amplitude: f64,
    period_s: f64,
    phase: f64,
}

const ROLL: Sine = Sine { amplitude: 0.20, period_s: 3.1, phase: 0.0 };
const PITCH: Sine = Sine { amplitude: 0.12, period_s: 2.3, phase: 1.0 };
const YAW: Sine = Sine { amplitude: 1.20, period_s: 13.0, phase: 0.5 };
/// In the world's axes, in metres.
const SWAY: [Sine; 3] = [
    Sine { amplitude: 0.30, period_s: 4.0, phase: 0.0 },
    Sine { amplitude: 0.20, period_s: 5.0, phase: 2.0 },
    Sine { amplitude: 0.02, period_s: 0.9, phase: 0.3 },
];

impl Sine {
    /// Value, first and second derivative.
    fn at(self, seconds: f64) -> [f64; 3] {
        let speed = TAU / self.period_s;
        let (sin, cos) = (speed * seconds + self.phase).sin_cos();
        [self.amplitude * sin, self.amplitude * speed * cos, -self.amplitude * speed * speed * sin]
    }
}

/// The sensor.
#[derive(Debug)]
pub(crate) struct Imu {
    rate: Rate,
}

impl Imu {
    pub(crate) fn new() -> Self {
        Self { rate: DEFAULT_RATE }
    }

    /// What its stream carries.
    pub(crate) fn content() -> Content {
        Content::Record { type_name: Sample::TYPE_NAME.to_owned(), bytes: size_of::<Sample>() as u32 }
    }

    pub(crate) fn prepare(&mut self, order: &Order) {
        self.rate = order.rate;
    }

    pub(crate) fn write(&mut self, bytes: &mut [u8], sequence: u64) {
        let mut sample = motion(sequence as f64 / self.rate.hz());
        let mut random = Random::of(sequence);
        for value in &mut sample.angular_velocity_rad_s {
            *value += (random.noise() * GYRO_NOISE_RAD_S) as f32;
        }
        for value in &mut sample.linear_acceleration_m_s2 {
            *value += (random.noise() * ACCELERATION_NOISE_M_S2) as f32;
        }
        bytes.copy_from_slice(sample.as_bytes());
    }
}

/// What a perfect sensor measures at a time.
fn motion(seconds: f64) -> Sample {
    let [roll, roll_rate, _] = ROLL.at(seconds);
    let [pitch, pitch_rate, _] = PITCH.at(seconds);
    let [yaw, yaw_rate, _] = YAW.at(seconds);
    let ((sin_roll, cos_roll), (sin_pitch, cos_pitch)) = (roll.sin_cos(), pitch.sin_cos());
    let angular_velocity = [
        roll_rate - yaw_rate * sin_pitch,
        pitch_rate * cos_roll + yaw_rate * cos_pitch * sin_roll,
        yaw_rate * cos_pitch * cos_roll - pitch_rate * sin_roll,
    ];
    let orientation = quaternion(roll, pitch, yaw);
    let [x, y, z] = SWAY.map(|axis| axis.at(seconds)[2]);
    let acceleration = into_body(orientation, [x, y, z + GRAVITY_M_S2]);
    Sample {
        angular_velocity_rad_s: angular_velocity.map(|value| value as f32),
        linear_acceleration_m_s2: acceleration.map(|value| value as f32),
        orientation_xyzw: orientation.map(|value| value as f32),
    }
}

/// x, y, z, w of yaw after pitch after roll.
fn quaternion(roll: f64, pitch: f64, yaw: f64) -> [f64; 4] {
    let [(sr, cr), (sp, cp), (sy, cy)] = [roll, pitch, yaw].map(|angle| (angle / 2.0).sin_cos());
    [sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy, cr * cp * cy + sr * sp * sy]
}

/// A vector of the world in the axes of a body with this orientation.
fn into_body([x, y, z, w]: [f64; 4], [a, b, c]: [f64; 3]) -> [f64; 3] {
    // The transpose of the quaternion's rotation matrix.
    [
        (1.0 - 2.0 * (y * y + z * z)) * a + 2.0 * (x * y + z * w) * b + 2.0 * (x * z - y * w) * c,
        2.0 * (x * y - z * w) * a + (1.0 - 2.0 * (x * x + z * z)) * b + 2.0 * (y * z + x * w) * c,
        2.0 * (x * z + y * w) * a + 2.0 * (y * z - x * w) * b + (1.0 - 2.0 * (x * x + y * y)) * c,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::StreamName;
    use zerocopy::FromBytes;

    fn multiply([ax, ay, az, aw]: [f64; 4], [bx, by, bz, bw]: [f64; 4]) -> [f64; 4] {
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    }

    #[test]
    fn integrating_the_angular_velocity_gives_the_orientation() {
        let step_s = 1e-3;
        let mut orientation = motion(0.0).orientation_xyzw.map(f64::from);
        for step in 0..10_000 {
            let [x, y, z] = motion((f64::from(step) + 0.5) * step_s).angular_velocity_rad_s.map(f64::from);
            let half = step_s / 2.0;
            orientation = multiply(orientation, [x * half, y * half, z * half, 1.0]);
            let length = orientation.iter().map(|part| part * part).sum::<f64>().sqrt();
            orientation = orientation.map(|part| part / length);
        }
        let expected = motion(10.0).orientation_xyzw.map(f64::from);
        let cosine: f64 = orientation.iter().zip(expected).map(|(found, expected)| found * expected).sum();
        assert!(cosine.abs() > 1.0 - 1e-7, "{orientation:?} {expected:?}");
    }

    #[test]
    fn integrating_the_acceleration_without_gravity_gives_the_way() {
        let step_s = 1e-3;
        let position = |seconds| SWAY.map(|axis| axis.at(seconds)[0]);
        let (mut place, mut velocity) = (position(0.0), SWAY.map(|axis| axis.at(0.0)[1]));
        for step in 0..5000 {
            let sample = motion((f64::from(step) + 0.5) * step_s);
            let [x, y, z, w] = sample.orientation_xyzw.map(f64::from);
            // The inverse rotation.
            let [a, b, c] = into_body([-x, -y, -z, w], sample.linear_acceleration_m_s2.map(f64::from));
            for (axis, acceleration) in [a, b, c - GRAVITY_M_S2].into_iter().enumerate() {
                place[axis] += velocity[axis] * step_s + acceleration * step_s * step_s / 2.0;
                velocity[axis] += acceleration * step_s;
            }
        }
        let expected = position(5.0);
        assert!(place.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-3), "{place:?}");
    }

    #[test]
    fn samples_are_noisy_and_the_same_in_every_run() {
        let name = StreamName::new("test", "imu").unwrap();
        let mut imu = Imu::new();
        let rate = Rate::new(100, 1).unwrap();
        imu.prepare(&Order { name, content: Imu::content(), rate, start_over: false, mark: true, sizes: Vec::new() });
        let mut sample = |sequence| {
            let mut bytes = [0; size_of::<Sample>()];
            imu.write(&mut bytes, sequence);
            Sample::read_from_bytes(&bytes).unwrap()
        };
        assert_eq!(sample(250), sample(250));
        let (noisy, clean) = (sample(250), motion(2.5));
        assert_eq!(noisy.orientation_xyzw, clean.orientation_xyzw);
        let error = noisy.linear_acceleration_m_s2[2] - clean.linear_acceleration_m_s2[2];
        assert!(error != 0.0 && error.abs() < 0.2, "{error}");
        let norm = clean.orientation_xyzw.iter().map(|part| part * part).sum::<f32>();
        assert!((norm - 1.0).abs() < 1e-5);
    }
}
