//! Numbers for people.

/// Bytes in words: `512 B`, `1.4 KiB`, `12 MiB` (powers of 1024).
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, rounded; three digits at least are kept exact by going up only from 1024 of it.
    let (mut whole, mut rest, mut unit) = (bytes, 0, "B");
    for name in UNITS {
        if whole < 1024 {
            break;
        }
        rest = whole % 1024;
        whole /= 1024;
        unit = name;
    }
    if whole >= 10 {
        return format!("{} {unit}", whole + u64::from(rest >= 512));
    }
    match (rest * 10 + 512) / 1024 {
        10 => format!("{}.0 {unit}", whole + 1),
        tenth => format!("{whole}.{tenth} {unit}"),
    }
}

/// A number with its thousands apart: `12,345`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many of something: `1 file`, `12,345 files`.
pub(crate) fn of(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let shown: Vec<String> =
            [0, 1023, 1024, 1434, 10 << 20, (10 << 20) - 1, u64::MAX].into_iter().map(bytes).collect();
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.4 KiB", "10 MiB", "10.0 MiB", "16 EiB"]);
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(of(1, "file", "files"), "1 file");
        assert_eq!(of(0, "file", "files"), "0 files");
    }
}
