//! What a page wants, and the answers; docs/json.md has them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::Message;
use framebus::now_ns;
use framebus_picture::{Channel, FileKind, Reading};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::frozen::{Frozen, Turn};
use crate::picture::{About, Picture, Reply, Style, StyleWords, Task};
use crate::routes::Hub;
use crate::still::Still;
use crate::watch::Key;
use crate::watches::{Came, Looking};

/// How long a new frame is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long new records are waited for.
const SAMPLES_PATIENCE: Duration = Duration::from_millis(250);

/// Answers of a browser that encoders work for, or that wait for its socket, at a time. One is made while another is sent.
const IN_FLIGHT: usize = 2;

/// A want: what it is about, and what it is.
#[derive(Debug, Deserialize)]
struct Request {
    stream: String,
    backend: Option<String>,
    #[serde(flatten)]
    want: Want,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "want", rename_all = "lowercase")]
enum Want {
    Picture {
        #[serde(flatten)]
        style: StyleWords,
        #[serde(default)]
        range: Option<[f32; 2]>,
        #[serde(default)]
        after: Sequence,
    },
    Freeze,
    Step,
    Thaw,
    Pixel {
        x: u32,
        y: u32,
    },
    Histogram,
    Save {
        kind: String,
    },
    Samples {
        #[serde(default)]
        after: Sequence,
    },
}

impl Want {
    /// Whether it changes what is frozen.
    fn changes(&self) -> bool {
        matches!(self, Self::Freeze | Self::Step | Self::Thaw)
    }
}

/// A want that has its place behind those which the browser sent before it.
pub(crate) struct Placed {
    key: Key,
    want: Want,
    turn: Turn,
}

/// A sequence: a decimal string, because numbers of JavaScript have 53 bits.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct Sequence(u64);

impl TryFrom<String> for Sequence {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let error = |_| format!("{text:?} is no sequence: expected a string of decimal digits");
        if text.is_empty() { Ok(Self(0)) } else { text.parse().map(Self).map_err(error) }
    }
}

/// A message, and the place in flight that it has until the socket took it.
pub(crate) struct Answer {
    pub message: Message,
    pub permit: Option<OwnedSemaphorePermit>,
}

impl Answer {
    pub(crate) fn text(value: &Value) -> Self {
        Self { message: Message::text(value.to_string()), permit: None }
    }

    /// `{"id","error"}`.
    pub(crate) fn error(id: &Value, error: &str) -> Self {
        Self::text(&json!({ "id": id, "error": error }))
    }

    /// The length of the header, the header, and what it is about.
    fn binary(header: &Value, body: &Bytes) -> Self {
        let header = header.to_string();
        let mut bytes = Vec::with_capacity(4 + header.len() + body.len());
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(body);
        Self { message: Message::binary(bytes), permit: None }
    }

    fn with(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.permit = Some(permit);
        self
    }
}

/// What belongs to one browser.
pub(crate) struct Browser {
    hub: Arc<Hub>,
    frozen: Frozen,
    flight: Arc<Semaphore>,
}

