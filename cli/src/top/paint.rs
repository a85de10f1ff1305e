//! Colours by meaning. Everything reads on a light and on a dark terminal, and without any colour.
//!
//! Only the terminal's own colours are used, and where a text must stand out its background is set, too: yellow on white can
//! not be read. With `NO_COLOR` (<https://no-color.org>) bold, underlined and reversed text takes their place.

use ratatui::style::{Color, Modifier, Style};

use super::trouble::Severity;

/// How things are painted.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// Colours may be used.
    pub colours: bool,
    /// It is the row under the cursor, in which what is well and what tells nothing looks like the rest.
    pub selected: bool,
}

impl Paint {
    /// As the environment wishes.
    pub fn from_environment() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colours, selected: false }
    }

    /// A number or a word that is so bad. It stays as it is in a selected row.
    pub fn severity(self, severity: Severity) -> Style {
        let plain = Style::new();
        match (severity, self.colours) {
            (Severity::Good, true) if !self.selected => plain.fg(Color::Green),
            (Severity::Good, _) => plain,
            (Severity::Attention, true) => plain.fg(Color::Black).bg(Color::Yellow).remove_modifier(Modifier::REVERSED),
            (Severity::Attention, false) => plain.add_modifier(Modifier::UNDERLINED),
            (Severity::Bad, true) => {
                let white = plain.fg(Color::White).bg(Color::Red);
                white.add_modifier(Modifier::BOLD).remove_modifier(Modifier::REVERSED)
            }
            (Severity::Bad, false) => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        }
    }

    /// A sentence about something that is so bad.
    pub fn sentence(self, severity: Severity) -> Style {
        match (severity, self.colours) {
            (Severity::Bad, true) if !self.selected => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            (Severity::Bad, _) => Style::new().add_modifier(Modifier::BOLD),
            _ => Style::new(),
        }
    }

    /// What is there, but tells nothing.
    pub fn quiet(self) -> Style {
        if self.selected { Style::new() } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Names, and the heads of columns.
    pub fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The bars at the top and at the bottom, and the row under the cursor.
    pub fn reversed(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// A sign that tells without colours, too.
pub fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Good => "●",
        Severity::Attention => "▲",
        Severity::Bad => "✖",
    }
}
