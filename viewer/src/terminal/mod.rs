//! `--terminal`: the picture in the terminal, with three lines of words below it.
//!
//! What is drawn is drawn whole or not at all, and as often as the terminal takes it: writing waits for it, and the
//! newest frame is the next one.
//!
//! The terminal is given back as it was when the viewer ends: by a key, by Ctrl-C or SIGTERM, by an error, by a panic of
//! the thread that draws; and before files are waited for, so that a second Ctrl-C then finds it given back already. What
//! can not be had: who is ended by SIGKILL, SIGQUIT or a crash gives nothing back, nor who gets a second Ctrl-C or SIGTERM
//! while a terminal that takes nothing more is drawn on. `reset` or `stty sane` help then.

mod blocks;
mod dither;
mod graphics;
mod keys;
mod sixel;

use crate::arguments::GraphicsKind;
use crate::face::{Key, Placement, Scene};
use anyhow::Context;
use blocks::Depth;
use framebus_picture::{Scaler, fitting};
use framebus_program::usage;
use graphics::{Cells, Encoder, Graphics};
use keys::Keyboard;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, window_size,
};
use ratatui::crossterm::{cursor, queue};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::iter::once;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Lines below the picture: what it is, its figures, and what is not as usual, or the keys. In one line of 80 columns the
/// figures that change most would be cut off.
const LINES: u16 = 3;

/// Pictures that the terminal can enlarge have no more pixels than this: they all have to be written.
const MOST_PIXELS: (u32, u32) = (1280, 960);

/// What a cell is taken for where the terminal does not say.
const USUAL_CELL: (u16, u16) = (8, 16);

const KEYS: &str = "space pause  → step  s save  n/p stream  c colours  f 1:1  o hide  q quit";

type Out = BufWriter<Stdout>;

/// The terminal, taken over.
pub(crate) struct TerminalScreen {
    /// Never dropped: it would show the cursor, which `_restore` does, and complain where the terminal is closed; and a
    /// complaint to a closed terminal is a panic.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Out>>>,
    keyboard: Keyboard,
    graphics: Graphics,
    depth: Depth,
    cell: Cell,
    pace: Duration,
    scaler: Scaler,
    encoder: Encoder,
    /// Where the picture was drawn last.
    drawn: Option<Cells>,
    /// Gives the terminal back; the last field, for it is dropped last.
    _restore: Restore,
}

impl TerminalScreen {
    /// Takes the terminal of standard output over, and asks it what it can.
    ///
    /// # Errors
    /// Where standard output is no terminal.
    pub(crate) fn open(kind: GraphicsKind, fps: f32) -> anyhow::Result<Self> {
        if !io::stdout().is_terminal() {
            return Err(usage!(
                "--terminal draws on standard output, which is no terminal: expected one; leave the redirection out, or use \
                 --snapshot, --pipe or --web"
            ));
        }
        let restore = Restore::begin().context("can not take over the terminal of standard output")?;
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
        queue!(out, EnterAlternateScreen, cursor::Hide)?;
        let mut keyboard = Keyboard::open();
        let answers = match kind {
            GraphicsKind::Blocks => graphics::Answers::default(),
            _ => graphics::ask(&mut out, &mut keyboard),
        };
        out.flush()?;
        let terminal =
            Terminal::with_options(CrosstermBackend::new(out), TerminalOptions { viewport: Viewport::Fullscreen })?;
        let graphics = match kind {
            GraphicsKind::Blocks => Graphics::Blocks,
            GraphicsKind::Kitty => Graphics::Kitty,
            GraphicsKind::Sixel => Graphics::Sixel,
            GraphicsKind::Iterm2 => Graphics::Iterm2,
            GraphicsKind::Auto if answers.kitty => Graphics::Kitty,
            GraphicsKind::Auto if graphics::speaks_iterm2() && !graphics::is_multiplexed() => Graphics::Iterm2,
            GraphicsKind::Auto if answers.sixel => Graphics::Sixel,
            GraphicsKind::Auto => Graphics::Blocks,
        };
        Ok(Self {
            terminal: ManuallyDrop::new(terminal),
            keyboard,
            graphics,
            depth: Depth::of_environment(),
            cell: Cell::new(answers.cell, cell_of_window()),
            pace: Duration::from_secs_f32(1.0 / fps),
            scaler: Scaler::default(),
            encoder: Encoder::default(),
            drawn: None,
            _restore: restore,
        })
    }

