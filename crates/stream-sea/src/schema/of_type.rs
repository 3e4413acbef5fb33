//! Schemas of Rust types, by way of their JSON Schema.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use super::field::{Field, FieldType};
use crate::error::Error;

/// Objects inside each other, at most: types that contain themselves have no end.
const MAX_DEPTH: usize = 32;

pub(super) fn fields<T: JsonSchema>() -> Result<Vec<Field>, Error> {
    let schema = SchemaSettings::default().into_generator().into_root_schema_for::<T>();
    let root = schema.to_value();
    let reader = Reader { root: &root };
    reader.fields("", reader.resolve("", &root)?, 0)
}

struct Reader<'s> {
    root: &'s Value,
}

impl<'s> Reader<'s> {
    /// What a schema is in the end: references are followed, and nothing beside
    /// something does not count.
    fn resolve(&self, path: &str, mut schema: &'s Value) -> Result<&'s Value, Error> {
        for _ in 0..MAX_DEPTH {
            let inner = schema.get("anyOf").and_then(Value::as_array);
            let reference = schema.get("$ref").and_then(Value::as_str);
            schema = match (reference, inner.map(Vec::as_slice)) {
                // A type inside itself.
                (Some("#"), _) => return Ok(self.root),
                (Some(reference), _) => reference
                    .strip_prefix("#/$defs/")
                    .and_then(|name| self.root.get("$defs")?.get(name))
                    .ok_or_else(|| wrong(path, "it refers to what is not there"))?,
                (None, Some([one, null])) if is_null(null) => one,
                _ => return Ok(schema),
            };
        }
        Err(wrong(path, "it refers to itself"))
    }

    fn fields(&self, path: &str, schema: &'s Value, depth: usize) -> Result<Vec<Field>, Error> {
        if depth > MAX_DEPTH {
            return Err(wrong(path, "it contains itself"));
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.ok_or_else(|| wrong(path, "it is no object with fields"))?;
        let field = |(name, schema): (&String, &'s Value)| self.field(path, name, schema, depth);
        properties.iter().map(field).collect()
    }

    fn field(
        &self,
        path: &str,
        name: &str,
        schema: &'s Value,
        depth: usize,
    ) -> Result<Field, Error> {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let schema = self.resolve(&path, schema)?;
        if let Some(values) = names(schema) {
            return Ok(Field::one_of(name, values));
        }
        match kind(schema) {
            Some("object") => Ok(Field::object(name, self.fields(&path, schema, depth + 1)?)),
            Some("array") => {
                let items = schema.get("items").ok_or_else(|| wrong(&path, "what is in it?"))?;
                let items = self.resolve(&path, items)?;
                match (kind(items), scalar(items)) {
                    _ if names(items).is_some() => {
                        Err(wrong(&path, "there are no arrays of enums"))
                    }
                    (Some("object"), _) => {
                        Ok(Field::objects(name, self.fields(&path, items, depth + 1)?))
                    }
                    (_, Some(FieldType::String)) => Ok(Field::new(name, FieldType::StringArray)),
                    (_, Some(FieldType::Float)) => Ok(Field::new(name, FieldType::FloatArray)),
                    (_, Some(FieldType::Integer)) => Ok(Field::new(name, FieldType::IntegerArray)),
                    (_, Some(FieldType::Date)) => Ok(Field::new(name, FieldType::DateArray)),
                    _ => Err(wrong(&path, "there is no such array")),
                }
            }
            _ => match scalar(schema) {
                Some(kind) => Ok(Field::new(name, kind)),
                None => Err(wrong(&path, "there is no type for it")),
            },
        }
    }
}

fn is_null(schema: &Value) -> bool {
    kind(schema) == Some("null")
}

/// The type; of a type or nothing, the type.
fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => match kinds.as_slice() {
            [Value::String(kind), Value::String(null)] if null == "null" => Some(kind),
            _ => None,
        },
        _ => None,
    }
}

fn scalar(schema: &Value) -> Option<FieldType> {
    match kind(schema)? {
        "string" if schema.get("format").is_some_and(|f| f == "date-time") => Some(FieldType::Date),
        "string" => Some(FieldType::String),
        "number" => Some(FieldType::Float),
        "integer" => Some(FieldType::Integer),
        _ => None,
    }
}

/// The names of an enum without contents; with a text on each they are apart.
fn names(schema: &Value) -> Option<Vec<String>> {
    let texts = |values: &Vec<Value>| -> Option<Vec<String>> {
        let some = values.iter().filter(|value| !value.is_null());
        some.map(|value| value.as_str().map(str::to_owned)).collect()
    };
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return texts(values);
    }
    let variants = schema.get("oneOf").and_then(Value::as_array)?;
    let name = |variant: &Value| -> Option<Vec<String>> {
        let variant: &Map<String, Value> = variant.as_object()?;
        match (variant.get("const"), variant.get("enum")) {
            (Some(name), _) => Some(vec![name.as_str()?.to_owned()]),
            (None, Some(Value::Array(values))) => texts(values),
            _ => None,
        }
    };
    variants.iter().map(name).collect::<Option<Vec<_>>>().map(|all| all.concat())
}

