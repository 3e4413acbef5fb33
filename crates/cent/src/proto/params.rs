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
        let (nested, plain): (Vec<_>, Vec<_>) =
            self.fields.iter().partition(|(name, _)| name.contains('.'));
        let mut members: Vec<String> =
            plain.iter().map(|(name, value)| member(name, value)).collect();
        let mut objects: Vec<(&str, Vec<String>)> = Vec::new();
        for (name, value) in nested {
            let (object, field) = name.split_once('.').unwrap_or((name, ""));
            let field = member(field, value);
            match objects.iter_mut().find(|(found, _)| *found == object) {
                Some((_, fields)) => fields.push(field),
                None => objects.push((object, vec![field])),
            }
        }
        let object = |(name, fields): (&str, Vec<String>)| {
            member(name, &format!("{{{}}}", fields.join(",")))
        };
        members.extend(objects.into_iter().map(object));
        Ok(format!("{{{}}}", members.join(",")))
    }
}

/// One member of an object.
fn member(name: &str, value: &str) -> String {
    format!("{}:{value}", serde_json::Value::from(name))
}

/// Whether a JSON text is an object.
pub(crate) fn is_object(text: &RawValue) -> bool {
    text.get().starts_with('{')
}
