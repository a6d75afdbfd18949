//! CEL expressions, guarded. Text is bounded before it is parsed, names and
//! functions are checked when it is loaded, and evaluation never panics and
//! never overflows the stack: a fault is an error value. There is no clock and
//! no randomness in the language. The library keeps maps in random order, so
//! macros go over lists only: over a list literal or over a field that holds a
//! list, never over an object.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::objects::{Key, Map};
use cel::{Context, Program, Value as Cel};
use kernel::Refusal;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Longest expression, in bytes.
pub const BYTES_MAX: usize = 2_048;
/// Deepest nesting of brackets.
pub const DEPTH_MAX: usize = 24;
/// Most operator characters.
pub const OPERATORS_MAX: usize = 200;
/// Deepest nesting of `exists`, `exists_one` and `all`.
pub const MACROS_DEPTH_MAX: usize = 1;
/// The parser and the interpreter recurse; they run on a stack of this size.
const STACK_BYTES: usize = 64 * 1024 * 1024;

const FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "double",
    "string",
    "_&&_",
    "_||_",
    "!_",
    "-_",
    "_==_",
    "_!=_",
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
    "_+_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "_?_:_",
    "_[_]",
    "@in",
    "@not_strictly_false",
];

/// An expression that was checked and compiled. Cheap to clone.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<Program>,
    /// The fields that macros go over, each from its variable downwards.
    ranges: Arc<[Vec<String>]>,
    /// The fields whose values are used, each from its variable downwards.
    reads: Arc<[Vec<String>]>,
    /// Those, and what is asked for with `has(…)`, without repetition.
    paths: Arc<[Vec<String>]>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl Expression {
    /// Compiles an expression over these variables.
    ///
    /// # Errors
    /// When the text is too long, too deep, no CEL, or uses a variable or a
    /// function that is not known.
    pub fn compile(text: &str, variables: &[&str]) -> Result<Self, Refusal> {
        lexical(text)?;
        let compiled = catch_unwind(AssertUnwindSafe(|| {
            stacker::grow(STACK_BYTES, || checked(text, variables))
        }));
        let (program, survey) = compiled.map_err(|_| {
            Refusal::invalid("the expression cannot be parsed").hint("make it simpler")
        })??;
        let known = |path: &&Vec<String>| path.first().is_some_and(|v| variables.contains(&&**v));
        let paths: BTreeSet<_> = survey
            .reads
            .iter()
            .chain(&survey.asks)
            .filter(known)
            .collect();
        Ok(Self {
            text: text.into(),
            program: Arc::new(program),
            paths: paths.into_iter().cloned().collect(),
            ranges: survey.ranges.into(),
            reads: survey.reads.into(),
        })
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the value of this field is used, by itself or as a part of what
    /// holds it. Asking with `has(…)` whether it is there uses no value.
    #[must_use]
    pub fn reads(&self, field: &[&str]) -> bool {
        let meets = |path: &Vec<String>| path.iter().zip(field).all(|(a, b)| a == b);
        self.reads.iter().any(meets)
    }

    /// Every field that is looked at, each from its variable downwards: those
    /// whose values are used, and those asked for with `has(…)`.
    #[must_use]
    pub fn paths(&self) -> &[Vec<String>] {
        &self.paths
    }

    /// Evaluates to true or false.
    ///
    /// # Errors
    /// When a field is missing, types do not fit, or the result is no boolean.
    /// The message does not repeat values of the input.
    pub fn test(&self, variables: &[(&str, &Value)]) -> Result<bool, Refusal> {
        match self.run(variables)? {
            Cel::Bool(result) => Ok(result),
            other => Err(Refusal::invalid(format!(
                "the condition gives a {}, not a boolean",
                other.type_of()
            ))),
        }
    }

    /// Evaluates to a JSON value.
    ///
    /// # Errors
    /// As [`Expression::test`], and when the result has no JSON form.
    pub fn value(&self, variables: &[(&str, &Value)]) -> Result<Value, Refusal> {
        let result = self.run(variables)?;
        let kind = result.type_of();
        to_json(&result, 0).ok_or_else(|| {
            Refusal::invalid(format!(
                "the expression gives a {kind} that has no JSON form"
            ))
        })
    }

    fn run(&self, variables: &[(&str, &Value)]) -> Result<Cel, Refusal> {
        for path in self.ranges.iter() {
            if over_object(path, variables) {
                return Err(Refusal::invalid(format!(
                    "`{}` is an object; `exists` and `all` go over lists only",
                    path.join(".")
                )));
            }
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            stacker::grow(STACK_BYTES, || {
                let mut context = Context::default();
                for (name, value) in variables {
                    context.add_variable_from_value(*name, to_cel(value));
                }
                self.program.execute(&context)
            })
        }));
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => Err(Refusal::invalid(public(&fault))),
            Err(_) => Err(Refusal::invalid("the expression cannot be evaluated")),
        }
    }
}

