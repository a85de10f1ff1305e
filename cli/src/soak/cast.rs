//! The cast: a producer and viewers on each stream, each a process of its own, and one life after the other.

use std::time::Instant;

use crossbeam_channel::Sender;

use crate::actor::{Actor, Message, Script, Words};

use super::arguments::Settings;
use super::judge;
use super::plan::{Member, Part};

/// How often they tell how it goes. What a process that is killed has not told is lost, so a storm asks more often.
const CALM_INTERVAL: &str = "0.5";
const STORM_INTERVAL: &str = "0.2";
/// How long a viewer waits for a stream that is not there, in seconds.
const VIEWERS_PATIENCE: &str = "20";

/// A member of the cast.
pub(super) struct Role {
    /// Index of its stream.
    pub stream: usize,
    pub member: Member,
    pub label: String,
    /// Lives so far.
    pub lives: u64,
    pub life: Option<Life>,
}

/// A process, from its start to its end.
pub(super) struct Life {
    /// Its messages come from this number.
    pub number: u64,
    pub part: Part,
    pub actor: Actor,
    pub begun: Instant,
    /// What was done to it.
    pub killed: bool,
    pub interrupted: bool,
    pub stopped: bool,
    /// As it told last.
    pub last_sequence: Option<u64>,
    /// What it has told in its intervals so far; see `judge`.
    pub told: judge::Counted,
}

impl Role {
    pub(super) fn new(stream: usize, member: Member, settings: &Settings) -> Self {
        let label = match member {
            Member::Producer => "producer".to_owned(),
            Member::Viewer(index) if index >= settings.viewers => format!("passer-by-{}", index - settings.viewers + 1),
            Member::Viewer(index) => format!("viewer-{}", index + 1),
        };
        Self { stream, member, label, lives: 0, life: None }
    }

    /// All roles of a soak.
    pub(super) fn all(settings: &Settings) -> Vec<Self> {
        let viewers = settings.viewers + settings.passers_by;
        let members = || std::iter::once(Member::Producer).chain((0..viewers).map(Member::Viewer));
        let streams = 0..settings.streams.len();
        streams.flat_map(|stream| members().map(move |member| Role::new(stream, member, settings))).collect()
    }

    /// What its next life is to be.
    pub(super) fn next_part(&self, settings: &Settings) -> Part {
        Part::new(settings, self.stream, self.member, self.lives)
    }

    /// What its present life is, or was where it has ended.
    pub(super) fn last_part(&self, settings: &Settings) -> Part {
        Part::new(settings, self.stream, self.member, self.lives.saturating_sub(1))
    }

    /// Begins the next life.
    pub(super) fn start(
        &mut self,
        settings: &Settings,
        part: Part,
        number: u64,
        sender: &Sender<Message>,
    ) -> anyhow::Result<&Life> {
        let script = match self.member {
            Member::Producer => self.producer(settings, &part),
            Member::Viewer(_) => self.viewer(settings, &part),
        };
        let actor = Actor::start(&script, number, sender)?;
        self.lives += 1;
        Ok(self.life.insert(Life {
            number,
            part,
            actor,
            begun: Instant::now(),
            killed: false,
            interrupted: false,
            stopped: false,
            last_sequence: None,
            told: judge::Counted::default(),
        }))
    }

    fn script(&self, program: &'static str, settings: &Settings) -> Script {
        let mut script = Script::new(program, Words::Captured);
        let interval = if settings.calm { CALM_INTERVAL } else { STORM_INTERVAL };
        script.arguments(["--json", "--interval", interval, "--stream"]);
        script.argument(settings.streams[self.stream].name.to_string());
        script.arguments(["--backend", &settings.streams[self.stream].backend.to_string()]);
        script.argument("--config").argument(settings.folder.join(super::CONFIG_FILE));
        script
    }

    fn producer(&self, settings: &Settings, part: &Part) -> Script {
        let mut script = self.script("producer", settings);
        let shape = settings.shapes[part.shape];
        script.arguments(["--width", &shape.width().to_string(), "--height", &shape.height().to_string()]);
        script.arguments(["--format", shape.format().name()]);
        if part.persist {
            script.argument("--persist");
        }
        script
    }

    fn viewer(&self, settings: &Settings, part: &Part) -> Script {
        let mut script = self.script("viewer", settings);
        script.arguments(["--verify", "--quiet", "--patience", VIEWERS_PATIENCE, "--label", &self.label]);
        script.arguments(["--mode", if part.every { "every" } else { "latest" }]);
        script.arguments(["--hold", &part.hold.as_millis().to_string()]);
        script.arguments(["--hold-frames", &part.hold_frames.to_string()]);
        if let Some(frames) = part.frames {
            script.arguments(["--frames", &frames.to_string()]);
        }
        script
    }
}

impl Part {
    /// What is special about it, in words.
    pub(super) fn describe(&self, settings: &Settings, member: Member) -> String {
        let mut words = match member {
            Member::Producer => vec![settings.shapes[self.shape].to_string()],
            Member::Viewer(_) => vec![if self.every { "every frame" } else { "latest frame" }.to_owned()],
        };
        if self.persist {
            words.push("persist".to_owned());
        }
        if !self.hold.is_zero() {
            words.push(format!("holds each {} ms", self.hold.as_millis()));
        }
        if self.hold_frames > 0 {
            words.push(format!("keeps {}", self.hold_frames));
        }
        if let Some(frames) = self.frames {
            words.push(format!("{frames} frames"));
        }
        words.join(", ")
    }
}
