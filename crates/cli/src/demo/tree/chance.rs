//! Chance that comes out the same each time, and the names, words and dates drawn from it.

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014). Not for secrets.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` up to, but without, `high`; `low` where the range is empty.
    pub(super) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next().checked_rem(high.saturating_sub(low)).unwrap_or(0)
    }

    /// One of them; empty where there are none.
    pub(super) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let index = self.within(0, from.len() as u64);
        usize::try_from(index).ok().and_then(|index| from.get(index)).copied().unwrap_or_default()
    }

    /// A byte, for colours.
    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Bytes that no compression makes smaller.
    pub(super) fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(len);
        out
    }

    /// A moment in 2012 to 2025.
    pub(super) fn moment(&mut self) -> Moment {
        Moment(self.within(1_325_376_000, 1_767_225_600))
    }

    /// A sentence of harmless words.
    pub(super) fn sentence(&mut self) -> String {
        let mut out = String::new();
        for index in 0..self.within(5, 14) {
            let word = self.pick(&WORDS);
            if index == 0 {
                out.extend(word.chars().take(1).flat_map(char::to_uppercase));
                out.extend(word.chars().skip(1));
            } else {
                out.push(' ');
                out.push_str(word);
            }
        }
        out.push('.');
        out
    }

    /// So many sentences, a line each.
    pub(super) fn lines(&mut self, count: u64) -> Vec<String> {
        (0..count).map(|_| self.sentence()).collect()
    }

    /// Somebody's first and last name.
    pub(super) fn person(&mut self) -> String {
        format!("{} {}", self.pick(&FIRST_NAMES), self.pick(&LAST_NAMES))
    }
}

/// Seconds since 1970-01-01 UTC.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) u64);

/// A date and time of day, UTC.
#[derive(Clone, Copy)]
pub(super) struct Civil {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

impl Moment {
    /// So many days later.
    pub(super) fn later(self, days: u64) -> Moment {
        Moment(self.0 + days * 86_400)
    }

    /// By Howard Hinnant's `civil_from_days`.
    pub(super) fn civil(self) -> Civil {
        let (days, seconds) = (self.0 / 86_400 + 719_468, self.0 % 86_400);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let small = |value: u64| u8::try_from(value).unwrap_or(0);
        Civil {
            year: u16::try_from(year).unwrap_or(1980),
            month: small(month),
            day: small(day_of_year - (153 * shifted + 2) / 5 + 1),
            hour: small(seconds / 3_600),
            minute: small(seconds / 60 % 60),
            second: small(seconds % 60),
        }
    }
}

impl Civil {
    /// `2021-03-04`.
    pub(super) fn date(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `20210304_101112`, as telephones name their pictures.
    pub(super) fn compact(self) -> String {
        let Civil { year, month, day, hour, minute, second } = self;
        format!("{year:04}{month:02}{day:02}_{hour:02}{minute:02}{second:02}")
    }
}

const WORDS: [&str; 56] = [
    "the",
    "garden",
    "needs",
    "water",
    "before",
    "friday",
    "and",
    "a",
    "letter",
    "from",
    "insurance",
    "about",
    "roof",
    "came",
    "again",
    "please",
    "call",
    "dentist",
    "tomorrow",
    "recipe",
    "for",
    "bread",
    "with",
    "walnuts",
    "is",
    "in",
    "blue",
    "folder",
    "meeting",
    "moved",
    "to",
    "monday",
    "minutes",
    "follow",
    "we",
    "agreed",
    "on",
    "budget",
    "train",
    "leaves",
    "at",
    "nine",
    "tickets",
    "are",
    "paid",
    "holiday",
    "photos",
    "need",
    "sorting",
    "old",
    "bicycle",
    "sold",
    "new",
    "brakes",
    "work",
    "fine",
];
const FIRST_NAMES: [&str; 12] =
    ["Ada", "Jürgen", "María", "Chidi", "Yuki", "Olga", "Noor", "Søren", "Aoife", "Thanh", "Léa", "Kofi"];
const LAST_NAMES: [&str; 10] =
    ["Okafor", "Schmidt", "García", "Tanaka", "Nowak", "Haddad", "Murphy", "Nguyen", "Dubois", "Lindqvist"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_fall_where_the_calendar_says() {
        assert_eq!(Moment(0).civil().date(), "1970-01-01");
        assert_eq!(Moment(951_782_400).civil().date(), "2000-02-29");
        assert_eq!(Moment(1_709_210_096).civil().compact(), "20240229_123456");
        assert_eq!(Moment(1_767_225_599).civil().date(), "2025-12-31");
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 1234567, as published with the reference code.
        let mut chance = Chance(1_234_567);
        assert_eq!(chance.next(), 6_457_827_717_110_365_317);
        assert_eq!(chance.next(), 3_203_168_211_198_807_973);
    }
}
