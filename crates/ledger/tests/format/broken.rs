//! Bundles that must be refused, each wrong in one thing, with the fault and
//! the line where it must be found.

mod changed;
mod encodings;
mod heads;
mod places;
mod shapes;

use super::bundles::Case;
use super::world::{Parts, forged, texts};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = changed::touched();
    cases.extend(changed::rewritten());
    cases.extend(places::moved());
    cases.extend(places::cut());
    cases.extend(heads::signatures());
    cases.extend(heads::heads());
    cases.extend(encodings::encodings());
    cases.extend(shapes::shapes());
    cases.extend(shapes::objects());
    cases
}

fn whole() -> Parts {
    Parts::of(1, 5, 5)
}

/// The bundle after its parts were changed.
fn with(mut parts: Parts, change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    change(&mut parts);
    parts.bytes()
}

/// The bundle after its lines were changed.
fn lines(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut lines = whole().lines();
    change(&mut lines);
    lines.concat()
}

fn replaced(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    assert!(text.contains(from), "`{from}` is not in {text}");
    text.replacen(from, to, 1).into_bytes()
}

/// The whole log with something in one line replaced.
fn edited(line: usize, from: &str, to: &str) -> Vec<u8> {
    lines(|lines| lines[line - 1] = replaced(&lines[line - 1], from, to))
}

/// The log whose second header was another one from the start.
fn header(from: &str, to: &str) -> Vec<u8> {
    let mut texts = texts(5);
    assert!(texts[1].0.contains(from), "{}", texts[1].0);
    texts[1].0 = texts[1].0.replacen(from, to, 1);
    forged(&texts).bytes()
}
