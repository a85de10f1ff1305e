//! What a face shows: the picture, whose it is, and what the keys have made of it. Knows nothing of screens.

use super::Key;
use super::words::{self, Numbers};
use crate::figures::Interval;
use framebus::{Frame, ImageShape, ImageView, PixelFormat, now_ns};
use framebus_picture::{Look, Palette, Part, Preview, Still, fitting, pixel, save_new};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a word stays.
const SAID_FOR: Duration = Duration::from_secs(4);

/// How the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no such stream yet.
    Waiting,
    /// It is there, but not for us; why is said each time that it was tried.
    Refused,
    Live,
    /// Nobody publishes; the word says why: `is gone`, `has closed the stream`.
    Left(&'static str),
}

/// Whether the picture moves.
#[derive(Debug)]
enum Motion {
    Runs,
    /// It runs until the next frame, a newer one where `newer`, and stands still on that.
    Stops {
        newer: bool,
    },
    Stands {
        still: Still,
        sequence: u64,
        capture_ns: u64,
    },
}

/// The frame that is shown.
#[derive(Clone, Copy, Debug)]
struct Shown {
    shape: ImageShape,
    sequence: u64,
    capture_ns: u64,
}

/// Where in a screen's room the picture lies, and which part of the preview that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
    pub part: Part,
}

/// See the module.
pub(crate) struct Scene {
    stream: String,
    state: State,
    motion: Motion,
    /// `None`: what suits the format.
    palette: Option<Palette>,
    overlay: bool,
    /// A pixel of the frame is a pixel of the screen, around this pixel of the frame.
    actual_size: Option<(u32, u32)>,
    preview: Preview,
    shown: Option<Shown>,
    /// The frames are no images.
    without_picture: bool,
    numbers: Numbers,
    pointed: Option<(u32, u32)>,
    reading: Option<String>,
    said: Option<(String, Instant)>,
    remarks: Vec<String>,
    snapshot: bool,
    /// One at a time: a key that repeats would start threads without end.
    saving: Option<JoinHandle<String>>,
    /// The preview is not what it should be: made for another size, or of an older frame.
    stale: bool,
    /// The value of the pixel that is pointed at was not read yet.
    unread: bool,
    new_picture: bool,
    new_words: bool,
}

impl Scene {
    pub(crate) fn new(stream: String) -> Self {
        Self {
            stream,
            state: State::Waiting,
            motion: Motion::Runs,
            palette: None,
            overlay: true,
            actual_size: None,
            preview: Preview::default(),
            shown: None,
            without_picture: false,
            numbers: Numbers::default(),
            pointed: None,
            reading: None,
            said: None,
            remarks: Vec::new(),
            snapshot: false,
            saving: None,
            stale: false,
            unread: false,
            new_picture: true,
            new_words: true,
        }
    }

    pub(crate) fn turn_to(&mut self, stream: String) {
        let (overlay, saving) = (self.overlay, self.saving.take());
        *self = Self { overlay, saving, ..Self::new(stream) };
    }

    pub(crate) fn set_state(&mut self, state: State) {
        self.new_words |= self.state != state;
        self.state = state;
    }

    pub(crate) fn note(&mut self, interval: &Interval<'_>) {
        self.numbers.note(interval);
        self.new_words = true;
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.said = Some((text.to_owned(), Instant::now()));
        self.new_words = true;
    }

    pub(crate) fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Does what a key is for, where it is for the scene.
    pub(crate) fn press(&mut self, key: Key) {
        self.new_words = true;
        match key {
            Key::Quit | Key::Turn(_) => {}
            Key::Pause if matches!(self.motion, Motion::Runs) => self.motion = Motion::Stops { newer: false },
            Key::Pause => (self.motion, self.stale) = (Motion::Runs, true),
            Key::Step => self.motion = Motion::Stops { newer: true },
            Key::Snapshot if self.saving.is_some() => self.say("one is being saved still: s again when it is"),
            Key::Snapshot => self.snapshot = true,
            Key::Overlay => (self.overlay, self.new_picture) = (!self.overlay, true),
            Key::Palette => self.choose_palette(),
            Key::ActualSize => {
                let middle = self.shown.map_or((0, 0), |shown| (shown.shape.width() / 2, shown.shape.height() / 2));
                let around = self.pointed.unwrap_or(middle);
                self.actual_size = if self.actual_size.is_some() { None } else { Some(around) };
                self.redraw();
            }
        }
    }

    fn choose_palette(&mut self) {
        let Some(format) = self.shown.map(|shown| shown.shape.format()) else { return };
        if !words::has_values(format) {
            self.say(&format!("{format} has colours of its own"));
            return;
        }
        let now = Palette::ALL.iter().position(|palette| *palette == self.palette_of(format)).unwrap_or(0);
        self.palette = Some(Palette::ALL[(now + 1) % Palette::ALL.len()]);
        self.redraw();
    }

