//! The table `[bus]`: name, backend, mode, group.

use crate::config::{Backend, BusConfig};
use crate::document::Section;
use toml::de::DeValue;

pub(crate) const KEYS: [&str; 4] = ["name", "backend", "mode", "group"];

/// Own user only.
const DEFAULT_MODE: u32 = 0o600;

/// Reads the table; what it refuses has its default in the result, or an empty name.
pub(crate) fn read(section: &mut Section<'_, '_>) -> BusConfig {
    BusConfig {
        name: name(section).unwrap_or_default(),
        backend: section.choice("backend", &[("sysv", Backend::Sysv)]).unwrap_or_default(),
        mode: mode(section).unwrap_or(DEFAULT_MODE),
        group: group(section),
    }
}

fn name(section: &mut Section<'_, '_>) -> Option<String> {
    const EXAMPLE: &str = "name = \"robot\"";
    section.require("name", EXAMPLE);
    let name = section.text("name", EXAMPLE)?;
    match framebus::check_part("bus", name) {
        Ok(()) => Some(name.to_owned()),
        Err(error) => {
            section.refuse_with("name", &error);
            None
        }
    }
}

/// Permissions as of a file, in octal digits.
fn mode(section: &mut Section<'_, '_>) -> Option<u32> {
    let text = section.text("mode", "the octal digits in quotes: mode = \"0600\"")?;
    let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o777);
    let wrong = match mode {
        None => "is no mode".to_owned(),
        Some(mode) if mode & 0o111 != 0 => "lets somebody execute".to_owned(),
        Some(mode) if mode & 0o600 != 0o600 => "keeps the owner from reading or writing".to_owned(),
        Some(mode) => match [("the group", mode >> 3 & 6), ("others", mode & 6)].map(half_of) {
            [Some(wrong), _] | [None, Some(wrong)] => wrong,
            [None, None] => return Some(mode),
        },
    };
    let help = "expected \"0600\" (own user only), \"0660\" (and a group) or \"0666\" (everybody): who subscribes must \
                read and write";
    section.refuse("mode", format!("mode = {text:?} {wrong}"), help);
    None
}

/// What is wrong with one of read and write alone.
fn half_of((who, bits): (&str, u32)) -> Option<String> {
    match bits {
        4 => Some(format!("lets {who} read and not write")),
        2 => Some(format!("lets {who} write and not read")),
        _ => None,
    }
}

/// The name or number of a group; whether there is one is looked up when the bus is opened.
fn group(section: &mut Section<'_, '_>) -> Option<String> {
    if let DeValue::Integer(_) = section.value("group")?.get_ref() {
        return section.integer("group", 0, u32::MAX - 1).map(|id| id.to_string());
    }
    let group = section.text("group", "the name or number of a group: group = \"video\"")?;
    if group.is_empty() || group.contains('\0') {
        section.refuse("group", format!("group = {group:?} is no group"), "name one of those in /etc/group");
        return None;
    }
    Some(group.to_owned())
}
