//! Times in few characters, for people.

/// Units below a hundred seconds, and their length in ns.
const UNITS: [(f64, &str); 4] = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];

/// A time in ns with two digits or three: `850 ns`, `12 µs`, `1.2 ms`, `23 ms`, `3.4 s`, `2 min`, `5 h`, `3 d`.
pub fn duration(ns: u64) -> String {
    words(ns, 2)
}

/// The same with three digits, where it was measured so finely: `1.24 ms`, `23.4 ms`, `850 ms`.
pub fn fine_duration(ns: u64) -> String {
    words(ns, 3)
}

fn words(ns: u64, digits: i32) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        86_400.. => return format!("{} d", seconds / 86_400),
        3_600.. => return format!("{} h", seconds / 3_600),
        100.. => return format!("{} min", seconds / 60),
        _ => {}
    }
    // What is rounded to a thousand of a unit is one of the next.
    let is_next = |scale: f64| scale > 1.0 && ns as f64 >= scale * 0.9995;
    let (scale, unit) = UNITS.into_iter().rev().find(|(scale, _)| is_next(*scale)).unwrap_or(UNITS[0]);
    let value = ns as f64 / scale;
    // As many decimals as leave so many digits, when they are rounded.
    let decimals = (1..digits).rev().find(|&decimals| {
        let half = 0.5 / 10f64.powi(decimals);
        scale > 1.0 && value < 10f64.powi(digits - decimals) - half
    });
    format!("{value:.*} {unit}", decimals.unwrap_or(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_or_three_digits_and_a_unit() {
        let texts = [0, 850, 1_200, 9_960, 23_400_000, 1_250_000_000, 59_000_000_000, 130_000_000_000].map(duration);
        assert_eq!(texts, ["0 ns", "850 ns", "1.2 µs", "10 µs", "23 ms", "1.2 s", "59 s", "2 min"]);
        assert_eq!((duration(7_300_000_000_000), duration(200_000_000_000_000)), ("2 h".to_owned(), "2 d".to_owned()));
    }

    #[test]
    fn fine_times_have_three() {
        let texts =
            [0, 999, 1_000, 9_996, 85_340, 1_240_000, 16_600_000, 250_000_000, 90_000_000_000].map(fine_duration);
        let expected = ["0 ns", "999 ns", "1.00 µs", "10.0 µs", "85.3 µs", "1.24 ms", "16.6 ms", "250 ms", "90.0 s"];
        assert_eq!(texts, expected);
        assert_eq!(fine_duration(259_200_000_000_000), "3 d");
    }

    #[test]
    fn what_is_nearly_a_whole_unit_is_one() {
        assert_eq!([999_499, 999_500, 999_999].map(fine_duration), ["999 µs", "1.00 ms", "1.00 ms"]);
        assert_eq!([999_499, 999_500, 999_999].map(duration), ["999 µs", "1.0 ms", "1.0 ms"]);
    }
}
