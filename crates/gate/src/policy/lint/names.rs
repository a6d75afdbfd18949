//! Names that nobody has.

use super::{Known, Linted};
use crate::policy::Fault;
use crate::policy::scope::{Fact, Side, equal};
use cedar_policy::pst::{
    BinaryOp, Clause, EntityOrSlot, EntityUID, Expr, Literal, PrincipalConstraint,
    ResourceConstraint,
};
use std::collections::BTreeSet;

/// Most changes of a letter by which a name counts as a misspelt one.
const MISSPELT_MAX: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tool,
    SubjectType,
    DirectiveType,
}

/// A name that a policy uses: its kind, the literal, and the name in it.
type Used = (Kind, String, String);

pub(super) fn faults(policy: &Linted<'_>, known: &Known) -> Vec<Fault> {
    let used: BTreeSet<Used> = used(policy).into_iter().collect();
    used.into_iter()
        .filter_map(|(kind, literal, name)| {
            let message = unknown(kind, &name, known)?;
            Some(policy.fault_at_literal(&literal, format!("`{}`: {message}", policy.id)))
        })
        .collect()
}

fn unknown(kind: Kind, name: &str, known: &Known) -> Option<String> {
    let (what, names, strict) = match kind {
        Kind::Tool => ("module", known.tools.as_ref()?, true),
        Kind::SubjectType => ("type of subject", known.subject_types.as_ref()?, true),
        Kind::DirectiveType => ("type of directive", known.directive_types.as_ref()?, false),
    };
    if names.contains(name) {
        return None;
    }
    let near = names.iter().min_by_key(|n| distance(n, name));
    let near = near.filter(|n| strict || distance(n, name) <= MISSPELT_MAX);
    match near {
        Some(near) => Some(format!(
            "no {what} is called `{name}`; the nearest is `{near}`"
        )),
        None => strict.then(|| format!("no {what} is called `{name}`, and there is none at all")),
    }
}

fn used(policy: &Linted<'_>) -> Vec<Used> {
    let mut all = Vec::new();
    if let PrincipalConstraint::Eq(EntityOrSlot::Entity(uid))
    | PrincipalConstraint::In(EntityOrSlot::Entity(uid))
    | PrincipalConstraint::IsIn(_, EntityOrSlot::Entity(uid)) = &policy.body.principal
    {
        all.extend(of_entity(uid));
    }
    if let ResourceConstraint::Eq(EntityOrSlot::Entity(uid))
    | ResourceConstraint::In(EntityOrSlot::Entity(uid))
    | ResourceConstraint::IsIn(_, EntityOrSlot::Entity(uid)) = &policy.body.resource
    {
        all.extend(of_entity(uid));
    }
    for clause in policy.body.clauses() {
        let (Clause::When(condition) | Clause::Unless(condition)) = clause;
        let join = |mut a: Vec<Used>, b: Vec<Used>| {
            a.extend(b);
            a
        };
        all.extend(condition.reduce(&of_node, &join, Vec::new()));
    }
    all
}

/// The names in one node; `None` where they may stand further down.
fn of_node(expr: &Expr) -> Option<Vec<Used>> {
    match expr {
        Expr::Literal(Literal::EntityUID(uid)) => Some(of_entity(uid).into_iter().collect()),
        Expr::BinaryOp {
            op: BinaryOp::Eq | BinaryOp::NotEq,
            left,
            right,
        } => {
            let fact = equal(left, right).or_else(|| equal(right, left))?;
            Some(of_fact(&fact).into_iter().collect())
        }
        Expr::BinaryOp {
            op: BinaryOp::Contains,
            left,
            right,
        } => match &**left {
            Expr::Set(items) => {
                let facts: Option<Vec<Fact<'_>>> =
                    items.iter().map(|item| equal(right, item)).collect();
                Some(facts?.iter().filter_map(of_fact).collect())
            }
            _ => None,
        },
        _ => None,
    }
}

fn of_fact(fact: &Fact<'_>) -> Option<Used> {
    match fact {
        Fact::In(_, kind, id) => of_id(kind, id),
        Fact::Text(Side::Resource, attribute, value) => match &**attribute {
            "tool" => of_id("Tool", value),
            "subject_type" => of_id("SubjectType", value),
            "subject" => of_id("Subject", value),
            "directive_type" => Some((Kind::DirectiveType, value.to_string(), value.to_string())),
            _ => None,
        },
        Fact::Is(..) | Fact::Text(..) | Fact::Entity(..) => None,
    }
}

fn of_entity(uid: &EntityUID) -> Option<Used> {
    of_id(&uid.ty.to_string(), &uid.eid)
}

fn of_id(kind: &str, id: &str) -> Option<Used> {
    let (kind, name) = match kind {
        "Tool" | "Operation" => (Kind::Tool, id),
        "SubjectType" => (Kind::SubjectType, id),
        "Subject" => (Kind::SubjectType, id.split('/').next().unwrap_or(id)),
        _ => return None,
    };
    Some((kind, id.to_owned(), name.to_owned()))
}

/// How many letters must be put in, taken out or changed to make one name the
/// other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, one) in a.chars().enumerate() {
        let mut next = vec![at + 1];
        for ((other, pair), left) in b.iter().zip(row.windows(2)).zip(1..) {
            let [above_left, above] = pair else { continue };
            let beside = next.get(left - 1).copied().unwrap_or(usize::MAX);
            let changed = above_left + usize::from(*other != one);
            next.push(changed.min(above + 1).min(beside.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("http.request", "htp.request", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(super::distance(a, b), expected, "{a} {b}");
        }
    }
}
