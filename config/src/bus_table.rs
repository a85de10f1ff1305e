//! The table `[bus]`: name, backend, mode, group.

use crate::config::BusConfig;
use crate::document::Section;
use framebus::{Backend, DEFAULT_DIRECTORY};
use toml::de::DeValue;

/// Keys of the table `[bus]`.
pub const KEYS: [&str; 5] = ["name", "backend", "directory", "mode", "group"];

/// Own user only.
const DEFAULT_MODE: u32 = 0o600;

/// Reads the table; what it refuses has its default in the result, or an empty name.
pub(crate) fn read(section: &mut Section<'_, '_>) -> BusConfig {
    BusConfig {
        name: name(section).unwrap_or_default(),
        backend: backend(section),
        mode: mode(section).unwrap_or(DEFAULT_MODE),
        group: group(section),
    }
}

fn backend(section: &mut Section<'_, '_>) -> Backend {
    let files = section.choice("backend", &[("sysv", false), ("file", true)]);
    let directory = directory(section);
    if files == Some(true) {
        let directory = directory.unwrap_or(DEFAULT_DIRECTORY);
        return Backend::File { directory: directory.into() };
    }
    // A misspelt or refused backend may have been meant to be "file".
    let is_sysv = files == Some(false) || !section.has("backend");
    if is_sysv && section.value("directory").is_some() {
        let help = "add backend = \"file\", or remove `directory`";
        section.refuse_key("directory", "`directory` needs backend = \"file\"", help);
    }
    Backend::SysV
}

fn directory<'a>(section: &mut Section<'a, '_>) -> Option<&'a str> {
    const HELP: &str = "name one by its whole path, in memory as a rule: directory = \"/dev/shm/framebus\"";
    let text = section.text("directory", "directory = \"/dev/shm/framebus\"")?;
    if text.starts_with('/') && !text.contains('\0') {
        return Some(text);
    }
    section.refuse("directory", format!("directory = {text:?} is no absolute path"), HELP);
    None
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
        Some(mode) if mode >> 3 & 6 == 2 => "lets the group write and not read".to_owned(),
        Some(mode) if mode & 6 == 2 => "lets others write and not read".to_owned(),
        Some(mode) => return Some(mode),
    };
    let help = "expected \"0600\" (own user only), \"0660\" (and a group) or \"0666\" (everybody): who subscribes must \
                read and write; who may only read (\"0640\", \"0644\") can observe";
    section.refuse("mode", format!("mode = {text:?} {wrong}"), help);
    None
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
