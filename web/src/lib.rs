//! The streams of a framebus in a browser.
#![forbid(unsafe_code)]
