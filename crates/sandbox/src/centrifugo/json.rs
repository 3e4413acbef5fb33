//! JSON as the servers read and write it.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A value is not of the kind that its place wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct WrongType;

/// An object: names in any case, unknown ones never looked at, `null` the same
/// as nothing.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, WrongType> {
        let all: Option<BTreeMap<String, Box<RawValue>>> =
            serde_json::from_str(text).map_err(|_| WrongType)?;
        let lower = |(name, value): (String, _)| (name.to_ascii_lowercase(), value);
        Ok(Self(all.unwrap_or_default().into_iter().map(lower).collect()))
    }

    /// The field, or what is nothing for its kind.
    pub(super) fn get<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, WrongType> {
        let Some(raw) = self.0.get(name) else { return Ok(T::default()) };
        let value: Option<T> = serde_json::from_str(raw.get()).map_err(|_| WrongType)?;
        Ok(value.unwrap_or_default())
    }

    pub(super) fn text(&self, name: &str) -> Result<String, WrongType> {
        self.get(name)
    }

    /// The field as it was written, `null` included.
    pub(super) fn raw(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(AsRef::as_ref)
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, WrongType> {
        match self.raw(name).filter(|raw| raw.get() != "null") {
            Some(raw) => Self::parse(raw.get()).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Writes `value` as the servers do: without spaces, and with the characters
/// escaped that mean something in a page.
pub(super) fn write<T: Serialize + ?Sized>(value: &T) -> String {
    compact(&serde_json::to_string(value).unwrap_or_default())
}

/// Takes the spaces between the parts of `json` away, and escapes inside texts.
pub(super) fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut inside, mut escaped) = (false, false);
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            ' ' | '\t' | '\r' | '\n' if !inside => {}
            c => out.push(c),
        }
        inside ^= c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacts_between_texts_and_escapes_in_them() {
        let told = r#"{ "a" : [ 1.0 , "x y\" <" , "\\" , " " ] }"#;
        assert_eq!(compact(told), r#"{"a":[1.0,"x y\" \u003c","\\"," "]}"#);
    }

    #[test]
    fn names_are_read_in_any_case_and_null_is_nothing() {
        let fields = Fields::parse(r#"{"Channel":"a","limit":null,"data":null}"#).unwrap();
        assert_eq!(fields.text("channel"), Ok("a".into()));
        assert_eq!(fields.get::<i32>("limit"), Ok(0));
        assert_eq!(fields.raw("data").map(RawValue::get), Some("null"));
        assert_eq!(fields.get::<bool>("channel"), Err(WrongType));
        assert!(Fields::parse("[]").is_err());
        assert!(!Fields::parse("null").unwrap().has("channel"));
    }
}
