//! The parameters of a command, as JSON text: what the application gives is
//! kept to the letter, and goes through no number type on the way.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// Fields in the order in which they are sent.
#[derive(Clone, Debug, Default)]
pub struct Params {
    fields: Vec<(&'static str, String)>,
    /// The first value that has no JSON form, and why.
    broken: Option<String>,
}

impl Params {
    /// Adds a field.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => self.fields.push((name, text)),
            Err(error) => {
                self.broken.get_or_insert_with(|| format!("{name} has no JSON form: {error}"));
            }
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|(name, _)| *name)
    }

    /// Drops the fields that `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl Fn(&'static str) -> bool) {
        self.fields.retain(|(name, _)| keep(name));
    }

    /// One JSON object.
    pub(crate) fn into_object(self) -> Result<String, Error> {
        if let Some(reason) = self.broken {
            return Err(Error::misuse("encode", reason));
        }
        let mut text = String::from("{");
        for (at, (name, value)) in self.fields.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push('"');
            text.push_str(name);
            text.push_str("\":");
            text.push_str(value);
        }
        text.push('}');
        Ok(text)
    }
}

/// Whether a JSON text is an object.
pub(crate) fn is_object(text: &RawValue) -> bool {
    text.get().starts_with('{')
}
