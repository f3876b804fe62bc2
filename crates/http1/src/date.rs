//! Dates of HTTP.
//!
//! Source: RFC 9110 §5.6.7. Days from the calendar and back: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"
//! (2013), which shifts the year to start in March so that leap days come last.

/// Length of an IMF-fixdate.
pub const LENGTH: usize = 29;

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Last second that has four digits of year: 9999-12-31T23:59:59.
const LAST: u64 = 253_402_300_799;

/// Writes seconds since 1970-01-01 UTC as `Sun, 06 Nov 1994 08:49:37 GMT`; later than the year 9999 counts as its end.
#[must_use]
#[expect(clippy::arithmetic_side_effects, reason = "bounded by LAST, all below 2^40")]
pub fn format(seconds: u64) -> [u8; LENGTH] {
    let seconds = seconds.min(LAST);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let pair = |value: u64| [b'0' + low_byte(value / 10 % 10), b'0' + low_byte(value % 10)];
    let name =
        |names: &[&[u8; 3]], at: u64| names.get(usize::from(low_byte(at))).map_or(*b"???", |name| **name);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    for (at, part) in [(0, name(&DAYS, days % 7)), (8, name(&MONTHS, month - 1))] {
        put(&mut text, at, &part);
    }
    let parts = [
        (5, day),
        (12, year / 100),
        (14, year),
        (17, second / 3600),
        (20, second / 60 % 60),
        (23, second % 60),
    ];
    for (at, value) in parts {
        put(&mut text, at, &pair(value));
    }
    text
}

fn put(text: &mut [u8; LENGTH], at: usize, part: &[u8]) {
    text.iter_mut().skip(at).zip(part).for_each(|(into, byte)| *into = *byte);
}

#[expect(clippy::cast_possible_truncation, reason = "callers pass values below 256")]
const fn low_byte(value: u64) -> u8 {
    value as u8
}

/// Year, month 1..=12 and day 1..=31 of a day since 1970.
#[expect(clippy::arithmetic_side_effects, reason = "days are below 2^22 here")]
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // Since 0000-03-01.
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Day since 1970 of a date from 1970 on.
#[expect(clippy::arithmetic_side_effects, reason = "the year has four digits, month and day two")]
const fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

/// Reads a date in any of the three forms that a recipient must accept; `None` if it is none, or before 1970.
///
/// The weekday is not checked against the date. A year of two digits counts as 1970..=2069.
#[must_use]
pub fn parse(text: &[u8]) -> Option<u64> {
    let comma = text.iter().position(|&byte| byte == b',');
    match comma {
        // Sun, 06 Nov 1994 08:49:37 GMT
        Some(3) => match text.get(5..)? {
            [d1, d2, b' ', m @ .., b' ', b'G', b'M', b'T'] if text.len() == LENGTH => {
                let [m1, m2, m3, b' ', y1, y2, y3, y4, b' ', time @ ..] = m else { return None };
                seconds(digits(&[*y1, *y2, *y3, *y4])?, month(&[*m1, *m2, *m3])?, digits(&[*d1, *d2])?, time)
            }
            _ => None,
        },
        // Sunday, 06-Nov-94 08:49:37 GMT
        Some(at) => match text.get(at.checked_add(2)?..)? {
            [d1, d2, b'-', m1, m2, m3, b'-', y1, y2, b' ', time @ .., b' ', b'G', b'M', b'T'] => {
                let year = digits(&[*y1, *y2])?;
                let century: u64 = if year < 70 { 2000 } else { 1900 };
                seconds(century.checked_add(year)?, month(&[*m1, *m2, *m3])?, digits(&[*d1, *d2])?, time)
            }
            _ => None,
        },
        // Sun Nov  6 08:49:37 1994
        None => match text.get(4..)? {
            [m1, m2, m3, b' ', d1, d2, b' ', time @ .., b' ', y1, y2, y3, y4] => {
                let tens = if *d1 == b' ' { b'0' } else { *d1 };
                seconds(digits(&[*y1, *y2, *y3, *y4])?, month(&[*m1, *m2, *m3])?, digits(&[tens, *d2])?, time)
            }
            _ => None,
        },
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    crate::head::number(text)
}

fn month(name: &[u8; 3]) -> Option<u64> {
    let at = MONTHS.iter().position(|known| *known == name)?;
    u64::try_from(at).ok()?.checked_add(1)
}

fn seconds(year: u64, month: u64, day: u64, time: &[u8]) -> Option<u64> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
    let (hour, minute, second) = (digits(&[h1, h2])?, digits(&[m1, m2])?, digits(&[s1, s2])?);
    // 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 || day == 0 || day > 31 || year < 1970 {
        return None;
    }
    let since = days(year, month, day)?;
    // Day 31 of a short month would come out as a day of the next.
    if civil(since) != (year, month, day) {
        return None;
    }
    since
        .checked_mul(86_400)?
        .checked_add(hour.checked_mul(3600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)
}

#[cfg(test)]
mod tests;
