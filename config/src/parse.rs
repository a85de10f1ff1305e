//! From text to [`Config`], or to everything that is wrong with it.

use crate::config::{BusConfig, Config, StreamConfig};
use crate::diagnostic::{Findings, InvalidConfig, Span};
use crate::document::{Section, type_of};
use crate::{bus_table, stream};
use framebus::StreamName;
use std::collections::{BTreeMap, HashMap, HashSet};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const ADD_BUS: &str = "add [bus] with name = \"robot\"";
const ADD_STREAM: &str = "add at least one, as [streams.camera]";

/// Reads a file; `memory_bytes` is what the machine has, where that is known.
pub(crate) fn parse(text: &str, origin: &str, memory_bytes: Option<u64>) -> Result<Config, InvalidConfig> {
    let mut findings = Findings::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    let readable = report_syntax(&errors, text, &mut findings);
    // Where the syntax is broken, values are missing that the author sees in the file: no word about those.
    let content = readable.then(|| read(document.get_ref(), memory_bytes, &mut findings));
    findings.into_result(text, origin)?;
    let (bus, streams) = content.unwrap_or_else(|| unreachable!("what is unreadable was reported"));
    Ok(Config { bus, streams, origin: origin.to_owned() })
}

/// Reports what is no TOML. True where the rest of the file can be read all the same.
fn report_syntax(errors: &[toml::de::Error], text: &str, findings: &mut Findings) -> bool {
    let mut lines = HashSet::new();
    let mut readable = true;
    for error in errors {
        let span = error.span().unwrap_or_default();
        if error.message() == "duplicate key" {
            let key = text.get(span.clone()).unwrap_or_default();
            findings.report(span, format!("`{key}` is given twice"), "keep one of the two");
            continue;
        }
        readable = false;
        let before = &text.as_bytes()[..span.start.min(text.len())];
        // What else is wrong in a line follows from its first error.
        if lines.insert(before.iter().filter(|byte| **byte == b'\n').count()) {
            let (message, expected) = match error.message().split_once(", expected ") {
                Some((message, expected)) => (message, format!("expected {expected}")),
                None => (error.message(), String::new()),
            };
            findings.report(span, message, expected);
        }
    }
    readable
}

fn read(
    root: &DeTable<'_>,
    memory_bytes: Option<u64>,
    findings: &mut Findings,
) -> (BusConfig, BTreeMap<String, StreamConfig>) {
    let mut section = Section::open("the file", 0..0, root, &["bus", "streams"], findings);
    for (key, missing, help) in
        [("bus", "the table [bus] is missing", ADD_BUS), ("streams", "there are no streams", ADD_STREAM)]
    {
        match section.value(key) {
            None if !section.has(key) => section.refuse_all(missing, help),
            Some(value) if !value.get_ref().is_table() => section.refuse_type(key, "a table", help),
            _ => {}
        }
    }
    let none = DeTable::new();
    let table = |key: &str| match root.get_key_value(key) {
        Some((key, value)) => value.get_ref().as_table().map(|table| (key.span(), table)),
        None => None,
    };
    let bus = match table("bus") {
        Some((span, bus)) => bus_table::read(&mut Section::open("[bus]", span, bus, &bus_table::KEYS, findings)),
        None => bus_table::read(&mut Section::open("[bus]", 0..0, &none, &[], &mut Findings::default())),
    };
    let mut configs = BTreeMap::new();
    if let Some((span, streams)) = table("streams") {
        if streams.is_empty() {
            findings.report(span, "there are no streams", ADD_STREAM);
        }
        for (name, value) in streams {
            if let Some(config) = read_stream(name, value, &bus, memory_bytes, findings) {
                configs.insert(name.get_ref().to_string(), config);
            }
        }
        report_collisions(&bus.name, streams, findings);
    }
    (bus, configs)
}

fn read_stream(
    name: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    bus: &BusConfig,
    memory_bytes: Option<u64>,
    findings: &mut Findings,
) -> Option<StreamConfig> {
    let (span, name) = (name.span(), name.get_ref());
    if let Err(error) = framebus::check_part("stream", name) {
        findings.report_error(span.clone(), &error);
    }
    let Some(table) = value.get_ref().as_table() else {
        let found = type_of(value.get_ref());
        let help = format!("write its keys under [streams.{name}]");
        findings.report(span, format!("`{name}` in [streams] is {found}, expected a table"), help);
        return None;
    };
    let mut section = Section::open(format!("[streams.{name}]"), span, table, &stream::KEYS, findings);
    let mut config = stream::read(&mut section, memory_bytes)?;
    config.options.mode = bus.mode;
    config.options.backend = bus.backend.clone();
    Some(config)
}

