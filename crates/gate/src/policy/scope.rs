//! What a policy needs of a question before it can say anything: keys read
//! from its scope and from the leading conditions that cannot fail. An index
//! over them finds the policies that a question can concern.
//!
//! Only leading conditions count. A policy whose later condition is false may
//! fail before it gets there, and a policy that fails blocks.

use super::question::{Attribute, Node, Question};
use cedar_policy::Policy;
use cedar_policy::pst::{
    BinaryOp, Clause, EntityOrSlot, EntityType, EntityUID, Expr, Literal, PrincipalConstraint,
    ResourceConstraint, Template, Var,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A fact about a question, hashed. Two facts with one hash make a policy be
/// asked in vain, never be left out.
type Key = u64;

/// Who a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Side {
    Principal,
    Resource,
}

/// What a condition says about one side of a question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fact<'a> {
    /// It is of this type.
    Is(Side, Cow<'a, str>),
    /// It is this entity, or in it.
    In(Side, Cow<'a, str>, Cow<'a, str>),
    /// The attribute is this text.
    Text(Side, Cow<'a, str>, Cow<'a, str>),
    /// The attribute is this entity.
    Entity(Side, Cow<'a, str>, Cow<'a, str>, Cow<'a, str>),
}

impl Fact<'_> {
    fn key(&self) -> Key {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// Any of these makes a condition true; without them it is false.
pub(super) type AnyOf = Vec<Fact<'static>>;

/// Which conditions of a policy are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// The scope, and the conditions up to the first that is not understood.
    Leading,
    /// All that are understood, wherever they stand.
    All,
}

/// The conditions of a policy that are understood; each must hold.
pub(super) fn conditions(body: &Template, read: Read) -> Vec<AnyOf> {
    let mut found = Vec::new();
    match &body.principal {
        PrincipalConstraint::Eq(one) | PrincipalConstraint::In(one) => {
            found.extend(constrained(Side::Principal, None, Some(one)));
        }
        PrincipalConstraint::Is(kind) => {
            found.extend(constrained(Side::Principal, Some(kind), None));
        }
        PrincipalConstraint::IsIn(kind, one) => {
            found.extend(constrained(Side::Principal, Some(kind), Some(one)));
        }
        PrincipalConstraint::Any => {}
    }
    match &body.resource {
        ResourceConstraint::Eq(one) | ResourceConstraint::In(one) => {
            found.extend(constrained(Side::Resource, None, Some(one)));
        }
        ResourceConstraint::Is(kind) => {
            found.extend(constrained(Side::Resource, Some(kind), None));
        }
        ResourceConstraint::IsIn(kind, one) => {
            found.extend(constrained(Side::Resource, Some(kind), Some(one)));
        }
        ResourceConstraint::Any => {}
    }
    for clause in body.clauses() {
        let understood = match clause {
            Clause::When(condition) => conjunction(condition, read, &mut found),
            Clause::Unless(_) => false,
        };
        if !understood && read == Read::Leading {
            break;
        }
    }
    found
}

fn constrained(side: Side, kind: Option<&EntityType>, one: Option<&EntityOrSlot>) -> Vec<AnyOf> {
    let kind = kind.map(|kind| vec![Fact::Is(side, kind.to_string().into())]);
    let one = one.and_then(|one| match one {
        EntityOrSlot::Entity(uid) => Some(vec![inside(side, uid)]),
        EntityOrSlot::Slot(_) => None,
    });
    kind.into_iter().chain(one).collect()
}

/// Reads a conjunction from the left; whether all of it was understood.
fn conjunction(condition: &Expr, read: Read, found: &mut Vec<AnyOf>) -> bool {
    if let Expr::BinaryOp {
        op: BinaryOp::And,
        left,
        right,
    } = condition
    {
        let whole = conjunction(left, read, found);
        if !whole && read == Read::Leading {
            return false;
        }
        return conjunction(right, read, found) && whole;
    }
    match alternatives(condition) {
        Some(any) => {
            found.push(any);
            true
        }
        None => false,
    }
}

/// A condition that cannot fail and is false unless one of these facts holds.
fn alternatives(condition: &Expr) -> Option<AnyOf> {
    match condition {
        Expr::BinaryOp { op, left, right } => match op {
            BinaryOp::Or => {
                let mut any = alternatives(left)?;
                any.extend(alternatives(right)?);
                Some(any)
            }
            BinaryOp::Eq => {
                let either = equal(left, right);
                Some(vec![either.or_else(|| equal(right, left))?])
            }
            BinaryOp::In => {
                let side = side(left)?;
                match &**right {
                    Expr::Set(several) => several
                        .iter()
                        .map(|one| Some(inside(side, entity(one)?)))
                        .collect(),
                    one => Some(vec![inside(side, entity(one)?)]),
                }
            }
            BinaryOp::Contains => match &**left {
                Expr::Set(several) => several.iter().map(|one| equal(right, one)).collect(),
                _ => None,
            },
            _ => None,
        },
        Expr::Is {
            expr,
            entity_type,
            in_expr: None,
        } => Some(vec![Fact::Is(side(expr)?, entity_type.to_string().into())]),
        _ => None,
    }
}

/// `what` is a variable or its attribute, `literal` what it is compared with.
pub(super) fn equal(what: &Expr, literal: &Expr) -> Option<Fact<'static>> {
    if let Some(side) = side(what) {
        return Some(inside(side, entity(literal)?));
    }
    let Expr::GetAttr { expr, attr } = what else {
        return None;
    };
    let (side, name) = (side(expr)?, attr.to_string().into());
    Some(match literal {
        Expr::Literal(Literal::String(text)) => Fact::Text(side, name, text.to_string().into()),
        other => {
            let uid = entity(other)?;
            let (kind, id) = (uid.ty.to_string(), uid.eid.to_string());
            Fact::Entity(side, name, kind.into(), id.into())
        }
    })
}

