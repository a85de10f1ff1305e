//! `framebus doctor`: is this machine fit for the streams of a config, and what mends what is not?
//!
//! ```text
//!   config ─► demand (segments, bytes, rights) ─┐
//!   root (files of /proc, /sys, /etc) ──────────┼─► one check a file ─► findings ─► print (text), finding (JSON)
//!   asked (answers of the kernel) ──────────────┘
//! ```
//!
//! A check is a function from what was read to a [`Finding`]; it asks nothing itself. So each is tested on machines that are made
//! up: trees of files, and answers. It changes nothing, takes no place in a stream, and needs no rights.

mod access;
mod asked;
mod clocks;
pub mod demand;
mod directory;
mod finding;
mod huge_pages;
mod kernel;
mod logind;
mod memory;
mod mounts;
mod namespaces;
mod present;
mod print;
mod root;
mod scheduling;
mod segments;
mod semaphores;
mod streams;
mod sysvipc;
#[cfg(test)]
mod testing;

use std::io::Write;
use std::path::PathBuf;

use framebus::Backend;
use framebus_config::Config;
use serde_json::{Value, json};

use crate::top::format::memory as words;
use asked::Asked;
use demand::Demand;
use finding::{Finding, Verdict};
use namespaces::Place;
use present::Present;
use root::Root;

pub use access::rights;

/// For which config, and how it is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// The config [default: $FRAMEBUS_CONFIG, ./framebus.toml, or the built-in demo].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object a check and line, and a summary as the last one.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let demand = Demand::of(&Config::find(arguments.config.as_deref())?)?;
    let root = Root::machine();
    let (asked, present) = (Asked::the_kernel(&root, &demand), Present::of_machine(&demand));
    let findings = findings(&root, &demand, &asked, &present);
    if arguments.json {
        let mut out = std::io::stdout().lock();
        for finding in &findings {
            writeln!(out, "{}", finding.json())?;
        }
        writeln!(out, "{}", summary(&demand, &findings))?;
    } else {
        print::print(&mut anstream::stdout().lock(), &title(&demand), &findings)?;
    }
    Ok(u8::from(print::count(&findings, Verdict::Failure) > 0))
}

/// All checks, in the order in which they build on each other.
fn findings(root: &Root, demand: &Demand, asked: &Asked, present: &Present) -> Vec<Finding> {
    let variable = std::env::var("container").ok();
    let place = Place::of(root, variable.as_deref());
    vec![
        kernel::kernel(root, demand),
        kernel::futex_waitv(root, asked),
        clocks::source(root),
        clocks::timers(root, asked),
        scheduling::governor(root),
        scheduling::realtime(root, asked),
        segments::shmmax(root, demand, &place),
        segments::shmall(root, demand, &place),
        segments::shmmni(root, demand, &place),
        semaphores::semaphores(root, demand, &place),
        streams::keys(root, asked, present, demand),
        streams::stale(present, demand),
        memory::memory(root, demand),
        memory::memlock(root, asked, demand),
        huge_pages::huge_pages(root, demand),
        directory::directory(root, asked, demand, &place),
        access::access(root, asked, demand),
        namespaces::ipc(&place, demand),
        namespaces::pid(&place),
        logind::remove_ipc_check(root, asked, demand, &place),
    ]
}

fn title(demand: &Demand) -> String {
    let count = demand.streams.len();
    let (plural, kind) = (
        if count == 1 { "" } else { "s" },
        match &demand.backend {
            Backend::SysV => "System V".to_owned(),
            other => other.to_string(),
        },
    );
    let (all, touched) = (words(demand.all_bytes()), words(demand.touched_bytes()));
    let memory = if all == touched { all } else { format!("{touched} with quick viewers, {all} at most") };
    format!("{}: {count} stream{plural} ({kind}), {memory}", demand.origin)
}

fn summary(demand: &Demand, findings: &[Finding]) -> Value {
    let count = |verdict| print::count(findings, verdict);
    json!({
        "kind": "summary",
        "config": demand.origin,
        "backend": demand.backend.to_string(),
        "streams": demand.streams.len(),
        "touched_bytes": demand.touched_bytes(),
        "all_bytes": demand.all_bytes(),
        "ok": count(Verdict::Ok),
        "not_checked": count(Verdict::NotChecked),
        "warnings": count(Verdict::Warning),
        "failures": count(Verdict::Failure),
    })
}

#[cfg(test)]
mod tests {
    use super::testing::{Machine, asked, demand};
    use super::*;

    /// A machine on which nothing is wrong.
    fn well() -> Machine {
        Machine::new()
            .with("/proc/sys/kernel/osrelease", "6.12.0")
            .with("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc")
            .with("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance")
            .with("/proc/sys/kernel/shmmax", "18446744073692774399")
            .with("/proc/sys/kernel/shmall", "18446744073692774399")
            .with("/proc/sys/kernel/shmmni", "4096")
            .with("/proc/sys/kernel/sem", "32000 1024000000 500 32000")
            .with("/proc/sysvipc/shm", "head\n")
            .with("/proc/sysvipc/sem", "head\n")
            .with("/proc/meminfo", "MemAvailable: 8000000 kB\n")
            .with_namespaces(0xefff_ffff, 0xefff_fffc)
    }

    #[test]
    fn on_a_machine_that_is_well_every_check_is_ok() {
        for finding in findings(&well().root(), &demand("", ""), &asked(), &Present::default()) {
            assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
            assert!(finding.remedies.is_empty(), "{finding:?}");
        }
    }

    #[test]
    fn on_a_machine_of_which_nothing_is_known_nothing_fails() {
        let findings = findings(&Machine::new().root(), &demand("", ""), &asked(), &Present::default());
        assert!(findings.iter().all(|finding| finding.verdict < Verdict::Warning), "{findings:?}");
        assert!(print::count(&findings, Verdict::NotChecked) >= 10, "{findings:?}");
    }

    #[test]
    fn each_finding_says_what_why_and_what_should_be_and_has_its_own_name() {
        let findings = findings(&well().root(), &demand("", ""), &asked(), &Present::default());
        let names: std::collections::BTreeSet<_> = findings.iter().map(|finding| finding.check).collect();
        assert_eq!(names.len(), findings.len());
        let documented = include_str!("../../../docs/doctor.md");
        assert!(names.iter().all(|name| documented.contains(&format!("`{name}`"))), "docs/doctor.md has {names:?}");
        for finding in &findings {
            let json = finding.json();
            for key in ["kind", "check", "verdict", "found", "expected", "why"] {
                assert!(json[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {json}");
            }
            assert!(json["remedies"].is_array() && json["figures"].is_object(), "{json}");
        }
    }
}