/// Two streams of one key can not be open at the same time; better said here than when the second one is opened.
fn report_collisions(bus: &str, streams: &DeTable<'_>, findings: &mut Findings) {
    let mut names: Vec<(Span, &str)> = streams.keys().map(|name| (name.span(), &**name.get_ref())).collect();
    names.sort_by_key(|(span, _)| span.start);
    let mut first_of_key = HashMap::new();
    for (span, name) in names {
        let Ok(full_name) = StreamName::new(bus, name) else { continue };
        if let Some(first) = first_of_key.insert(full_name.key(), name) {
            let message = format!("`{name}` and `{first}` have the same System V key {:#x}", full_name.key());
            findings.report(span, message, "rename one of the two");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mistakes of a stream on a machine of 1 GiB.
    fn mistakes(stream: &str) -> Vec<String> {
        let text = format!("[bus]\nname = \"robot\"\n[streams.front]\n{stream}\n");
        let error = match parse(&text, "framebus.toml", Some(1 << 30)) {
            Ok(_) => return Vec::new(),
            Err(error) => crate::ConfigError::from(error),
        };
        let line = |found: &crate::Diagnostic| {
            format!("{}:{} {} | {}", found.line, found.column, found.message, found.help.clone().unwrap_or_default())
        };
        error.diagnostics().iter().map(line).collect()
    }

    #[test]
    fn frames_that_need_more_memory_than_there_is_are_refused_at_the_key_that_makes_them_so() {
        let most = "this machine has 1.0 GiB of memory";
        let lessen = "lessen history, max_subscribers, max_held or slots";
        assert_eq!(
            mistakes("size = 1_048_576\nhistory = 1100"),
            [format!("5:11 the stream's frames need 1.1 GiB, {most} | they are 1117 slots of 1.0 MiB: {lessen}")]
        );
        assert_eq!(
            mistakes("size = 1_048_576\nslots = 2000"),
            [format!("5:9 the stream's frames need 2.0 GiB, {most} | they are 2000 slots of 1.0 MiB: {lessen}")]
        );
        assert_eq!(
            mistakes("size = 10_485_760\nmax_subscribers = 100"),
            [format!("5:19 the stream's frames need 2.0 GiB, {most} | they are 202 slots of 10.0 MiB: {lessen}")]
        );
        assert_eq!(
            mistakes("size = 2_000_000_000\nslots = 3"),
            [format!("4:8 the stream's frames need 5.6 GiB, {most} | each frame has 1.9 GiB: make it smaller")]
        );
        assert_eq!(
            mistakes("width = 8000\nheight = 9000\nformat = \"rgb8\""),
            [format!("5:10 the stream's frames need 3.6 GiB, {most} | they are 18 slots of 206.0 MiB: {lessen}")]
        );
        assert_eq!(mistakes("size = 1_048_576\nhistory = 900"), [""; 0]);
    }

    #[test]
    fn numbers_are_not_judged_together_while_one_of_them_is_refused() {
        // With slots = "auto", which is not what was meant, there would be too little memory.
        assert_eq!(
            mistakes("size = 100_000_000\nslots = \"3\""),
            ["5:9 slots = \"3\" is unknown | write it without quotes: slots = 3"]
        );
    }

    #[test]
    fn nothing_is_said_of_memory_where_the_kernel_does_not_say_how_much_there_is() {
        let text = "[bus]\nname = \"robot\"\n[streams.front]\nsize = 2_000_000_000\nhistory = 16384\n";
        assert!(parse(text, "framebus.toml", None).is_ok());
    }

    #[test]
    fn no_text_makes_it_panic() {
        let text = crate::presets::ROBOT;
        // Every beginning, every line left out, and every byte replaced by each of some that mean something.
        for (at, _) in text.char_indices() {
            let _ = parse(&text[..at], "cut", None);
        }
        let shorter = "[bus]\nname='r'\n[streams.f]\nsize=8\nslots=[1]\n[[streams.g]]\nrate_hz={a=1}\n";
        for at in 0..shorter.len() {
            for character in ['[', ']', '=', '"', '\'', '{', '}', '.', '\n', '\r', '#', '\0', '0', 'é', '\u{feff}', ' ']
            {
                let text = format!("{}{character}{}", &shorter[..at], &shorter[at + 1..]);
                if let Err(error) = parse(&text, "changed", None) {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}