    /// Keys since the last call; and the size of a cell is as it is now.
    pub(crate) fn keys(&mut self) -> anyhow::Result<Vec<Key>> {
        self.cell.update(cell_of_window());
        self.keyboard.keys().context("can not read the keys of the terminal")
    }

    pub(crate) fn pace(&self) -> Duration {
        self.pace
    }

    /// Cells for the picture.
    fn area(&self, overlay: bool) -> (u16, u16) {
        // A terminal of no size is as good as a small one.
        let size = self.terminal.size().unwrap_or_default();
        let lines = lines_below(overlay, self.graphics);
        (size.width.max(1), size.height.saturating_sub(lines).max(1))
    }

    /// Pixels for the picture: two a cell, or as many as the terminal has there.
    pub(crate) fn room(&self, overlay: bool) -> (u32, u32) {
        let (width, height) = self.area(overlay);
        let (across, down) = self.pixels_of_a_cell();
        (u32::from(width) * across, u32::from(height) * down)
    }

    fn pixels_of_a_cell(&self) -> (u32, u32) {
        match self.graphics {
            Graphics::Blocks => (1, 2),
            _ => (self.cell.pixels.0.into(), self.cell.pixels.1.into()),
        }
    }

    pub(crate) fn draw(&mut self, scene: &Scene) -> anyhow::Result<()> {
        let placement = scene.placement(self.room(scene.overlay()));
        let cells = placement.map(|at| self.cells(at.x, at.y, at.width, at.height));
        let fresh = scene.has_new_picture() || self.drawn != cells;
        if let Some(at) = placement.filter(|_| fresh) {
            let (width, height) = self.picture_size(at, cells);
            self.scaler.draw(scene.preview(), at.part, width, height);
        }
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        if self.drawn != cells && self.graphics != Graphics::Blocks {
            // Pixels are no text: nothing else takes them away.
            self.terminal.backend_mut().write_all(graphics::clear(self.graphics))?;
            // Not by its `clear`, which waits for the terminal to say where the cursor is.
            let size = self.terminal.size()?;
            self.terminal.resize(Rect::new(0, 0, size.width, size.height))?;
        }
        let (scaler, graphics, depth) = (&self.scaler, self.graphics, self.depth);
        self.terminal.draw(|frame| {
            if let (Some(cells), Graphics::Blocks) = (cells, graphics) {
                blocks::draw(scaler.picture(), depth, frame.buffer_mut(), (cells.x, cells.y));
            }
            write_words(scene, frame.buffer_mut());
        })?;
        if let Some(cells) = cells.filter(|_| fresh && self.graphics != Graphics::Blocks) {
            let bytes = self.encoder.encode(self.graphics, self.scaler.picture(), cells)?;
            self.terminal.backend_mut().write_all(bytes)?;
        }
        self.drawn = cells;
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        Write::flush(self.terminal.backend_mut()).context("can not draw on the terminal")
    }

    /// The cells that these pixels of the room lie in.
    fn cells(&self, x: u32, y: u32, width: u32, height: u32) -> Cells {
        let (across, down) = self.pixels_of_a_cell();
        Cells {
            x: (x / across) as u16,
            y: (y / down) as u16,
            width: width.div_ceil(across) as u16,
            height: height.div_ceil(down) as u16,
        }
    }

