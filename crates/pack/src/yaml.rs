//! Strict YAML into types, and the place of every value, so that a fault that
//! is found later still names its line. JSON is read by the same parser.

use crate::fault::Fault;
use kernel::Refusal;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Deepest nesting.
const DEPTH_MAX: usize = 64;
/// Most values in one file.
const NODES_MAX: usize = 20_000;

/// No aliases, no merge keys, no tags, no repeated keys: what stands there is
/// what counts.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_aliases: 0,
            max_anchors: 0,
        },
    }
}

/// A file that was read.
pub(crate) struct Document<T> {
    /// What it says.
    pub(crate) value: T,
    /// Where it says it.
    pub(crate) places: Places,
}

/// Reads a file.
pub(crate) fn read<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<Document<T>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = bytes.get(..e.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let line = u64::try_from(line).unwrap_or(0);
        Fault::at(file, (line, 1), Refusal::invalid("the file is not UTF-8"))
    })?;
    let value =
        serde_saphyr::from_str_with_options::<T>(text, options()).map_err(|e| fault(file, &e))?;
    let tree = serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options())
        .map_err(|e| fault(file, &e))?;
    Ok(Document {
        value,
        places: Places {
            file: file.to_owned(),
            root: tree,
        },
    })
}

/// The message without the place, which the fault names itself, and without
/// the text of the file.
fn fault(file: &str, error: &serde_saphyr::Error) -> Fault {
    let place = error.location().map_or((0, 0), |l| point(&l));
    let message = error.without_snippet().to_string();
    let message = match message.rfind(" at line ") {
        Some(at) => message.get(..at).unwrap_or_default().to_owned(),
        None => message,
    };
    Fault::at(file, place, Refusal::invalid(message))
}

fn point(location: &Location) -> (u64, u64) {
    (location.line(), location.column())
}

/// Where the values of a file stand.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    file: String,
    root: Spanned<Node>,
}

impl Places {
    /// The file.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The place of the value at this path: names of keys, and positions in
    /// lists. Where the path leads nowhere, the place of what it leads to last.
    pub(crate) fn of<S: AsRef<str>>(&self, path: &[S]) -> (u64, u64) {
        let mut spot = &self.root;
        let mut place = point(&spot.referenced);
        for part in path {
            match spot.value.child(part.as_ref()) {
                None => break,
                Some((key, below)) => {
                    // A block is shown at its key, a plain value at itself.
                    place = match (key, &below.value) {
                        (Some(key), Node::List(_) | Node::Map(_)) => point(&key.referenced),
                        _ => point(&below.referenced),
                    };
                    spot = below;
                }
            }
        }
        place
    }

    /// A fault at this path.
    pub(crate) fn fault<S: AsRef<str>>(&self, path: &[S], refusal: Refusal) -> Fault {
        Fault::at(&self.file, self.of(path), refusal)
    }

    /// A fault whose path is written as text behind `prefix`: `a.b[2].c`,
    /// `a/b/2/c`, or the beginning of a message, `a[2]: c: is too long`. What
    /// leads nowhere ends the path.
    pub(crate) fn fault_at(&self, prefix: &[&str], path: &str, refusal: Refusal) -> Fault {
        let mut parts: Vec<String> = prefix.iter().map(|part| (*part).to_owned()).collect();
        let mut at = Some(&self.root);
        for part in prefix {
            at = at.and_then(|spot| spot.value.child(part)).map(|(_, s)| s);
        }
        let mut rest = path;
        while let Some(spot) = at {
            rest = rest.trim_start_matches(SEPARATORS);
            let Some(part) = spot.value.part_at(rest) else {
                // Those who name a field leave out which variant it is of.
                let variant = spot.value.variant();
                match variant.filter(|(_, below)| below.value.part_at(rest).is_some()) {
                    Some((name, below)) => {
                        parts.push(name.to_owned());
                        at = Some(below);
                        continue;
                    }
                    None => break,
                }
            };
            rest = rest.get(part.len()..).unwrap_or_default();
            at = spot.value.child(part).map(|(_, below)| below);
            parts.push(part.to_owned());
        }
        // A fault of a list or a map mostly quotes the item that is meant.
        let quoted = refusal.message.split('`').nth(1).map(str::to_owned);
        if let Some((spot, quoted)) = at.zip(quoted) {
            spot.value.seek(&quoted, &mut parts);
        }
        self.fault(&parts, refusal)
    }
}

/// What stands between the parts of a path.
const SEPARATORS: [char; 6] = ['.', '[', ']', '/', ':', ' '];

/// The shape of a file; of its values only the texts.
#[derive(Clone, Debug)]
enum Node {
    Leaf(Option<String>),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn child(&self, part: &str) -> Option<(Option<&Spanned<String>>, &Spanned<Node>)> {
        match self {
            Self::Leaf(_) => None,
            Self::List(items) => items.get(part.parse::<usize>().ok()?).map(|i| (None, i)),
            Self::Map(entries) => {
                let entry = entries.iter().find(|(key, _)| key.value == part);
                entry.map(|(key, value)| (Some(key), value))
            }
        }
    }
}

