//! A question as Cedar takes it: the request, and the few entities that it
//! speaks of.

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RequestValidationError, RestrictedExpression, Schema,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

/// An entity of a question.
pub(crate) struct Node<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) parents: Vec<(&'a str, &'a str)>,
    pub(crate) attributes: Vec<(&'a str, Attribute<'a>)>,
}

/// An attribute of an entity.
pub(crate) enum Attribute<'a> {
    Text(&'a str),
    Entity(&'a str, &'a str),
}

/// A question.
pub(crate) struct Question<'a> {
    pub(crate) principal: Node<'a>,
    pub(crate) action: &'a str,
    pub(crate) resource: Node<'a>,
    /// Parents of the two that have parents themselves.
    pub(crate) others: Vec<Node<'a>>,
    pub(crate) context: &'a Map<String, Value>,
}

/// What questions are built with.
#[derive(Debug)]
pub(super) struct Builder {
    schema: Schema,
    types: BTreeMap<String, EntityTypeName>,
    decimals: Decimals,
}

impl Builder {
    pub(super) fn new(schema: Schema) -> Self {
        let types = schema
            .entity_types()
            .map(|name| (name.to_string(), name.clone()))
            .collect();
        Self {
            schema,
            types,
            decimals: Decimals::default(),
        }
    }

    /// The question about this action; what does not fit the schema is an
    /// error that shows no value.
    pub(super) fn build(
        &self,
        question: &Question<'_>,
        action: &EntityUid,
        action_entity: Option<&Entity>,
    ) -> Result<(Request, Entities), String> {
        let principal = self.entity(&question.principal)?;
        let resource = self.entity(&question.resource)?;
        // Cedar's text would print the values, here and below.
        let context = Context::from_pairs(self.expressions(question.context)?)
            .map_err(|_| "a value of the context is not well-formed".to_owned())?;
        let request = Request::new(
            principal.uid(),
            action.clone(),
            resource.uid(),
            context,
            Some(&self.schema),
        )
        .map_err(|e| match e {
            RequestValidationError::InvalidContext(_) => {
                format!(
                    "the context does not fit the schema of `{}`",
                    question.action
                )
            }
            other => other.to_string(),
        })?;
        let mut nodes = vec![principal, resource];
        nodes.extend(action_entity.cloned());
        for other in &question.others {
            nodes.push(self.entity(other)?);
        }
        let entities = Entities::from_entities(nodes, None).map_err(|e| e.to_string())?;
        Ok((request, entities))
    }

    fn entity(&self, node: &Node<'_>) -> Result<Entity, String> {
        let parents: Result<HashSet<_>, _> = node
            .parents
            .iter()
            .map(|(kind, id)| self.uid(kind, id))
            .collect();
        let mut attributes = HashMap::with_capacity(node.attributes.len());
        for (name, attribute) in &node.attributes {
            let expression = match attribute {
                Attribute::Text(text) => RestrictedExpression::new_string((*text).to_owned()),
                Attribute::Entity(kind, id) => {
                    RestrictedExpression::new_entity_uid(self.uid(kind, id)?)
                }
            };
            attributes.insert((*name).to_owned(), expression);
        }
        Entity::new(self.uid(node.kind, node.id)?, attributes, parents?).map_err(|e| e.to_string())
    }

    fn uid(&self, kind: &str, id: &str) -> Result<EntityUid, String> {
        let name = self
            .types
            .get(kind)
            .ok_or_else(|| format!("the schema has no entity type `{kind}`"))?;
        Ok(EntityUid::from_type_name_and_id(
            name.clone(),
            EntityId::new(id),
        ))
    }

    /// The context as Cedar expressions. Absent and null are the same; numbers
    /// with a fraction are refused, because Cedar has no floats.
    fn expressions(
        &self,
        context: &Map<String, Value>,
    ) -> Result<Vec<(String, RestrictedExpression)>, String> {
        let given = context.iter().filter(|(_, value)| !value.is_null());
        given
            .map(|(name, value)| {
                let made = self.expression(value);
                let made = made.map_err(|e| format!("context `{name}`: {e}"))?;
                Ok((name.clone(), made))
            })
            .collect()
    }

    fn expression(&self, value: &Value) -> Result<RestrictedExpression, String> {
        match value {
            Value::Null => Err("null has no place in a list or record".to_owned()),
            Value::Bool(value) => Ok(RestrictedExpression::new_bool(*value)),
            Value::String(text) => Ok(RestrictedExpression::new_string(text.clone())),
            Value::Number(number) => number
                .as_i64()
                .map(RestrictedExpression::new_long)
                .ok_or_else(|| format!("`{number}` is not a whole number of 64 bits")),
            Value::Array(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|i| self.expression(i)).collect();
                Ok(RestrictedExpression::new_set(items?))
            }
            Value::Object(fields) => match fields.get("__extn") {
                Some(extension) if fields.len() == 1 => self.decimal(extension),
                _ => {
                    if let Some(reserved) = fields.keys().find(|key| key.starts_with("__")) {
                        return Err(format!("the key `{reserved}` is reserved"));
                    }
                    RestrictedExpression::new_record(self.expressions(fields)?)
                        .map_err(|e| e.to_string())
                }
            },
        }
    }

    /// `{"fn": "decimal", "arg": "1.50"}`, the only extension that is taken.
    fn decimal(&self, extension: &Value) -> Result<RestrictedExpression, String> {
        let argument = extension.get("arg").and_then(Value::as_str);
        match (extension.get("fn").and_then(Value::as_str), argument) {
            (Some("decimal"), Some(text)) => Ok(self.decimals.of(text)),
            _ => Err("only decimals may be written as an extension".to_owned()),
        }
    }
}

/// Most decimals that are kept, and the longest.
const DECIMALS_MAX: usize = 4_096;
const DECIMAL_BYTES_MAX: usize = 24;

/// Decimals as expressions. Cedar takes longer to make one than to ask a
/// policy, and the same amounts come again and again, so they are kept.
#[derive(Debug, Default)]
struct Decimals {
    made: RwLock<HashMap<String, RestrictedExpression>>,
}

impl Decimals {
    fn of(&self, text: &str) -> RestrictedExpression {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made.get(text) {
            return found.clone();
        }
        drop(made);
        let new = RestrictedExpression::new_decimal(text);
        if text.len() <= DECIMAL_BYTES_MAX {
            let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
            if made.len() >= DECIMALS_MAX {
                made.clear();
            }
            made.insert(text.to_owned(), new.clone());
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_decimals_are_bounded_and_are_what_was_asked_for() {
        let decimals = Decimals::default();
        for n in 0..2 * DECIMALS_MAX {
            let text = format!("{n}.5");
            for _ in 0..2 {
                let expected = RestrictedExpression::new_decimal(&text);
                assert_eq!(format!("{:?}", decimals.of(&text)), format!("{expected:?}"));
            }
            assert!(decimals.made.read().unwrap().len() <= DECIMALS_MAX);
        }
        let before = decimals.made.read().unwrap().len();
        let _ = decimals.of(&"1".repeat(DECIMAL_BYTES_MAX + 1));
        assert_eq!(decimals.made.read().unwrap().len(), before);
    }
}
