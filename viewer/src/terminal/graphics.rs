//! Pictures in the terminals that have them: which those are, and what is written to them.

use super::keys::Keyboard;
use super::sixel;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use framebus_picture::{Preview, write_jpeg, write_png};
use std::io::Write;
use std::time::{Duration, Instant};

/// A terminal answers within a round trip, or never.
const PATIENCE: Duration = Duration::from_millis(800);

/// Most bytes of base64 in a command of kitty's.
const CHUNK: usize = 4096;

/// Of JPEG, where a terminal takes that.
const QUALITY: u8 = 80;

/// How a picture gets to the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Graphics {
    /// Two pixels a cell: characters with a foreground and a background.
    Blocks,
    /// PNG, by the protocol of kitty, Ghostty and others.
    Kitty,
    /// Sixels: xterm, foot, mlterm, Windows Terminal, tmux.
    Sixel,
    /// JPEG, by the protocol of iTerm2, WezTerm and others.
    Iterm2,
}

/// What a terminal says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub kitty: bool,
    pub sixel: bool,
    /// Pixels of a cell, across and down.
    pub cell: Option<(u16, u16)>,
}

/// Asks the terminal, which is in raw mode. What is typed meanwhile is lost.
pub(crate) fn ask(out: &mut impl Write, keyboard: &mut Keyboard) -> Answers {
    // A multiplexer takes kitty's question for its title.
    let kitty = if is_multiplexed() { "" } else { "\x1b_Gi=1,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\" };
    // The last one is answered by all of them.
    if write!(out, "{kitty}\x1b[16t\x1b[c").and_then(|()| out.flush()).is_err() {
        return Answers::default();
    }
    let (until, mut answer) = (Instant::now() + PATIENCE, Vec::new());
    while attributes(&answer).is_none() && Instant::now() < until {
        match keyboard.read(until.saturating_duration_since(Instant::now())) {
            Ok(Some(bytes)) => answer.extend(bytes),
            // Nobody to answer; an error comes again with the first key.
            Ok(None) | Err(_) => break,
        }
    }
    read_answers(&answer)
}

/// Within tmux or screen, which have the terminal to themselves.
pub(crate) fn is_multiplexed() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    std::env::var_os("TMUX").is_some() || term.starts_with("tmux") || term.starts_with("screen")
}

/// The parameters of the answer to `ESC [ c`; `None` where it is not whole.
fn attributes(answer: &[u8]) -> Option<&[u8]> {
    let begin = answer.windows(3).position(|window| window == b"\x1b[?")? + 3;
    let length = answer[begin..].iter().position(|byte| !(byte.is_ascii_digit() || *byte == b';'))?;
    (answer[begin + length] == b'c').then_some(&answer[begin..begin + length])
}

fn read_answers(answer: &[u8]) -> Answers {
    let text = String::from_utf8_lossy(answer);
    let cell = text.split("\x1b[6;").nth(1).and_then(|rest| rest.split('t').next()).and_then(|size| {
        let (height, width) = size.split_once(';')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    });
    Answers {
        kitty: text.contains("\x1b_Gi=1;OK"),
        sixel: attributes(answer).is_some_and(|list| list.split(|byte| *byte == b';').any(|number| number == b"4")),
        cell: cell.filter(|&(width, height)| width > 0 && height > 0),
    }
}

/// Terminals with iTerm2's protocol say who they are, and no more.
pub(crate) fn speaks_iterm2() -> bool {
    let of = |name| std::env::var(name).unwrap_or_default();
    let program = of("TERM_PROGRAM");
    ["iTerm", "WezTerm", "mintty", "vscode", "Tabby", "rio"].iter().any(|known| program.contains(known))
        || of("LC_TERMINAL").contains("iTerm")
}

/// Where a picture goes, in cells from the top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

/// Makes the bytes that show a picture.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    file: Vec<u8>,
    text: String,
    out: Vec<u8>,
    /// Kitty's number of the picture that is shown: 1 or 2, and 0 for none.
    shown: u8,
}

impl Encoder {
    /// The bytes for a picture in these cells. Half blocks need none: they are text.
    ///
    /// # Errors
    /// A picture that is too large for its form.
    pub(crate) fn encode(&mut self, graphics: Graphics, picture: &Preview, cells: Cells) -> anyhow::Result<&[u8]> {
        self.out.clear();
        if graphics != Graphics::Blocks {
            write!(self.out, "\x1b[{};{}H", cells.y + 1, cells.x + 1)?;
        }
        match graphics {
            Graphics::Blocks => {}
            Graphics::Kitty => self.kitty(picture, cells)?,
            Graphics::Sixel => sixel::encode(picture, &mut self.out),
            Graphics::Iterm2 => {
                write_jpeg(picture, QUALITY, &mut self.file)?;
                let (Cells { width, height, .. }, length) = (cells, self.file.len());
                write!(
                    self.out,
                    "\x1b]1337;File=inline=1;size={length};width={width};height={height};preserveAspectRatio=0;\
                     doNotMoveCursor=1:"
                )?;
                self.text.clear();
                STANDARD.encode_string(&self.file, &mut self.text);
                self.out.extend_from_slice(self.text.as_bytes());
                self.out.push(0x07);
            }
        }
        Ok(&self.out)
    }