impl Node {
    /// The only entry of a map, which is how the variant of an enum is written.
    fn variant(&self) -> Option<(&str, &Spanned<Node>)> {
        match self {
            Self::Map(entries) => match entries.as_slice() {
                [(name, below)] => Some((name.value.as_str(), below)),
                _ => None,
            },
            Self::Leaf(_) | Self::List(_) => None,
        }
    }

    /// Extends a path to the first key or text below that is exactly this.
    fn seek(&self, wanted: &str, path: &mut Vec<String>) -> bool {
        match self {
            Self::Leaf(text) => text.as_deref() == Some(wanted),
            Self::List(items) => items.iter().enumerate().any(|(at, item)| {
                path.push(at.to_string());
                let found = item.value.seek(wanted, path);
                if !found {
                    path.pop();
                }
                found
            }),
            Self::Map(entries) => entries.iter().any(|(key, below)| {
                path.push(key.value.clone());
                let found = key.value == wanted || below.value.seek(wanted, path);
                if !found {
                    path.pop();
                }
                found
            }),
        }
    }

    /// The part that a path begins with here: the longest name that is a key,
    /// as names may hold separators themselves, or a position in the list.
    fn part_at<'p>(&self, path: &'p str) -> Option<&'p str> {
        let ends = |part: &str| {
            let rest = path.get(part.len()..).unwrap_or_default();
            rest.is_empty() || rest.starts_with(SEPARATORS)
        };
        match self {
            Self::Leaf(_) => None,
            Self::List(items) => {
                let part = path.split(SEPARATORS).next()?;
                let at: usize = part.parse().ok()?;
                (at < items.len()).then_some(part)
            }
            Self::Map(entries) => {
                let keys = entries.iter().map(|(key, _)| key.value.as_str());
                let longest = keys
                    .filter(|key| path.starts_with(*key) && ends(key))
                    .max_by_key(|key| key.len())?;
                path.get(..longest.len())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Shape)
    }
}

struct Shape;

macro_rules! leaves {
    ($($visit:ident($kind:ty)),+ $(,)?) => {$(
        fn $visit<E>(self, _: $kind) -> Result<Node, E> { Ok(Node::Leaf(None)) }
    )+};
}

impl<'de> Visitor<'de> for Shape {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    leaves! {
        visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_i128(i128), visit_u128(u128),
        visit_f64(f64), visit_bytes(&[u8]),
    }
    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Leaf(Some(text.to_owned())))
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(None))
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(None))
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
        Node::deserialize(d)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn places_of_keys_items_and_values() {
        let text = "a: 1\nlist:\n  - x\n  - deep:\n      key: v\n      dotted.name: w\n";
        let document = read::<Value>("f.yaml", text.as_bytes()).unwrap();
        for (path, place) in [
            (vec![], (1, 1)),
            (vec!["a"], (1, 4)),
            (vec!["list"], (2, 1)),
            (vec!["list", "0"], (3, 5)),
            (vec!["list", "1", "deep"], (4, 5)),
            (vec!["list", "1", "deep", "key"], (5, 12)),
            (vec!["list", "1", "deep", "nothing"], (4, 5)),
        ] {
            assert_eq!(document.places.of(&path), place, "{path:?}");
        }
        let refusal = |path: &str| Refusal::invalid(path);
        for (prefix, path, line) in [
            (vec![], "list[1].deep.key", 5),
            (vec!["list", "1", "deep"], "dotted.name", 6),
            (vec![], "list/1/deep/key", 5),
            (vec![], "list[1]: deep: dotted.name: is wrong", 6),
            (vec![], "list[7]: is wrong", 2),
            (vec!["nothing"], "list", 1),
            (vec![], "list: `dotted.name`", 6),
        ] {
            let fault = document.places.fault_at(&prefix, path, refusal(path));
            assert_eq!(fault.line, line, "{path}");
        }
    }

    #[test]
    fn what_is_refused_with_its_line() {
        for (text, line, says) in [
            ("a: 1\na: 2\n", 2, "duplicate"),
            ("a: &x 1\nb: *x\n", 1, "anchor"),
            ("<<: {a: 1}\n", 1, "merge"),
            ("a: !foo b\n", 1, "tag"),
            ("a: [1\n", 0, ""),
        ] {
            let fault = read::<Value>("f.yaml", text.as_bytes()).err();
            let fault = fault.unwrap_or_else(|| panic!("{text:?} was taken"));
            if line > 0 {
                assert_eq!(fault.line, line, "{text:?}: {fault}");
            }
            assert!(
                fault.message.to_lowercase().contains(says),
                "{text:?}: {fault}"
            );
        }
        let fault = read::<Value>("f.yaml", b"a: 1\nb: \xff\n").err().unwrap();
        assert_eq!(
            (fault.line, fault.message.as_str()),
            (2, "the file is not UTF-8")
        );
    }
}
