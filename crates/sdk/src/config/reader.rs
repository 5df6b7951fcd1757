use serde_json::Value;
use tributary_protocol::config::{ConfigField, ConfigProblem, ConfigSchema, FieldType};

use crate::ConfigValue;

/// Reads a configuration field by field and collects what is wrong; what the derive macro of `SourceConfig` writes.
#[derive(Debug)]
pub struct ConfigReader {
    fields: ConfigSchema,
    problems: Vec<ConfigProblem>,
}

impl ConfigReader {
    /// Puts the values of `given` into the definitions of `declared` and checks them.
    #[must_use]
    pub fn new(declared: ConfigSchema, given: &ConfigSchema) -> Self {
        let mut fields = declared;
        let names: Vec<String> = fields.iter().map(|(name, _)| name.to_owned()).collect();
        let mut problems = Vec::new();
        for name in &names {
            let Some(field) = fields.get_mut(name) else { continue };
            match given.get(name) {
                Some(given) => field.value = given.value.clone(),
                None if field.required => problems.push(missing(name, field)),
                None => field.value = field.default_value.clone(),
            }
        }
        let is_new = |problem: &ConfigProblem| !problems.iter().any(|known| known.field == problem.field);
        let mut found: Vec<ConfigProblem> = fields.check().into_iter().filter(is_new).collect();
        problems.append(&mut found);
        Self { fields, problems }
    }

    /// Reads one field. `None` says that a problem was noted.
    pub fn read<T: ConfigValue>(&mut self, name: &str) -> Option<T> {
        match read_value(&self.fields, name) {
            Ok(value) if !self.has_problem(name) => Some(value),
            Ok(_) => None,
            Err(problem) => {
                if !self.has_problem(name) {
                    self.problems.push(problem);
                }
                None
            }
        }
    }

    fn has_problem(&self, name: &str) -> bool {
        self.problems.iter().any(|problem| problem.field == name)
    }

    /// Everything that is wrong, in the order of the fields.
    #[must_use]
    pub fn into_problems(self) -> Vec<ConfigProblem> {
        let Self { fields, mut problems } = self;
        let place = |name: &str| fields.iter().position(|(known, _)| known == name);
        problems.sort_by_key(|problem| place(&problem.field));
        problems
    }
}

fn missing(name: &str, field: &ConfigField) -> ConfigProblem {
    let message = format!("'{}' is missing: the configuration has no field '{name}'.", label(name, field));
    ConfigProblem { field: name.to_owned(), message }
}

fn label<'a>(name: &'a str, field: &'a ConfigField) -> &'a str {
    if field.label.is_empty() { name } else { &field.label }
}

/// Reads one field of a configuration as a type. A field that does not count, since it depends on another, has its
/// default.
///
/// # Errors
/// Names the field, its value unless it is sensitive, and what is accepted.
pub fn read_value<T: ConfigValue>(fields: &ConfigSchema, name: &str) -> Result<T, ConfigProblem> {
    let problem = |message: String| ConfigProblem { field: name.to_owned(), message };
    let Some(field) = fields.get(name) else {
        return Err(problem(format!("The configuration has no field '{name}'.")));
    };
    let value = if fields.is_active(name) { fields.effective(name) } else { inactive(field) };
    let refused = |accepted: String| {
        let label = label(name, field);
        problem(if field.sensitive {
            format!("'{label}' should be {accepted}.")
        } else {
            format!("'{label}' value '{}' should be {accepted}.", shown(&field.value))
        })
    };
    let Some(value) = value else { return Err(refused(kind(field.kind).to_owned())) };
    if !field.options.is_empty()
        && !is_empty(&value)
        && !field.options.iter().any(|option| option.value == value)
    {
        let values: Vec<String> = field.options.iter().map(|option| shown(&option.value)).collect();
        return Err(refused(format!("one of {}", values.join(", "))));
    }
    T::from_value(&value).map_err(refused)
}

/// The effective value of a field while it does not count.
fn inactive(field: &ConfigField) -> Option<Value> {
    let field = ConfigField { required: false, value: Value::Null, depends_on: Vec::new(), ..field.clone() };
    let mut alone = ConfigSchema::new();
    alone.insert("field", field);
    alone.effective("field")
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn kind(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Str => "a text",
        FieldType::Int => "a whole number",
        FieldType::Float => "a number",
        FieldType::List => "a list",
        FieldType::Bool => "true or false",
    }
}
