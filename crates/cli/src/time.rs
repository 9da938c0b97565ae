//! Times as people write and read them, in local time.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use raincoat_types::Timestamp;

use crate::error::{Result, usage};

/// Now, in local time.
pub(crate) fn now() -> Zoned {
    Zoned::now()
}

/// The offset of local time from UTC, in seconds.
pub(crate) fn utc_offset() -> i32 {
    Zoned::now().offset().seconds()
}

/// Reads the value of `--until`: a span from now (`90m`, `2h`, `3d`, `1w`, `1h 30m`), a day (its end), a day and a time
/// in local time, or a full RFC 3339 time.
///
/// # Errors
/// Where it is none of these, or lies in the past.
pub(crate) fn until(text: &str, now: &Zoned) -> Result<Timestamp> {
    let text = text.trim();
    let hint = "write a span such as `2h` or `3d`, a day such as `2027-01-31`, or a time such as `2027-01-31 18:00`";
    let end = read(text, now).ok_or_else(|| usage(format!("`--until {text}` is no time"), hint))?;
    if end <= now.timestamp() {
        return Err(usage(format!("`--until {text}` lies in the past"), hint));
    }
    Ok(from_jiff(end))
}

/// Reads a time gone by: a span before now (`2h`, `2h ago`), a day (its beginning, or with `end` its end), a day and a
/// time in local time, or a full RFC 3339 time. `flag` is named where it is none of these, or lies ahead.
///
/// # Errors
/// See above.
pub(crate) fn past(flag: &str, text: &str, now: &Zoned, end: bool) -> Result<Timestamp> {
    let text = text.trim();
    let hint = "write a span such as `2h`, a day such as `2026-11-29`, or a time such as `2026-11-29 14:30`";
    let span = text.strip_suffix("ago").unwrap_or(text).trim();
    let at = match span.parse::<Span>() {
        Ok(span) => now.checked_sub(span.abs()).ok().map(|at| at.timestamp()),
        Err(_) => match text.parse::<Date>().ok().filter(|_| text.len() == "2026-11-29".len() && !end) {
            Some(day) => day.to_zoned(now.time_zone().clone()).ok().map(|at| at.timestamp()),
            None => read(text, now),
        },
    };
    let at = at.ok_or_else(|| usage(format!("`{flag} {text}` is no time"), hint))?;
    if at > now.timestamp() && !end {
        return Err(usage(format!("`{flag} {text}` lies ahead"), hint));
    }
    Ok(from_jiff(at))
}

fn read(text: &str, now: &Zoned) -> Option<jiff::Timestamp> {
    if let Ok(span) = text.parse::<Span>() {
        return now.checked_add(span).ok().map(|end| end.timestamp());
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant);
    }
    let zone = now.time_zone().clone();
    // A day without a time parses as its midnight too, so the shorter form is looked for first.
    let local = if text.len() == "2027-01-31".len() {
        text.parse::<Date>().ok()?.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight())
    } else {
        text.parse::<DateTime>().ok()?
    };
    local.to_zoned(zone).ok().map(|end| end.timestamp())
}

fn from_jiff(at: jiff::Timestamp) -> Timestamp {
    let nanos = at.subsec_nanosecond();
    // Before 1970 the nanoseconds count backwards there and forwards here.
    if nanos < 0 {
        return Timestamp { secs: at.as_second() - 1, nanos: u32::try_from(nanos + 1_000_000_000).unwrap_or(0) };
    }
    Timestamp { secs: at.as_second(), nanos: u32::try_from(nanos).unwrap_or(0) }
}

fn to_jiff(at: Timestamp) -> Option<jiff::Timestamp> {
    let nanos = i32::try_from(at.nanos).ok()?;
    jiff::Timestamp::new(at.secs, 0).ok()?.checked_add(jiff::SignedDuration::from_nanos(nanos.into())).ok()
}

