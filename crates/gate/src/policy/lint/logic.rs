//! What policies can and cannot mean: conditions that contradict each other,
//! forbids that hold always, and permits that such a forbid covers.

use super::Linted;
use crate::policy::Fault;
use crate::policy::engine::speaks_of;
use crate::policy::scope::{Fact, Read, Side, conditions};
use cedar_policy::pst::{
    BinaryOp, Clause, EntityOrSlot, Expr, Literal, PrincipalConstraint, ResourceConstraint,
    UnaryOp, Var,
};
use cedar_policy::{Schema, SchemaFragment};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The attributes that the schema has, and whether each is always there.
pub(super) struct Attributes {
    context: BTreeMap<String, bool>,
    principal: BTreeMap<String, bool>,
    resource: BTreeMap<String, bool>,
}

impl Attributes {
    pub(super) fn of(schema: &str) -> Self {
        let json = SchemaFragment::from_cedarschema_str(schema)
            .ok()
            .and_then(|(fragment, _)| fragment.to_json_value().ok())
            .unwrap_or_default();
        let of = |path: &str| -> BTreeMap<String, bool> {
            let found = json.pointer(path).and_then(Value::as_object);
            let required = |declared: &Value| declared.get("required") != Some(&false.into());
            found
                .into_iter()
                .flatten()
                .map(|(name, declared)| (name.clone(), required(declared)))
                .collect()
        };
        Self {
            context: of("//commonTypes/Facts/attributes"),
            principal: of("//entityTypes/Human/shape/attributes"),
            resource: of("//entityTypes/Operation/shape/attributes"),
        }
    }

    /// Whether `variable has name`, where that is always so or never.
    fn has(&self, variable: &Expr, name: &str) -> Option<bool> {
        let known = match variable {
            Expr::Var(Var::Context) => &self.context,
            Expr::Var(Var::Principal) => &self.principal,
            Expr::Var(Var::Resource) => &self.resource,
            _ => return None,
        };
        match known.get(name) {
            None => Some(false),
            Some(true) => Some(true),
            Some(false) => None,
        }
    }

