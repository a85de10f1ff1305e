//! Configuration files with anything in them: accepted, or refused with a message that can be shown.
#![no_main]

use framebus::Geometry;
use framebus_config::Config;
use framebus_fuzz::input::Input;
use framebus_fuzz::seeds::{self, PRESETS};

libfuzzer_sys::fuzz_target!(init: seeds::plant("config", &seeds::configs()), |data: &[u8]| {
    match data.split_first() {
        // A text as it is.
        Some((0..=127, text)) => parse(&String::from_utf8_lossy(text)),
        // One of our own with some changes.
        Some((&which, changes)) => parse(&changed(PRESETS[usize::from(which) % PRESETS.len()], changes)),
        None => parse(""),
    }
});

fn changed(text: &str, changes: &[u8]) -> String {
    let (mut text, mut input) = (text.as_bytes().to_vec(), Input(changes));
    while !input.is_empty() {
        let start = input.below(text.len() + 1);
        let end = (start + usize::from(input.u8())).min(text.len());
        let new = input.run(32).to_vec();
        text.splice(start..end, new);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn parse(text: &str) {
    match Config::parse(text, "framebus.toml") {
        Ok(config) => {
            for (name, stream) in &config.streams {
                assert!(framebus::StreamName::new(&config.bus.name, name).is_ok(), "{name}");
                if stream.size_is_known() {
                    assert!(Geometry::of(&stream.options).is_ok(), "{name}: what a file may say can be opened");
                }
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            for found in error.diagnostics() {
                assert!(!found.message.is_empty() && found.line > 0 && found.column > 0);
            }
        }
    }
}