fn over_object(path: &[String], variables: &[(&str, &Value)]) -> bool {
    let Some((root, fields)) = path.split_first() else {
        return false;
    };
    let start = variables.iter().find(|(name, _)| name == root);
    let end = fields
        .iter()
        .try_fold(start.map(|(_, value)| *value), |value, field| {
            value.map(|value| value.get(field))
        });
    matches!(end.flatten(), Some(Value::Object(_)))
}

/// What may be said of a fault: names of fields, never values.
fn public(fault: &cel::ExecutionError) -> String {
    use cel::ExecutionError as E;
    match fault {
        E::NoSuchKey(key) => format!("no field `{key}`; test it with `has(…)`"),
        E::UndeclaredReference(name) => format!("no variable or function `{name}`"),
        E::UnsupportedBinaryOperator(operator, ..) => {
            format!("`{operator}` does not work on these types")
        }
        E::DivisionByZero(_) => "division by zero".to_owned(),
        E::RemainderByZero(_) => "remainder by zero".to_owned(),
        E::Overflow(operator, ..) => format!("`{operator}` overflows"),
        _ => "the types or values do not fit the expression".to_owned(),
    }
}

/// Bounds the text before the parser sees it: the parser recurses with nesting
/// and with chains of operators, and cannot be stopped.
fn lexical(text: &str) -> Result<(), Refusal> {
    let fault = |what: String| Err(Refusal::invalid(what).hint("split it into several rules"));
    if text.trim().is_empty() {
        return Err(Refusal::invalid("the expression is empty").hint("write `true` for always"));
    }
    if text.len() > BYTES_MAX {
        return fault(format!(
            "the expression has {} bytes, allowed are {BYTES_MAX}",
            text.len()
        ));
    }
    let (mut depth, mut operators) = (0_usize, 0_usize);
    // Brackets within quotes count too: a quote character that the parser
    // reads differently must not hide anything from this guard.
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => {
                depth += 1;
                operators += 1;
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '+' | '-' | '*' | '/' | '%' | '!' | '?' | '&' | '|' | '<' | '>' | '=' | '.' => {
                operators += 1;
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            return fault(format!(
                "the expression is nested deeper than {DEPTH_MAX} brackets"
            ));
        }
        if operators > OPERATORS_MAX {
            return fault(format!(
                "the expression has more than {OPERATORS_MAX} operators"
            ));
        }
    }
    Ok(())
}

fn checked(text: &str, variables: &[&str]) -> Result<(Program, Survey), Refusal> {
    let program = Program::compile(text).map_err(|e| {
        let message = e.to_string();
        let first = message.lines().next().unwrap_or("syntax error").to_owned();
        Refusal::invalid(format!("no CEL: {first}"))
    })?;
    let mut survey = Survey::default();
    survey.walk(program.expression(), 0);
    if survey.depth > MACROS_DEPTH_MAX {
        return Err(Refusal::invalid(
            "`exists` and `all` cannot stand within each other",
        ));
    }
    if survey.lists {
        return Err(Refusal::invalid("`map` and `filter` are not offered")
            .hint("use `exists`, `exists_one` or `all`"));
    }
    if survey.unclear {
        return Err(Refusal::invalid(
            "`exists` and `all` go over a list literal or a field only",
        ));
    }
    let references = program.references();
    let unknown: BTreeSet<_> = references
        .variables()
        .into_iter()
        .filter(|v| !variables.contains(v) && !survey.loops.contains(*v))
        .collect();
    if let Some(name) = unknown.first() {
        return Err(Refusal::invalid(format!("unknown variable `{name}`"))
            .hint(format!("known: {}", variables.join(", "))));
    }
    let unknown: BTreeSet<_> = references
        .functions()
        .into_iter()
        .filter(|f| !FUNCTIONS.contains(f))
        .collect();
    if let Some(name) = unknown.first() {
        return Err(
            Refusal::invalid(format!("unknown function `{name}`")).hint(
                "known: size, contains, startsWith, endsWith, matches, int, double, string, has, exists, exists_one, all",
            ),
        );
    }
    drop(references);
    Ok((program, survey))
}

/// What an expression is made of.
#[derive(Default)]
struct Survey {
    depth: usize,
    loops: BTreeSet<String>,
    ranges: Vec<Vec<String>>,
    reads: Vec<Vec<String>>,
    asks: Vec<Vec<String>>,
    /// Whether a macro makes a list.
    lists: bool,
    /// Whether a macro goes over what is neither a field nor a list literal.
    unclear: bool,
}

