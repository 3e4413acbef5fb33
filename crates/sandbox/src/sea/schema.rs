//! Definitions of streams: their versions, their fields, and payloads.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Fields inside each other, at most.
const MAX_DEPTH: usize = 32;

/// Errors that are told of one payload.
const MAX_ERRORS: usize = 100;

/// A definition as it is kept: the version has the JSON type that was pushed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Schema {
    pub(super) name: String,
    pub(super) version: Value,
    pub(super) fields: Vec<Field>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "enum", default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Self>>,
}

const SCALARS: [&str; 4] = ["string", "float", "integer", "date"];

impl Field {
    fn is_object(&self) -> bool {
        matches!(self.kind.as_str(), "object" | "array<object>")
    }

    fn same(&self, other: &Self) -> bool {
        let values =
            |field: &Self| -> BTreeSet<String> { field.values.iter().flatten().cloned().collect() };
        self.name == other.name
            && self.kind == other.kind
            && values(self) == values(other)
            && same(self.fields.as_deref(), other.fields.as_deref())
    }
}

fn same(one: Option<&[Field]>, other: Option<&[Field]>) -> bool {
    let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
    let by_name: BTreeMap<&str, &Field> = other.iter().map(|f| (f.name.as_str(), f)).collect();
    let same = |field: &Field| by_name.get(field.name.as_str()).is_some_and(|o| field.same(o));
    one.len() == other.len() && one.iter().all(same)
}

/// Whether both have the same fields, in any order.
pub(super) fn same_fields(one: &[Field], other: &[Field]) -> bool {
    same(Some(one), Some(other))
}

/// Reads a version: a number, or a text.
pub(super) fn is_version(version: &Value) -> bool {
    match version {
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        _ => false,
    }
}

/// Compares versions as dotted numbers, missing parts as 0.
pub(super) fn compare(one: &Value, other: &Value) -> Ordering {
    let parts = |version: &Value| -> Vec<u64> {
        let text = shown(version);
        text.split('.').map(|part| part.parse().unwrap_or_default()).collect()
    };
    let (one, other) = (parts(one), parts(other));
    let part = |parts: &[u64], at: usize| parts.get(at).copied().unwrap_or_default();
    let longest = one.len().max(other.len());
    let orders = (0..longest).map(|at| part(&one, at).cmp(&part(&other, at)));
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The version without quotes.
pub(super) fn shown(version: &Value) -> String {
    match version {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is wrong with the fields of a definition, if anything is.
pub(super) fn wrong(fields: &[Field], depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return Some(format!("fields are nested deeper than {MAX_DEPTH}"));
    }
    let mut names = BTreeSet::new();
    for field in fields {
        let name = &field.name;
        let element = field.kind.strip_prefix("array<").and_then(|kind| kind.strip_suffix('>'));
        let is_scalar = SCALARS.contains(&element.unwrap_or(&field.kind));
        if !names.insert(name) {
            return Some(format!("there are two fields [{name}]"));
        }
        if !is_scalar && !field.is_object() && field.kind != "enum" {
            return Some(format!("the type [{}] of field [{name}] is unknown", field.kind));
        }
        if field.kind == "enum" && field.values.as_ref().is_none_or(Vec::is_empty) {
            return Some(format!("the enum [{name}] has no values"));
        }
        match &field.fields {
            None if field.is_object() => return Some(format!("the object [{name}] has no fields")),
            None => {}
            Some(fields) => {
                if let Some(inner) = wrong(fields, depth + 1) {
                    return Some(inner);
                }
            }
        }
    }
    None
}

/// What is wrong with a payload, one by one.
pub(super) fn errors(fields: &[Field], payload: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    match payload {
        Value::Object(object) => check("", fields, object, &mut errors),
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                match element {
                    Value::Object(object) => {
                        check(&format!("[{at}]."), fields, object, &mut errors)
                    }
                    _ => errors.push(format!("[{at}] must be an object")),
                }
            }
        }
        _ => errors.push("the payload must be an object or an array of objects".into()),
    }
    errors.truncate(MAX_ERRORS);
    errors
}

fn check(at: &str, fields: &[Field], object: &Map<String, Value>, errors: &mut Vec<String>) {
    for field in fields {
        if errors.len() >= MAX_ERRORS {
            return;
        }
        let path = format!("{at}{}", field.name);
        let inner = field.fields.as_deref().unwrap_or_default();
        match (field.kind.as_str(), object.get(&field.name)) {
            // Nothing is known of fields that must be there.
            (_, None | Some(Value::Null)) => {}
            ("object", Some(Value::Object(object))) => {
                check(&format!("{path}."), inner, object, errors);
            }
            ("enum", Some(Value::String(text))) => {
                if !field.values.iter().flatten().any(|value| value == text) {
                    errors.push(format!("{path} must be one of the values of its enum"));
                }
            }
            (kind, Some(Value::Array(elements))) if kind.starts_with("array<") => {
                let kind = kind.trim_start_matches("array<").trim_end_matches('>');
                for (n, element) in elements.iter().enumerate() {
                    if errors.len() >= MAX_ERRORS {
                        return;
                    }
                    match (kind, element) {
                        ("object", Value::Object(object)) => {
                            check(&format!("{path}[{n}]."), inner, object, errors);
                        }
                        (kind, element) if fits(kind, element) => {}
                        _ => errors.push(format!("{path}[{n}] must be of type {kind}")),
                    }
                }
            }
            (kind, Some(value)) if fits(kind, value) => {}
            (kind, Some(_)) => errors.push(format!("{path} must be of type {kind}")),
        }
    }
}

fn fits(kind: &str, value: &Value) -> bool {
    match (kind, value) {
        ("string", Value::String(_)) | ("float", Value::Number(_)) => true,
        ("integer", Value::Number(number)) => {
            number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        ("date", Value::String(text)) => is_date(text),
        _ => false,
    }
}

/// `YYYY-MM-DDTHH:mm:ssZ`, perhaps with a fraction of a second.
fn is_date(text: &str) -> bool {
    let Some((date, time)) = text.strip_suffix('Z').and_then(|text| text.split_once('T')) else {
        return false;
    };
    let (time, fraction) =
        time.split_once('.').map_or((time, "0"), |(time, digits)| (time, digits));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let part = |text: &str, length: usize| -> Option<u32> {
        (text.len() == length && is_number(text)).then(|| text.parse().ok()).flatten()
    };
    let date: Vec<&str> = date.split('-').collect();
    let time: Vec<&str> = time.split(':').collect();
    let ([year, month, day], [hour, minute, second]) = (date.as_slice(), time.as_slice()) else {
        return false;
    };
    let in_range = |text: &str, low: u32, high: u32| {
        part(text, 2).is_some_and(|number| (low..=high).contains(&number))
    };
    let Some(number) = part(year, 4) else { return false };
    let leap = number % 4 == 0 && (number % 100 != 0 || number % 400 == 0);
    let last = match *month {
        "02" if leap => 29,
        "02" => 28,
        "04" | "06" | "09" | "11" => 30,
        _ => 31,
    };
    in_range(month, 1, 12)
        && in_range(day, 1, last)
        && in_range(hour, 0, 23)
        && in_range(minute, 0, 59)
        && in_range(second, 0, 60)
        && is_number(fraction)
}
