//! The page in a real browser: `framebus web` and `framebus producer` as processes, Chromium without a window, and what a
//! person does and sees there.
//!
//! `browser/page` is that person; `browser/devtools` and `browser/chromium` are below it. Each page also fails its test
//! for any error in the console and any request to another host. Screenshots go to `$FRAMEBUS_SCREENSHOTS`.

#[path = "browser/base64.rs"]
mod base64;
#[path = "browser/chromium.rs"]
mod chromium;
#[path = "browser/devtools.rs"]
mod devtools;
#[path = "programs/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "browser/healing.rs"]
mod healing;
#[path = "browser/line.rs"]
mod line;
#[path = "browser/looking.rs"]
mod looking;
#[path = "browser/page.rs"]
mod page;
#[path = "browser/pictures.rs"]
mod pictures;
#[path = "browser/publish.rs"]
mod publish;
#[path = "browser/reading.rs"]
mod reading;
#[path = "browser/records.rs"]
mod records;
#[path = "browser/server.rs"]
mod server;
#[path = "browser/wall.rs"]
mod wall;

/// What the streams are made of.
pub fn backend() -> framebus::Backend {
    framebus::Backend::SysV
}
