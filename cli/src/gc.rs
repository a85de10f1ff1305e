//! `framebus gc`: removes what provably nobody uses.

use std::collections::BTreeMap;
use std::io::Write;

use framebus::{Backend, CollectOptions, KeepReason, Orphan, StreamName, Survey};
use framebus_program::{backends, orphan_json, survey};
use serde_json::json;

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
    let Survey { streams, orphans, .. } = survey(&backends(arguments.backend.as_ref()))?;
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
    let mut report = Report { arguments, failed: false, removed: 0, bytes: 0 };
    let mut options = CollectOptions::default();
    (options.persisted, options.dry_run) = (arguments.persisted, arguments.dry_run);
    for ((name, backend), bytes) in names {
        let collected = framebus::collect(&backend, &name, options);
        report.stream(&name, &backend, bytes, collected)?;
    }
    if prefix.is_empty() {
        nameless.iter().try_for_each(|orphan| report.nameless(orphan))?;
    }
    report.end();
    Ok(u8::from(report.failed))
}

struct Report<'a> {
    arguments: &'a Arguments,
    failed: bool,
    removed: usize,
    bytes: u64,
}

impl Report<'_> {
    fn stream(
        &mut self,
        name: &StreamName,
        backend: &Backend,
        bytes: u64,
        collected: Result<(), KeepReason>,
    ) -> std::io::Result<()> {
        let object = |kind: &str, reason: Option<String>| {
            json!({
                "kind": kind,
                "stream": name.to_string(),
                "backend": backend.to_string(),
                "bytes": bytes,
                "dry_run": self.arguments.dry_run,
                "reason": reason,
            })
        };
        let mut out = std::io::stdout().lock();
        match collected {
            Ok(()) => {
                self.removed += 1;
                self.bytes += bytes;
                match (self.arguments.json, self.arguments.dry_run) {
                    (true, _) => writeln!(out, "{}", object("removed", None)),
                    (false, true) => writeln!(out, "would remove {name} ({backend}, {})", size(bytes)),
                    (false, false) => writeln!(out, "removed {name} ({backend}, {})", size(bytes)),
                }
            }
            // In use, as it should be; or somebody else was faster.
            Err(KeepReason::Published(_) | KeepReason::Nothing) => Ok(()),
            Err(reason) => {
                self.failed |= matches!(reason, KeepReason::System(_));
                if self.arguments.json {
                    return writeln!(out, "{}", object("kept", Some(reason.to_string())));
                }
                let remedy = match &reason {
                    KeepReason::Persists => "; --persisted removes it",
                    KeepReason::Read(_) => "; stop them first",
                    KeepReason::Mapped => "; framebus rm removes it all the same",
                    _ => "",
                };
                eprintln!("kept {name} ({backend}): {reason}{remedy}");
                Ok(())
            }
        }
    }

    /// An empty directory, or what can not be proven to be ours.
    fn nameless(&mut self, orphan: &Orphan) -> std::io::Result<()> {
        let (json, dry) = (self.arguments.json, self.arguments.dry_run);
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
        let mut out = std::io::stdout().lock();
        match collected {
            Ok(()) => {
                self.removed += 1;
                let verb = if dry { "would remove" } else { "removed" };
                if json {
                    writeln!(out, "{}", object("removed", None))
                } else {
                    writeln!(out, "{verb} {}", orphan.object)
                }
            }
            Err(KeepReason::Nothing) => Ok(()),
            Err(reason) => {
                self.failed |= matches!(reason, KeepReason::System(_));
                if json {
                    return writeln!(out, "{}", object("kept", Some(reason.to_string())));
                }
                eprintln!("kept {}", orphan_text(orphan));
                Ok(())
            }
        }
    }

    fn end(&self) {
        if self.arguments.json {
            return;
        }
        match (self.removed, self.arguments.dry_run) {
            (0, _) => eprintln!("nothing to remove"),
            (count, true) => eprintln!("{count} to remove, {}", size(self.bytes)),
            (count, false) => eprintln!("{count} removed, {}", size(self.bytes)),
        }
    }
}