fn wrong(path: &str, reason: &str) -> Error {
    let path = if path.is_empty() { "the type" } else { path };
    Error::misuse("schema", format!("{path}: {reason}"))
}

#[cfg(test)]
mod tests {
    #![allow(dead_code, reason = "types that are only looked at")]

    use std::collections::BTreeMap;

    use schemars::JsonSchema;

    use crate::schema::{Field, FieldType, SchemaDefinition};

    #[derive(JsonSchema)]
    enum Quality {
        #[schemars(rename = "good")]
        Good,
        /// With a text of its own.
        #[schemars(rename = "suspect")]
        Suspect,
    }

    #[derive(JsonSchema)]
    struct Position {
        lat: f64,
        lon: Option<f32>,
    }

    #[derive(JsonSchema)]
    struct Gauge {
        code: String,
    }

    #[derive(JsonSchema)]
    struct Tide {
        station: String,
        level: f64,
        sequence: u32,
        #[schemars(extend("format" = "date-time"))]
        taken: String,
        quality: Option<Quality>,
        history: Vec<f64>,
        position: Option<Position>,
        gauges: Vec<Gauge>,
    }

    #[test]
    fn a_type_makes_what_the_builder_makes() {
        let built = SchemaDefinition::new("tides", "1.0.0")
            .field(Field::new("station", FieldType::String))
            .field(Field::new("level", FieldType::Float))
            .field(Field::new("sequence", FieldType::Integer))
            .field(Field::new("taken", FieldType::Date))
            .field(Field::one_of("quality", ["good", "suspect"]))
            .field(Field::new("history", FieldType::FloatArray))
            .field(Field::object(
                "position",
                [Field::new("lat", FieldType::Float), Field::new("lon", FieldType::Float)],
            ))
            .field(Field::objects("gauges", [Field::new("code", FieldType::String)]));
        assert_eq!(SchemaDefinition::of::<Tide>("tides", "1.0.0").unwrap(), built);
    }

    #[derive(JsonSchema)]
    struct Inner<T> {
        inner: T,
    }

    #[derive(JsonSchema)]
    struct Endless {
        next: Option<Box<Self>>,
    }

    #[test]
    fn what_has_no_type_is_named() {
        fn refused<T: JsonSchema>(path: &str) {
            let error = SchemaDefinition::of::<T>("s", 1).unwrap_err().to_string();
            assert!(error.starts_with(path), "{error}");
        }
        refused::<bool>("the type");
        refused::<Inner<bool>>("inner");
        refused::<Inner<BTreeMap<String, f64>>>("inner");
        refused::<Inner<Vec<Vec<f64>>>>("inner");
        refused::<Inner<Vec<Quality>>>("inner");
        refused::<Inner<Inner<bool>>>("inner.inner");
        refused::<Endless>("next.next");
    }
}
