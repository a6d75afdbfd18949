//! The paths under which C2SP tlog-tiles serves a log: `0/x001/067`,
//! `1/000.p/17`, `entries/000`.

use super::TILE_WIDTH;
use std::fmt;

/// Which tile, or bundle of entries, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePath {
    /// The level; `None` for a bundle of entries.
    pub level: Option<u8>,
    /// Which of its level, from 0.
    pub index: u64,
    /// Hashes or entries in it: [`TILE_WIDTH`] when it is full.
    pub width: u64,
}

impl TilePath {
    /// Parses what stands behind `tile/`. Only the one form of each is one.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.split_once('/')?;
        let level = match level {
            "entries" => None,
            digits => Some(number(digits, 63).and_then(|n| u8::try_from(n).ok())?),
        };
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((index, width)) => {
                let width = number(width, TILE_WIDTH - 1).filter(|width| *width > 0)?;
                (index, width)
            }
        };
        let parts: Vec<&str> = index.split('/').collect();
        let (last, before) = parts.split_last()?;
        let mut value = 0_u64;
        for part in before {
            value = push(value, part.strip_prefix('x')?)?;
        }
        value = push(value, last)?;
        let parsed = Self {
            level,
            index: value,
            width,
        };
        (parsed.to_string() == path).then_some(parsed)
    }
}

fn push(value: u64, digits: &str) -> Option<u64> {
    let plain = digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
    let next: u64 = plain.then(|| digits.parse().ok()).flatten()?;
    value.checked_mul(1_000)?.checked_add(next)
}

fn number(digits: &str, max: u64) -> Option<u64> {
    let plain = !digits.is_empty() && digits.len() <= 3;
    let plain = plain && digits.bytes().all(|b| b.is_ascii_digit());
    let value: u64 = plain.then(|| digits.parse().ok()).flatten()?;
    (value <= max).then_some(value)
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "{level}/")?,
            None => write!(f, "entries/")?,
        }
        let mut parts = vec![format!("{:03}", self.index % 1_000)];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            parts.push(format!("x{:03}", rest % 1_000));
            rest /= 1_000;
        }
        parts.reverse();
        write!(f, "{}", parts.join("/"))?;
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        let rows = [
            ("0/000", Some(0), 0, 256),
            ("0/x001/x234/067", Some(0), 1_234_067, 256),
            ("1/000.p/17", Some(1), 0, 17),
            ("63/999.p/255", Some(63), 999, 255),
            ("entries/x001/000.p/1", None, 1_000, 1),
        ];
        for (path, level, index, width) in rows {
            let expected = TilePath {
                level,
                index,
                width,
            };
            assert_eq!(TilePath::parse(path), Some(expected), "{path}");
            assert_eq!(expected.to_string(), path);
        }
        for bad in [
            "",
            "0",
            "0/",
            "0/0",
            "0/00",
            "0/0000",
            "00/000",
            "64/000",
            "-1/000",
            "0/x000/001",
            "0/001/000",
            "0/x001",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/",
            "0/000.p",
            "0/+01",
            "data/000",
            "entries",
            "0/000/",
            "/0/000",
            "0/x999/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(TilePath::parse(bad), None, "{bad}");
        }
    }
}
