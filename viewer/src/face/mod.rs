//! Faces: a window or a terminal, in which the stream is seen while it is viewed.
//!
//! ```text
//! session ─ each frame, in place ─▸ offer ─ a preview of it ─▸ Scene ─ picture and words ─▸ Screen ─▸ window, terminal
//!         ─ between frames ───────▸ look  ─ keys, size ──────▸
//! ```
//! All of it happens in the session's thread. A frame is held while its preview is made, and no longer: the drawing comes
//! behind that. So a slow screen keeps nobody waiting: frames that come before it can draw again are taken and counted as
//! all are, and not drawn. What is seen can be asked for again by [`Face::wants_frame`], where there is nothing newer:
//! after a change of size, of colours, or of what is pointed at.

mod neighbour;
mod scene;
mod words;

use crate::arguments::Arguments;
use crate::figures::Interval;
use crate::terminal::TerminalScreen;
#[cfg(feature = "window")]
use crate::window::Window;
#[cfg(feature = "window")]
use framebus::Content;
use framebus::{Backend, Frame, StreamName};
use framebus_program::usage;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

pub(crate) use scene::{Placement, Scene, State};

/// How long a session may sleep between two looks.
pub(crate) const SLICE: Duration = Duration::from_millis(15);

/// So often a scene is drawn anew though nothing came: its age grows, and a window system does not say that it has
/// forgotten what a window showed.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What a key asks for, whichever screen has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Pause,
    Step,
    Snapshot,
    Turn(Direction),
    Overlay,
    Palette,
    ActualSize,
    Quit,
}

/// To which stream of the bus, in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Next,
    Previous,
}

/// What the user wants of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Quit,
    /// To view this stream.
    Turn(StreamName),
}

/// Where a scene is shown.
enum Screen {
    #[cfg(feature = "window")]
    Window(Box<Window>),
    Terminal(Box<TerminalScreen>),
}

/// A scene and its screen.
pub(crate) struct Face {
    scene: Scene,
    screen: Screen,
    stream: StreamName,
    backend: Backend,
    /// What goes into a pipe, or is recorded, is of one stream.
    may_turn: bool,
    /// Pixels that the screen has for the picture.
    room: (u32, u32),
    drawn: Instant,
    /// No drawing before.
    next_drawing: Instant,
}

impl Face {
    /// The face that was asked for; `None` where none was.
    ///
    /// # Errors
    /// Where there is no display, or no terminal.
    pub(crate) fn open(arguments: &Arguments, stream: &StreamName, backend: &Backend) -> anyhow::Result<Option<Self>> {
        let screen = match (arguments.window, arguments.terminal) {
            (false, false) => return Ok(None),
            (true, _) => open_window(stream, backend)?,
            (false, true) if arguments.json && io::stderr().is_terminal() => {
                return Err(usage!(
                    "--terminal --json prints its objects to standard error, which is a terminal: expected a redirection, \
                     2>figures.jsonl for instance, or no --json"
                ));
            }
            (false, true) => {
                Screen::Terminal(Box::new(TerminalScreen::open(arguments.graphics, arguments.terminal_fps)?))
            }
        };
        let now = Instant::now();
        let scene = Scene::new(stream.to_string());
        let mut face = Self {
            scene,
            room: screen.room(true),
            screen,
            stream: stream.clone(),
            backend: backend.clone(),
            may_turn: arguments.pipe.is_none() && arguments.record.is_none(),
            drawn: now,
            next_drawing: now,
        };
        face.draw()?;
        Ok(Some(face))
    }

    /// Says something once, for a few seconds.
    pub(crate) fn say(&mut self, text: &str) {
        self.scene.say(text);
    }

    /// What the face has to say to who reads standard error.
    pub(crate) fn remarks(&mut self) -> Vec<String> {
        self.scene.remarks()
    }

    /// Takes it away, and then waits for a snapshot that is on its way: what is left to say of it.
    pub(crate) fn close(self) -> Vec<String> {
        let Self { mut scene, screen, .. } = self;
        // Nobody should look at a dead picture meanwhile, or lose the terminal to a second Ctrl-C.
        drop(screen);
        scene.finish();
        scene.remarks()
    }

    /// From now on it is about this stream, which is waited for.
    pub(crate) fn turn_to(&mut self, stream: &StreamName) {
        self.stream = stream.clone();
        self.scene.turn_to(stream.to_string());
    }

    /// How the stream is, as the session sees it.
    pub(crate) fn set_state(&mut self, state: State) {
        self.scene.set_state(state);
    }

    /// Figures of an interval that is over.
    pub(crate) fn note(&mut self, interval: &Interval<'_>) {
        self.scene.note(interval);
    }

