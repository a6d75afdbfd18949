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
    ResourceConstraint, Var,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A fact about a question, hashed. Two facts with one hash make a policy be
/// asked in vain, never be left out.
type Key = u64;

/// One of these facts must hold.
type Alternatives = Vec<Key>;

/// Who a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Side {
    Principal,
    Resource,
}

#[derive(Hash)]
enum Fact<'a> {
    /// It is of this type.
    Is(Side, &'a str),
    /// It is this entity, or in it.
    In(Side, &'a str, &'a str),
    /// The attribute is this text.
    Text(Side, &'a str, &'a str),
    /// The attribute is this entity.
    Entity(Side, &'a str, &'a str, &'a str),
}

impl Fact<'_> {
    fn key(&self) -> Key {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// What a policy needs: each of these must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needs {
    all: Vec<Alternatives>,
    attributes: BTreeSet<(Side, String)>,
}

impl Needs {
    /// Reads them from a policy. What is not understood is not needed.
    pub(super) fn of(policy: &Policy) -> Self {
        let mut needs = Self::default();
        let Ok(written) = policy.to_pst() else {
            return needs;
        };
        let body = written.body();
        match &body.principal {
            PrincipalConstraint::Eq(one) | PrincipalConstraint::In(one) => {
                needs.inside(Side::Principal, one);
            }
            PrincipalConstraint::Is(kind) => needs.kind(Side::Principal, kind),
            PrincipalConstraint::IsIn(kind, one) => {
                needs.kind(Side::Principal, kind);
                needs.inside(Side::Principal, one);
            }
            PrincipalConstraint::Any => {}
        }
        match &body.resource {
            ResourceConstraint::Eq(one) | ResourceConstraint::In(one) => {
                needs.inside(Side::Resource, one);
            }
            ResourceConstraint::Is(kind) => needs.kind(Side::Resource, kind),
            ResourceConstraint::IsIn(kind, one) => {
                needs.kind(Side::Resource, kind);
                needs.inside(Side::Resource, one);
            }
            ResourceConstraint::Any => {}
        }
        for clause in body.clauses() {
            let Clause::When(condition) = clause else {
                break;
            };
            if !needs.leading(condition) {
                break;
            }
        }
        needs.all.sort_unstable();
        needs.all.dedup();
        needs
    }

    fn need(&mut self, mut any: Alternatives) {
        any.sort_unstable();
        any.dedup();
        self.all.push(any);
    }

    fn kind(&mut self, side: Side, kind: &EntityType) {
        self.need(vec![Fact::Is(side, &kind.to_string()).key()]);
    }

    fn inside(&mut self, side: Side, one: &EntityOrSlot) {
        if let EntityOrSlot::Entity(uid) = one {
            self.need(vec![inside(side, uid)]);
        }
    }

    /// Takes the conditions of a conjunction from the left; false at the first
    /// that is not understood.
    fn leading(&mut self, condition: &Expr) -> bool {
        if let Expr::BinaryOp {
            op: BinaryOp::And,
            left,
            right,
        } = condition
        {
            return self.leading(left) && self.leading(right);
        }
        let mut attributes = BTreeSet::new();
        match alternatives(condition, &mut attributes) {
            Some(keys) => {
                self.need(keys);
                self.attributes.extend(attributes);
                true
            }
            None => false,
        }
    }
}

/// A condition that cannot fail and is false unless one of these facts holds.
fn alternatives(
    condition: &Expr,
    attributes: &mut BTreeSet<(Side, String)>,
) -> Option<Alternatives> {
    match condition {
        Expr::BinaryOp { op, left, right } => match op {
            BinaryOp::Or => {
                let mut keys = alternatives(left, attributes)?;
                keys.extend(alternatives(right, attributes)?);
                Some(keys)
            }
            BinaryOp::Eq => {
                let either = equal(left, right, attributes);
                Some(vec![either.or_else(|| equal(right, left, attributes))?])
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
                Expr::Set(several) => several
                    .iter()
                    .map(|one| equal(right, one, attributes))
                    .collect(),
                _ => None,
            },
            _ => None,
        },
        Expr::Is {
            expr,
            entity_type,
            in_expr: None,
        } => Some(vec![Fact::Is(side(expr)?, &entity_type.to_string()).key()]),
        _ => None,
    }
}

/// `what` is a variable or its attribute, `literal` what it is compared with.
fn equal(what: &Expr, literal: &Expr, attributes: &mut BTreeSet<(Side, String)>) -> Option<Key> {
    if let Some(side) = side(what) {
        return Some(inside(side, entity(literal)?));
    }
    let Expr::GetAttr { expr, attr } = what else {
        return None;
    };
    let side = side(expr)?;
    let key = match literal {
        Expr::Literal(Literal::String(text)) => Fact::Text(side, attr, text).key(),
        other => {
            let uid = entity(other)?;
            Fact::Entity(side, attr, &uid.ty.to_string(), &uid.eid).key()
        }
    };
    attributes.insert((side, attr.to_string()));
    Some(key)
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

fn inside(side: Side, uid: &EntityUID) -> Key {
    Fact::In(side, &uid.ty.to_string(), &uid.eid).key()
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
            keys.push(Fact::Is(side, node.kind).key());
            for (kind, id) in closure(node, question) {
                keys.push(Fact::In(side, kind, id).key());
            }
            for (name, attribute) in &node.attributes {
                keys.push(match attribute {
                    Attribute::Text(text) => Fact::Text(side, name, text).key(),
                    Attribute::Entity(kind, id) => Fact::Entity(side, name, kind, id).key(),
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
        let of = |any: &&Alternatives| -> usize {
            any.iter().filter_map(|key| frequency.get(key)).sum()
        };
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