    /// With how many pixels a picture is drawn.
    fn picture_size(&self, placement: Placement, cells: Option<Cells>) -> (u32, u32) {
        let Placement { width, height, part, .. } = placement;
        match self.graphics {
            // Both halves of the last cells.
            Graphics::Blocks => (width, cells.map_or(height, |cells| u32::from(cells.height) * 2)),
            Graphics::Sixel => (width, height),
            // The terminal makes them larger.
            Graphics::Kitty | Graphics::Iterm2 => {
                let most = (MOST_PIXELS.0.min(part.width), MOST_PIXELS.1.min(part.height));
                fitting((width, height), (width.min(most.0), height.min(most.1)))
            }
        }
    }
}

impl Drop for TerminalScreen {
    fn drop(&mut self) {
        // Whoever has no terminal any more needs nothing taken away.
        let out = self.terminal.backend_mut();
        let _ = out.write_all(graphics::clear(self.graphics)).and_then(|()| Write::flush(out));
    }
}

/// Lines that the picture leaves free.
fn lines_below(overlay: bool, graphics: Graphics) -> u16 {
    match (overlay, graphics) {
        (true, _) => LINES,
        // A notice lies on it, as text on text.
        (false, Graphics::Blocks) => 0,
        // A picture of pixels would cover the notice; and where sixels reach the last line, terminals scroll.
        (false, Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2) => 1,
    }
}