    /// Depth in grey says little to an eye.
    fn palette_of(&self, format: PixelFormat) -> Palette {
        let suits = if format == PixelFormat::DepthF32 { Palette::Turbo } else { Palette::Grey };
        self.palette.unwrap_or(suits)
    }

    /// The preview is to be made again.
    pub(crate) fn redraw(&mut self) {
        (self.stale, self.new_picture) = (true, true);
    }

    /// A frame was too much: the newest one is to be looked at when there is time again.
    pub(crate) fn pass_by(&mut self) {
        self.stale |= !matches!(self.motion, Motion::Stands { .. });
    }

    /// The pointer is at this pixel of the frame.
    pub(crate) fn point(&mut self, pixel: Option<(u32, u32)>) {
        if pixel != self.pointed {
            (self.pointed, self.unread, self.new_words) = (pixel, true, true);
        }
    }

    pub(crate) fn wants_frame(&self) -> bool {
        match self.motion {
            Motion::Stands { .. } => false,
            Motion::Stops { newer: false } => true,
            Motion::Stops { newer: true } | Motion::Runs => self.stale || self.unread || self.snapshot,
        }
    }

    /// Looks at a frame of the stream, if the picture moves. `again`: it was offered before.
    pub(crate) fn offer(&mut self, frame: &Frame, again: bool, room: (u32, u32)) -> anyhow::Result<()> {
        if matches!(self.motion, Motion::Stands { .. }) {
            return Ok(());
        }
        self.stale |= !again;
        let info = frame.info();
        let Some(view) = frame.image() else {
            (self.without_picture, self.new_words) = (true, true);
            (self.stale, self.unread, self.snapshot) = (false, false, false);
            return Ok(());
        };
        self.without_picture = false;
        self.read(view, info.sequence, info.capture_ns, room)?;
        if let Motion::Stops { newer } = self.motion
            && !(newer && again)
        {
            let (still, sequence, capture_ns) = (Still::of(view), info.sequence, info.capture_ns);
            self.motion = Motion::Stands { still, sequence, capture_ns };
        }
        Ok(())
    }

