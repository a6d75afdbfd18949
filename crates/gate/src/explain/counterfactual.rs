//! What would have changed policy's answer: the recorded questions are asked
//! again with one thing changed, of the same set. A thing is named only when
//! changing it alone turns the answer, and a number with the least change that
//! does, found by halving and asked once more.

use crate::policy::{self, PolicySet, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One thing that would by itself have changed policy's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The attribute of the context.
    pub attribute: String,
    /// As it was.
    pub was: Value,
    /// As it would have to be; of numbers, the nearest such.
    pub would_be: Value,
    /// Of numbers, which others would do as well as the nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

kernel::names! {
    /// Which numbers turn the answer, seen from the nearest.
    pub enum Bound {
        /// It and what is less.
        AtMost = "at most",
        /// It and what is more.
        AtLeast = "at least",
    }
}

/// Yes-or-no facts that something can be done about.
const FLAGS: [&str; 3] = ["human_approved", "justified", "autonomous"];

/// Numbers, with the value that asks least of policy. Decimals are counted in
/// their last digit.
const NUMBERS: [(&str, Form, i64); 5] = [
    ("cost", Form::Decimal, 0),
    ("budget", Form::Decimal, 0),
    ("confidence", Form::Decimal, 10_000),
    ("steps", Form::Whole, 1),
    ("snapshot_age_seconds", Form::Whole, 0),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    Decimal,
}

/// What would by itself have changed the answer to these questions, taken
/// together.
pub(super) fn changes(set: &PolicySet, asked: &[Request]) -> Vec<Change> {
    let mut asked = asked.to_vec();
    for question in &mut asked {
        policy::complete(&mut question.context);
    }
    if asked.is_empty() || passes(set, &asked) {
        return Vec::new();
    }
    let flags = FLAGS.iter().filter_map(|name| flag(set, &asked, name));
    let numbers = NUMBERS
        .iter()
        .filter_map(|(name, form, easiest)| number(set, &asked, name, *form, *easiest));
    flags.chain(numbers).collect()
}

fn passes(set: &PolicySet, asked: &[Request]) -> bool {
    set.decide_all(asked).verdict.passes()
}

/// Whether the answer turns when this attribute has this value in every
/// question that has it.
fn turns(set: &PolicySet, asked: &[Request], name: &str, value: &Value) -> bool {
    let mut other = asked.to_vec();
    for question in &mut other {
        if let Some(held) = question.context.get_mut(name) {
            *held = value.clone();
        }
    }
    passes(set, &other)
}

fn flag(set: &PolicySet, asked: &[Request], name: &str) -> Option<Change> {
    let was = held(asked, name)?;
    let would_be = json!(!was.as_bool()?);
    turns(set, asked, name, &would_be).then(|| Change {
        attribute: name.to_owned(),
        was: was.clone(),
        would_be,
        bound: None,
    })
}

fn held<'a>(asked: &'a [Request], name: &str) -> Option<&'a Value> {
    let contexts = asked.iter().map(|question| &question.context);
    contexts.filter_map(|context| context.get(name)).next()
}

fn number(
    set: &PolicySet,
    asked: &[Request],
    name: &str,
    form: Form,
    easiest: i64,
) -> Option<Change> {
    let was = held(asked, name)?;
    let from = read(was, form)?;
    let turned = |at: i64| turns(set, asked, name, &write(at, form));
    if from == easiest || !turned(easiest) {
        return None;
    }
    let (mut stays, mut turns) = (from, easiest);
    while stays.abs_diff(turns) > 1 {
        let middle = i64::midpoint(stays, turns);
        match turned(middle) {
            true => turns = middle,
            false => stays = middle,
        }
    }
    Some(Change {
        attribute: name.to_owned(),
        was: shown(from, form),
        would_be: shown(turns, form),
        bound: Some(match turns < from {
            true => Bound::AtMost,
            false => Bound::AtLeast,
        }),
    })
}

fn read(value: &Value, form: Form) -> Option<i64> {
    match form {
        Form::Whole => value.as_i64(),
        Form::Decimal => {
            let text = value.get("__extn")?.get("arg")?.as_str()?;
            let (whole, part) = text.split_once('.')?;
            format!("{whole}{part:0<4}").parse().ok()
        }
    }
}

fn write(number: i64, form: Form) -> Value {
    match form {
        Form::Whole => json!(number),
        Form::Decimal => {
            let extension = Map::from_iter([
                ("fn".to_owned(), json!("decimal")),
                ("arg".to_owned(), shown(number, form)),
            ]);
            json!({ "__extn": extension })
        }
    }
}

fn shown(number: i64, form: Form) -> Value {
    match form {
        Form::Whole => json!(number),
        Form::Decimal => json!(format!("{}.{:04}", number / 10_000, number.abs() % 10_000)),
    }
}