/// A time for a person: `2026-11-21 18:03:59` in local time.
pub(crate) fn local(at: Timestamp) -> String {
    in_zone(at, TimeZone::system(), "%Y-%m-%d %H:%M:%S")
}

/// A time of today for a person: `18:03`.
pub(crate) fn clock(at: Timestamp) -> String {
    in_zone(at, TimeZone::system(), "%H:%M")
}

fn in_zone(at: Timestamp, zone: TimeZone, format: &str) -> String {
    to_jiff(at).map_or_else(|| format!("{} s", at.secs), |at| at.to_zoned(zone).strftime(format).to_string())
}

/// A time for a program: RFC 3339 in UTC, with as many digits of the second as there are.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    to_jiff(at).map_or_else(|| format!("{} s", at.secs), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Zoned {
        "2026-11-21T12:00:00+01:00[+01:00]".parse().unwrap()
    }

    fn seconds_from_now(text: &str) -> i64 {
        until(text, &at()).unwrap().secs - at().timestamp().as_second()
    }

    #[test]
    fn spans_days_and_times_are_read() {
        assert_eq!(seconds_from_now("90m"), 5400);
        assert_eq!(seconds_from_now("2h"), 7200);
        assert_eq!(seconds_from_now("1h 30m"), 5400);
        assert_eq!(seconds_from_now("3d"), 3 * 86_400);
        assert_eq!(seconds_from_now("1w"), 7 * 86_400);
        assert_eq!(seconds_from_now("2026-11-21"), 12 * 3600, "to the end of the day");
        assert_eq!(seconds_from_now("2026-11-22 18:00"), 30 * 3600);
        assert_eq!(seconds_from_now("2026-11-21T12:00:00Z"), 3600);
    }

    #[test]
    fn times_gone_by_are_read() {
        let ago = |text: &str| at().timestamp().as_second() - past("--at", text, &at(), false).unwrap().secs;
        assert_eq!(ago("2h"), 7200);
        assert_eq!(ago("2h ago"), 7200);
        assert_eq!(ago("2026-11-21"), 12 * 3600, "the day's beginning");
        assert_eq!(ago("2026-11-21 11:30"), 1800);
        assert_eq!(ago("2026-11-21T10:00:00Z"), 3600);
        for bad in ["", "soon", "2026-11-22", "2026-11-21 12:01"] {
            assert!(past("--at", bad, &at(), false).unwrap_err().message.contains("`--at"), "{bad}");
        }
    }

    #[test]
    fn what_is_no_time_to_come_is_said_to_be() {
        for bad in ["", "soon", "-2h", "2026-11-20", "2026-13-01", "99999999999999d", "0s"] {
            let error = until(bad, &at()).unwrap_err();
            assert!(error.message.contains("`--until"), "{bad}: {error}");
        }
    }

    #[test]
    fn looking_back_counts_from_now_or_from_a_day() {
        let seconds = |text, end| past("--since", text, &at(), end).unwrap().secs - at().timestamp().as_second();
        assert_eq!(seconds("2h", false), -7200);
        assert_eq!(seconds("2026-11-21", false), -12 * 3600);
        assert_eq!(seconds("2026-11-21", true), 12 * 3600);
        assert_eq!(seconds("2026-11-20 12:00", false), -86_400);
        assert!(past("--since", "soon", &at(), false).is_err());
    }

    #[test]
    fn times_are_shown_alike() {
        let time = Timestamp { secs: 1_795_258_800, nanos: 250_000_000 };
        assert_eq!(in_zone(time, TimeZone::UTC, "%Y-%m-%d %H:%M:%S"), "2026-11-21 11:00:00");
        assert_eq!(rfc3339(time), "2026-11-21T11:00:00.25Z");
        let early = Timestamp { secs: -1, nanos: 500_000_000 };
        assert_eq!(from_jiff(to_jiff(early).unwrap()), early);
        assert!(rfc3339(Timestamp { secs: i64::MAX, nanos: 0 }).ends_with(" s"));
    }
}
