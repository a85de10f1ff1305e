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

/// A time: `850 ns`, `12 µs`, `1.2 ms`, `23 ms`, `3.4 s`, `2 min`, `5 h`, `3 d`.
pub fn duration(ns: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
    let seconds = ns / 1_000_000_000;
    match seconds {
        86_400.. => return format!("{} d", seconds / 86_400),
        3_600.. => return format!("{} h", seconds / 3_600),
        100.. => return format!("{} min", seconds / 60),
        _ => {}
    }
    let (scale, unit) = UNITS.into_iter().rev().find(|(scale, _)| ns as f64 >= *scale).unwrap_or(UNITS[0]);
    match ns as f64 / scale {
        value if value < 9.95 && scale > 1.0 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
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
    fn times_have_two_or_three_digits_and_a_unit() {
        let texts = [0, 850, 1_200, 23_400_000, 1_250_000_000, 59_000_000_000, 130_000_000_000].map(duration);
        assert_eq!(texts, ["0 ns", "850 ns", "1.2 µs", "23 ms", "1.2 s", "59 s", "2 min"]);
        assert_eq!((duration(7_300_000_000_000), duration(200_000_000_000_000)), ("2 h".to_owned(), "2 d".to_owned()));
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
