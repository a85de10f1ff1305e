//! `framebus gc`: removes what provably nobody uses.

use std::collections::BTreeMap;

use framebus::{Backend, CollectOptions, KeepReason, Orphan, StreamName, Survey};
use framebus_program::{Level, Output, backends, orphan_json, say, survey_each, unlisted};
use serde_json::{Value, json};

use crate::ls::{orphan_text, size};

/// Removes what provably nobody uses: streams without publisher and viewers, and what is left of others. Safe beside
/// running programs, and as often as you like. What it can not prove stays, and is named with its reason.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only what belongs to BUS/STREAMs that begin so.
    prefix: Option<String>,
    /// Only says what would be removed.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Also streams that their producer was told to leave there (persist).
    #[arg(long)]
    persisted: bool,
    /// One JSON object a thing that was removed, or kept.
    #[arg(long)]
    json: bool,
    /// Only those made of this: sysv, file, or file:/DIRECTORY [default: sysv and file].
    #[arg(long, value_name = "BACKEND")]
    backend: Option<Backend>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let prefix = arguments.prefix.as_deref().unwrap_or("");
    let (Survey { streams, orphans, .. }, failures) = survey_each(&backends(arguments.backend.as_ref()));
    for failure in &failures {
        say(Level::Error, format_args!("error: {}", unlisted(failure)));
    }
    // All that there is of a name goes at once.
    let mut names: BTreeMap<(StreamName, Backend), u64> = BTreeMap::new();
    let mut nameless = Vec::new();
    for stream in streams {
        let bytes = stream.resident_bytes + stream.geometry.places_bytes() as u64;
        names.insert((stream.name, stream.backend), bytes);
    }
    for orphan in orphans {
        match &orphan.name {
            Some(name) => *names.entry((name.clone(), orphan.backend.clone())).or_default() += orphan.bytes,
            None => nameless.push(orphan),
        }
    }
    names.retain(|(name, _), _| name.to_string().starts_with(prefix));
    let failed = !failures.is_empty();
    let mut report = Report { arguments, output: Output::default(), failed, removed: 0, bytes: 0 };
    let mut options = CollectOptions::default();
    (options.persisted, options.dry_run) = (arguments.persisted, arguments.dry_run);
    for ((name, backend), bytes) in names {
        let collected = framebus::collect(&backend, &name, options);
        report.stream(&name, &backend, bytes, collected);
    }
    if prefix.is_empty() {
        nameless.iter().for_each(|orphan| report.nameless(orphan));
    }
    report.end()
}

struct Report<'a> {
    arguments: &'a Arguments,
    output: Output,
    failed: bool,
    removed: usize,
    bytes: u64,
}

impl Report<'_> {
    fn stream(&mut self, name: &StreamName, backend: &Backend, bytes: u64, collected: Result<(), KeepReason>) {
        let dry = self.arguments.dry_run;
        let object = |kind: &str, reason: Option<String>| {
            json!({
                "kind": kind,
                "stream": name.to_string(),
                "backend": backend.to_string(),
                "bytes": bytes,
                "dry_run": dry,
                "reason": reason,
            })
        };
        match collected {
            Ok(()) => {
                self.bytes += bytes;
                self.removed(&object("removed", None), &format!("{name} ({backend}, {})", size(bytes)));
            }
            // In use, as it should be; or somebody else was faster.
            Err(KeepReason::Published(_) | KeepReason::Nothing) => {}
            Err(reason) => {
                let remedy = match &reason {
                    KeepReason::Persists => "; --persisted removes it",
                    KeepReason::Read(_) => "; stop them first",
                    KeepReason::Mapped => "; framebus rm removes it all the same",
                    _ => "",
                };
                let object = object("kept", Some(reason.to_string()));
                self.kept(&object, &reason, &format!("{name} ({backend}): {reason}{remedy}"));
            }
        }
    }

    /// An empty directory, or what can not be proven to be ours.
    fn nameless(&mut self, orphan: &Orphan) {
        let dry = self.arguments.dry_run;
        let collected = match orphan.is_proven() {
            false => Err(KeepReason::Unproven),
            true if dry => Ok(()),
            true => framebus::collect_directory(orphan),
        };
        let object = |kind: &str, reason: Option<String>| {
            let mut object = orphan_json(orphan);
            object["kind"] = kind.into();
            object["dry_run"] = dry.into();
            object["reason"] = reason.into();
            object
        };
        match collected {
            Ok(()) => self.removed(&object("removed", None), &orphan.object),
            Err(KeepReason::Nothing) => {}
            Err(reason) => self.kept(&object("kept", Some(reason.to_string())), &reason, &orphan_text(orphan)),
        }
    }

    fn removed(&mut self, object: &Value, what: &str) {
        self.removed += 1;
        match (self.arguments.json, self.arguments.dry_run) {
            (true, _) => self.output.line(object),
            (false, true) => self.output.line(format_args!("would remove {what}")),
            (false, false) => self.output.line(format_args!("removed {what}")),
        }
    }

    fn kept(&mut self, object: &Value, reason: &KeepReason, what: &str) {
        self.failed |= matches!(reason, KeepReason::System(_));
        match self.arguments.json {
            true => self.output.line(object),
            false => say(Level::Warning, format_args!("kept {what}")),
        }
    }

    /// The sum, and the exit code.
    fn end(self) -> anyhow::Result<u8> {
        if !self.arguments.json {
            let bytes = size(self.bytes);
            let words = match (self.removed, self.arguments.dry_run) {
                (0, _) => "nothing to remove".to_owned(),
                (count, true) => format!("{count} to remove, {bytes}"),
                (count, false) => format!("{count} removed, {bytes}"),
            };
            say(Level::Note, words);
        }
        if self.failed {
            return Ok(1);
        }
        self.output.finish()?;
        Ok(0)
    }
}