    /// What a condition always is.
    fn fold(&self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::Literal(Literal::Bool(value)) => Some(*value),
            Expr::HasAttr { expr, attrs } => match self.has(expr, attrs.first()) {
                Some(true) if attrs.len() > 1 => None,
                answer => answer,
            },
            Expr::UnaryOp {
                op: UnaryOp::Not,
                expr,
            } => self.fold(expr).map(|value| !value),
            Expr::BinaryOp { op, left, right } => {
                let (left, right) = (self.fold(left), self.fold(right));
                match op {
                    BinaryOp::And if left == Some(false) || right == Some(false) => Some(false),
                    BinaryOp::And => Some(left? && right?),
                    BinaryOp::Or if left == Some(true) || right == Some(true) => Some(true),
                    BinaryOp::Or => Some(left? || right?),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a policy holds wherever its scope does.
    fn unconditional(&self, policy: &Linted<'_>) -> bool {
        policy.body.clauses().iter().all(|clause| match clause {
            Clause::When(condition) => self.fold(condition) == Some(true),
            Clause::Unless(condition) => self.fold(condition) == Some(false),
        })
    }

    /// Attributes that a condition looks for and that are never there.
    fn absent(&self, policy: &Linted<'_>) -> BTreeSet<String> {
        let of = |expr: &Expr| match expr {
            Expr::HasAttr { expr, attrs } if self.has(expr, attrs.first()) == Some(false) => {
                Some(BTreeSet::from([format!("{expr} has {}", attrs.first())]))
            }
            _ => None,
        };
        let join = |mut a: BTreeSet<String>, b: BTreeSet<String>| {
            a.extend(b);
            a
        };
        let mut all = BTreeSet::new();
        for clause in policy.body.clauses() {
            let (Clause::When(condition) | Clause::Unless(condition)) = clause;
            all.extend(condition.reduce(&of, &join, BTreeSet::new()));
        }
        all
    }
}

/// A forbid that holds for every question, although it has conditions.
pub(super) fn forbids_all(policy: &Linted<'_>, attributes: &Attributes) -> Option<Fault> {
    let everything = policy.body.principal == PrincipalConstraint::Any
        && policy.body.resource == ResourceConstraint::Any
        && matches!(
            policy.policy.action_constraint(),
            cedar_policy::ActionConstraint::Any
        );
    if policy.permits() || !everything || !attributes.unconditional(policy) {
        return None;
    }
    let absent = Vec::from_iter(attributes.absent(policy)).join("`, `");
    let why = match absent.is_empty() {
        true => String::new(),
        false => format!(": `{absent}` is never true, the schema has no such attribute"),
    };
    Some(policy.fault(format!("`{}` forbids everything{why}", policy.id)))
}

/// Permits that an unconditional forbid covers.
pub(super) fn shadowed(all: &[Linted<'_>], attributes: &Attributes, schema: &Schema) -> Vec<Fault> {
    let forbids: Vec<_> = all
        .iter()
        .filter(|p| !p.permits() && attributes.unconditional(p))
        .collect();
    let shadowed = |permit: &Linted<'_>| {
        let by = forbids.iter().find(|f| covers(f, permit, schema))?;
        Some(permit.fault(format!(
            "`{}` permits nothing: `{}` in {} forbids all of it",
            permit.id,
            by.id,
            by.place()
        )))
    };
    let permits = all.iter().filter(|p| p.permits());
    permits.filter_map(shadowed).collect()
}

/// Whether everything in the scope of one policy is in the scope of another.
fn covers(wide: &Linted<'_>, narrow: &Linted<'_>, schema: &Schema) -> bool {
    let Ok(actions) = schema.action_entities() else {
        return false;
    };
    let on_actions = schema.actions().all(|action| {
        !speaks_of(&narrow.policy, action, &actions) || speaks_of(&wide.policy, action, &actions)
    });
    on_actions
        && covers_side(&principal(wide), &principal(narrow))
        && covers_side(&resource(wide), &resource(narrow))
}

/// A constraint on one side: the type, the entity that it is in, and whether
/// it is that entity itself.
#[derive(Default)]
struct Constraint {
    kind: Option<String>,
    inside: Option<(String, String)>,
    itself: bool,
}

impl Constraint {
    fn new(kind: Option<String>, one: Option<&EntityOrSlot>, itself: bool) -> Self {
        let inside = one.and_then(|one| match one {
            EntityOrSlot::Entity(uid) => Some((uid.ty.to_string(), uid.eid.to_string())),
            EntityOrSlot::Slot(_) => None,
        });
        Self {
            kind: kind.or_else(|| inside.as_ref().filter(|_| itself).map(|i| i.0.clone())),
            inside,
            itself,
        }
    }
}

fn principal(policy: &Linted<'_>) -> Constraint {
    match &policy.body.principal {
        PrincipalConstraint::Any => Constraint::default(),
        PrincipalConstraint::Eq(one) => Constraint::new(None, Some(one), true),
        PrincipalConstraint::In(one) => Constraint::new(None, Some(one), false),
        PrincipalConstraint::Is(kind) => Constraint::new(Some(kind.to_string()), None, false),
        PrincipalConstraint::IsIn(kind, one) => {
            Constraint::new(Some(kind.to_string()), Some(one), false)
        }
    }
}

fn resource(policy: &Linted<'_>) -> Constraint {
    let operation = || Some("Operation".to_owned());
    let mut found = match &policy.body.resource {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => Constraint::default(),
        ResourceConstraint::Eq(one) => Constraint::new(None, Some(one), true),
        ResourceConstraint::In(one) | ResourceConstraint::IsIn(_, one) => {
            Constraint::new(None, Some(one), false)
        }
    };
    // Every resource is an operation.
    found.kind = operation();
    found
}

fn covers_side(wide: &Constraint, narrow: &Constraint) -> bool {
    let kind = wide.kind.is_none() || wide.kind == narrow.kind;
    let inside = match (&wide.inside, &narrow.inside) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) if wide == narrow => true,
        // A subject is in the type that its id begins with.
        (Some((wide, kind)), Some((narrow, id))) => {
            wide == "SubjectType" && narrow == "Subject" && id.split('/').next() == Some(kind)
        }
    };
    kind && inside && (!wide.itself || narrow.itself)
}

/// Something of which a question has one value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dimension {
    PrincipalKind,
    PrincipalId,
    Tool,
    Subject,
    SubjectType,
    DirectiveType,
    ActionClass,
    CostClass,
}

