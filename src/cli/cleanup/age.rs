//! Ages: `14d` on the command line, in a registration, and in what is shown.

use std::time::Duration;

/// The units, largest first, in seconds.
const UNITS: [(char, u64); 5] = [('w', 7 * 86400), ('d', 86400), ('h', 3600), ('m', 60), ('s', 1)];

/// An age is a number and one of `s`, `m`, `h`, `d`, `w`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no age: give a number and one of s, m, h, d, w, like 14d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(*seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// An age for people, in its largest unit but weeks, rounded down: `3d`.
pub fn show(age: Duration) -> String {
    let seconds = age.as_secs();
    let (unit, size) = UNITS[1..].iter().find(|(_, size)| seconds >= *size).unwrap_or(&UNITS[4]);
    format!("{}{unit}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_number_and_a_unit() {
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("2m", 120), ("1h", 3600), ("14d", 14 * 86400), ("2w", 14 * 86400)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in
            ["", "d", "14", "-1d", "1.5d", "1 d", "14D", "14days", "99999999999999999999s", "9999999999999999999w", "é"]
        {
            assert!(parse(wrong).is_err(), "{wrong:?} is no age");
        }
        assert_eq!(show(Duration::from_secs(15 * 86400 + 5)), "15d");
        assert_eq!(show(Duration::from_secs(59)), "59s");
        assert_eq!(show(Duration::ZERO), "0s");
    }
}