    /// Does for the frame that the picture stands on what else a coming frame does.
    pub(crate) fn refresh(&mut self, room: (u32, u32)) -> anyhow::Result<()> {
        if self.saving.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish();
        }
        if self.said.as_ref().is_some_and(|(_, when)| when.elapsed() > SAID_FOR) {
            (self.said, self.new_words) = (None, true);
        }
        if !(self.stale || self.unread || self.snapshot) {
            return Ok(());
        }
        let stands = std::mem::replace(&mut self.motion, Motion::Runs);
        let done = match &stands {
            Motion::Stands { still, sequence, capture_ns } => {
                still.view().map_or(Ok(()), |view| self.read(view, *sequence, *capture_ns, room))
            }
            _ => Ok(()),
        };
        self.motion = stands;
        done
    }

    /// Reads of a frame what is needed of it.
    fn read(&mut self, view: ImageView<'_>, sequence: u64, capture_ns: u64, room: (u32, u32)) -> anyhow::Result<()> {
        let shape = view.shape();
        if std::mem::take(&mut self.snapshot) {
            self.take_snapshot(view, sequence);
        }
        self.unread = false;
        self.reading = self.pointed.and_then(|at| Some(words::pixel(at, &pixel(view, at.0, at.1)?)));
        self.new_words = true;
        if std::mem::take(&mut self.stale) {
            let look = Look { palette: self.palette_of(shape.format()), ..Look::default() };
            let look = match self.actual_size {
                Some(_) => look,
                None => look.to_fill((shape.width(), shape.height()), room),
            };
            self.preview.draw(view, &look)?;
            self.shown = Some(Shown { shape, sequence, capture_ns });
            self.new_picture = true;
        }
        Ok(())
    }

    /// The frame is copied here; all else is done on a thread of its own.
    fn take_snapshot(&mut self, view: ImageView<'_>, sequence: u64) {
        let path = PathBuf::from(format!("{}-{sequence}.png", self.stream.replace('/', "-")));
        let still = Still::of(view);
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            match still.picture().and_then(|picture| save_new(&picture, &path)) {
                Ok(path) => format!("saved {} ({})", path.display(), words::shape(still.shape())),
                Err(error) => format!("{error:#}"),
            }
        });
        match thread {
            Ok(thread) => self.saving = Some(thread),
            Err(error) => self.report(format!("can not start a thread to save a snapshot: {error}")),
        }
    }

    fn report(&mut self, text: String) {
        self.say(&text);
        self.remarks.push(text);
    }

    /// Waits for the snapshot that is on its way.
    pub(crate) fn finish(&mut self) {
        let Some(thread) = self.saving.take() else { return };
        self.report(thread.join().unwrap_or_else(|_| "the thread that saved a snapshot panicked".to_owned()));
    }

    /// Whether something is to be drawn.
    pub(crate) fn is_new(&self) -> bool {
        self.new_picture || self.new_words
    }

    /// Whether the picture itself is new, and not only what is said of it.
    pub(crate) fn has_new_picture(&self) -> bool {
        self.new_picture
    }

    pub(crate) fn was_drawn(&mut self) {
        (self.new_picture, self.new_words) = (false, false);
    }

    pub(crate) fn overlay(&self) -> bool {
        self.overlay
    }

    pub(crate) fn preview(&self) -> &Preview {
        &self.preview
    }

    /// Where the picture goes; `None` before the first.
    pub(crate) fn placement(&self, room: (u32, u32)) -> Option<Placement> {
        let shape = self.shown?.shape;
        let (width, height) = (self.preview.width(), self.preview.height());
        let (shown, part) = match self.actual_size {
            // The preview may still be one made for another size.
            Some((x, y)) if self.preview.step() == 1 => {
                let (across, down) = (width.min(room.0), height.min(room.1));
                let x = x.saturating_sub(across / 2).min(width - across);
                let y = y.saturating_sub(down / 2).min(height - down);
                ((across, down), Part { x, y, width: across, height: down })
            }
            _ => (fitting((shape.width(), shape.height()), room), Part { x: 0, y: 0, width, height }),
        };
        let (x, y) = ((room.0 - shown.0.min(room.0)) / 2, (room.1 - shown.1.min(room.1)) / 2);
        Some(Placement { x, y, width: shown.0, height: shown.1, part })
    }

    /// Which pixel of the frame lies at this place of the room.
    pub(crate) fn pixel_at(&self, (x, y): (u32, u32), room: (u32, u32)) -> Option<(u32, u32)> {
        let (at, shape) = (self.placement(room)?, self.shown?.shape);
        let (x, y) = (x.checked_sub(at.x)?, y.checked_sub(at.y)?);
        if x >= at.width || y >= at.height {
            return None;
        }
        let along = |from: u32, part: u32, at: u32, of: u32| {
            let step = u64::from(self.preview.step());
            (u64::from(from) * step + u64::from(at) * u64::from(part) * step / u64::from(of)) as u32
        };
        let x = along(at.part.x, at.part.width, x, at.width).min(shape.width() - 1);
        Some((x, along(at.part.y, at.part.height, y, at.height).min(shape.height() - 1)))
    }

    /// Stream, rate, and what is not as usual, in a few words.
    #[cfg(feature = "window")]
    pub(crate) fn title(&self) -> String {
        let state = match (self.state, &self.motion) {
            (State::Waiting, _) => "waiting".to_owned(),
            (State::Refused, _) => "trying again".to_owned(),
            (State::Left(why), _) => format!("producer {why}"),
            (State::Live, Motion::Stands { .. }) => "paused".to_owned(),
            (State::Live, Motion::Stops { newer: true }) => "next frame".to_owned(),
            (State::Live, _) => self.numbers.hz(),
        };
        format!("{} · {state}", self.stream)
    }

    /// Name and shape; rate and latency; frame and age; colours, where there is a choice; the pixel that is pointed at.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Some(Shown { shape, sequence, capture_ns }) = self.shown else { return vec![self.stream.clone()] };
        let mut lines = vec![
            format!("{}  {}", self.stream, words::shape(shape)),
            self.numbers.rate(),
            words::frame(sequence, capture_ns, now_ns(), self.numbers.skipped),
        ];
        if let Some(range) = self.preview.range() {
            lines.push(words::colours(shape.format(), self.palette_of(shape.format()), range));
        }
        lines.extend(self.reading.clone());
        lines
    }

    /// What the viewer should know before anything else: the what is not as usual, and the newest word.
    pub(crate) fn notice(&self) -> Option<String> {
        let unusual = match (self.state, &self.motion) {
            (State::Waiting, _) => Some(format!("waiting for {}: start its producer", self.stream)),
            (State::Refused, _) => Some("trying again".to_owned()),
            (State::Live, _) if self.without_picture => Some(format!("{} carries no pictures", self.stream)),
            (State::Live, Motion::Stands { .. }) => Some("paused".to_owned()),
            (State::Live, Motion::Stops { newer: true }) => Some("waiting for the next frame".to_owned()),
            (State::Live, _) => None,
            (State::Left(why), _) => Some(format!("the producer {why}")),
        };
        let said = self.said.as_ref().map(|(text, _)| text.clone());
        let words: Vec<String> = unusual.into_iter().chain(said).collect();
        (!words.is_empty()).then(|| words.join(" · "))
    }
}

