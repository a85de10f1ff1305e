//! A camera is opened and set to a mode: what it has is listed (`v4l2_modes` chooses), and what keeps it from being
//! used is said with a remedy.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use framebus::{ImageShape, Rate};
use framebus_program::usage;
use moq_v4l::device::Device;
use moq_v4l::format::{FieldOrder, FourCC};
use moq_v4l::fraction::Fraction;
use moq_v4l::frameinterval::FrameIntervalEnum;
use moq_v4l::framesize::FrameSizeEnum;
use moq_v4l::video::Capture;
use moq_v4l::video::capture::Parameters;
use rustix::io::Errno;

use super::Wish;
use super::v4l2_modes::{Choice, Mode, Pixels, Rates, Steps, choose, name};

/// A mode, as it was set.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) choice: Choice,
    /// As the driver lays out its buffers.
    pub(super) camera_shape: ImageShape,
    pub(super) rate: Option<Rate>,
}

/// Opens a camera and sets the mode that suits best; `tell`s it to the user.
pub(super) fn set_up(path: &str, wish: &Wish, tell: bool) -> anyhow::Result<(Device, Set)> {
    let device = Device::with_path(path).map_err(|error| can_not_open(path, &error))?;
    let set = catch_unwind(AssertUnwindSafe(|| set_mode(&device, path, wish)))
        .unwrap_or_else(|_| Err(anyhow::anyhow!("can not use {path}: its driver's answers make no sense")))?;
    if tell {
        let Choice { fourcc, .. } = set.choice;
        let rate = set.rate.map_or_else(|| "at a rate that it does not say".to_owned(), |rate| format!("at {rate}"));
        tracing::info!("{path} gives {} ({}) {rate}", set.camera_shape, name(fourcc));
        if let Some(asked) = wish.rate
            && set.rate.is_some_and(|rate| (rate.hz() - asked.hz()).abs() > asked.hz() / 100.0)
        {
            tracing::warn!("{path} has no rate of {asked} in this mode");
        }
    }
    Ok((device, set))
}

fn can_not_open(path: &str, error: &io::Error) -> anyhow::Error {
    let remedy = match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "; there is no such device: is the camera plugged in? `ls /dev/video*` lists them",
        Some(Errno::ACCESS | Errno::PERM) => {
            "; be a member of its group: sudo usermod -aG video $USER, then log in anew"
        }
        Some(Errno::BUSY) => "; another program has it: `fuser` with its path tells which",
        Some(Errno::ISDIR) => "; expected a device like /dev/video0",
        _ => "",
    };
    anyhow::anyhow!("can not open {path}: {error}{remedy}")
}

fn set_mode(device: &Device, path: &str, wish: &Wish) -> anyhow::Result<Set> {
    match device.format() {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOTTY) => {
            anyhow::bail!("can not use {path}: it is no V4L2 device, expected one like /dev/video0")
        }
        _ => {}
    }
    let modes = modes(device, wish)?;
    if modes.is_empty() {
        anyhow::bail!(
            "can not capture from {path}: it lists no format to capture. Cameras often have several devices, of which one \
             has the picture: try the next. One that has each plane in a memory of its own is not read here: let \
             libcamera-vid or ffmpeg do so, with --source exec:"
        );
    }
    let choice = choose(&modes, wish).map_err(|why| usage!("can not use {path} as asked: {why}"))?;
    let mut format = device.format().unwrap_or(moq_v4l::Format::new(0, 0, FourCC::default()));
    (format.width, format.height, format.fourcc) = (choice.width, choice.height, FourCC::new(&choice.fourcc));
    (format.field_order, format.stride, format.size) = (FieldOrder::Any, 0, 0);
    let set = device.set_format(&format).map_err(|error| can_not_set(path, &error))?;
    let found = (set.fourcc.repr, set.width, set.height);
    if found != (choice.fourcc, choice.width, choice.height) {
        anyhow::bail!(
            "can not use {path}: asked for {} × {} {}, which it lists, and got {} × {} {}",
            choice.width,
            choice.height,
            name(choice.fourcc),
            set.width,
            set.height,
            name(set.fourcc.repr)
        );
    }
    if matches!(set.field_order, FieldOrder::Top | FieldOrder::Bottom | FieldOrder::Alternate) {
        anyhow::bail!("can not use {path}: it gives single fields ({}), expected whole frames", set.field_order);
    }
    let camera_shape = match (choice.pixels, set.stride) {
        (Pixels::As(format), 1..) => ImageShape::with_stride(choice.width, choice.height, format, set.stride),
        (pixels, _) => ImageShape::new(choice.width, choice.height, pixels.format()),
    };
    let camera_shape = camera_shape.map_err(|error| anyhow::anyhow!("can not use {path}: {error}"))?;
    let rate = set_rate(device, choice.rate);
    Ok(Set { choice, camera_shape, rate })
}

