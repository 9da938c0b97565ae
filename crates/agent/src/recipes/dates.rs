//! Days, as folder names need them.

/// A day in local time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Day {
    /// Year, 0 to 9999.
    pub(crate) year: u16,
    /// Month, 1 to 12.
    pub(crate) month: u8,
    /// Day of the month, 1 to 31.
    pub(crate) day: u8,
}

impl Day {
    /// A day that the calendar has.
    pub(crate) fn new(year: u16, month: u8, day: u8) -> Option<Day> {
        let date =
            jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        date.ok().map(|_| Day { year, month, day })
    }

    /// The day of a moment (seconds since 1970, UTC) where clocks are `offset` seconds ahead of UTC. `None` outside
    /// the years 0 to 9999.
    pub(super) fn of(secs: i64, offset: i32) -> Option<Day> {
        let offset = jiff::tz::Offset::from_seconds(offset).ok()?;
        let date = offset.to_datetime(jiff::Timestamp::from_second(secs).ok()?).date();
        Some(Day {
            year: u16::try_from(date.year()).ok()?,
            month: u8::try_from(date.month()).ok()?,
            day: u8::try_from(date.day()).ok()?,
        })
    }

    /// A day that stands in a file name as `20230714`, `2023-07-14`, `2023_07_14` or `2023.07.14`, not within a longer
    /// number, from 1990 on. Cameras and phones write them; copies by messenger have no other date left.
    pub(super) fn in_name(name: &[u8]) -> Option<Day> {
        (0..name.len()).find_map(|at| {
            if at.checked_sub(1).and_then(|b| name.get(b)).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            let rest = name.get(at..)?;
            let year = number(rest.get(..4)?)?;
            let sep = *rest.get(4)?;
            let (month, day, end) = if matches!(sep, b'-' | b'_' | b'.') {
                (rest.get(5..7)?, rest.get(7).filter(|b| **b == sep).and(rest.get(8..10))?, 10)
            } else {
                (rest.get(4..6)?, rest.get(6..8)?, 8)
            };
            if rest.get(end).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            Day::new(year, u8::try_from(number(month)?).ok()?, u8::try_from(number(day)?).ok()?)
                .filter(|day| (1990..=2100).contains(&day.year))
        })
    }

    pub(super) fn year_name(self) -> String {
        format!("{:04}", self.year)
    }

    pub(super) fn month_name(self) -> String {
        format!("{:04}-{:02}", self.year, self.month)
    }

    pub(super) fn name(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_the_local_one() {
        let new_year = 1_704_067_200; // 2024-01-01T00:00:00Z
        assert_eq!(Day::of(new_year, 0).unwrap().name(), "2024-01-01");
        assert_eq!(Day::of(new_year, -3600).unwrap().name(), "2023-12-31");
        assert_eq!(Day::of(-1, 3600).unwrap().name(), "1970-01-01");
        assert_eq!(Day::of(i64::MAX, 0), None);
    }

    #[test]
    fn a_day_in_a_name_is_found_and_a_longer_number_is_none() {
        let check = |name: &str, want: Option<&str>| {
            assert_eq!(Day::in_name(name.as_bytes()).map(Day::name).as_deref(), want, "{name}");
        };
        check("IMG_20230714_101010.jpg", Some("2023-07-14"));
        check("IMG-20230714-WA0001.jpg", Some("2023-07-14"));
        check("Screenshot 2024-02-29 at 10.png", Some("2024-02-29"));
        check("2023-02-30.png", None);
        check("1202307141.png", None);
        check("scan 2023-0714.png", None);
        check("2023071", None);
    }
}