/// A policy whose conditions contradict each other.
pub(super) fn never_matches(policy: &Linted<'_>) -> Option<Fault> {
    let mut allowed: BTreeMap<Dimension, BTreeSet<String>> = BTreeMap::new();
    for any in conditions(&policy.body, Read::All) {
        let each: Vec<BTreeMap<Dimension, String>> = any.iter().map(implied).collect();
        let Some(first) = each.first() else {
            continue;
        };
        for dimension in first.keys() {
            let values: Option<BTreeSet<String>> =
                each.iter().map(|f| f.get(dimension).cloned()).collect();
            let Some(values) = values else { continue };
            let kept = match allowed.get(dimension) {
                None => values,
                Some(before) => before.intersection(&values).cloned().collect(),
            };
            if kept.is_empty() {
                return Some(policy.fault(format!(
                    "`{}` can never match: its conditions on {} contradict each other",
                    policy.id,
                    name(*dimension)
                )));
            }
            allowed.insert(*dimension, kept);
        }
    }
    None
}

/// What a fact says of each dimension.
fn implied(fact: &Fact<'_>) -> BTreeMap<Dimension, String> {
    use Dimension as D;
    let pairs: Vec<(D, &str)> = match fact {
        Fact::Is(Side::Principal, kind) => vec![(D::PrincipalKind, kind)],
        Fact::In(Side::Principal, kind, id) if &**kind != "Role" => {
            vec![(D::PrincipalKind, kind), (D::PrincipalId, id)]
        }
        Fact::Text(Side::Principal, name, id) if &**name == "id" => vec![(D::PrincipalId, id)],
        Fact::In(Side::Resource, kind, id) => match &**kind {
            "Tool" | "Operation" => vec![(D::Tool, id)],
            "Subject" => subject(id),
            "SubjectType" => vec![(D::SubjectType, id)],
            _ => vec![],
        },
        Fact::Text(Side::Resource, name, value) => match &**name {
            "tool" => vec![(D::Tool, value)],
            "subject" => subject(value),
            "subject_type" => vec![(D::SubjectType, value)],
            "directive_type" => vec![(D::DirectiveType, value)],
            _ => vec![],
        },
        Fact::Entity(Side::Resource, name, _, value) => match &**name {
            "action_class" => vec![(D::ActionClass, value)],
            "cost_class" => vec![(D::CostClass, value)],
            _ => vec![],
        },
        _ => vec![],
    };
    let owned = pairs.into_iter().map(|(d, value)| (d, value.to_owned()));
    owned.collect()
}

fn subject(id: &str) -> Vec<(Dimension, &str)> {
    let kind = id.split('/').next().unwrap_or(id);
    vec![(Dimension::Subject, id), (Dimension::SubjectType, kind)]
}

fn name(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::PrincipalKind => "the kind of principal",
        Dimension::PrincipalId => "the principal",
        Dimension::Tool => "the tool",
        Dimension::Subject => "the subject",
        Dimension::SubjectType => "the type of subject",
        Dimension::DirectiveType => "the type of directive",
        Dimension::ActionClass => "the action class",
        Dimension::CostClass => "the cost class",
    }
}