#[cfg(test)]
impl Scene {
    /// Shows an image as if it were a frame's.
    pub(crate) fn show(&mut self, view: ImageView<'_>, sequence: u64, capture_ns: u64) {
        self.stale = true;
        self.read(view, sequence, capture_ns, (640, 480)).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: (u32, u32) = (640, 480);

    /// A scene that shows a frame whose pixels count up.
    fn showing(width: u32, height: u32, format: PixelFormat) -> (Scene, ImageShape, Vec<u8>) {
        let shape = ImageShape::new(width, height, format).unwrap();
        let bytes: Vec<u8> = (0..shape.frame_bytes()).map(|at| at as u8).collect();
        let mut scene = Scene::new("robot/front".to_owned());
        scene.set_state(State::Live);
        show(&mut scene, shape, &bytes);
        (scene, shape, bytes)
    }

    fn show(scene: &mut Scene, shape: ImageShape, bytes: &[u8]) {
        scene.show(ImageView::new(shape, bytes).unwrap(), 7, 0);
    }

    #[test]
    fn the_pointer_finds_the_pixel_that_it_is_on() {
        // 1920 × 1080 in 640 × 360, with 60 rows free above and below; three pixels of the frame each.
        let (mut scene, shape, bytes) = showing(1920, 1080, PixelFormat::Mono8);
        let at = scene.placement(ROOM).unwrap();
        assert_eq!((at.x, at.y, at.width, at.height), (0, 60, 640, 360));
        assert_eq!(scene.pixel_at((0, 60), ROOM), Some((0, 0)));
        assert_eq!(scene.pixel_at((639, 419), ROOM), Some((1917, 1077)));
        assert_eq!((scene.pixel_at((0, 59), ROOM), scene.pixel_at((0, 420), ROOM)), (None, None));
        // As large as it is, around the pixel that was pointed at.
        scene.point(Some((960, 540)));
        scene.press(Key::ActualSize);
        show(&mut scene, shape, &bytes);
        assert_eq!(scene.pixel_at((320, 240), ROOM), Some((960, 540)));
        assert_eq!(scene.pixel_at((0, 0), ROOM), Some((640, 300)));
        assert_eq!(scene.lines().last().unwrap(), &format!("(960, 540)  grey {}", bytes[540 * 1920 + 960]));
    }

    #[test]
    fn colours_are_chosen_for_what_has_one_value_a_pixel() {
        let (mut scene, shape, bytes) = showing(8, 4, PixelFormat::Mono8);
        assert!(scene.lines().contains(&"grey 0 to 255".to_owned()));
        scene.press(Key::Palette);
        assert!(scene.wants_frame());
        show(&mut scene, shape, &bytes);
        assert!(scene.lines().contains(&"turbo 0 to 255".to_owned()) && !scene.wants_frame());
        let (mut scene, ..) = showing(8, 4, PixelFormat::DepthF32);
        assert!(scene.lines().iter().any(|line| line.starts_with("turbo ")));
        scene.turn_to("robot/rear".to_owned());
        assert_eq!(scene.lines(), ["robot/rear"]);
        let (mut scene, ..) = showing(8, 4, PixelFormat::Rgb8);
        scene.press(Key::Palette);
        assert!(!scene.wants_frame());
        assert_eq!(scene.notice().unwrap(), "rgb8 has colours of its own");
    }

    #[test]
    fn what_is_not_as_usual_is_said_with_the_newest_word() {
        let (mut scene, ..) = showing(8, 4, PixelFormat::Rgb8);
        assert_eq!(scene.notice(), None);
        scene.set_state(State::Left("is gone"));
        scene.say("saved a.png");
        assert_eq!(scene.notice().unwrap(), "the producer is gone · saved a.png");
        scene.set_state(State::Live);
        scene.press(Key::Pause);
        // For the frame to stand still on.
        assert!(scene.wants_frame());
        scene.press(Key::Step);
        assert!(!scene.wants_frame());
        assert!(scene.notice().unwrap().starts_with("waiting for the next frame"));
    }

    #[test]
    fn one_snapshot_is_saved_at_a_time() {
        let (mut scene, ..) = showing(8, 4, PixelFormat::Mono8);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let saved = move || ended.recv().map_or(String::new(), |()| "saved".to_owned());
        scene.saving = Some(std::thread::spawn(saved));
        scene.press(Key::Snapshot);
        assert!(scene.notice().unwrap().starts_with("one is being saved still") && !scene.wants_frame());
        end.send(()).unwrap();
        scene.finish();
        assert_eq!(scene.remarks(), ["saved"]);
        scene.press(Key::Snapshot);
        assert!(scene.wants_frame());
    }
}