/// Asks for a rate, and returns the one that there is.
fn set_rate(device: &Device, rate: Option<Rate>) -> Option<Rate> {
    let params = match rate {
        // VIDIOC_S_PARM sets the time of a frame, the rate upside down. Some drivers have it not: then it is as it is.
        Some(rate) => {
            device.set_params(&Parameters::new(Fraction::new(rate.denominator(), rate.numerator()))).or(device.params())
        }
        None => device.params(),
    };
    params.ok().and_then(|params| rate_of(&params.interval)).or(rate)
}

fn rate_of(interval: &Fraction) -> Option<Rate> {
    Rate::new(interval.denominator, interval.numerator).filter(|rate| Rate::from_hz(rate.hz()).is_some())
}

/// All modes of the camera; of one that has any size, those that could be chosen.
fn modes(device: &Device, wish: &Wish) -> anyhow::Result<Vec<Mode>> {
    let mut modes = Vec::new();
    for description in device.enum_formats()? {
        let fourcc = description.fourcc;
        let listed = device.enum_framesizes(fourcc).unwrap_or_default();
        let mut sizes: Vec<(u32, u32)> = listed
            .into_iter()
            .flat_map(|listed| match listed.size {
                FrameSizeEnum::Discrete(size) => vec![(size.width, size.height)],
                FrameSizeEnum::Stepwise(steps) => Steps {
                    least: (steps.min_width, steps.min_height),
                    most: (steps.max_width, steps.max_height),
                    step: (steps.step_width, steps.step_height),
                }
                .sizes(wish),
            })
            .collect();
        if sizes.is_empty() {
            // Some drivers list none: what they are set to is what there is.
            sizes.extend(device.format().ok().filter(|now| now.fourcc == fourcc).map(|now| (now.width, now.height)));
        }
        for (width, height) in sizes {
            let rates = rates(device, fourcc, width, height);
            modes.push(Mode { fourcc: fourcc.repr, width, height, rates });
        }
    }
    Ok(modes)
}

fn rates(device: &Device, fourcc: FourCC, width: u32, height: u32) -> Rates {
    let intervals = device.enum_frameintervals(fourcc, width, height).unwrap_or_default();
    let mut listed = Vec::new();
    for interval in intervals {
        match interval.interval {
            FrameIntervalEnum::Discrete(interval) => listed.extend(rate_of(&interval)),
            FrameIntervalEnum::Stepwise(steps) => {
                // The longest time is the slowest rate.
                if let (Some(slowest), Some(fastest)) = (rate_of(&steps.max), rate_of(&steps.min)) {
                    return Rates::Between { slowest, fastest };
                }
            }
        }
    }
    if listed.is_empty() { Rates::Unknown } else { Rates::Listed(listed) }
}

fn can_not_set(path: &str, error: &io::Error) -> anyhow::Error {
    let remedy = match Errno::from_io_error(error) {
        Some(Errno::BUSY) => format!("; another program captures from it: `fuser {path}` tells which"),
        _ => String::new(),
    };
    anyhow::anyhow!("can not set the mode of {path}: {error}{remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_camera_from_being_opened_is_told_with_a_remedy() {
        let why = |errno: Errno| can_not_open("/dev/video7", &errno.into()).to_string();
        assert!(why(Errno::NOENT).contains("there is no such device"));
        assert!(why(Errno::ACCESS).contains("(os error 13); be a member of its group: sudo usermod -aG video $USER"));
        assert!(why(Errno::BUSY).contains("another program has it"));
        assert!(
            can_not_set("/dev/video7", &Errno::BUSY.into()).to_string().contains("`fuser /dev/video7` tells which")
        );
    }

    #[test]
    fn a_time_of_a_frame_is_a_rate_upside_down() {
        assert_eq!(rate_of(&Fraction::new(1001, 30_000)), Rate::new(30_000, 1001));
        assert_eq!(rate_of(&Fraction::new(0, 0)), None);
        assert_eq!(rate_of(&Fraction::new(u32::MAX, 1)), None);
    }
}