fn side(variable: &Expr) -> Option<Side> {
    match variable {
        Expr::Var(Var::Principal) => Some(Side::Principal),
        Expr::Var(Var::Resource) => Some(Side::Resource),
        _ => None,
    }
}

fn entity(literal: &Expr) -> Option<&EntityUID> {
    match literal {
        Expr::Literal(Literal::EntityUID(uid)) => Some(uid),
        _ => None,
    }
}

fn inside(side: Side, uid: &EntityUID) -> Fact<'static> {
    Fact::In(side, uid.ty.to_string().into(), uid.eid.to_string().into())
}

/// What a policy needs, as keys: one of each must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needs {
    all: Vec<Vec<Key>>,
    attributes: BTreeSet<(Side, String)>,
}

impl Needs {
    /// Reads them from a policy. What is not understood is not needed.
    pub(super) fn of(policy: &Policy) -> Self {
        let mut needs = Self::default();
        let Ok(written) = policy.to_pst() else {
            return needs;
        };
        for any in conditions(written.body(), Read::Leading) {
            needs.attributes.extend(any.iter().filter_map(|f| match f {
                Fact::Text(side, name, _) | Fact::Entity(side, name, ..) => {
                    Some((*side, name.to_string()))
                }
                Fact::Is(..) | Fact::In(..) => None,
            }));
            let mut keys: Vec<Key> = any.iter().map(Fact::key).collect();
            keys.sort_unstable();
            keys.dedup();
            needs.all.push(keys);
        }
        needs.all.sort_unstable();
        needs.all.dedup();
        needs
    }
}

/// The facts of a question, sorted.
#[derive(Debug)]
pub(super) struct Facts {
    keys: Vec<Key>,
}

impl Facts {
    pub(super) fn of(question: &Question<'_>) -> Self {
        let mut keys = Vec::with_capacity(24);
        let nodes = [
            (Side::Principal, &question.principal),
            (Side::Resource, &question.resource),
        ];
        for (side, node) in nodes {
            keys.push(Fact::Is(side, node.kind.into()).key());
            for (kind, id) in closure(node, question) {
                keys.push(Fact::In(side, kind.into(), id.into()).key());
            }
            for (name, attribute) in &node.attributes {
                keys.push(match attribute {
                    Attribute::Text(text) => Fact::Text(side, (*name).into(), (*text).into()).key(),
                    Attribute::Entity(kind, id) => {
                        let (kind, id) = ((*kind).into(), (*id).into());
                        Fact::Entity(side, (*name).into(), kind, id).key()
                    }
                });
            }
        }
        keys.sort_unstable();
        Self { keys }
    }

    fn meet(&self, needs: &Needs) -> bool {
        let holds = |key: &Key| self.keys.binary_search(key).is_ok();
        needs.all.iter().all(|any| any.iter().any(holds))
    }
}

/// The entity and everything that it is in.
fn closure<'a>(node: &Node<'a>, question: &Question<'a>) -> Vec<(&'a str, &'a str)> {
    let known = || {
        let two = [&question.principal, &question.resource];
        two.into_iter().chain(&question.others)
    };
    let mut found = vec![(node.kind, node.id)];
    let mut at = 0;
    while let Some((kind, id)) = found.get(at).copied() {
        at += 1;
        for parent in known()
            .filter(|n| (n.kind, n.id) == (kind, id))
            .flat_map(|n| &n.parents)
        {
            if !found.contains(parent) {
                found.push(*parent);
            }
        }
    }
    found
}

/// Finds what a question can concern, among things with needs. Things are
/// numbers here.
#[derive(Debug, Default)]
pub(super) struct Index {
    needs: BTreeMap<usize, Needs>,
    /// Those that need nothing.
    always: Vec<usize>,
    /// The others, each under the one of its needs that is rarest.
    by_key: HashMap<Key, Vec<usize>>,
    attributes: BTreeSet<(Side, String)>,
}

impl Index {
    pub(super) fn new(needs: BTreeMap<usize, Needs>) -> Self {
        let mut frequency: HashMap<Key, usize> = HashMap::new();
        for key in needs.values().flat_map(|n| n.all.iter().flatten()) {
            *frequency.entry(*key).or_default() += 1;
        }
        let of =
            |any: &&Vec<Key>| -> usize { any.iter().filter_map(|key| frequency.get(key)).sum() };
        let mut index = Self::default();
        for (number, needs) in &needs {
            match needs.all.iter().min_by_key(of) {
                None => index.always.push(*number),
                Some(any) => {
                    for key in any {
                        index.by_key.entry(*key).or_default().push(*number);
                    }
                }
            }
            index.attributes.extend(needs.attributes.iter().cloned());
        }
        index.needs = needs;
        index
    }

    /// The numbers of what the question can concern, sorted.
    pub(super) fn concerned(&self, question: &Question<'_>) -> Vec<usize> {
        if !self.attributes_present(question) {
            return self.needs.keys().copied().collect();
        }
        let facts = Facts::of(question);
        let mut found = self.always.clone();
        for number in facts
            .keys
            .iter()
            .filter_map(|key| self.by_key.get(key))
            .flatten()
        {
            if self.needs.get(number).is_some_and(|n| facts.meet(n)) {
                found.push(*number);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// A comparison of an attribute cannot fail as long as the attribute is
    /// there.
    fn attributes_present(&self, question: &Question<'_>) -> bool {
        self.attributes.iter().all(|(side, name)| {
            let node = match side {
                Side::Principal => &question.principal,
                Side::Resource => &question.resource,
            };
            node.attributes.iter().any(|(given, _)| given == name)
        })
    }
}
