//! What somebody probably meant.

/// Words that people bring from elsewhere, and what they are called here.
const ELSEWHERE: [(&str, &str); 14] = [
    ("fps", "rate_hz"),
    ("hz", "rate_hz"),
    ("framerate", "rate_hz"),
    ("frame_rate", "rate_hz"),
    ("encoding", "format"),
    ("pixel_format", "format"),
    ("bytes", "size"),
    ("buffers", "slots"),
    ("depth", "history"),
    ("queue_size", "history"),
    ("hugepages", "huge_pages"),
    ("deadline_ms", "max_age_ms"),
    ("lifespan", "max_age_ms"),
    ("max_age", "max_age_ms"),
];

/// The word of `known` that `word` is most like, where it is like one at all.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase().replace('-', "_");
    let renamed = ELSEWHERE.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours);
    // A third of the letters may be wrong: `histroy` is a slip, `colour` for `format` is another word.
    let tolerance = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|known| match Some(known) == renamed {
            true => (0, known),
            false => (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known),
        })
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
pub(crate) fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strange_words_find_none() {
        let known = ["history", "width", "height", "rate_hz", "format"];
        assert_eq!(nearest("histroy", known), Some("history"));
        assert_eq!(nearest("Width", known), Some("width"));
        assert_eq!(nearest("rate-hz", known), Some("rate_hz"));
        assert_eq!(nearest("fps", known), Some("rate_hz"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn alternatives_read_as_a_sentence() {
        assert_eq!(alternatives(&["a"]), r#""a""#);
        assert_eq!(alternatives(&["a", "b", "c"]), r#""a", "b" or "c""#);
    }
}
