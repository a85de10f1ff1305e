//! The example program does what it says, and leaves nothing behind.

use std::path::PathBuf;
use std::process::Command;

/// `target/PROFILE/examples/robot`, beside the directory of this test (`target/PROFILE/deps`).
fn example() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/robot");
    assert!(
        path.exists(),
        "{} is not built: cargo test builds examples unless --test leaves them out; run cargo build --example robot first",
        path.display()
    );
    path
}

#[test]
fn perception_sees_pictures_and_imu_samples_and_nothing_is_left() {
    let child = Command::new(example())
        .arg("0.5")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(err.is_empty(), "{err}");
    assert!(
        out.contains("/front carries images of 1280 × 720 rgb8: perception saw ") && !out.contains(" 0 with an IMU"),
        "{out}"
    );
    for stream in ["front", "rear", "imu"] {
        let name = framebus::StreamName::new(&format!("robot-{pid}"), stream).unwrap();
        for key in [name.key(), name.places_key()].map(|key| key.to_string()) {
            for table in ["/proc/sysvipc/shm", "/proc/sysvipc/sem"] {
                let text = std::fs::read_to_string(table).unwrap();
                let left: Vec<_> = text.lines().filter(|line| line.split_whitespace().next() == Some(&key)).collect();
                assert!(left.is_empty(), "{name} left {left:?} in {table}");
            }
        }
    }
}
