//! Payloads, held against a schema.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    date::is_date,
    field::{Field, FieldType},
};

/// Violations that are told of one payload.
const MOST: usize = 100;

/// A place in a payload that the schema does not allow.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Violation {
    /// The place, e.g. `gauges[2].code`; empty for the payload itself.
    pub path: String,
    /// The rule that it breaks.
    pub rule: Rule,
}

/// The rules of schemas.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// The payload is not serialisable as JSON.
    Json,
    /// A payload is an object, or an array of objects.
    Payload,
    /// The value is of another type than this.
    Type(FieldType),
    /// The value is none of these.
    Enum(Vec<String>),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str("the payload")?,
            path => path.escape_debug().fmt(f)?,
        }
        match &self.rule {
            Rule::Json => f.write_str(" has no JSON form"),
            Rule::Payload => f.write_str(" is no object"),
            Rule::Type(kind) => write!(f, " is not of type {kind}"),
            Rule::Enum(values) => write!(f, " is none of {}", values.join(", ")),
        }
    }
}

impl std::error::Error for Violation {}

pub(super) fn validate<T>(fields: &[Field], payload: &T) -> Result<(), Vec<Violation>>
where
    T: Serialize + ?Sized,
{
    let mut found = Found::default();
    match serde_json::to_value(payload) {
        Ok(Value::Object(object)) => found.object("", fields, &object),
        Ok(Value::Array(elements)) => {
            for (at, element) in elements.iter().enumerate() {
                let path = format!("[{at}]");
                match element {
                    Value::Object(object) => found.object(&path, fields, object),
                    _ => found.add(&path, Rule::Payload),
                }
            }
        }
        Ok(_) => found.add("", Rule::Payload),
        Err(_) => found.add("", Rule::Json),
    }
    if found.0.is_empty() { Ok(()) } else { Err(found.0) }
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, path: &str, rule: Rule) {
        if self.0.len() < MOST {
            self.0.push(Violation { path: path.to_owned(), rule });
        }
    }

    fn object(&mut self, path: &str, fields: &[Field], object: &Map<String, Value>) {
        for field in fields {
            let value = match object.get(&field.name) {
                None | Some(Value::Null) => continue,
                Some(value) => value,
            };
            match path {
                "" => self.value(&field.name, field, value),
                path => self.value(&format!("{path}.{}", field.name), field, value),
            }
        }
    }

    fn value(&mut self, path: &str, field: &Field, value: &Value) {
        let fields = field.fields.as_deref().unwrap_or_default();
        match (field.kind, value) {
            (FieldType::Object, Value::Object(object)) => self.object(path, fields, object),
            (FieldType::ObjectArray, Value::Array(elements)) => {
                self.elements(path, field, elements, |found, path, element| match element {
                    Value::Object(object) => {
                        found.object(path, fields, object);
                        true
                    }
                    _ => false,
                });
            }
            (FieldType::Enum, Value::String(text)) => {
                let values = field.values.as_deref().unwrap_or_default();
                if !values.contains(text) {
                    self.add(path, Rule::Enum(values.to_vec()));
                }
            }
            (kind, Value::Array(elements)) if element_type(kind).is_some() => {
                let of = element_type(kind).unwrap_or(kind);
                self.elements(path, field, elements, |_, _, element| is_scalar(of, element));
            }
            (kind, value) if is_scalar(kind, value) => {}
            (kind, _) => self.add(path, Rule::Type(kind)),
        }
    }

    fn elements(
        &mut self,
        path: &str,
        field: &Field,
        elements: &[Value],
        check: impl Fn(&mut Self, &str, &Value) -> bool,
    ) {
        for (at, element) in elements.iter().enumerate() {
            let path = format!("{path}[{at}]");
            if !check(self, &path, element) {
                self.add(&path, Rule::Type(element_type(field.kind).unwrap_or(FieldType::Object)));
            }
        }
    }
}

const fn element_type(kind: FieldType) -> Option<FieldType> {
    match kind {
        FieldType::StringArray => Some(FieldType::String),
        FieldType::FloatArray => Some(FieldType::Float),
        FieldType::IntegerArray => Some(FieldType::Integer),
        FieldType::DateArray => Some(FieldType::Date),
        _ => None,
    }
}

fn is_scalar(kind: FieldType, value: &Value) -> bool {
    match (kind, value) {
        (FieldType::String, Value::String(_)) | (FieldType::Float, Value::Number(_)) => true,
        (FieldType::Integer, Value::Number(number)) => {
            number.is_i64()
                || number.is_u64()
                || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        (FieldType::Date, Value::String(text)) => is_date(text),
        _ => false,
    }
}
