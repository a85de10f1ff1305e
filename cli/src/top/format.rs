//! Numbers in few characters, for people.

/// Events a second: `0`, `0.25`, `29.9`, `1200`.
pub fn rate(hz: f64) -> String {
    match hz {
        _ if hz <= 0.0 => "0".to_owned(),
        _ if hz < 0.995 => format!("{hz:.2}"),
        _ if hz < 999.5 => format!("{hz:.1}"),
        _ if hz < 99_999.5 => format!("{hz:.0}"),
        _ if hz < 9_999_500.0 => format!("{:.0}k", hz / 1e3),
        _ => format!("{:.0}M", hz / 1e6),
    }
}

/// Memory: `900 B`, `12 KiB`, `1.4 GiB`.
pub fn memory(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        _ if value < 9.95 && unit > 0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// At most so many characters; where some are cut off, the last one is an ellipsis.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_take_few_characters() {
        let texts = [0.0, 0.2, 0.999, 29.97, 999.4, 1200.4, 123_456.0, 12_000_000.0].map(rate);
        assert_eq!(texts, ["0", "0.20", "1.0", "30.0", "999.4", "1200", "123k", "12M"]);
    }

    #[test]
    fn memory_has_two_or_three_digits_and_a_unit() {
        let texts = [0, 900, 1 << 20, 2_772_992, 1_500_000_000].map(memory);
        assert_eq!(texts, ["0 B", "900 B", "1.0 MiB", "2.6 MiB", "1.4 GiB"]);
    }

    #[test]
    fn what_is_too_long_is_cut_by_characters() {
        assert_eq!((cut("µöß", 3).as_str(), cut("µößx", 3).as_str(), cut("ab", 1).as_str()), ("µöß", "µö…", "…"));
    }
}
