//! Moments, as schemas want them.

/// Whether `text` is `YYYY-MM-DDTHH:mm:ssZ`, perhaps with a fraction of a second,
/// and a day that the calendar has.
pub(super) fn is_date(text: &str) -> bool {
    let Some((seconds, fraction)) = split(text) else { return false };
    let is_fraction = fraction.is_none_or(|digits| {
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    });
    is_fraction && is_second(seconds)
}

/// The text up to its seconds, and the digits of a fraction.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let text = text.strip_suffix('Z')?;
    match text.split_once('.') {
        Some((seconds, digits)) => Some((seconds, Some(digits))),
        None => Some((text, None)),
    }
}

fn is_second(text: &str) -> bool {
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(byte, wanted): (u8, &u8)| match wanted {
        b'd' => byte.is_ascii_digit(),
        wanted => byte == *wanted,
    };
    if text.len() != shape.len() || !text.bytes().zip(shape).all(fits) {
        return false;
    }
    let number = |from: usize, to: usize| -> u32 {
        text.get(from..to).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    // A leap second is a second.
    (1..=days(year, month)).contains(&day) && hour < 24 && minute < 60 && second <= 60
}

const fn days(year: u32, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn knows_the_calendar() {
        for good in ["2026-11-21T12:00:00Z", "2024-02-29T23:59:60Z", "2000-02-29T00:00:00.123Z"] {
            assert!(is_date(good), "{good}");
        }
        for wrong in [
            "",
            "2026-11-21",
            "2026-11-21T12:00:00",
            "2026-11-21T12:00:00+01:00",
            "2026-02-29T12:00:00Z",
            "1900-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-11-31T12:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:00:00.Z",
            "2026-11-21t12:00:00Z",
            "٢٠٢٦-11-21T12:00:00Z",
            "2026-00-10T12:00:00Z",
        ] {
            assert!(!is_date(wrong), "{wrong}");
        }
    }
}
