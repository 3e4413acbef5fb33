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
    /// Sets a field; a field `a.b` becomes `b` of an object `a`.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => match self.fields.iter_mut().find(|(found, _)| *found == name) {
                Some((_, old)) => *old = text,
                None => self.fields.push((name, text)),
            },
            Err(error) => {
                self.broken.get_or_insert_with(|| format!("{name} has no JSON form: {error}"));
            }
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|(name, _)| *name)
    }

    /// Whether a text field is there and not empty.
    pub(crate) fn has_text(&self, name: &str) -> bool {
        self.fields.iter().any(|(found, text)| *found == name && text != r#""""#)
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
        let length = self.fields.iter().map(|(name, text)| name.len() + text.len() + 4);
        let mut text = String::with_capacity(length.sum::<usize>() + 16);
        let mut objects: Vec<&str> = Vec::new();
        for (name, value) in &self.fields {
            match name.split_once('.') {
                None => member(&mut text, name, value),
                // All members of an object stand where the first one does.
                Some((object, _)) if objects.contains(&object) => {}
                Some((object, _)) => {
                    objects.push(object);
                    member(&mut text, object, &self.nested(object));
                }
            }
        }
        text.push_str(if text.is_empty() { "{}" } else { "}" });
        Ok(text)
    }

    fn nested(&self, object: &str) -> String {
        let mut text = String::new();
        for (name, value) in &self.fields {
            if let Some((_, field)) = name.split_once('.').filter(|(found, _)| *found == object) {
                member(&mut text, field, value);
            }
        }
        text + "}"
    }
}

/// Adds one member to an object that is not closed yet.
fn member(object: &mut String, name: &str, value: &str) {
    object.push(if object.is_empty() { '{' } else { ',' });
    match name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        true => {
            object.push('"');
            object.push_str(name);
            object.push('"');
        }
        // The application names claims as it likes.
        false => object.push_str(&serde_json::Value::from(name).to_string()),
    }
    object.push(':');
    object.push_str(value);
}

/// Whether a JSON text is an object.
pub(crate) fn is_object(text: &RawValue) -> bool {
    text.get().starts_with('{')
}
