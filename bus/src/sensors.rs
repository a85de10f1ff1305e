//! Records for the sensors that most robots have, so that programs which never met agree on their bytes.
//!
//! They are plain [`Record`]s like any of your own. The fields are those of ROS's `sensor_msgs`, in SI units.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::Record;

/// A sample of an inertial measurement unit (`sensor_msgs/Imu`, without its covariances). 40 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Imu {
    /// About the axes x, y and z, rad/s.
    pub angular_velocity_rad_s: [f32; 3],
    /// Along the axes x, y and z, gravity included, m/s².
    pub linear_acceleration_m_s2: [f32; 3],
    /// A unit quaternion x, y, z, w; all 0 where the sensor does not know it.
    pub orientation_xyzw: [f32; 4],
}

impl Record for Imu {
    const TYPE_NAME: &'static str = "framebus.Imu";
}

/// Most beams of a [`LaserScan`].
pub const MAX_BEAMS: usize = 1440;

/// One turn of a planar laser scanner (`sensor_msgs/LaserScan`). 5,784 bytes.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LaserScan {
    /// Of the first beam, rad, counter-clockwise from straight ahead.
    pub angle_min_rad: f32,
    /// From a beam to the next, rad.
    pub angle_increment_rad: f32,
    /// Nearest distance that the sensor measures, m.
    pub range_min_m: f32,
    /// Farthest distance that the sensor measures, m.
    pub range_max_m: f32,
    /// Time of a turn, s.
    pub scan_time_s: f32,
    /// Beams that were measured, at most [`MAX_BEAMS`]; those of `ranges_m` after them mean nothing.
    pub beams: u32,
    /// Distance along each beam, m; outside of `range_min_m` to `range_max_m` where nothing was hit.
    pub ranges_m: [f32; MAX_BEAMS],
}

impl LaserScan {
    /// The distances of the beams that were measured; whatever another process wrote into `beams`, no more than there are.
    pub fn ranges_m(&self) -> &[f32] {
        &self.ranges_m[..(self.beams as usize).min(MAX_BEAMS)]
    }
}

impl Record for LaserScan {
    const TYPE_NAME: &'static str = "framebus.LaserScan";
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn sizes_are_those_that_are_told() {
        assert_eq!((size_of::<Imu>(), size_of::<LaserScan>()), (40, 5784));
    }

    #[test]
    fn a_scan_that_claims_too_many_beams_has_those_there_are() {
        let mut scan = LaserScan::new_zeroed();
        scan.beams = 3;
        assert_eq!(scan.ranges_m().len(), 3);
        scan.beams = u32::MAX;
        assert_eq!(scan.ranges_m().len(), MAX_BEAMS);
    }
}
