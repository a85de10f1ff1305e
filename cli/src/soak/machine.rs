//! Where a soak ran.

use serde::Serialize;

/// The machine, as far as it matters for the figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    pub kernel: String,
    pub architecture: String,
    pub cpus: usize,
    pub cpu_model: Option<String>,
    pub framebus: &'static str,
}

impl Machine {
    pub(super) fn look() -> Self {
        let system = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        Self {
            kernel: format!("{} {}", text(system.sysname()), text(system.release())),
            architecture: text(system.machine()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_model: model.map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned()),
            framebus: env!("CARGO_PKG_VERSION"),
        }
    }
}
