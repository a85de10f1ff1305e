//! The main job.

use image::GenericImageView;
use serde_json::Value;

use crate::harness::{TestStream, framebus};

#[test]
fn the_demo_runs_three_processes_and_saves_a_picture() {
    let stream = TestStream::new("demo");
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("picture.png");
    let mut demo = framebus();
    demo.args(["demo", "--seconds", "2", "--json", "--bus", stream.name.bus(), "--snapshot"]).arg(&snapshot);
    let output = demo.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["kind"], &summary["ok"]), (&"summary".into(), &true.into()), "{summary}");
    assert_eq!((&summary["producer"]["drops"], &summary["snapshot"]), (&0.into(), &snapshot.to_str().into()));
    let viewers = summary["viewers"].as_array().unwrap();
    assert_eq!(viewers.len(), 2);
    for viewer in viewers {
        assert_eq!((&viewer["torn"], &viewer["kind"]), (&0.into(), &"summary".into()), "{viewer}");
        assert!(viewer["frames"].as_u64() > Some(0), "{viewer}");
        assert_eq!(viewer["verified"], viewer["frames"], "{viewer}");
    }
    let picture = image::open(&snapshot).unwrap();
    assert_eq!(picture.dimensions(), (1920, 1080));
    // The first colour bar is white, the last one blue.
    assert!(picture.get_pixel(100, 300).0[..3].iter().all(|&channel| channel > 200));
    assert!(picture.get_pixel(1900, 300).0[0] < 50);
    let left =
        framebus::list(&crate::backend()).unwrap().into_iter().find(|found| found.name.bus() == stream.name.bus());
    assert!(left.is_none(), "{left:?}");
}
