//! `--window`: an X11 window. The X libraries are loaded when it is opened, and needed neither to build nor otherwise.

mod canvas;

use crate::face::{Direction, Key, Scene};
use anyhow::anyhow;
use canvas::{AMBER, Canvas, WHITE};
use framebus_picture::{Scaler, fitting};
use minifb::{InputCallback, MouseMode, ScaleMode, WindowOptions};
use std::sync::mpsc::{Receiver, Sender, channel};

/// The size of a window for a stream whose frames nobody knows.
const UNKNOWN: (u32, u32) = (960, 540);

/// A window is no larger than this when it opens: most screens have room for it.
const LARGEST: (u32, u32) = (1280, 720);

/// And no smaller: there is text in it.
const SMALLEST: (u32, u32) = (480, 320);

/// An open window.
pub(crate) struct Window {
    window: minifb::Window,
    pressed: Receiver<Key>,
    title: String,
    scaler: Scaler,
    /// The picture alone, so that what is written on it can change.
    picture: Canvas,
    canvas: Canvas,
}

impl Window {
    /// Opens one for frames of this size.
    ///
    /// # Errors
    /// Where there is no display, or no X library.
    pub(crate) fn open(stream: &str, frame: Option<(u32, u32)>) -> anyhow::Result<Self> {
        let display = std::env::var("DISPLAY").unwrap_or_default();
        if display.is_empty() {
            return Err(anyhow!(
                "can not open a window: there is no display, for DISPLAY is not set; expected the name of an X server, as \
                 desktops and ssh -X set it; without one, use --terminal or --web"
            ));
        }
        let (width, height) = size_for(frame);
        let options = WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
        let mut window = minifb::Window::new(stream, width as usize, height as usize, options)
            .map_err(|error| explain(&error, &display))?;
        // The session has a pace of its own.
        window.set_target_fps(0);
        let (sender, pressed) = channel();
        window.set_input_callback(Box::new(Keyboard { sender, down: Vec::new() }));
        let (picture, canvas) = (Canvas::default(), Canvas::default());
        Ok(Self { window, pressed, title: stream.to_owned(), scaler: Scaler::default(), picture, canvas })
    }

    pub(crate) fn keys(&mut self) -> Vec<Key> {
        self.window.update();
        // Closed by its frame is closed, too.
        let closed = (!self.window.is_open()).then_some(Key::Quit);
        self.pressed.try_iter().chain(closed).collect()
    }

    pub(crate) fn room(&self) -> (u32, u32) {
        let (width, height) = self.window.get_size();
        (width.max(1) as u32, height.max(1) as u32)
    }

    pub(crate) fn pointer(&self) -> Option<(u32, u32)> {
        self.window.get_mouse_pos(MouseMode::Discard).map(|(x, y)| (x as u32, y as u32))
    }

    pub(crate) fn draw(&mut self, scene: &Scene) -> anyhow::Result<()> {
        let room = self.room();
        let (width, height) = (room.0 as usize, room.1 as usize);
        if scene.has_new_picture() || (self.picture.width, self.picture.height) != (width, height) {
            self.picture.clear(width, height);
            if let Some(at) = scene.placement(room) {
                self.scaler.draw(scene.preview(), at.part, at.width, at.height);
                self.picture.draw(self.scaler.picture(), at.x as usize, at.y as usize);
            }
        }
        self.canvas.copy_from(&self.picture);
        if scene.overlay() {
            let lines = scene.lines();
            self.canvas.write(&lines, (0, 0), self.canvas.scale(&lines), WHITE);
        }
        if let Some(notice) = scene.notice() {
            self.canvas.write_below(notice, AMBER);
        }
        let title = scene.title();
        if title != self.title {
            self.window.set_title(&title);
            self.title = title;
        }
        self.window
            .update_with_buffer(&self.canvas.pixels, width, height)
            .map_err(|error| anyhow!("can not draw in the window: {error}"))
    }
}

/// As large as the frame, where that is a size for a window.
fn size_for(frame: Option<(u32, u32)>) -> (u32, u32) {
    let (width, height) = frame.unwrap_or(UNKNOWN);
    if width > LARGEST.0 || height > LARGEST.1 {
        let (width, height) = fitting((width, height), LARGEST);
        return (width.max(SMALLEST.0), height.max(SMALLEST.1));
    }
    (width.max(SMALLEST.0), height.max(SMALLEST.1))
}

/// What is missing, and what to do.
fn explain(error: &minifb::Error, display: &str) -> anyhow::Error {
    let text = error.to_string();
    if text.contains("failed to load") {
        return anyhow!(
            "can not open a window: the X libraries can not be loaded; expected libX11.so.6 and libXcursor.so.1: install \
             them (Debian: libx11-6 and libxcursor1), or use --terminal or --web ({text})"
        );
    }
    if text.contains("XOpenDisplay") {
        return anyhow!(
            "can not open a window: no X server answers at DISPLAY={display}, or it does not let us in; start the viewer in \
             a desktop or by ssh -X, or use --terminal or --web"
        );
    }
    anyhow!("can not open a window on DISPLAY={display}: {text}; use --terminal or --web")
}

/// Keys, at the moment the window gets them: between two looks one may be pressed and let go.
struct Keyboard {
    sender: Sender<Key>,
    down: Vec<minifb::Key>,
}

impl InputCallback for Keyboard {
    fn add_char(&mut self, _: u32) {}

    fn set_key_state(&mut self, key: minifb::Key, pressed: bool) {
        let repeated = self.down.contains(&key);
        if !pressed {
            self.down.retain(|down| *down != key);
            return;
        }
        if !repeated {
            self.down.push(key);
        }
        let asked = meaning(key).filter(|key| !repeated || matches!(key, Key::Step | Key::Turn(_)));
        if let Some(key) = asked {
            // Nobody listens where the window is going away.
            let _ = self.sender.send(key);
        }
    }
}

fn meaning(key: minifb::Key) -> Option<Key> {
    use minifb::Key as K;
    Some(match key {
        K::Space => Key::Pause,
        K::Right | K::Period => Key::Step,
        K::S => Key::Snapshot,
        K::N => Key::Turn(Direction::Next),
        K::P => Key::Turn(Direction::Previous),
        K::O => Key::Overlay,
        K::C => Key::Palette,
        K::F => Key::ActualSize,
        K::Q | K::Escape => Key::Quit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_lost_and_only_some_repeat() {
        let (sender, pressed) = channel();
        let mut keyboard = Keyboard { sender, down: Vec::new() };
        for (key, down) in [
            (minifb::Key::Space, true),
            (minifb::Key::Space, false),
            (minifb::Key::Space, true),
            (minifb::Key::Space, true),
            (minifb::Key::Right, true),
            (minifb::Key::Right, true),
            (minifb::Key::A, true),
        ] {
            keyboard.set_key_state(key, down);
        }
        assert_eq!(pressed.try_iter().collect::<Vec<_>>(), [Key::Pause, Key::Pause, Key::Step, Key::Step]);
    }

    #[test]
    fn a_window_is_as_large_as_the_frame_where_that_is_a_size_for_a_window() {
        assert_eq!(size_for(None), UNKNOWN);
        assert_eq!(size_for(Some((640, 480))), (640, 480));
        assert_eq!(size_for(Some((1920, 1080))), (1280, 720));
        assert_eq!(size_for(Some((80, 60))), SMALLEST);
        assert_eq!(size_for(Some((100_000, 1))), (1280, 320));
    }
}
