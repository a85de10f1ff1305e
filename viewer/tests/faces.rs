//! The faces of the program `viewer`, looked at: its window by screenshots of a display of the test's own, its terminal
//! by what tmux has on its screen. Each is skipped where the programs for it are not installed.

use framebus::{Backend, Content, ImageShape, PixelFormat, Publisher, Rate, StreamName, StreamOptions, Subscriber};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const WATCHDOG: Duration = Duration::from_secs(60);

const RED: [u8; 3] = [252, 0, 0];
const GREEN: [u8; 3] = [0, 252, 0];
const BLUE: [u8; 3] = [0, 0, 252];
const WHITE: [u8; 3] = [252; 3];

/// A bus of the test's own.
fn bus(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("faces-{}-{}-{what}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A stream of 640 × 480 pixels, whose left half has one colour and whose right half another.
struct Halves(Publisher);

impl Halves {
    fn open(bus: &str, stream: &str) -> Self {
        Self::open_with(bus, stream, |_| ())
    }

    fn open_with(bus: &str, stream: &str, change: impl FnOnce(&mut StreamOptions)) -> Self {
        let shape = ImageShape::new(640, 480, PixelFormat::Rgb8).unwrap();
        let mut options = StreamOptions::new(Content::Image(shape));
        options.rate = Rate::new(30, 1);
        change(&mut options);
        Self(Publisher::open(&StreamName::new(bus, stream).unwrap(), &options).unwrap())
    }

    fn publish(&mut self, left: [u8; 3], right: [u8; 3]) -> u64 {
        let mut loan = self.0.loan().unwrap();
        for row in loan.chunks_exact_mut(640 * 3) {
            let (first, second) = row.split_at_mut(320 * 3);
            first.as_chunks_mut().0.fill(left);
            second.as_chunks_mut().0.fill(right);
        }
        loan.publish()
    }
}

fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < WATCHDOG, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a viewer has taken this frame of a stream.
fn until_seen(bus: &str, stream: &str, sequence: u64) {
    let name = StreamName::new(bus, stream).unwrap();
    eventually("the viewer takes the frame", || {
        let streams = framebus::list(&Backend::SysV).unwrap();
        let found = streams.into_iter().find(|found| found.name == name)?;
        found.subscribers.iter().any(|viewer| viewer.counters.last_sequence >= sequence).then_some(())
    });
}

fn viewer(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_viewer"));
    command.env_remove("FRAMEBUS_CONFIG").args(words.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether all of these programs are installed; says so where one is not.
fn installed(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        !std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    if let Some(missing) = missing {
        eprintln!("skipped: {missing} is not installed");
    }
    missing.is_none()
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Its exit code, and its standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let status = eventually("the viewer ends", || self.0.try_wait().unwrap());
        let mut text = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (status.code(), text)
    }
}

/// One server after the other looks for a number that none has.
static STARTING: Mutex<()> = Mutex::new(());

/// An X server of 800 × 600 pixels, without a window manager: windows lie in its middle.
struct Display {
    server: Running,
    name: String,
}

impl Display {
    fn start() -> Option<Self> {
        if !installed(&["Xvfb", "xdotool", "import"]) {
            return None;
        }
        let _alone = STARTING.lock();
        let mut server = Command::new("Xvfb");
        // Without the reset it would begin anew whenever its last client goes, and refuse those who come meanwhile.
        server.args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"]);
        let mut server = Running(server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { server, name: format!(":{}", line.trim()) })
    }

    /// A viewer whose window is there.
    fn viewer(&self, words: &str, directory: &Path) -> Running {
        let mut command = viewer(&format!("--window {words}"));
        let mut viewer = Running(command.env("DISPLAY", &self.name).current_dir(directory).spawn().unwrap());
        eventually("the window opens", || {
            if viewer.0.try_wait().unwrap().is_some() {
                let mut words = String::new();
                viewer.0.stderr.take().unwrap().read_to_string(&mut words).unwrap();
                panic!("the viewer has ended: {words}");
            }
            (!self.title().is_empty()).then_some(())
        });
        viewer
    }

    fn xdotool(&self, words: &str) -> String {
        let output =
            Command::new("xdotool").env("DISPLAY", &self.name).args(words.split_whitespace()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Keys go to the window that the pointer is in.
    fn press(&self, key: &str) {
        self.xdotool(&format!("mousemove 400 300 key {key}"));
    }

    /// The title of the only window.
    fn title(&self) -> String {
        self.xdotool("search --onlyvisible --name faces- getwindowname").trim().to_owned()
    }

    fn until_title(&self, part: &str) {
        eventually(&format!("{part} in the title"), || self.title().contains(part).then_some(()));
    }

    /// The colours at two places in the left and in the right half of a window of 640 × 480.
    fn halves(&self) -> [[u8; 3]; 2] {
        let mut import = Command::new("import");
        import.env("DISPLAY", &self.name).args(["-silent", "-window", "root", "-depth", "8", "rgb:-"]);
        let pixels = import.output().unwrap().stdout;
        assert_eq!(pixels.len(), 800 * 600 * 3, "a screenshot");
        // Beside the figures above and the notice below.
        [150, 650].map(|x| pixels.as_chunks().0[400 * 800 + x])
    }

    fn until_halves(&self, expected: [[u8; 3]; 2], mut meanwhile: impl FnMut()) {
        eventually(&format!("{expected:?} in the window"), || {
            meanwhile();
            (self.halves() == expected).then_some(())
        });
    }
}

impl Drop for Display {
    /// It takes its sockets away when it is asked to end.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.server.0.id().to_string()).status();
        let _ = self.server.0.wait();
    }
}

/// Asks a window to close, as a window manager does when its cross is clicked.
const CLOSE: &str = r#"
import ctypes, sys
X = ctypes.CDLL("libX11.so.6")
X.XOpenDisplay.restype, X.XInternAtom.restype = ctypes.c_void_p, ctypes.c_ulong
class Message(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("sent", ctypes.c_int), ("display", ctypes.c_void_p),
                ("window", ctypes.c_ulong), ("kind", ctypes.c_ulong), ("format", ctypes.c_int), ("data", ctypes.c_long * 5),
                ("rest", ctypes.c_long * 24)]
display = ctypes.c_void_p(X.XOpenDisplay(None))
atom = lambda name: X.XInternAtom(display, name, 0)
event = Message(type=33, window=int(sys.argv[1]), kind=atom(b"WM_PROTOCOLS"), format=32)
event.data[0] = atom(b"WM_DELETE_WINDOW")
X.XSendEvent(display, ctypes.c_ulong(event.window), 0, ctypes.c_long(0), ctypes.byref(event))
X.XSync(display, 0)
"#;

#[test]
fn a_window_shows_the_stream_and_stands_still_when_paused() {
    let Some(display) = Display::start() else { return };
    let (bus, directory) = (bus("pause"), tempfile::tempdir().unwrap());
    let mut stream = Halves::open(&bus, "front");
    stream.publish(RED, WHITE);
    let viewer = display.viewer(&format!("--stream {bus}/front"), directory.path());
    display.until_halves([RED, WHITE], || {});

    display.press("space");
    display.until_title("paused");
    let last = (0..10).map(|_| stream.publish(BLUE, GREEN)).last().unwrap();
    until_seen(&bus, "front", last);
    // It goes on taking frames, and does not show them.
    assert_eq!(display.halves(), [RED, WHITE]);

    display.press("space");
    display.until_halves([BLUE, GREEN], || {});

    // One step on is one frame on.
    display.press("space");
    display.until_title("paused");
    display.press("period");
    // The step waits for a newer frame than the one that is there.
    display.until_halves([GREEN, RED], || {
        if display.halves() == [BLUE, GREEN] {
            until_seen(&bus, "front", stream.publish(GREEN, RED));
        }
    });
    let last = stream.publish(WHITE, WHITE);
    until_seen(&bus, "front", last);
    assert_eq!(display.halves(), [GREEN, RED]);

    display.press("q");
    let (code, stderr) = viewer.end();
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn a_window_goes_to_the_next_stream_and_says_when_the_producer_is_gone() {
    let Some(display) = Display::start() else { return };
    let (bus, directory) = (bus("next"), tempfile::tempdir().unwrap());
    let (mut front, mut rear) = (Halves::open(&bus, "front"), Halves::open(&bus, "rear"));
    front.publish(RED, GREEN);
    rear.publish(BLUE, WHITE);
    let viewer = display.viewer(&format!("--stream {bus}/front --json"), directory.path());
    display.until_halves([RED, GREEN], || {});
    display.press("n");
    display.until_halves([BLUE, WHITE], || {});
    display.until_title("/rear");
    display.press("n");
    display.until_halves([RED, GREEN], || {});
    display.press("p");
    display.until_halves([BLUE, WHITE], || {});
    drop(rear);
    display.until_title("producer has closed the stream");

    if installed(&["python3"]) {
        let window = display.xdotool("search --onlyvisible --name faces-");
        let mut close = Command::new("python3");
        close.args(["-c", CLOSE, window.trim()]).env("DISPLAY", &display.name);
        assert!(close.status().unwrap().success());
    } else {
        display.press("Escape");
    }
    let (code, stderr) = viewer.end();
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn a_snapshot_from_a_window_has_all_pixels_and_all_bits() {
    let Some(display) = Display::start() else { return };
    let (bus, directory) = (bus("save"), tempfile::tempdir().unwrap());
    let shape = ImageShape::new(1920, 1080, PixelFormat::Mono16).unwrap();
    let name = StreamName::new(&bus, "deep").unwrap();
    let mut publisher = Publisher::open(&name, &StreamOptions::new(Content::Image(shape))).unwrap();
    let mut loan = publisher.loan().unwrap();
    for (at, sample) in loan.as_chunks_mut().0.iter_mut().enumerate() {
        *sample = (at as u16).to_ne_bytes();
    }
    let sequence = loan.publish();
    let viewer = display.viewer(&format!("--stream {bus}/deep"), directory.path());
    display.until_title("Hz");
    display.press("s");
    let file = directory.path().join(format!("{bus}-deep-{sequence}.png"));
    eventually("the file", || file.is_file().then_some(()));
    display.press("q");
    let (code, stderr) = viewer.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(&format!("saved {bus}-deep-{sequence}.png (1920 × 1080 mono16)")), "{stderr}");
    let picture = image::open(file).unwrap();
    assert_eq!((picture.width(), picture.height()), (1920, 1080));
    let samples = picture.as_luma16().unwrap().as_raw().iter().enumerate();
    assert!(samples.into_iter().all(|(at, &sample)| sample == at as u16));
}

#[test]
fn without_a_display_a_window_says_what_is_missing_and_what_to_do() {
    let bus = bus("blind");
    for (display, expected) in [(None, "DISPLAY is not set"), (Some(":54321"), "no X server answers at DISPLAY=:54321")]
    {
        let mut command = viewer(&format!("--window --stream {bus}/front"));
        command.env_remove("DISPLAY").envs(display.map(|display| ("DISPLAY", display)));
        let (code, stderr) = Running(command.spawn().unwrap()).end();
        // Where there is no X library either, that is said.
        let library = display.is_some() && stderr.contains("X libraries can not be loaded");
        assert!(stderr.contains(expected) || library, "{stderr}");
        assert!(stderr.contains("use --terminal or --web") && stderr.lines().count() == 1, "{stderr}");
        assert_eq!(code, Some(1));
    }
}

/// A terminal of 80 × 24, with a shell in it.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn start() -> Option<Self> {
        if !installed(&["tmux", "stty"]) {
            return None;
        }
        let tmux = Self { socket: bus("tmux") };
        tmux.run(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "env COLORTERM=truecolor PS1=ready: sh",
        ]);
        tmux.until("ready:");
        Some(tmux)
    }

    fn run(&self, words: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn type_keys(&self, keys: &str) {
        self.run(&["send-keys", keys]);
    }

    fn type_line(&self, line: &str) {
        self.run(&["send-keys", line, "Enter"]);
    }

    /// What is on the screen, with its colours.
    fn screen(&self) -> String {
        self.run(&["capture-pane", "-e", "-p"])
    }

    fn until(&self, part: &str) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(part) {
                return screen;
            }
            assert!(begun.elapsed() < WATCHDOG, "no {part:?} on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types a command that runs a viewer between two words about the terminal, and waits for its picture.
    fn viewer(&self, words: &str, directory: &Path) {
        let (program, path) = (env!("CARGO_BIN_EXE_viewer"), directory.display());
        self.type_line(&format!(
            "cd {path}; clear; stty -g >before; {program} {words} 2>words; echo $? >code; stty -g >after; echo ov\"\"er"
        ));
        self.until("▀");
        assert_eq!(self.run(&["display-message", "-p", "#{alternate_on}"]).trim(), "1");
    }

    /// The viewer's exit code; the terminal is as it was before.
    fn end(&self, directory: &Path) -> String {
        self.until("over");
        let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
        assert_eq!(read("before"), read("after"));
        assert_eq!(self.run(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
        assert!(!self.screen().contains('▀'));
        read("code").trim().to_owned()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// A cell whose upper and lower pixel have this colour.
fn cell([r, g, b]: [u8; 3]) -> String {
    format!("\x1b[38;2;{r};{g};{b}m\x1b[48;2;{r};{g};{b}m▀")
}

#[test]
fn a_terminal_shows_the_stream_in_half_blocks_and_is_given_back() {
    let Some(tmux) = Tmux::start() else { return };
    let (bus, directory) = (bus("blocks"), tempfile::tempdir().unwrap());
    let (mut front, mut rear) = (Halves::open(&bus, "front"), Halves::open(&bus, "rear"));
    front.publish(RED, GREEN);
    rear.publish(BLUE, WHITE);
    tmux.viewer(&format!("--stream {bus}/front --terminal"), directory.path());
    // 640 × 480 in 80 cells by 21, of two pixels each: 56 by 21 cells.
    let screen = tmux.until(&cell(GREEN));
    assert!(screen.contains(&cell(RED)), "{screen}");
    assert_eq!(screen.lines().filter(|line| line.matches('▀').count() == 56).count(), 21);
    tmux.until("640 × 480 rgb8");

    tmux.type_keys("Space");
    tmux.until("paused");
    // Frames come for as long as it takes to draw their rate, and are not drawn.
    let screen = eventually("a rate on the screen", || {
        until_seen(&bus, "front", front.publish(WHITE, BLUE));
        let screen = tmux.screen();
        let rate = screen.split(" Hz").next()?.split_whitespace().next_back()?.parse::<f64>();
        rate.is_ok_and(|rate| rate > 2.0).then_some(screen)
    });
    assert!(screen.contains(&cell(RED)) && !screen.contains(&cell(WHITE)), "{screen}");
    tmux.type_keys("Space");
    tmux.until(&cell(WHITE));
    tmux.type_keys("n");
    tmux.until(&format!("{bus}/rear"));
    tmux.until(&cell(BLUE));
    tmux.run(&["resize-window", "-x", "40", "-y", "12"]);
    eventually("a smaller picture", || {
        let screen = tmux.screen();
        (screen.lines().filter(|line| line.matches('▀').count() == 24).count() == 9).then_some(())
    });
    tmux.run(&["resize-window", "-x", "80", "-y", "24"]);
    tmux.type_keys("s");
    tmux.until("saved");
    assert!(directory.path().join(format!("{bus}-rear-1.png")).is_file());
    tmux.type_keys("q");
    assert_eq!(tmux.end(directory.path()), "0");
}

#[test]
fn a_terminal_is_given_back_to_who_types_ctrl_c_and_when_the_viewer_is_killed() {
    let Some(tmux) = Tmux::start() else { return };
    let (bus, directory) = (bus("kill"), tempfile::tempdir().unwrap());
    let mut stream = Halves::open(&bus, "front");
    stream.publish(RED, GREEN);
    tmux.viewer(&format!("--stream {bus}/front --terminal"), directory.path());
    tmux.type_keys("C-c");
    assert_eq!(tmux.end(directory.path()), "0");

    tmux.viewer(&format!("--stream {bus}/front --terminal --graphics blocks --terminal-fps 100"), directory.path());
    let name = StreamName::new(&bus, "front").unwrap();
    let status = framebus::list(&Backend::SysV).unwrap().into_iter().find(|found| found.name == name).unwrap();
    let pid = status.subscribers[0].holder.pid.unwrap();
    tmux.run(&["run-shell", &format!("kill -TERM {pid}")]);
    assert_eq!(tmux.end(directory.path()), "0");
}

#[test]
fn a_terminal_is_given_back_before_files_are_waited_for() {
    let Some(tmux) = Tmux::start() else { return };
    let (bus, directory) = (bus("wait"), tempfile::tempdir().unwrap());
    let mut stream = Halves::open(&bus, "front");
    let shape = ImageShape::new(5000, 4000, PixelFormat::Mono16).unwrap();
    let name = StreamName::new(&bus, "large").unwrap();
    let mut large = Publisher::open(&name, &StreamOptions::new(Content::Image(shape))).unwrap();
    stream.publish(RED, GREEN);
    let mut loan = large.loan().unwrap();
    let mut state = 1_u32;
    // Noise takes longest.
    loan.fill_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    loan.publish();
    tmux.viewer(&format!("--stream {name} --terminal"), directory.path());
    tmux.type_keys("s");
    let names = || std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let is_there = |end: &str| names().any(|name| name.to_string_lossy().ends_with(end));
    eventually("the file is begun", || names().any(|name| name.to_string_lossy().starts_with('.')).then_some(()));
    tmux.type_keys("q");
    let given_back = || tmux.run(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim() == "0 1";
    eventually("the terminal is given back", || given_back().then_some(()));
    assert!(!is_there(".png"), "the terminal was given back when all was done");
    assert_eq!(tmux.end(directory.path()), "0");
    assert!(is_there("-large-1.png"));
}

#[test]
fn a_stream_that_is_full_is_tried_again_and_one_can_go_back() {
    let Some(tmux) = Tmux::start() else { return };
    let (bus, directory) = (bus("full"), tempfile::tempdir().unwrap());
    let mut front = Halves::open(&bus, "front");
    let mut rear = Halves::open_with(&bus, "rear", |options| options.max_subscribers = 1);
    front.publish(RED, GREEN);
    rear.publish(BLUE, WHITE);
    let taken = Subscriber::attach(&StreamName::new(&bus, "rear").unwrap()).unwrap();
    tmux.viewer(&format!("--stream {bus}/front --terminal"), directory.path());
    tmux.until(&cell(GREEN));
    tmux.type_keys("n");
    tmux.until("trying again · can not attach to stream");
    tmux.type_keys("p");
    tmux.until(&cell(GREEN));
    tmux.type_keys("n");
    tmux.until("trying again · can not attach to stream");
    drop(taken);
    tmux.until(&cell(BLUE));
    tmux.type_keys("q");
    assert_eq!(tmux.end(directory.path()), "0");
    let words = std::fs::read_to_string(directory.path().join("words")).unwrap();
    assert!(words.contains("all 1 places are taken"), "{words}");
    assert!(words.contains(&format!("{bus}/rear: 1 frames")), "{words}");
}

#[test]
fn without_a_terminal_to_draw_on_it_is_a_wrong_command_line() {
    let bus = bus("deaf");
    let (code, stderr) = Running(viewer(&format!("--terminal --stream {bus}/front")).spawn().unwrap()).end();
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("standard output, which is no terminal") && stderr.contains("--web"), "{stderr}");
}