impl Browser {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        let frozen = Frozen::new(hub.room.clone());
        Self { hub, frozen, flight: Arc::new(Semaphore::new(IN_FLIGHT)) }
    }

    /// Understands a message. Asked for one after the other, wants of one stream get their places in the same order.
    ///
    /// # Errors
    /// In words: it is no want, or there is no such stream.
    pub(crate) async fn place(&self, message: Value) -> Result<Placed, String> {
        let request = serde_json::from_value(message).map_err(|error| format!("not understood: {error}"))?;
        let Request { stream, backend, want } = request;
        let found = self.hub.streams.find(&stream, backend.as_deref(), &self.hub.watches).await;
        let key = found.map_err(|unfound| unfound.text())?;
        let turn = self.frozen.queue(&key, want.changes());
        Ok(Placed { key, want, turn })
    }

    /// The one answer to a message.
    pub(crate) async fn answer(&self, id: &Value, placed: Result<Placed, String>) -> Answer {
        let answer = match placed {
            Ok(placed) => self.fulfil(id, placed).await,
            Err(error) => Err(error),
        };
        answer.unwrap_or_else(|error| Answer::error(id, &error))
    }

    async fn fulfil(&self, id: &Value, placed: Placed) -> Result<Answer, String> {
        let Placed { key, want, mut turn } = placed;
        let frozen = turn.come().await.map(|kept| kept.still.clone());
        match want {
            Want::Picture { style, range, after } => {
                self.picture(id, &key, style.style(range, self.hub.quality)?, after.0, frozen).await
            }
            Want::Freeze => self.freeze(id, turn, &key, None).await,
            Want::Step => {
                let after = frozen.map_or(0, |still| still.about().sequence);
                self.freeze(id, turn, &key, Some(after)).await
            }
            Want::Thaw => {
                let sequence = frozen.map(|still| still.about().sequence.to_string());
                self.frozen.thaw(turn);
                Ok(Answer::text(&json!({ "id": id, "sequence": sequence, "frozen": false })))
            }
            Want::Pixel { x, y } => {
                let (about, readings) = self.read(&key, frozen, |reply| Task::Pixel(x, y, reply)).await?;
                let readings = readings.map(|readings| readings.iter().map(reading_json).collect::<Vec<_>>());
                let sequence = about.sequence.to_string();
                Ok(Answer::text(&json!({ "id": id, "sequence": sequence, "x": x, "y": y, "readings": readings })))
            }
            Want::Histogram => {
                let (about, channels) = self.read(&key, frozen, Task::Histogram).await?;
                let channels: Vec<Value> = channels.iter().map(channel_json).collect();
                let sequence = about.sequence.to_string();
                Ok(Answer::text(&json!({ "id": id, "sequence": sequence, "channels": channels })))
            }
            Want::Save { kind } => self.save(id, &key, &kind, frozen).await,
            Want::Samples { after } => self.samples(id, &key, after.0).await,
        }
    }

    async fn picture(
        &self,
        id: &Value,
        key: &Key,
        style: Style,
        after: u64,
        frozen: Option<Arc<Still>>,
    ) -> Result<Answer, String> {
        if let Some(still) = frozen {
            let permit = self.place_in_flight().await?;
            let picture = self.hub.watches.ask_still(still, |reply| Task::Picture(style, reply)).await?;
            return Ok(picture_answer(id, key, &picture, true).with(permit));
        }
        let looking = self.hub.watches.look(key)?;
        let waiting = looking.wait();
        if let Came::Nothing(publisher) = looking.newer(after, PATIENCE).await? {
            return Ok(nothing(id, publisher));
        }
        // A browser that does not take what it has needs no frame at hand meanwhile.
        let (permit, waiting) = match self.flight.clone().try_acquire_owned() {
            Ok(permit) => (permit, waiting),
            Err(_) => {
                drop(waiting);
                (self.place_in_flight().await?, looking.wait())
            }
        };
        let picture = looking.picture(style).await?;
        drop(waiting);
        Ok(picture_answer(id, key, &picture, false).with(permit))
    }

    /// Freezes the newest frame, or with `after` the first that is newer than that and than what there is.
    async fn freeze(&self, id: &Value, turn: Turn, key: &Key, after: Option<u64>) -> Result<Answer, String> {
        self.frozen.check(&turn)?;
        let _permit = self.place_in_flight().await?;
        let looking = self.hub.watches.look(key)?;
        let _waiting = looking.wait();
        let after = match after {
            Some(0) => looking.sequence(),
            after => after.unwrap_or(0),
        };
        if let Came::Nothing(publisher) = looking.newer(after, PATIENCE).await? {
            return Ok(nothing(id, publisher));
        }
        let still = looking.still().await?;
        let sequence = still.about().sequence.to_string();
        self.frozen.keep(turn, still)?;
        Ok(Answer::text(&json!({ "id": id, "sequence": sequence, "frozen": true })))
    }

    /// What the frozen frame says, or else the newest.
    async fn read<T>(
        &self,
        key: &Key,
        frozen: Option<Arc<Still>>,
        task: impl FnOnce(Reply<T>) -> Task,
    ) -> Result<T, String> {
        let _permit = self.place_in_flight().await?;
        if let Some(still) = frozen {
            return self.hub.watches.ask_still(still, task).await;
        }
        let looking = self.hub.watches.look(key)?;
        let _waiting = looking.wait();
        self.first(&looking).await?;
        looking.ask(task).await
    }

    async fn save(&self, id: &Value, key: &Key, kind: &str, frozen: Option<Arc<Still>>) -> Result<Answer, String> {
        let Some(file) = FileKind::of(Path::new(&format!("frame.{kind}"))) else {
            return Err(format!("{kind:?} is no kind of picture: expected png, jpg or tiff"));
        };
        let permit = self.place_in_flight().await?;
        let (still, is_frozen) = match frozen {
            Some(still) => (still, true),
            None => {
                let looking = self.hub.watches.look(key)?;
                let _waiting = looking.wait();
                self.first(&looking).await?;
                (looking.still().await?, false)
            }
        };
        let (about, file) = self.hub.watches.ask_still(still, |reply| Task::Save(file, reply)).await?;
        let mut header = about_json(id, key, &about, is_frozen);
        header["kind"] = kind.into();
        Ok(Answer::binary(&header, &file).with(permit))
    }

    async fn samples(&self, id: &Value, key: &Key, after: u64) -> Result<Answer, String> {
        let looking = self.hub.watches.look(key)?;
        looking.newer(after, SAMPLES_PATIENCE).await?;
        let recent = looking.watched().with_samples(|samples| samples.since(after));
        // A browser that takes nothing gets no numbers made either.
        let permit = self.place_in_flight().await?;
        Ok(Answer::text(&recent.json(id)).with(permit))
    }

    /// Waits for a first frame.
    async fn first(&self, looking: &Looking) -> Result<(), String> {
        match looking.newer(0, PATIENCE).await? {
            Came::Frame => Ok(()),
            Came::Nothing(_) => Err("the stream has no frame so far".to_owned()),
        }
    }

    async fn place_in_flight(&self) -> Result<OwnedSemaphorePermit, String> {
        self.flight.clone().acquire_owned().await.map_err(|error| error.to_string())
    }
}

fn nothing(id: &Value, publisher: &str) -> Answer {
    Answer::text(&json!({ "id": id, "nothing": true, "publisher": publisher }))
}

fn picture_answer(id: &Value, key: &Key, picture: &Picture, is_frozen: bool) -> Answer {
    let mut header = about_json(id, key, &picture.about, is_frozen);
    header["step"] = picture.step.into();
    header["range"] = json!(picture.range);
    Answer::binary(&header, &picture.jpeg)
}

fn about_json(id: &Value, key: &Key, about: &About, is_frozen: bool) -> Value {
    json!({
        "id": id,
        "stream": key.name.to_string(),
        "sequence": about.sequence.to_string(),
        "width": about.width,
        "height": about.height,
        "format": about.format,
        "age_ms": now_ns().saturating_sub(about.capture_ns) as f64 / 1e6,
        "latency_ns": about.latency_ns,
        "frozen": is_frozen,
    })
}

fn reading_json(reading: &Reading) -> Value {
    json!({ "channel": reading.channel, "value": reading.value })
}

fn channel_json(channel: &Channel) -> Value {
    json!({ "channel": channel.channel, "low": channel.low, "high": channel.high, "bins": channel.bins })
}
