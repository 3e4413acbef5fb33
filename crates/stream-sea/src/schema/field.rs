//! The fields of a schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A field: a name, a type, and what the type needs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Field {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// The values of an enum.
    #[serde(rename = "enum", default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// The fields of an object, or of each object of an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<Self>>,
}

/// The types of fields.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum FieldType {
    /// Any text.
    #[serde(rename = "string")]
    String,
    /// Any number.
    #[serde(rename = "float")]
    Float,
    /// A number without a fraction; `12.0` is one.
    #[serde(rename = "integer")]
    Integer,
    /// A moment in UTC, `YYYY-MM-DDTHH:mm:ssZ`; seconds may have a fraction.
    #[serde(rename = "date")]
    Date,
    /// An array of texts.
    #[serde(rename = "array<string>")]
    StringArray,
    /// An array of numbers.
    #[serde(rename = "array<float>")]
    FloatArray,
    /// An array of numbers without fractions.
    #[serde(rename = "array<integer>")]
    IntegerArray,
    /// An array of moments.
    #[serde(rename = "array<date>")]
    DateArray,
    /// One of the values that are listed.
    #[serde(rename = "enum")]
    Enum,
    /// An object with fields of its own.
    #[serde(rename = "object")]
    Object,
    /// An array of such objects.
    #[serde(rename = "array<object>")]
    ObjectArray,
}

impl FieldType {
    /// Returns the type as the wire has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Date => "date",
            Self::StringArray => "array<string>",
            Self::FloatArray => "array<float>",
            Self::IntegerArray => "array<integer>",
            Self::DateArray => "array<date>",
            Self::Enum => "enum",
            Self::Object => "object",
            Self::ObjectArray => "array<object>",
        }
    }

    const fn has_fields(self) -> bool {
        matches!(self, Self::Object | Self::ObjectArray)
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Field {
    /// A field of a type that needs nothing else. For the others there are
    /// [`one_of`](Self::one_of), [`object`](Self::object) and
    /// [`objects`](Self::objects).
    #[must_use]
    pub fn new(name: impl Into<String>, kind: FieldType) -> Self {
        let fields = kind.has_fields().then(Vec::new);
        Self { name: name.into(), kind, values: None, fields }
    }

    /// One of `values`.
    #[must_use]
    pub fn one_of<V: Into<String>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = Some(values.into_iter().map(Into::into).collect());
        Self { values, ..Self::new(name, FieldType::Enum) }
    }

    /// An object with these fields.
    #[must_use]
    pub fn object(name: impl Into<String>, fields: impl IntoIterator<Item = Self>) -> Self {
        let fields = Some(fields.into_iter().collect());
        Self { fields, ..Self::new(name, FieldType::Object) }
    }

    /// An array of objects with these fields.
    #[must_use]
    pub fn objects(name: impl Into<String>, fields: impl IntoIterator<Item = Self>) -> Self {
        Self { kind: FieldType::ObjectArray, ..Self::object(name, fields) }
    }

    pub(super) fn of(name: &str, kind: FieldType, values: &[&str]) -> Self {
        match kind {
            FieldType::Enum => Self::one_of(name, values.iter().copied()),
            _ => Self::new(name, kind),
        }
    }

    /// Adds `child` below every field called `parent`, this one included.
    pub(super) fn adopt(&mut self, parent: &str, child: &Self) -> usize {
        let below = self.fields.iter_mut().flatten().map(|field| field.adopt(parent, child)).sum();
        if self.name != parent {
            return below;
        }
        self.fields.get_or_insert_default().push(child.clone());
        below + 1
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        let values =
            |field: &Self| -> BTreeSet<String> { field.values.iter().flatten().cloned().collect() };
        let fields = |field: &Self| field.fields.clone().unwrap_or_default();
        self.name == other.name
            && self.kind == other.kind
            && values(self) == values(other)
            && same_set(&fields(self), &fields(other))
    }
}

/// Whether both have the same fields, in any order.
pub(super) fn same_set(one: &[Field], other: &[Field]) -> bool {
    let by_name: BTreeMap<&str, &Field> = other.iter().map(|f| (f.name.as_str(), f)).collect();
    let same = |field: &Field| by_name.get(field.name.as_str()).is_some_and(|o| field == *o);
    one.len() == other.len() && one.iter().all(same)
}

pub(super) fn check(path: &str, fields: &[Field]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for field in fields {
        let path = match path {
            "" => field.name.clone(),
            path => format!("{path}.{}", field.name),
        };
        let wrong = |reason: &str| Err(Error::misuse("schema", format!("{path}: {reason}")));
        if field.name.is_empty() {
            return wrong("a field has a name");
        }
        if !names.insert(&field.name) {
            return wrong("there are two fields of this name");
        }
        let values = field.values.as_deref().unwrap_or_default();
        if field.kind == FieldType::Enum && values.is_empty() {
            return wrong("an enum has values");
        }
        if field.kind.has_fields() && field.fields.is_none() {
            return wrong("an object has fields");
        }
        check(&path, field.fields.as_deref().unwrap_or_default())?;
    }
    Ok(())
}
