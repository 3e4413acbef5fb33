//! JSON that keeps what it was given: every digit of a number, and the order of keys.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::{self, Write},
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Levels of nesting that are read.
const MAX_DEPTH: usize = 128;

/// A JSON value of a room. Two are the same whatever the order of their keys is; `1`,
/// `1.0` and `true` are not.
///
/// Its text form is that of a High-Templar server: `", "` and `": "` between parts, and
/// everything that is not ASCII escaped.
///
/// # Examples
///
/// ```
/// use high_templar_client::Value;
///
/// let value = Value::parse(r#"{"b":[1,1.50],"a":"é"}"#)?;
/// assert_eq!(value.to_string(), r#"{"b": [1, 1.5], "a": "\u00e9"}"#);
/// # Ok::<(), high_templar_client::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent, of any size, as its digits.
    Integer(String),
    /// Any other number; always finite.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object, its keys in the order that they were given.
    Object(Vec<(String, Self)>),
}

impl Value {
    /// Reads JSON, at most 128 levels deep. Of a key that comes twice the last value
    /// counts.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`](crate::Error::Misuse) with code `json` if it is none, is deeper
    /// than 128 levels, or holds a number beyond the range of a double.
    pub fn parse(text: &str) -> Result<Self, crate::Error> {
        Self::read(text).map_err(|e| crate::Error::misuse("json", e.to_string()))
    }

    fn read(text: &str) -> serde_json::Result<Self> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Self::of(raw, 0)
    }

    fn of(raw: &RawValue, depth: usize) -> serde_json::Result<Self> {
        if depth >= MAX_DEPTH {
            return Err(serde_json::Error::custom("nested deeper than 128 levels"));
        }
        let text = raw.get();
        match text.bytes().next() {
            Some(b'{') => {
                let Fields(fields) = serde_json::from_str(text)?;
                let fields =
                    fields.into_iter().map(|(name, raw)| Ok((name, Self::of(raw, depth + 1)?)));
                fields.collect::<Result<_, _>>().map(Self::Object)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let items = items.into_iter().map(|raw| Self::of(raw, depth + 1));
                items.collect::<Result<_, _>>().map(Self::List)
            }
            Some(b'"') => serde_json::from_str(text).map(Self::Text),
            Some(b'n') => Ok(Self::Null),
            Some(b't') => Ok(Self::Bool(true)),
            Some(b'f') => Ok(Self::Bool(false)),
            _ if text == "-0" => Ok(Self::Integer("0".to_owned())),
            _ if !text.contains(['.', 'e', 'E']) => Ok(Self::Integer(text.to_owned())),
            _ => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Self::Float(number)),
                _ => Err(serde_json::Error::custom("a number beyond the range of a double")),
            },
        }
    }

    /// Whether both are the same to the server's permission check: 1, 1.0 and `true`
    /// are, and 0 and `false`; the order of keys does not count.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_like(b))
            }
            (Self::Object(a), Self::Object(b)) => {
                let of = |name: &str| b.iter().find(|(other, _)| other == name);
                let like = |(name, a): &(String, Self)| of(name).is_some_and(|(_, b)| a.is_like(b));
                a.len() == b.len() && a.iter().all(like)
            }
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.is_equal(b),
                _ => false,
            },
        }
    }

    fn number(&self) -> Option<Number<'_>> {
        match self {
            Self::Bool(true) => Some(Number::Digits("1")),
            Self::Bool(false) => Some(Number::Digits("0")),
            Self::Integer(digits) => Some(Number::Digits(digits)),
            Self::Float(number) => Some(Number::Double(*number)),
            _ => None,
        }
    }

    /// The same with all keys in order.
    pub(super) fn sorted(&self) -> Self {
        match self {
            Self::List(items) => Self::List(items.iter().map(Self::sorted).collect()),
            Self::Object(fields) => Self::Object(sorted(fields)),
            scalar => scalar.clone(),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) | (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => {
                let (a, b) = (in_order(a), in_order(b));
                a.len() == b.len() && a == b
            }
            _ => false,
        }
    }
}

/// Fields by their names, which are there once.
fn in_order(fields: &[(String, Value)]) -> Vec<&(String, Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

/// The same fields, with all keys in order.
pub(super) fn sorted(fields: &[(String, Value)]) -> Vec<(String, Value)> {
    let mut fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.clone(), value.sorted())).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

/// Writes an object as it was given.
pub(super) fn write_fields(out: &mut impl Write, fields: &[(String, Value)]) -> fmt::Result {
    out.write_char('{')?;
    for (at, (name, value)) in fields.iter().enumerate() {
        out.write_str(if at > 0 { ", " } else { "" })?;
        write_text(out, name)?;
        write!(out, ": {value}")?;
    }
    out.write_char('}')
}

#[derive(Clone, Copy)]
enum Number<'a> {
    Digits(&'a str),
    Double(f64),
}

impl Number<'_> {
    fn is_equal(self, other: Self) -> bool {
        match (self, other) {
            (Self::Digits(a), Self::Digits(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => a == b,
            (Self::Digits(digits), Self::Double(double))
            | (Self::Double(double), Self::Digits(digits)) => {
                // Exact: a double without fraction prints all of its digits.
                double.fract() == 0.0 && format!("{:.0}", double + 0.0) == digits
            }
        }
    }
}

/// The fields of an object, each key once.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields: Vec<(String, &RawValue)> = Vec::new();
                let mut places = HashMap::new();
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    match places.entry(name.clone()) {
                        Entry::Vacant(place) => {
                            place.insert(fields.len());
                            fields.push((name, raw));
                        }
                        Entry::Occupied(place) => {
                            if let Some(field) = fields.get_mut(*place.get()) {
                                field.1 = raw;
                            }
                        }
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reading)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(digits) => f.write_str(digits),
            Self::Float(number) => write_float(f, *number),
            Self::Text(text) => write_text(f, text),
            Self::List(items) => {
                f.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    f.write_str(if at > 0 { ", " } else { "" })?;
                    item.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Object(fields) => write_fields(f, fields),
        }
    }
}

/// The shortest digits that mean the number; from 1e16 on, and below 1e-4, with an
/// exponent of a sign and two digits or more.
fn write_float(out: &mut impl Write, number: f64) -> fmt::Result {
    let shortest = format!("{number:?}");
    let Some((digits, exponent)) = shortest.split_once('e') else {
        return out.write_str(&shortest);
    };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    write!(out, "{digits}e{sign}{exponent:0>2}")
}

fn write_text(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\u{8}' => out.write_str("\\b")?,
            '\u{c}' => out.write_str("\\f")?,
            ' '..='~' => out.write_char(c)?,
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.write_char('"')
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number.to_string())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(number.to_string())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Integer(number.to_string())
    }
}
