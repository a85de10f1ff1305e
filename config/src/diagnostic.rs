//! What is wrong with a file, and where: collected while it is read, then shown all at once with line and caret.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

/// A range of bytes of the file.
pub(crate) type Span = Range<usize>;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("can not read the configuration file {}{named_by}: {source}; {}", path.display(), remedy(source, named_by))]
    #[non_exhaustive]
    Read {
        /// The file.
        path: PathBuf,
        /// Who named it, where that was the environment: ` (named by FRAMEBUS_CONFIG)`; otherwise empty.
        named_by: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file has mistakes.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
}

impl ConfigError {
    /// Everything that is wrong in the file, in the order of its lines; empty where it could not be read.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            ConfigError::Read { .. } => &[],
            ConfigError::Invalid(invalid) => &invalid.diagnostics,
        }
    }
}

fn remedy(error: &io::Error, named_by: &str) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidData => "save it as UTF-8 text",
        io::ErrorKind::PermissionDenied => "make it readable for this user",
        io::ErrorKind::IsADirectory => "name the file in that directory",
        _ if !named_by.is_empty() => "correct the path, or unset the variable",
        _ => "correct the path",
    }
}

/// A file with mistakes. Its `Display` shows each with its line and a caret.
#[derive(Debug)]
pub struct InvalidConfig {
    origin: String,
    diagnostics: Vec<Diagnostic>,
    rendered: String,
}

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in that line, in characters, from 1.
    pub column: usize,
    /// What would be right.
    pub help: Option<String>,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.diagnostics.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(out, "can not use {}: it has {count} mistake{plural}\n\n{}", self.origin, self.rendered)
    }
}

impl std::error::Error for InvalidConfig {}

struct Finding {
    span: Span,
    message: String,
    help: Option<String>,
}

/// What was found wrong so far.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Notes that something is wrong at `span`; an empty `help` is none.
    pub(crate) fn report(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let help = Some(help.into()).filter(|help| !help.is_empty());
        self.0.push(Finding { span, message: message.into(), help });
    }

    /// As [`report`](Self::report), with a message of the form `what is wrong: what would be right`.
    pub(crate) fn report_error(&mut self, span: Span, error: &dyn std::error::Error) {
        let text = error.to_string();
        // From the right: the left may quote anything.
        match text.rsplit_once(": ") {
            Some((message, help)) => self.report(span, message, help),
            None => self.report(span, text, ""),
        }
    }

    /// An error where anything was found.
    pub(crate) fn into_result(mut self, text: &str, origin: &str) -> Result<(), InvalidConfig> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by_key(|finding| finding.span.start);
        let rendered: Vec<_> = self.0.iter().map(|finding| render(finding, text, origin)).collect();
        let diagnostics = self.0.into_iter().map(|finding| place(finding, text)).collect();
        Err(InvalidConfig { origin: origin.to_owned(), diagnostics, rendered: rendered.join("\n\n") })
    }
}

fn place(finding: Finding, text: &str) -> Diagnostic {
    let before = &text[..inside(&finding.span, text).start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Diagnostic {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: finding.message,
        help: finding.help,
    }
}

fn render(finding: &Finding, text: &str, origin: &str) -> String {
    let annotation = AnnotationKind::Primary.span(inside(&finding.span, text));
    let snippet = Snippet::source(text).path(origin).annotation(annotation);
    let group = Group::with_title(Level::ERROR.primary_title(&finding.message)).element(snippet);
    let group = match &finding.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    };
    Renderer::plain().render(&[group])
}

/// The part of `span` that lies in the text and in one line, at least as a place between characters.
fn inside(span: &Span, text: &str) -> Span {
    let boundary = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (boundary(span.start), boundary(span.end.max(span.start)));
    let line_end = text[start..].find(['\r', '\n']).map_or(text.len(), |length| start + length);
    start..end.min(line_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, spans: impl IntoIterator<Item = Span>) -> InvalidConfig {
        let mut findings = Findings::default();
        for span in spans {
            findings.report(span, "it is odd", "make it even");
        }
        findings.into_result(text, "a.toml").unwrap_err()
    }

    #[test]
    fn lines_and_columns_count_characters_from_1() {
        let text = "# Zähler\r\nä = 1\n";
        let at = text.find('1').unwrap();
        let invalid = shown(text, std::iter::once(at..at + 1));
        assert_eq!((invalid.diagnostics[0].line, invalid.diagnostics[0].column), (2, 5));
        assert_eq!(
            invalid.to_string(),
            "can not use a.toml: it has 1 mistake\n\n\
             error: it is odd\n \
             --> a.toml:2:5\n  \
             |\n\
             2 | ä = 1\n  \
             |     ^\n  \
             |\n  \
             = help: make it even"
        );
    }

    #[test]
    fn mistakes_stand_in_the_order_of_the_lines() {
        let invalid = shown("a\nb\nc\n", [4..5, 0..1, 2..3]);
        assert_eq!(invalid.diagnostics.iter().map(|found| found.line).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn any_span_can_be_shown() {
        for text in ["", "\n", "ä", "a\r\nb", "\u{feff}a = 1", "\t\ta = 1\n"] {
            for start in 0..8 {
                for end in 0..8 {
                    assert!(shown(text, [Span { start, end }]).to_string().contains("a.toml:"), "{text:?}");
                }
            }
        }
    }
}
