//! A small robot on one bus: two camera threads and an IMU thread here, perception in a process of its own.
//!
//! `cargo run -p framebus-config --example robot [SECONDS]`
//!
//! The cameras never wait for perception. It sleeps until there is a new picture, and sees it where the camera wrote it.

use std::error::Error;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use framebus::{Publisher, RecordPublisher, now_ns};
use framebus_config::{Bus, Config, presets};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A record is a plain struct: `repr(C)`, no padding, any bytes are a value.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ImuSample {
    angular_velocity_rad_s: [f32; 3],
    linear_acceleration_m_s2: [f32; 3],
}

impl framebus::Record for ImuSample {
    const TYPE_NAME: &'static str = "ImuSample"; // as in the configuration
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => robot("2"),
        [seconds] => robot(seconds),
        ["perception", bus, seconds] => perception(bus, seconds),
        _ => Err("usage: robot [SECONDS]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A robot of your own says `Bus::find()?` and has its framebus.toml. This one may run many times at once.
fn open_bus(name: &str) -> Result<Bus> {
    let mut config = Config::parse(presets::ROBOT, "presets/robot.toml")?;
    config.bus.name = name.to_owned();
    Ok(Bus::from_config(config)?)
}

fn robot(seconds: &str) -> Result {
    let name = format!("robot-{}", std::process::id());
    let bus = open_bus(&name)?;
    let (front, rear) = (bus.publisher("front")?, bus.publisher("rear")?);
    let imu = bus.record_publisher::<ImuSample>("imu")?;
    let mut perception = Command::new(std::env::current_exe()?);
    perception.args(["perception", &name, seconds]);
    let stop = AtomicBool::new(false);

    thread::scope(|scope| {
        let drivers = [
            scope.spawn(|| camera(front, &stop)),
            scope.spawn(|| camera(rear, &stop)),
            scope.spawn(|| imu_driver(imu, &stop)),
        ];
        let perception = perception.status();
        stop.store(true, Ordering::Relaxed);
        for driver in drivers {
            driver.join().map_err(|_| "a driver panicked")??;
        }
        match perception? {
            status if status.success() => Ok(()),
            status => Err(format!("perception ended with {status}").into()),
        }
    })
}

/// Its stream is closed and removed when the publisher is dropped, at the end.
fn camera(mut publisher: Publisher, stop: &AtomicBool) -> Result {
    let rate = publisher.options().rate.ok_or("a camera has a rate")?;
    let begun = Instant::now();
    for frame in 0.. {
        if stop.load(Ordering::Relaxed) {
            println!("{}: {frame} frames", publisher.name());
            break;
        }
        let mut loan = publisher.loan()?;
        loan.set_capture_ns(now_ns());
        loan.fill(frame as u8); // a driver lets its device write here
        loan.publish();
        thread::sleep((begun + rate.time_of(frame + 1)).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn imu_driver(mut publisher: RecordPublisher<ImuSample>, stop: &AtomicBool) -> Result {
    let period = publisher.publisher().options().rate.ok_or("an IMU has a rate")?.time_of(1);
    while !stop.load(Ordering::Relaxed) {
        publisher.publish(&ImuSample {
            angular_velocity_rad_s: [0.0, 0.0, 0.1],
            linear_acceleration_m_s2: [0.0, 0.0, 9.81],
        })?;
        thread::sleep(period);
    }
    Ok(())
}

/// Waits for pictures of the front camera, and takes the newest IMU sample with each.
fn perception(bus: &str, seconds: &str) -> Result {
    let bus = open_bus(bus)?;
    let mut front = bus.subscriber("front")?;
    let mut imu = bus.record_subscriber::<ImuSample>("imu")?;
    let end = Instant::now() + Duration::try_from_secs_f64(seconds.parse()?)?;
    let (mut pictures, mut with_imu, mut oldest) = (0, 0, Duration::ZERO);

    while front.wait(end)? && Instant::now() < end {
        let Some(frame) = front.latest()? else { continue };
        let image = frame.image().ok_or("the front camera sends images")?;
        // All bytes are the same in these pictures; yours will be more interesting.
        let first = frame[0];
        if !image.rows(0).all(|row| row.iter().all(|&byte| byte == first)) {
            return Err("a picture was torn".into());
        }
        pictures += 1;
        oldest = oldest.max(Duration::from_nanos(now_ns().saturating_sub(frame.info().capture_ns)));
        if let Some(sample) = imu.latest()? {
            with_imu += usize::from(sample.linear_acceleration_m_s2[2] > 9.0);
        }
    } // the frame is dropped here: its slot is free again
    let skipped = front.counters().skipped;
    println!(
        "{} carries {}: perception saw {pictures} and skipped {skipped}, {with_imu} with an IMU sample, {oldest:.1?} old \
         at most",
        front.name(),
        front.content()
    );
    if pictures == 0 { Err("perception saw nothing".into()) } else { Ok(()) }
}