    /// Whether the newest frame should be offered again, for want of a newer one.
    pub(crate) fn wants_frame(&self) -> bool {
        self.scene.wants_frame() && Instant::now() >= self.next_drawing
    }

    /// A frame, while it is ours: what is to be seen of it is read here. `again`: it was offered before.
    ///
    /// # Errors
    /// An image that does not fit its own size, or a terminal that is gone.
    pub(crate) fn offer(&mut self, frame: &Frame, again: bool) -> anyhow::Result<()> {
        match Instant::now() >= self.next_drawing {
            true => self.scene.offer(frame, again, self.room),
            false => {
                self.scene.pass_by();
                Ok(())
            }
        }
    }

    /// Looks at the keys, and draws where there is something new.
    ///
    /// # Errors
    /// A screen that is gone.
    pub(crate) fn look(&mut self) -> anyhow::Result<Option<Wish>> {
        for key in self.screen.keys()? {
            match key {
                Key::Quit => return Ok(Some(Wish::Quit)),
                Key::Turn(direction) => {
                    if let Some(other) = self.neighbour(direction) {
                        return Ok(Some(Wish::Turn(other)));
                    }
                }
                key => self.scene.press(key),
            }
        }
        let room = self.screen.room(self.scene.overlay());
        if room != self.room {
            self.room = room;
            self.scene.redraw();
        }
        let pointed = self.screen.pointer().and_then(|at| self.scene.pixel_at(at, self.room));
        self.scene.point(pointed);
        self.scene.refresh(self.room)?;
        let now = Instant::now();
        if now >= self.next_drawing && (self.scene.is_new() || now - self.drawn >= HEARTBEAT) {
            self.draw()?;
        }
        Ok(None)
    }

    fn neighbour(&mut self, direction: Direction) -> Option<StreamName> {
        if !self.may_turn {
            self.say("one stream goes into a pipe: no other is shown");
            return None;
        }
        let other = neighbour::neighbour(&self.backend, &self.stream, direction);
        match &other {
            Ok(Some(_)) => {}
            Ok(None) => self.say(&format!("bus {} has no other stream with pictures", self.stream.bus())),
            // What is seen is seen still.
            Err(error) => self.say(&format!("{error:#}")),
        }
        other.ok().flatten()
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        (self.drawn, self.next_drawing) = (now, now + self.screen.pace());
        self.screen.draw(&self.scene)?;
        self.scene.was_drawn();
        Ok(())
    }
}

impl Screen {
    /// Keys since the last call.
    fn keys(&mut self) -> anyhow::Result<Vec<Key>> {
        match self {
            #[cfg(feature = "window")]
            Self::Window(window) => Ok(window.keys()),
            Self::Terminal(terminal) => terminal.keys(),
        }
    }

    /// Pixels that there are for the picture.
    fn room(&self, overlay: bool) -> (u32, u32) {
        match self {
            #[cfg(feature = "window")]
            Self::Window(window) => window.room(),
            Self::Terminal(terminal) => terminal.room(overlay),
        }
    }

    /// Where in the room the pointer is.
    fn pointer(&self) -> Option<(u32, u32)> {
        match self {
            #[cfg(feature = "window")]
            Self::Window(window) => window.pointer(),
            Self::Terminal(_) => None,
        }
    }

    /// Least time from drawing to drawing.
    fn pace(&self) -> Duration {
        match self {
            #[cfg(feature = "window")]
            Self::Window(_) => Duration::ZERO,
            Self::Terminal(terminal) => terminal.pace(),
        }
    }

    fn draw(&mut self, scene: &Scene) -> anyhow::Result<()> {
        match self {
            #[cfg(feature = "window")]
            Self::Window(window) => window.draw(scene),
            Self::Terminal(terminal) => terminal.draw(scene),
        }
    }
}

#[cfg(feature = "window")]
fn open_window(stream: &StreamName, backend: &Backend) -> anyhow::Result<Screen> {
    // It need not be there yet.
    let streams = framebus::list(backend).unwrap_or_default();
    let frame = match streams.into_iter().find(|found| found.name == *stream).and_then(|found| found.content) {
        Some(Content::Image(shape)) => Some((shape.width(), shape.height())),
        _ => None,
    };
    Ok(Screen::Window(Box::new(Window::open(&stream.to_string(), frame)?)))
}

#[cfg(not(feature = "window"))]
fn open_window(_: &StreamName, _: &Backend) -> anyhow::Result<Screen> {
    Err(usage!("can not open a window: this viewer was built without the feature \"window\"; use --terminal or --web"))
}