    /// The new picture is shown before the old one is taken away, so that nothing flickers.
    fn kitty(&mut self, picture: &Preview, cells: Cells) -> anyhow::Result<()> {
        write_png(picture, &mut self.file).context("encoding a picture for the terminal")?;
        self.text.clear();
        STANDARD.encode_string(&self.file, &mut self.text);
        let (old, new) = (self.shown, if self.shown == 1 { 2 } else { 1 });
        let mut chunks = self.text.as_bytes().chunks(CHUNK).peekable();
        // q=2: no answers, which would come in as keys. C=1: the cursor stays.
        let mut keys = format!("a=T,f=100,t=d,i={new},p=1,q=2,C=1,c={},r={},", cells.width, cells.height);
        while let Some(chunk) = chunks.next() {
            write!(self.out, "\x1b_G{keys}m={};", u8::from(chunks.peek().is_some()))?;
            self.out.extend_from_slice(chunk);
            self.out.extend_from_slice(b"\x1b\\");
            keys = "q=2,".to_owned();
        }
        if old != 0 {
            write!(self.out, "\x1b_Ga=d,d=I,i={old},q=2\x1b\\")?;
        }
        self.shown = new;
        Ok(())
    }
}

/// Takes the pictures away that are no text.
pub(crate) fn clear(graphics: Graphics) -> &'static [u8] {
    match graphics {
        Graphics::Kitty => b"\x1b_Ga=d,d=I,i=1,q=2\x1b\\\x1b_Ga=d,d=I,i=2,q=2\x1b\\",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{ImageShape, ImageView, PixelFormat};
    use framebus_picture::Look;

    const CELLS: Cells = Cells { x: 3, y: 0, width: 40, height: 12 };

    fn noise(width: u32, height: u32) -> Preview {
        let shape = ImageShape::new(width, height, PixelFormat::Rgb8).unwrap();
        let mut state = 1_u32;
        let bytes: Vec<u8> = (0..shape.frame_bytes())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let mut preview = Preview::default();
        preview.draw(ImageView::new(shape, &bytes).unwrap(), &Look::default()).unwrap();
        preview
    }

    #[test]
    fn answers_are_found_between_others() {
        let kitty = b"\x1b_Gi=1;OK\x1b\\\x1b[6;20;9t\x1b[?62;c";
        assert_eq!(read_answers(kitty), Answers { kitty: true, sixel: false, cell: Some((9, 20)) });
        let foot = b"q\x1b[6;16;8t\x1b[?62;4;22c";
        assert_eq!(read_answers(foot), Answers { kitty: false, sixel: true, cell: Some((8, 16)) });
        assert_eq!(read_answers(b"\x1b[?1;2;44c"), Answers::default());
        assert_eq!(read_answers(b"\x1b_Gi=1;ENOENT:no\x1b\\\x1b[6;0;0t"), Answers::default());
        assert_eq!(attributes(b"\x1b[?1;2c"), Some(&b"1;2"[..]));
        assert!([&b"\x1b[?1;2"[..], b"", b"\x1b[6;1;2t"].iter().all(|answer| attributes(answer).is_none()));
    }

    #[test]
    fn kitty_gets_every_pixel_in_chunks_and_the_old_picture_goes_last() {
        let (picture, mut encoder) = (noise(200, 100), Encoder::default());
        let first = String::from_utf8(encoder.encode(Graphics::Kitty, &picture, CELLS).unwrap().to_vec()).unwrap();
        assert!(first.starts_with("\x1b[1;4H\x1b_Ga=T,f=100,t=d,i=1,p=1,q=2,C=1,c=40,r=12,m=1;"), "{:?}", &first[..60]);
        let commands: Vec<(&str, &str)> =
            first.split("\x1b_G").skip(1).map(|c| c.strip_suffix("\x1b\\").unwrap().split_once(';').unwrap()).collect();
        let (last, others) = commands.split_last().unwrap();
        assert!(
            last.0.ends_with("m=0") && others.iter().all(|(keys, data)| keys.ends_with("m=1") && data.len() == CHUNK)
        );
        let data: String = commands.iter().map(|(_, data)| *data).collect();
        let decoded = image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap();
        assert_eq!(decoded.to_rgb8().as_raw(), picture.rgb());
        let second = String::from_utf8(encoder.encode(Graphics::Kitty, &picture, CELLS).unwrap().to_vec()).unwrap();
        assert!(second.contains("i=2,") && second.ends_with("\x1b_Ga=d,d=I,i=1,q=2\x1b\\"));
    }

    #[test]
    fn iterm2_gets_a_jpeg_in_its_cells() {
        let (picture, mut encoder) = (noise(64, 48), Encoder::default());
        let text = String::from_utf8(encoder.encode(Graphics::Iterm2, &picture, CELLS).unwrap().to_vec()).unwrap();
        let (keys, data) = text.strip_prefix("\x1b[1;4H\x1b]1337;File=").unwrap().split_once(':').unwrap();
        assert!(keys.contains("width=40;height=12;preserveAspectRatio=0"), "{keys}");
        let jpeg = STANDARD.decode(data.strip_suffix('\x07').unwrap()).unwrap();
        assert!(keys.contains(&format!("size={};", jpeg.len())) && jpeg.starts_with(&[0xFF, 0xD8]));
    }
}
