//! A walk over CBOR without taking it apart: where each item begins and ends.

use std::borrow::Cow;

use serde::Deserialize;
use serde_cbor::{Deserializer, de::SliceRead};

use super::DEPTH;

/// Reads items one after the other. `None` everywhere means that what follows is not
/// what was asked for; nothing can be read after it.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// The lists and maps around what is passed; kept, so that a message costs none.
    levels: Vec<Items>,
}

/// What a head announces (RFC 8949, 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Head {
    major: u8,
    /// `None` for a length that is not told.
    argument: Option<u64>,
}

/// What is left of a list or a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items(Option<u64>);

/// How deep an item may be that is passed.
const PASSED: usize = 10_000;

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;
const BREAK: u8 = 0xff;

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, levels: Vec::new() }
    }

    /// What was not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Enters a map; [`more`](Self::more) then counts its entries.
    pub(super) fn map(&mut self) -> Option<Items> {
        self.enter(MAP)
    }

    /// Enters a list.
    pub(super) fn list(&mut self) -> Option<Items> {
        self.enter(LIST)
    }

    fn enter(&mut self, major: u8) -> Option<Items> {
        let mut head = self.head()?;
        // Tags say how to take what follows; messages are taken as they are.
        for _ in 0..DEPTH {
            if head.major != TAG {
                break;
            }
            head = self.head()?;
        }
        (head.major == major).then_some(Items(head.argument))
    }

    /// Whether there is one more item; takes the end of a list of untold length.
    pub(super) fn more(&mut self, items: &mut Items) -> Option<bool> {
        match &mut items.0 {
            Some(0) => Some(false),
            Some(left) => {
                *left -= 1;
                Some(true)
            }
            None if *self.rest.first()? == BREAK => {
                self.rest = self.rest.get(1..)?;
                Some(false)
            }
            None => Some(true),
        }
    }

    /// Reads one item.
    pub(super) fn value<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut reader = Deserializer::<SliceRead<'a>>::from_slice(self.rest);
        let value = T::deserialize(&mut reader).ok()?;
        self.rest = self.rest.get(reader.byte_offset()..)?;
        Some(value)
    }

    pub(super) fn text(&mut self) -> Option<Cow<'a, str>> {
        // The library would take a byte string for a text.
        match self.rest.first()? >> 5 {
            TEXT | TAG => self.value::<Text<'a>>().map(|Text(text)| text),
            _ => None,
        }
    }

    /// Passes one item, and returns its bytes: without recursion, so that no stack is
    /// too small for it.
    pub(super) fn item(&mut self) -> Option<&'a [u8]> {
        let all = self.rest;
        self.levels.clear();
        loop {
            if let Some(inner) = self.pass_head()? {
                // What is too deep for whoever decodes it is his to find: it costs nobody
                // the connection.
                if self.levels.len() >= PASSED {
                    return None;
                }
                self.levels.push(inner);
            }
            // What was passed may have been the last of its level, and of those around.
            loop {
                let Some(mut level) = self.levels.pop() else {
                    return all.get(..all.len() - self.rest.len());
                };
                if self.more(&mut level)? {
                    self.levels.push(level);
                    break;
                }
            }
        }
    }

    /// Passes a head and what belongs to it; returns what is inside, if there is
    /// something.
    fn pass_head(&mut self) -> Option<Option<Items>> {
        let first = *self.rest.first()?;
        let Head { major, argument } = self.head()?;
        match (major, argument) {
            (BYTES | TEXT, argument) => self.pass_string(major, argument).map(|()| None),
            (LIST, argument) => Some(Some(Items(argument))),
            (MAP, Some(entries)) => Some(Some(Items(Some(entries.checked_mul(2)?)))),
            // Keys and values alternate until the break; one without the other is found
            // by whoever decodes.
            (MAP, None) => Some(Some(Items(None))),
            (TAG, Some(_)) => Some(Some(Items(Some(1)))),
            (0 | 1, Some(_)) => Some(None),
            // False, true, null, undefined, and numbers with a fraction.
            (SIMPLE, Some(_)) if matches!(first & 31, 20..=23 | 25..=27) => Some(None),
            _ => None,
        }
    }

    fn pass_string(&mut self, major: u8, length: Option<u64>) -> Option<()> {
        if let Some(length) = length {
            let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
            if major == TEXT {
                std::str::from_utf8(bytes).ok()?;
            }
            self.rest = rest;
            return Some(());
        }
        // Pieces of told length, of the same kind.
        let mut pieces = Items(None);
        while self.more(&mut pieces)? {
            let head = self.head()?;
            if head.major != major || head.argument.is_none() {
                return None;
            }
            self.pass_string(major, head.argument)?;
        }
        Some(())
    }

    fn head(&mut self) -> Option<Head> {
        let (first, rest) = self.rest.split_first()?;
        let (major, short) = (first >> 5, first & 31);
        let wide = match short {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => 0,
        };
        let (bytes, rest) = rest.split_at_checked(wide)?;
        self.rest = rest;
        let argument = match short {
            0..24 => Some(u64::from(short)),
            24..=27 => Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
            31 => None,
            _ => return None,
        };
        Some(Head { major, argument })
    }
}

/// A text, borrowed where it lies in one piece.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What stands in the way of sending a message as it was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    /// Nothing: lengths are told, keys are texts.
    Plain,
    /// A length is not told, or a key is a number: it can be written anew.
    Loose,
    /// A byte string is the key of a map.
    ByteKey,
    /// Nested deeper than [`DEPTH`].
    Deep,
}

/// A list, a map, or a string in pieces, that is being looked at.
struct Level {
    items: Items,
    is_map: bool,
    /// The next item is a key, if this is a map.
    at_key: bool,
}

impl Level {
    const fn new(major: u8, argument: Option<u64>) -> Self {
        let is_map = major == MAP;
        let items = match argument {
            Some(entries) if is_map => Items(Some(entries.saturating_mul(2))),
            other => Items(other),
        };
        Self { items, is_map, at_key: true }
    }

    /// Begins an item; returns whether it is a key.
    const fn begin(&mut self) -> bool {
        let is_key = self.is_map && self.at_key;
        self.at_key = !self.at_key;
        is_key
    }
}

/// Looks at a message as a serialiser has written it: every item, without recursion.
pub(super) fn shape(message: &[u8]) -> Option<Shape> {
    let mut cursor = Cursor::new(message);
    let mut levels: Vec<Level> = Vec::new();
    let mut shape = Shape::Plain;
    loop {
        let head = cursor.head()?;
        let is_key = levels.last_mut().is_some_and(Level::begin);
        let is_told = head.argument.is_some();
        match head.major {
            BYTES if is_key => return Some(Shape::ByteKey),
            major if is_key && major != TEXT => shape = Shape::Loose,
            BYTES..=MAP if !is_told => shape = Shape::Loose,
            _ => {}
        }
        match (head.major, head.argument) {
            (BYTES | TEXT, Some(length)) => {
                cursor.rest = cursor.rest.get(usize::try_from(length).ok()?..)?;
            }
            (BYTES..=MAP, _) if levels.len() >= DEPTH => return Some(Shape::Deep),
            (BYTES..=MAP, argument) => levels.push(Level::new(head.major, argument)),
            // No serialiser writes these.
            (TAG, _) | (_, None) => return None,
            _ => {}
        }
        // What was read may have been the last of its level, and of those around it.
        loop {
            let Some(level) = levels.last_mut() else { return Some(shape) };
            if cursor.more(&mut level.items)? {
                break;
            }
            levels.pop();
        }
    }
}
