//! `framebus web`, for the streams of one test.

use crate::harness::{Running, framebus};

/// A running server; killed when dropped.
pub struct Server {
    running: Option<Running>,
    /// `127.0.0.1:PORT`.
    pub host: String,
    bus: String,
}

impl Server {
    /// For the streams of a bus, at a port that is free.
    pub fn start(bus: &str) -> Self {
        Self::start_with(bus, &[])
    }

    /// With further arguments.
    pub fn start_with(bus: &str, arguments: &[&str]) -> Self {
        let (running, host) = start(bus, "127.0.0.1:0", arguments);
        Self { running: Some(running), host, bus: bus.to_owned() }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    /// Once more, at the same port.
    pub fn restart(&mut self) {
        let (running, host) = start(&self.bus, &self.host, &[]);
        assert_eq!(host, self.host);
        self.running = Some(running);
    }
}

fn start(bus: &str, listen: &str, arguments: &[&str]) -> (Running, String) {
    let mut command = framebus();
    command.args(["web", "--listen", listen, "--bus", bus, "--json", "--quiet"]).args(arguments);
    let running = Running::start(command);
    let told = running.next_object();
    let address = told["address"].as_str().unwrap_or_else(|| panic!("no address: {told}")).to_owned();
    (running, address)
}
