//! Schemas: what the payloads of a stream look like
//! (docs/protocols/stream-sea.md, 4).

mod date;
mod field;
#[cfg(feature = "schemars")]
mod of_type;
mod validate;
mod version;

use serde::{Deserialize, Serialize};

pub use self::{
    field::{Field, FieldType},
    validate::{Rule, Violation},
    version::Version,
};

use crate::error::Error;

/// The definition of a stream: its name, a version, and the set of its fields.
///
/// Two definitions are equal if they say the same: the order of fields, and of the
/// values of an enum, does not matter, and `1` is the same version as `"1.0"`.
///
/// Wire: `define` and `schema` (docs/protocols/stream-sea.md, 3.4 and 4).
///
/// # Examples
///
/// ```
/// use stream_sea::{Field, FieldType, SchemaDefinition};
///
/// let tides = SchemaDefinition::new("tides", "1.0.0")
///     .field(Field::new("station", FieldType::String))
///     .field(Field::one_of("quality", ["good", "suspect"]))
///     .field(Field::object("position", [
///         Field::new("lat", FieldType::Float),
///         Field::new("lon", FieldType::Float),
///     ]));
/// assert!(tides.validate(&serde_json::json!({"station": "N4", "quality": "good"})).is_ok());
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct SchemaDefinition {
    /// The name, which is that of the stream.
    pub name: String,
    /// The version.
    pub version: Version,
    /// The fields.
    #[serde(default)]
    pub fields: Vec<Field>,
}

impl SchemaDefinition {
    /// A definition without fields.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<Version>) -> Self {
        Self { name: name.into(), version: version.into(), fields: Vec::new() }
    }

    /// The definition of a type, by what serde makes of it.
    ///
    /// Texts with the format `date-time` are dates, enums of names are enums, `Option`
    /// says nothing, for every field may be missing.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `schema`, naming the path, for what Stream-sea has
    /// no type for: booleans, maps, arrays of arrays or of enums, enums with contents,
    /// and types that contain themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// #[derive(schemars::JsonSchema)]
    /// struct Tide { station: String, level: Option<f64> }
    ///
    /// let tides = stream_sea::SchemaDefinition::of::<Tide>("tides", 1)?;
    /// assert_eq!(tides.fields.len(), 2);
    /// # Ok::<(), stream_sea::Error>(())
    /// ```
    #[cfg(feature = "schemars")]
    pub fn of<T: schemars::JsonSchema>(
        name: impl Into<String>,
        version: impl Into<Version>,
    ) -> Result<Self, Error> {
        let fields = of_type::fields::<T>()?;
        Ok(Self { fields, ..Self::new(name, version) })
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Adds a field, as the originals' `add_field`. `enum_values` count for
    /// [`FieldType::Enum`] only.
    pub fn add_field(&mut self, name: &str, kind: FieldType, enum_values: &[&str]) {
        self.fields.push(Field::of(name, kind, enum_values));
    }

    /// Adds a field to every field called `parent`, at any depth, as the originals'
    /// `addChildField`; returns how many there are, 0 for no effect.
    pub fn add_child_field(
        &mut self,
        name: &str,
        kind: FieldType,
        parent: &str,
        enum_values: &[&str],
    ) -> usize {
        let child = Field::of(name, kind, enum_values);
        self.fields.iter_mut().map(|field| field.adopt(parent, &child)).sum()
    }

    /// Checks the definition itself, as a server does when it is defined.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `schema`, naming the path and what is wrong:
    /// an empty name, two fields of one name at one level, an enum without values,
    /// an object without fields.
    pub fn check(&self) -> Result<(), Error> {
        if self.name.is_empty() {
            return Err(Error::misuse("schema", "a schema has a name"));
        }
        field::check("", &self.fields)
    }

    /// Holds `payload`, or each element of it if it is an array, against the
    /// definition. Fields that are missing or `null` are allowed, and so are fields
    /// that the definition does not know.
    ///
    /// # Errors
    ///
    /// Every [`Violation`], at most 100, each with its path and rule.
    pub fn validate<T>(&self, payload: &T) -> Result<(), Vec<Violation>>
    where
        T: Serialize + ?Sized,
    {
        validate::validate(&self.fields, payload)
    }
}

impl PartialEq for SchemaDefinition {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.version == other.version
            && field::same_set(&self.fields, &other.fields)
    }
}

#[cfg(test)]
mod tests;
