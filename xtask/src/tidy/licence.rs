//! SPDX licence expressions, as far as crates use them: names, `AND`, `OR`, `WITH`, parentheses, and the old `/` for
//! `OR`.

/// Whether an expression is satisfied by licences that `allowed` knows. A name with an exception is asked for whole:
/// `Apache-2.0 WITH LLVM-exception`.
///
/// An expression that cannot be read is not satisfied.
pub(super) fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut parser = Parser { words: spaced.split_whitespace().peekable(), allowed };
    parser.any() == Some(true) && parser.words.next().is_none()
}

struct Parser<'a, I: Iterator<Item = &'a str>> {
    words: std::iter::Peekable<I>,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a, I: Iterator<Item = &'a str>> Parser<'a, I> {
    fn any(&mut self) -> Option<bool> {
        let mut result = self.all()?;
        while self.words.next_if_eq(&"OR").is_some() {
            result |= self.all()?;
        }
        Some(result)
    }

    fn all(&mut self) -> Option<bool> {
        let mut result = self.one()?;
        while self.words.next_if_eq(&"AND").is_some() {
            result &= self.one()?;
        }
        Some(result)
    }

    fn one(&mut self) -> Option<bool> {
        match self.words.next()? {
            "(" => {
                let inner = self.any()?;
                self.words.next_if_eq(&")").map(|_| inner)
            }
            "AND" | "OR" | "WITH" | ")" => None,
            name if self.words.next_if_eq(&"WITH").is_some() => {
                let exception = self.words.next()?;
                Some((self.allowed)(&format!("{name} WITH {exception}")))
            }
            name => Some((self.allowed)(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    #[test]
    fn expressions_mean_what_spdx_says() {
        let allowed = |name: &str| ["MIT", "Apache-2.0", "Zlib", "Apache-2.0 WITH LLVM-exception"].contains(&name);
        for good in [
            "MIT",
            "MIT/GPL-3.0",
            "MIT OR GPL-3.0-only",
            "GPL-2.0 OR (MIT AND Zlib)",
            "(MIT OR Apache-2.0) AND Zlib",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(satisfied(good, &allowed), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "MIT AND",
            "(MIT",
            "MIT)",
            "MIT MIT",
            "MIT WITH LLVM-exception",
            "GPL-3.0 OR MIT AND LGPL-3.0",
            "OR MIT",
        ] {
            assert!(!satisfied(bad, &allowed), "{bad}");
        }
    }
}
