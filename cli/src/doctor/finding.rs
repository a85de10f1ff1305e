//! What a check found: a verdict, what is there and what should be, why that matters, and what mends it.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// How a check went; also its order in print, the worst last, where it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It can not be known from here.
    NotChecked,
    /// It works, but not as well or as safely as it could.
    Warning,
    /// Something that is configured will not work.
    Failure,
}

impl Verdict {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::NotChecked => "not checked",
            Verdict::Warning => "warning",
            Verdict::Failure => "failure",
        }
    }
}

/// A command that mends something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// For how long, or where: `now`, `for good`, `in a container`, or in which file.
    pub when: &'static str,
    /// To be typed as it is, or a line of a file.
    pub command: String,
}

/// What needs more than all streams together: the new frames are made before the old ones go.
pub const EPOCH: &str = "for the moment in which the largest stream begins a new epoch";

/// What a check found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    pub verdict: Verdict,
    /// What is there; where it was not checked, why.
    pub found: String,
    /// What should be.
    pub expected: String,
    /// Why that matters, in half a sentence.
    pub why: &'static str,
    /// What mends it, the first thing first.
    pub remedies: Vec<Remedy>,
    /// The numbers behind it, by names with units.
    pub figures: Map<String, Value>,
}

impl Finding {
    /// Of a check that has found nothing yet.
    pub fn about(check: &'static str, expected: impl Into<String>, why: &'static str) -> Self {
        Self {
            check,
            verdict: Verdict::NotChecked,
            found: String::new(),
            expected: expected.into(),
            why,
            remedies: Vec::new(),
            figures: Map::new(),
        }
    }

    /// The verdict, and what it goes by.
    pub fn is(mut self, verdict: Verdict, found: impl Into<String>) -> Self {
        (self.verdict, self.found) = (verdict, found.into());
        self
    }

    pub fn ok(self, found: impl Into<String>) -> Self {
        self.is(Verdict::Ok, found)
    }

    pub fn warning(self, found: impl Into<String>) -> Self {
        self.is(Verdict::Warning, found)
    }

    pub fn failure(self, found: impl Into<String>) -> Self {
        self.is(Verdict::Failure, found)
    }

    pub fn not_checked(self, why: impl Into<String>) -> Self {
        self.is(Verdict::NotChecked, why)
    }

    pub fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    pub fn remedy(mut self, when: &'static str, command: impl Into<String>) -> Self {
        self.remedies.push(Remedy { when, command: command.into() });
        self
    }

    /// Another remedy, where `is` holds.
    pub fn remedy_if(self, is: bool, when: &'static str, command: impl Into<String>) -> Self {
        if is { self.remedy(when, command) } else { self }
    }

    /// A kernel setting, now and for good; in a container with an IPC namespace of its own, where it may not write, by its
    /// start.
    pub fn sysctl(self, name: &str, value: &str, in_container: bool) -> Self {
        let quoted = if value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() };
        self.remedy_if(in_container, "in a container", format!("docker run --sysctl {name}={quoted} ..."))
            .remedy("now", format!("sudo sysctl -w {name}={quoted}"))
            .remedy("for good", format!("echo '{name} = {value}' | sudo tee -a /etc/sysctl.d/60-framebus.conf"))
    }

    /// A limit of a user (setrlimit(2)): by limits.conf(5), of a systemd unit, of a container.
    pub fn user_limit(self, user: &str, name: &str, value: &str, unit: &str, docker: &str) -> Self {
        self.remedy(
            "next login",
            format!("echo '{user} - {name} {value}' | sudo tee -a /etc/security/limits.d/framebus.conf"),
        )
        .remedy("systemd unit", unit.to_owned())
        .remedy("in a container", format!("docker run {docker} ..."))
    }

    /// As one JSON object; its keys are in docs/json.md.
    pub fn json(&self) -> Value {
        json!({
            "kind": "check",
            "check": self.check,
            "verdict": self.verdict,
            "found": self.found,
            "expected": self.expected,
            "why": self.why,
            "remedies": self.remedies,
            "figures": self.figures,
        })
    }

    /// All remedies, one a line.
    #[cfg(test)]
    pub fn commands(&self) -> String {
        self.remedies.iter().map(|remedy| format!("{}: {}\n", remedy.when, remedy.command)).collect()
    }
}
