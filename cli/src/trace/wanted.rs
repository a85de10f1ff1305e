//! Which fates are asked for.

use framebus_program::usage;

use super::streams::{Told, What};

/// All fates, as [`framebus::Fate::name`] calls them.
const FATES: [&str; 18] = [
    "held",
    "unread",
    "late",
    "abandoned",
    "evicted",
    "began",
    "skipped",
    "missed",
    "all_held",
    "too_old",
    "too_many_skipped",
    "stale",
    "was_evicted",
    "attached",
    "left",
    "died",
    "gone",
    "closed",
];

/// Words for some of them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("refused", &["held", "unread"]),
    ("lost", &["skipped", "missed"]),
    ("violations", &["too_old", "too_many_skipped", "stale"]),
    ("comings", &["began", "attached", "left", "died", "gone", "closed"]),
];

/// The fates that are asked for.
pub struct Wanted {
    /// Empty: all.
    fates: Vec<&'static str>,
}

impl Wanted {
    /// # Errors
    /// There is no such fate.
    pub fn new(only: &[String], violations: bool) -> anyhow::Result<Self> {
        let mut fates = Vec::new();
        for word in only.iter().map(String::as_str).chain(violations.then_some("violations")) {
            // As options are written, and as objects have it.
            let name = word.trim().replace('-', "_");
            let group = GROUPS.iter().find(|(group, _)| *group == name);
            match (group, FATES.iter().find(|fate| **fate == name)) {
                (Some((_, members)), _) => fates.extend_from_slice(members),
                (_, Some(fate)) => fates.push(fate),
                _ => {
                    let known: Vec<_> = GROUPS.iter().map(|(group, _)| *group).chain(FATES).collect();
                    return Err(usage!("no fate is called {word:?}: expected some of {}", known.join(", ")));
                }
            }
        }
        Ok(Self { fates })
    }

    /// Events that were lost may have been any.
    pub fn has(&self, told: &Told) -> bool {
        match &told.what {
            What::Event(event) => self.fates.is_empty() || self.fates.contains(&event.fate.name()),
            What::Lost(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(only: &[&str], violations: bool) -> Result<Vec<&'static str>, String> {
        let only: Vec<_> = only.iter().map(ToString::to_string).collect();
        Wanted::new(&only, violations).map(|wanted| wanted.fates).map_err(|error| error.to_string())
    }

    #[test]
    fn fates_are_asked_for_by_name_or_in_groups() {
        assert_eq!(fates(&[], false).unwrap(), [""; 0]);
        assert_eq!(fates(&["refused", "all-held"], false).unwrap(), ["held", "unread", "all_held"]);
        assert_eq!(fates(&[], true).unwrap(), ["too_old", "too_many_skipped", "stale"]);
        let error = fates(&["dropped"], false).unwrap_err();
        assert!(error.contains("\"dropped\"") && error.contains("refused, lost"), "{error}");
    }

    #[test]
    fn every_group_is_made_of_fates() {
        assert!(GROUPS.iter().flat_map(|(_, members)| *members).all(|member| FATES.contains(member)));
    }
}
