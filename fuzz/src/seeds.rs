//! Inputs to begin with: short, and each about something else. The targets themselves write them, before libFuzzer looks.

use std::path::Path;

/// Puts the inputs where `cargo fuzz run TARGET` looks for them.
pub fn plant(target: &str, inputs: &[Vec<u8>]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    // Somewhere else, as when a built target is run by hand, it goes without them.
    if std::fs::create_dir_all(&directory).is_ok() {
        for (number, input) in inputs.iter().enumerate() {
            let _ = std::fs::write(directory.join(format!("seed-{number:02}")), input);
        }
    }
}

/// The files that the library brings along, and one with a mistake in each line.
pub const PRESETS: [&str; 3] = [framebus_config::presets::DEMO, framebus_config::presets::ROBOT, MISTAKES];

const MISTAKES: &str = "[bus]\nname = \"a b\"\nmode = 660\nbackend = \"shm\"\n[streams.front]\nwidht = 1\nheight = \"9\"\n\
                        format = \"rgb\"\nslots = 1\nhistory = 0\nrate_hz = \"1/0\"\non_full = 'x'\n[streams.imu]\nsize = 24\n\
                        type = ''\nwait = []\n";

/// For `attach` and `files`: of each stream, what a subscriber does, a frame with numbers of its own, a changed header,
/// a takeover and a new epoch.
pub fn sessions() -> Vec<Vec<u8>> {
    let steps: [&[u8]; 9] = [
        &[5, 0, 6, 7, 7, 8, 9],
        &[5, 3, 7, 3, 1, 0, 9, 1, 64, 0, 0, 0, 0, 0, 0, 0, 8, 4, 24, 3, 7, 9],
        &[5, 1, 4, 3, 6, 8, 4, 2, 6, 9],
        &[0, 7, 1, 5, 0, 0, 29, 15, 5, 0, 6],
        &[5, 0, 6, 13, 8, 14, 2, 14, 2, 6, 14, 7],
        &[5, 0, 6, 13, 4, 14, 2, 6, 8, 12, 7],
        &[15, 0, 0, 0, 0, 32, 0, 13, 0, 14, 2],
        // The rings, between looks of a trace.
        &[5, 0, 9, 1, 6, 0, 63, 3, 0, 60, 15, 9, 1, 0, 63, 0, 9, 1, 11, 9, 1],
        &[2, 16, 1, 8, 3, 0, 0, 0, 4, 0, 0, 0, 13, 8, 14, 2, 14, 2, 14, 2],
    ];
    (0..10).flat_map(|world| steps.map(|steps| [&[0xf0 | world], steps].concat())).collect()
}

/// For `config`: whole texts, and a changed one.
pub fn configs() -> Vec<Vec<u8>> {
    let whole = PRESETS.iter().map(|text| [b"\0", text.as_bytes()].concat());
    let changed = (128..128 + PRESETS.len() as u8).map(|which| vec![which, 30, 0, 4, 3, b'=', b'7', b'\n']);
    whole.chain(changed).collect()
}
