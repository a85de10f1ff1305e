//! One table of the file, read key by key: each reader gives the value, or reports why it can not, and goes on.
//!
//! Invariants:
//! * I1: a value that is refused is reported exactly once, and reads as if it were not there;
//! * I2: a misspelt key counts as given ([`Section::has`]), so that nobody is told that it is missing too.

use crate::diagnostic::{Findings, Span};
use crate::suggest::{alternatives, nearest};
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table while it is read.
pub(crate) struct Section<'a, 'f> {
    /// As the file writes it: `[streams.front]`.
    title: String,
    span: Span,
    table: &'a DeTable<'a>,
    findings: &'f mut Findings,
    /// Keys that misspelt ones were meant to be.
    meant: Vec<&'static str>,
    refused: Vec<String>,
}

impl<'a, 'f> Section<'a, 'f> {
    /// Begins to read a table, and reports its unknown keys.
    pub(crate) fn open(
        title: impl Into<String>,
        span: Span,
        table: &'a DeTable<'a>,
        known: &[&'static str],
        findings: &'f mut Findings,
    ) -> Self {
        let mut section = Self { title: title.into(), span, table, findings, meant: Vec::new(), refused: Vec::new() };
        section.refuse_unknown(known);
        section
    }

    fn refuse_unknown(&mut self, known: &[&'static str]) {
        for key in self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let free = known.iter().copied().filter(|known| !self.table.contains_key(*known));
            let help = match nearest(key.get_ref(), free) {
                Some(meant) => {
                    self.meant.push(meant);
                    format!("did you mean `{meant}`?")
                }
                None => format!("known keys are {}", known.join(", ")),
            };
            let message = format!("unknown key `{}` in {}", key.get_ref(), self.title);
            self.findings.report(key.span(), message, help);
        }
    }

    /// Whether the key is there, perhaps misspelt.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key) || self.meant.contains(&key)
    }

    /// Whether each of these keys was accepted or is not there: only then is it fair to judge how they go together.
    pub(crate) fn accepted(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| !self.meant.contains(key) && !self.refused.iter().any(|refused| refused == key))
    }

    /// The value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    fn value_span(&self, key: &str) -> Span {
        self.value(key).map_or(self.span.clone(), Spanned::span)
    }

    /// What a table in this one is called.
    pub(crate) fn title_of(&self, key: &str) -> String {
        format!("{}.{key}]", self.title.trim_end_matches(']'))
    }

    /// Begins to read a table in this one.
    pub(crate) fn inside(
        &mut self,
        title: String,
        span: Span,
        table: &'a DeTable<'a>,
        known: &[&'static str],
    ) -> Section<'a, '_> {
        Section::open(title, span, table, known, self.findings)
    }

    /// Reports that something is wrong at a place of the file.
    pub(crate) fn report(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.findings.report(span, message, help);
    }

    /// Reports that the value of `key` is wrong.
    pub(crate) fn refuse(&mut self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.refused.push(key.to_owned());
        self.findings.report(self.value_span(key), message, help);
    }

    /// As [`refuse`](Self::refuse), in the words of the library.
    pub(crate) fn refuse_with(&mut self, key: &str, error: &dyn std::error::Error) {
        self.refused.push(key.to_owned());
        self.findings.report_error(self.value_span(key), error);
    }

    /// Reports that `key` should not be there at all.
    pub(crate) fn refuse_key(&mut self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.refused.push(key.to_owned());
        let span = self.table.get_key_value(key).map_or(self.span.clone(), |(key, _)| key.span());
        self.findings.report(span, message, help);
    }

    /// Reports that something is wrong with the table as a whole.
    pub(crate) fn refuse_all(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.findings.report(self.span.clone(), message, help);
    }

    /// Reports a key that is missing; `example` is what to write.
    pub(crate) fn require(&mut self, key: &str, example: &str) {
        if !self.has(key) {
            self.refuse_all(format!("`{key}` is missing in {}", self.title), format!("add {example}"));
        }
    }

    /// Reports that the value of `key` is of the wrong type.
    pub(crate) fn refuse_type(&mut self, key: &str, expected: &str, help: impl Into<String>) {
        if let Some(value) = self.value(key) {
            let found = type_of(value.get_ref());
            self.refuse(key, format!("`{key}` is {found}, expected {expected}"), help);
        }
    }

    /// A string.
    pub(crate) fn text(&mut self, key: &str, example: &str) -> Option<&'a str> {
        let text = self.value(key)?.get_ref().as_str();
        if text.is_none() {
            self.refuse_type(key, "a string", format!("write {example}"));
        }
        text
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let expected = alternatives(&words);
        let Some(text) = self.value(key)?.get_ref().as_str() else {
            self.refuse_type(key, &expected, "");
            return None;
        };
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            self.refuse_word(key, text, &words);
        }
        chosen
    }

    /// Reports that the value of `key` is none of the words that are allowed.
    pub(crate) fn refuse_word(&mut self, key: &str, found: &str, words: &[&str]) {
        let meant = nearest(found, words.iter().copied()).map(|meant| format!("did you mean {meant:?}? "));
        let help = format!("{}expected {}", meant.unwrap_or_default(), alternatives(words));
        self.refuse(key, format!("{key} = {found:?} is unknown"), help);
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, key: &str) -> Option<bool> {
        let value = self.value(key)?.get_ref();
        if !value.is_bool() {
            let quoted = value.as_str().filter(|text| ["true", "false"].contains(text));
            self.refuse_type(key, "true or false", unquoted(key, quoted));
        }
        value.as_bool()
    }

    /// A number of a range, perhaps with a fraction; `expected` says so in words.
    pub(crate) fn number(&mut self, key: &str, range: RangeInclusive<f64>, expected: &str) -> Option<f64> {
        let (number, found) = match self.value(key)?.get_ref() {
            // Both have the form that f64 reads, but for integers of another radix, which nobody writes for these.
            DeValue::Float(number) => (number.as_str().parse().ok(), number.to_string()),
            DeValue::Integer(number) => (number.to_string().parse().ok(), number.to_string()),
            other => {
                let quoted = other.as_str().filter(|text| text.parse::<f64>().is_ok());
                let help = quoted.map_or(expected.to_owned(), |_| unquoted(key, quoted));
                self.refuse_type(key, "a number", help);
                return None;
            }
        };
        let number: Option<f64> = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.refuse(key, format!("{key} = {found} is out of range"), expected);
        }
        number
    }

    /// An integer of a range.
    pub(crate) fn integer(&mut self, key: &str, least: u32, most: u32) -> Option<u32> {
        let value = self.value(key)?.get_ref();
        let Some(integer) = value.as_integer() else {
            let quoted = value.as_str().filter(|text| text.parse::<u32>().is_ok());
            self.refuse_type(key, "an integer", unquoted(key, quoted));
            return None;
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.and_then(|number| u32::try_from(number).ok()).filter(|n| (least..=most).contains(n));
        if number.is_none() {
            let found = format!("{key} = {integer} is out of range");
            self.refuse(key, found, format!("expected {least} to {most}"));
        }
        number
    }
}

fn unquoted(key: &str, quoted: Option<&str>) -> String {
    quoted.map(|text| format!("write it without quotes: {key} = {text}")).unwrap_or_default()
}

/// A value's type, with its article.
pub(crate) fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
