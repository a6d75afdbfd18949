//! The modules that exist, by name, with their schemas compiled. What is
//! checked here is checked before anything else happens.

use crate::limits;
use crate::module::Module;
use gate::{Capabilities, Capability, Contract, Traits, TraitsOf};
use jsonschema::{PatternOptions, Validator};
use kernel::Refusal;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

struct Registered {
    module: Arc<dyn Module>,
    input: Validator,
    output: Validator,
}

/// What the gate needs to know of a module. A compensation is declared where
/// an input names one whatever the output will be.
fn capability(module: &Arc<dyn Module>) -> Capability {
    let asked = module.clone();
    Capability {
        traits: TraitsOf::new(move |input| Traits {
            idempotent: asked.idempotent(input),
            reversible: asked.compensation(input, &Value::Null).is_some(),
        }),
        ..module.manifest().capability()
    }
}

/// The modules that exist.
#[derive(Default)]
pub struct Registry {
    modules: BTreeMap<String, Registered>,
}

impl Registry {
    /// No module at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a module.
    ///
    /// # Errors
    /// When its name is taken or its manifest is out of bounds.
    pub fn add(&mut self, module: Arc<dyn Module>) -> Result<(), Refusal> {
        let manifest = module.manifest();
        let name = manifest.name.clone();
        let place = format!("module `{name}`");
        if self.modules.contains_key(&name) {
            return Err(Refusal::conflict("stands twice").at(place));
        }
        manifest.retry.check().map_err(|e| e.at(&place))?;
        if manifest.timeout > limits::TIMEOUT_MAX {
            return Err(Refusal::invalid(format!(
                "a timeout of `{}`, allowed are `{}`",
                manifest.timeout,
                limits::TIMEOUT_MAX
            ))
            .at(place));
        }
        let input = compile(&manifest.input_schema).map_err(|e| e.at("input").at(&place))?;
        let output = compile(&manifest.output_schema).map_err(|e| e.at("output").at(&place))?;
        let registered = Registered {
            module,
            input,
            output,
        };
        self.modules.insert(name, registered);
        Ok(())
    }

    fn registered(&self, name: &str) -> Result<&Registered, Refusal> {
        self.modules.get(name).ok_or_else(|| {
            let known: Vec<_> = self.modules.keys().map(String::as_str).collect();
            Refusal::invalid(format!("no module `{name}`"))
                .hint(format!("there are: {}", known.join(", ")))
        })
    }

    /// The module with this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Module>, Refusal> {
        Ok(&self.registered(name)?.module)
    }

    /// Every module, by name.
    pub fn modules(&self) -> impl Iterator<Item = &Arc<dyn Module>> {
        self.modules.values().map(|r| &r.module)
    }

    /// What the gate needs to know of the modules.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let modules = self.modules.iter();
        modules
            .map(|(name, r)| (name.clone(), capability(&r.module)))
            .collect()
    }

    /// Checks an input against the module's schema and the module's own rules.
    ///
    /// # Errors
    /// With the JSON pointer of the fault, never with the value there.
    pub fn check_input(&self, name: &str, input: &Map<String, Value>) -> Result<(), Refusal> {
        let registered = self.registered(name)?;
        conforms(&registered.input, &Value::Object(input.clone())).map_err(|e| e.at("input"))?;
        registered.module.check(input).map_err(|e| e.at("input"))
    }

    /// Checks an output against the module's schema.
    ///
    /// # Errors
    /// With the JSON pointer of the fault, never with the value there.
    pub fn check_output(&self, name: &str, output: &Value) -> Result<(), Refusal> {
        conforms(&self.registered(name)?.output, output).map_err(|e| e.at("output"))
    }

    /// Checks the input of every step of a contract: call it before a
    /// directive is proposed.
    ///
    /// # Errors
    /// The first fault, with its step.
    pub fn check_contract(&self, contract: &Contract) -> Result<(), Refusal> {
        for (at, step) in contract.steps.iter().enumerate() {
            self.check_input(&step.module, &step.input)
                .map_err(|e| e.at(format!("steps[{at}]")))?;
        }
        Ok(())
    }
}

/// Patterns run in linear time; remote references are not resolved.
fn compile(schema: &Value) -> Result<Validator, Refusal> {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|e| {
            let place = e.instance_path().as_str().to_owned();
            Refusal::invalid(format!("no JSON Schema: {}", e.masked())).at(format!("`{place}`"))
        })
}

fn conforms(schema: &Validator, value: &Value) -> Result<(), Refusal> {
    match schema.iter_errors(value).next() {
        None => Ok(()),
        Some(e) => {
            let place = e.instance_path().as_str().to_owned();
            Err(Refusal::invalid(e.masked().to_string()).at(format!("`{place}`")))
        }
    }
}
