//! The last records of a stream, as numbers.

use std::collections::VecDeque;
use std::sync::Arc;

use framebus::sensors::{Imu, LaserScan};
use framebus::{Content, Frame, Rate, Record};
use serde_json::{Value, json};
use zerocopy::FromBytes;

/// Most that are kept.
pub(crate) const MOST_SAMPLES: usize = 1000;

/// Bytes that are kept of a record whose type we do not know.
const MOST_BYTES: usize = 256;

/// What we know of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Imu,
    LaserScan,
    #[default]
    Unknown,
}

impl Kind {
    fn of(content: &Content) -> Self {
        match content {
            Content::Record { type_name, bytes } => match (type_name.as_str(), *bytes as usize) {
                (Imu::TYPE_NAME, bytes) if bytes == size_of::<Imu>() => Self::Imu,
                (LaserScan::TYPE_NAME, bytes) if bytes == size_of::<LaserScan>() => Self::LaserScan,
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

/// The last records of a stream.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    kind: Kind,
    type_name: Option<String>,
    rate_hz: Option<f64>,
    ring: VecDeque<Sample>,
}

/// One record.
#[derive(Clone, Debug)]
struct Sample {
    sequence: u64,
    capture_ns: u64,
    /// All of them, or the first.
    bytes: Arc<[u8]>,
    /// Bytes of the whole.
    len: usize,
}

impl Samples {
    /// A record came.
    pub(crate) fn add(&mut self, content: &Content, rate: Option<Rate>, frame: &Frame) {
        let (info, kind) = (frame.info(), Kind::of(content));
        let kept = if kind == Kind::Unknown { frame.len().min(MOST_BYTES) } else { frame.len() };
        let bytes: Arc<[u8]> = frame[..kept].into();
        if !frame.is_intact() {
            // Another process has overwritten it: the next one comes.
            return;
        }
        // A stream that was made anew.
        if kind != self.kind || self.ring.back().is_some_and(|last| last.sequence >= info.sequence) {
            self.ring.clear();
        }
        let type_name = type_name(content);
        if self.type_name.as_deref() != type_name {
            self.type_name = type_name.map(str::to_owned);
        }
        (self.kind, self.rate_hz) = (kind, rate.map(|rate| rate.hz()));
        let most = if kind == Kind::LaserScan { 1 } else { MOST_SAMPLES };
        while self.ring.len() >= most {
            self.ring.pop_front();
        }
        let (sequence, capture_ns) = (info.sequence, info.capture_ns);
        self.ring.push_back(Sample { sequence, capture_ns, bytes, len: frame.len() });
    }

    /// Those that are newer than `after`; all of them, where the stream was made anew since.
    pub(crate) fn since(&self, after: u64) -> Recent {
        let anew = self.ring.back().is_some_and(|last| last.sequence < after);
        let samples: Vec<_> = self.ring.iter().filter(|sample| anew || sample.sequence > after).cloned().collect();
        Recent { kind: self.kind, type_name: self.type_name.clone(), rate_hz: self.rate_hz, samples }
    }
}

fn type_name(content: &Content) -> Option<&str> {
    match content {
        Content::Record { type_name, .. } => Some(type_name),
        _ => None,
    }
}

/// Some of a stream's last records.
#[derive(Debug)]
pub(crate) struct Recent {
    kind: Kind,
    type_name: Option<String>,
    rate_hz: Option<f64>,
    samples: Vec<Sample>,
}

impl Recent {
    pub(crate) fn json(&self, id: &Value) -> Value {
        let samples: Vec<Value> = self.samples.iter().map(|sample| self.sample(sample)).collect();
        let sequence = self.samples.last().map(|sample| sample.sequence.to_string());
        json!({
            "id": id,
            "type": self.type_name,
            "rate_hz": self.rate_hz,
            "sequence": sequence,
            "samples": samples,
        })
    }

    fn sample(&self, sample: &Sample) -> Value {
        let mut object = json!({
            "sequence": sample.sequence.to_string(),
            "capture_ms": sample.capture_ns as f64 / 1e6,
        });
        let values = match self.kind {
            Kind::Imu => Imu::read_from_bytes(&sample.bytes).ok().map(|imu| imu_json(&imu)),
            Kind::LaserScan => LaserScan::read_from_bytes(&sample.bytes).ok().map(|scan| scan_json(&scan)),
            Kind::Unknown => None,
        };
        match values {
            Some(values) => object["values"] = values,
            None => {
                object["bytes"] = sample.len.into();
                object["hex"] = hex(&sample.bytes).into();
                object["f32"] = floats(&sample.bytes).into();
            }
        }
        object
    }
}

fn imu_json(imu: &Imu) -> Value {
    let [gx, gy, gz] = imu.angular_velocity_rad_s;
    let [ax, ay, az] = imu.linear_acceleration_m_s2;
    let [qx, qy, qz, qw] = imu.orientation_xyzw;
    json!({
        "gx": gx, "gy": gy, "gz": gz, "ax": ax, "ay": ay, "az": az, "qx": qx, "qy": qy, "qz": qz, "qw": qw,
    })
}

fn scan_json(scan: &LaserScan) -> Value {
    json!({
        "angle_min": scan.angle_min_rad,
        "angle_increment": scan.angle_increment_rad,
        "range_min": scan.range_min_m,
        "range_max": scan.range_max_m,
        "ranges": scan.ranges_m(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(MOST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes as floats of this machine's order.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes[..bytes.len().min(MOST_BYTES)].as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect()
}
