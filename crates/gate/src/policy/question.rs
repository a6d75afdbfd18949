//! A question as Cedar takes it: the request, and the few entities that it
//! speaks of.

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RequestValidationError, RestrictedExpression, Schema,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};

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
}

impl Builder {
    pub(super) fn new(schema: Schema) -> Self {
        let types = schema
            .entity_types()
            .map(|name| (name.to_string(), name.clone()))
            .collect();
        Self { schema, types }
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
        let context = Context::from_pairs(expressions(question.context)?)
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
}

/// The context as Cedar expressions. Absent and null are the same; numbers
/// with a fraction are refused, because Cedar has no floats.
fn expressions(
    context: &Map<String, Value>,
) -> Result<Vec<(String, RestrictedExpression)>, String> {
    let given = context.iter().filter(|(_, value)| !value.is_null());
    given
        .map(|(name, value)| {
            let made = expression(value).map_err(|e| format!("context `{name}`: {e}"))?;
            Ok((name.clone(), made))
        })
        .collect()
}

fn expression(value: &Value) -> Result<RestrictedExpression, String> {
    match value {
        Value::Null => Err("null has no place in a list or record".to_owned()),
        Value::Bool(value) => Ok(RestrictedExpression::new_bool(*value)),
        Value::String(text) => Ok(RestrictedExpression::new_string(text.clone())),
        Value::Number(number) => number
            .as_i64()
            .map(RestrictedExpression::new_long)
            .ok_or_else(|| format!("`{number}` is not a whole number of 64 bits")),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(expression).collect();
            Ok(RestrictedExpression::new_set(items?))
        }
        Value::Object(fields) => match fields.get("__extn") {
            Some(extension) if fields.len() == 1 => decimal(extension),
            _ => {
                if let Some(reserved) = fields.keys().find(|key| key.starts_with("__")) {
                    return Err(format!("the key `{reserved}` is reserved"));
                }
                RestrictedExpression::new_record(expressions(fields)?).map_err(|e| e.to_string())
            }
        },
    }
}

/// `{"fn": "decimal", "arg": "1.50"}`, the only extension that is taken.
fn decimal(extension: &Value) -> Result<RestrictedExpression, String> {
    let argument = extension.get("arg").and_then(Value::as_str);
    match (extension.get("fn").and_then(Value::as_str), argument) {
        (Some("decimal"), Some(text)) => Ok(RestrictedExpression::new_decimal(text)),
        _ => Err("only decimals may be written as an extension".to_owned()),
    }
}