/// What is seen, and its figures, in the first of the last three lines; below them what is not as usual, or the keys.
fn write_words(scene: &Scene, buffer: &mut Buffer) {
    let area = buffer.area;
    let notice = scene.notice();
    let amber = Style::new().fg(Color::Black).bg(Color::Yellow);
    let bottom = area.bottom().saturating_sub(1);
    if !scene.overlay() {
        // A word is said though nothing else is: over the picture's last line.
        if let Some(notice) = notice {
            buffer.set_stringn(area.x, bottom, format!(" {notice} "), area.width.into(), amber);
        }
        return;
    }
    let lines = scene.lines();
    let (about, figures) = match lines.as_slice() {
        [name, rate, frame, rest @ ..] => {
            (once(name).chain(rest).cloned().collect(), vec![frame.clone(), rate.clone()])
        }
        all => (all.to_vec(), Vec::new()),
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    for (words, above) in [(about, LINES), (figures, LINES - 1)] {
        let (words, width) = (words.join("  "), usize::from(area.width));
        let words = if words.chars().count() > width { words.replace("  ", " ") } else { words };
        buffer.set_stringn(area.x, area.bottom().saturating_sub(above), words, width, bold);
    }
    match notice {
        Some(notice) => buffer.set_stringn(area.x, bottom, format!(" {notice} "), area.width.into(), amber),
        None => buffer.set_stringn(area.x, bottom, KEYS, area.width.into(), Style::new().add_modifier(Modifier::DIM)),
    };
}

/// Pixels of a cell.
#[derive(Debug)]
struct Cell {
    pixels: (u16, u16),
    /// What the kernel said last.
    told: Option<(u16, u16)>,
}

impl Cell {
    fn new(answered: Option<(u16, u16)>, told: Option<(u16, u16)>) -> Self {
        Self { pixels: answered.or(told).unwrap_or(USUAL_CELL), told }
    }

    /// The terminal itself was asked once, for it answers by keys. Where the kernel says something new, a font or a screen
    /// has changed.
    fn update(&mut self, told: Option<(u16, u16)>) {
        if let Some(pixels) = told.filter(|_| told != self.told) {
            (self.pixels, self.told) = (pixels, told);
        }
    }
}

/// What the kernel was told of the window's pixels.
fn cell_of_window() -> Option<(u16, u16)> {
    let size = window_size().ok()?;
    let cell = (size.width.checked_div(size.columns)?, size.height.checked_div(size.rows)?);
    (cell.0 > 0 && cell.1 > 0).then_some(cell)
}

/// Gives the terminal back when it is dropped, or when its thread panics. Of another thread's panic the viewer goes on.
struct Restore;

/// The terminal is ours. Given back twice, the cursor would go over what was written in between: what the panic was.
static TAKEN: AtomicBool = AtomicBool::new(false);

impl Restore {
    fn begin() -> io::Result<Self> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::Relaxed);
        let (owner, before) = (std::thread::current().id(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == owner {
                restore();
            }
            before(panic);
        }));
        Ok(Self)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    if !TAKEN.swap(false, Ordering::Relaxed) {
        return;
    }
    // There is nobody to tell, and nothing else to do.
    let _ = queue!(io::stdout(), EndSynchronizedUpdate, LeaveAlternateScreen, cursor::Show);
    let _ = io::stdout().flush();
    let _ = disable_raw_mode();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::State;
    use crate::figures::{Counts, Figures};
    use framebus::{ImageShape, ImageView, PixelFormat, now_ns};
    use ratatui::backend::TestBackend;

    fn words(scene: &Scene) -> Vec<String> {
        words_in(scene, 50)
    }

    fn words_in(scene: &Scene, width: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, 4)).unwrap();
        terminal.draw(|frame| write_words(scene, frame.buffer_mut())).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..4).map(line).collect()
    }

    #[test]
    fn in_80_columns_no_figure_is_cut_off() {
        let shape = ImageShape::new(1920, 1080, PixelFormat::DepthF32).unwrap();
        let metres: Vec<u8> = (0..1920 * 1080).flat_map(|at| (1.0 + (at % 97) as f32).to_ne_bytes()).collect();
        let mut scene = Scene::new("robot/front-camera-depth".to_owned());
        scene.set_state(State::Live);
        scene.show(ImageView::new(shape, &metres).unwrap(), 123_456, now_ns());
        let mut figures = Figures::new(String::new(), String::new());
        (0..10).for_each(|at| figures.saw(at, 0, 0, Some(1_500_000)));
        let counts = Counts { frames: 300, skipped: 12_345, ..Counts::default() };
        scene.note(&figures.end_interval(counts, Duration::from_secs(10), 0, 0));
        let words = words_in(&scene, 80);
        assert_eq!(words[1], "robot/front-camera-depth  1920 × 1080 depth_f32  turbo 1.00 to 97.00 m");
        let figures = words[2].replace("  ", " ");
        assert!(figures.starts_with("frame 123456 age ") && figures.contains(" skipped 12345 30.0 Hz "), "{words:?}");
        assert!(figures.ends_with(" latency p50 1.50 ms p99 1.50 ms"), "{words:?}");
        assert_eq!(words[3], KEYS);
    }

    #[test]
    fn a_picture_of_pixels_leaves_a_line_for_what_is_said() {
        let graphics = [Graphics::Blocks, Graphics::Kitty, Graphics::Sixel, Graphics::Iterm2];
        assert_eq!(graphics.map(|graphics| lines_below(false, graphics)), [0, 1, 1, 1]);
        assert_eq!(graphics.map(|graphics| lines_below(true, graphics)), [LINES; 4]);
    }

    #[test]
    fn a_cell_is_what_the_terminal_said_until_the_kernel_says_something_new() {
        let mut cell = Cell::new(Some((9, 18)), Some((8, 17)));
        cell.update(Some((8, 17)));
        assert_eq!(cell.pixels, (9, 18));
        cell.update(None);
        cell.update(Some((16, 34)));
        assert_eq!(cell.pixels, (16, 34));
        assert_eq!(Cell::new(None, None).pixels, USUAL_CELL);
    }

    #[test]
    fn the_last_lines_say_how_the_stream_is_and_what_the_keys_do() {
        let mut scene = Scene::new("robot/front".to_owned());
        assert_eq!(words(&scene), ["", "robot/front", "", " waiting for robot/front: start its producer"]);
        scene.set_state(State::Live);
        assert_eq!(words(&scene)[3], KEYS.chars().take(50).collect::<String>().trim_end());
        scene.set_state(State::Left("is gone"));
        assert_eq!(words(&scene)[3], " the producer is gone");
        scene.press(Key::Overlay);
        assert_eq!(words(&scene), ["", "", "", " the producer is gone"]);
        scene.set_state(State::Live);
        assert_eq!(words(&scene), ["", "", "", ""]);
    }
}