/// What is read of a variable: `a.b.c` and `a.b["c"]` as parts. What an index
/// that is computed chooses may be any part of what stands before it.
fn read(expression: &IdedExpr) -> Option<Vec<String>> {
    match &expression.expr {
        Expr::Ident(name) => Some(vec![name.clone()]),
        Expr::Select(select) if !select.test => {
            let mut parts = read(&select.operand)?;
            parts.push(select.field.clone());
            Some(parts)
        }
        Expr::Call(call) if call.func_name == "_[_]" && call.target.is_none() => {
            let [of, index] = call.args.as_slice() else {
                return None;
            };
            let Expr::Literal(LiteralValue::String(name)) = &index.expr else {
                return None;
            };
            let mut parts = read(of)?;
            parts.push(name.to_string());
            Some(parts)
        }
        _ => None,
    }
}

/// `a.b.c` as its parts.
fn path(expression: &IdedExpr) -> Option<Vec<String>> {
    match &expression.expr {
        Expr::Ident(name) => Some(vec![name.clone()]),
        Expr::Select(select) if !select.test => {
            let mut parts = path(&select.operand)?;
            parts.push(select.field.clone());
            Some(parts)
        }
        _ => None,
    }
}

impl Survey {
    fn walk(&mut self, expression: &IdedExpr, depth: usize) {
        self.depth = self.depth.max(depth);
        if let Some(parts) = read(expression) {
            self.reads.push(parts);
            return;
        }
        match &expression.expr {
            // `has(a.b)` uses neither.
            Expr::Select(select) if select.test && read(&select.operand).is_some() => {
                let mut parts = read(&select.operand).unwrap_or_default();
                parts.push(select.field.clone());
                self.asks.push(parts);
            }
            Expr::Call(call) => {
                if let Some(target) = &call.target {
                    self.walk(target, depth);
                }
                for argument in &call.args {
                    self.walk(argument, depth);
                }
            }
            Expr::Comprehension(c) => {
                self.loops.insert(c.iter_var.clone());
                self.loops.extend(c.iter_var2.clone());
                self.loops.insert(c.accu_var.clone());
                self.lists |= matches!(c.accu_init.expr, Expr::List(_));
                match path(&c.iter_range) {
                    Some(parts) => self.ranges.push(parts),
                    None => self.unclear |= !matches!(c.iter_range.expr, Expr::List(_)),
                }
                self.walk(&c.iter_range, depth);
                for part in [&c.accu_init, &c.loop_cond, &c.loop_step, &c.result] {
                    self.walk(part, depth + 1);
                }
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.walk(element, depth);
                }
            }
            Expr::Select(select) => self.walk(&select.operand, depth),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.walk(&entry.key, depth);
                        self.walk(&entry.value, depth);
                    }
                }
            }
            // Messages are not part of what is offered.
            Expr::Struct(_) => self.depth = usize::MAX,
            _ => {}
        }
    }
}

/// JSON as CEL with whole numbers as `int`: the library's own conversion makes
/// them unsigned, and unsigned plus signed is an error.
fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(b) => Cel::Bool(*b),
        Value::String(s) => Cel::String(Arc::new(s.clone())),
        Value::Number(n) => n
            .as_i64()
            .map(Cel::Int)
            .or_else(|| n.as_u64().map(Cel::UInt))
            .unwrap_or_else(|| Cel::Float(n.as_f64().unwrap_or(f64::NAN))),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            let entries = fields
                .iter()
                .map(|(name, value)| (Key::String(Arc::new(name.clone())), to_cel(value)));
            Cel::Map(Map {
                map: Arc::new(entries.collect::<HashMap<_, _>>()),
            })
        }
    }
}

fn to_json(value: &Cel, depth: usize) -> Option<Value> {
    if depth > kernel::limits::JSON_DEPTH_MAX {
        return None;
    }
    Some(match value {
        Cel::Null => Value::Null,
        Cel::Bool(b) => Value::Bool(*b),
        Cel::Int(n) => Value::from(*n),
        Cel::UInt(n) => Value::from(*n),
        Cel::Float(n) => Value::Number(serde_json::Number::from_f64(*n)?),
        Cel::String(s) => Value::String(s.as_ref().clone()),
        Cel::List(items) => {
            let items = items.iter().map(|item| to_json(item, depth + 1));
            Value::Array(items.collect::<Option<Vec<_>>>()?)
        }
        Cel::Map(map) => {
            let mut fields = serde_json::Map::new();
            for (key, value) in map.map.iter() {
                let Key::String(key) = key else {
                    return None;
                };
                fields.insert(key.as_ref().clone(), to_json(value, depth + 1)?);
            }
            Value::Object(fields)
        }
        _ => return None,
    })
}
