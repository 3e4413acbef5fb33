//! Reads a view's text.

use serde_json::Value;

use super::{
    Item, Path, View, What,
    condition::{Condition, Operator},
};

/// Longest text of a view in bytes, and how deep its conditions may lie in each other.
const LONGEST: usize = 8 << 10;
const DEPTH: usize = 32;

/// Reads a view.
pub(in crate::rtm) fn parse(text: &str) -> Result<View, String> {
    if text.len() > LONGEST {
        return Err(format!("the view has more than {LONGEST} bytes"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let view = parser.view()?;
    match parser.next() {
        None => Ok(view),
        Some(token) => Err(format!("{token:?} was not expected here")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A name or a keyword.
    Word(String),
    /// A name in back-quotes, which is no keyword.
    Name(String),
    Text(String),
    Number(f64),
    Sign(&'static str),
}

const SIGNS: [&str; 13] = ["!=", "<>", "<=", ">=", "=", "<", ">", "*", ",", ".", "(", ")", ";"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '`' => quoted(rest, '`').map(|(name, after)| (Token::Name(name), after))?,
            '\'' => quoted(rest, '\'').map(|(text, after)| (Token::Text(text), after))?,
            '0'..='9' | '-' => {
                let part = |c: char| !c.is_ascii_digit() && !"+-.eE".contains(c);
                let (number, after) = rest.split_at(rest.find(part).unwrap_or(rest.len()));
                let number = number.parse().map_err(|_| format!("{number} is no number"))?;
                (Token::Number(number), after)
            }
            first if first.is_alphabetic() || "_$".contains(first) => {
                let part = |c: char| !c.is_alphanumeric() && !"_$-:/".contains(c);
                let (word, after) = rest.split_at(rest.find(part).unwrap_or(rest.len()));
                (Token::Word(word.to_owned()), after)
            }
            first => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| format!("{first:?} was not expected here"))?;
                (Token::Sign(sign), rest.get(sign.len()..).unwrap_or_default())
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// Reads up to the closing quote; two of them stand for one.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut read = String::new();
    let mut rest = text.get(1..).unwrap_or_default();
    loop {
        let (part, after) = rest.split_once(quote).ok_or("a quote is not closed")?;
        read.push_str(part);
        match after.strip_prefix(quote) {
            Some(after) => {
                read.push(quote);
                rest = after;
            }
            None => return Ok((read, after)),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn view(&mut self) -> Result<View, String> {
        self.expect("select")?;
        let items = if self.takes_sign("*") { None } else { Some(self.list(Self::item)?) };
        self.expect("from")?;
        let channel = self.name()?;
        let condition = match self.takes("where") {
            true => Some(self.any(0)?),
            false => None,
        };
        let group_by = match self.takes("group") {
            true => {
                self.expect("by")?;
                self.list(Self::path)?
            }
            false => Vec::new(),
        };
        let _end = self.takes_sign(";");
        Ok(View { channel, items, condition, group_by })
    }

    fn item(&mut self) -> Result<Item, String> {
        let (what, name) = if self.takes("count") {
            for sign in ["(", "*", ")"] {
                self.expect_sign(sign)?;
            }
            (What::Count, "count".to_owned())
        } else {
            let path = self.path()?;
            let name = path.name();
            (What::Field(path), name)
        };
        let name = if self.takes("as") { self.name()? } else { name };
        Ok(Item { what, name })
    }

    fn path(&mut self) -> Result<Path, String> {
        let mut names = vec![self.name()?];
        while self.takes_sign(".") {
            names.push(self.name()?);
        }
        Ok(Path(names))
    }

    fn list<T>(&mut self, one: fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut all = vec![one(self)?];
        while self.takes_sign(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn any(&mut self, depth: usize) -> Result<Condition, String> {
        let mut any = vec![self.all(depth)?];
        while self.takes("or") {
            any.push(self.all(depth)?);
        }
        Ok(Condition::Any(any))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, String> {
        let mut all = vec![self.one(depth)?];
        while self.takes("and") {
            all.push(self.one(depth)?);
        }
        Ok(Condition::All(all))
    }

    fn one(&mut self, depth: usize) -> Result<Condition, String> {
        if depth >= DEPTH {
            return Err("the condition is nested too deep".to_owned());
        }
        if self.takes_sign("(") {
            let inner = self.any(depth + 1)?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        let path = self.path()?;
        let operator = self.operator()?;
        Ok(Condition::Compare(path, operator, self.literal()?))
    }

    fn operator(&mut self) -> Result<Operator, String> {
        if self.takes("like") {
            return Ok(Operator::Like);
        }
        Ok(match self.next() {
            Some(Token::Sign("=")) => Operator::Equal,
            Some(Token::Sign("!=" | "<>")) => Operator::NotEqual,
            Some(Token::Sign("<")) => Operator::Less,
            Some(Token::Sign("<=")) => Operator::LessOrEqual,
            Some(Token::Sign(">")) => Operator::Greater,
            Some(Token::Sign(">=")) => Operator::GreaterOrEqual,
            other => return Err(format!("a comparison was expected, not {other:?}")),
        })
    }

    fn literal(&mut self) -> Result<Value, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text.into()),
            Some(Token::Number(number)) => Ok(number.into()),
            Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                "null" => Ok(Value::Null),
                _ => Err(format!("a value was expected, not {word}")),
            },
            other => Err(format!("a value was expected, not {other:?}")),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(name) | Token::Name(name)) if !name.is_empty() => Ok(name),
            other => Err(format!("a name was expected, not {other:?}")),
        }
    }

    fn expect(&mut self, keyword: &str) -> Result<(), String> {
        match self.takes(keyword) {
            true => Ok(()),
            false => Err(format!("{keyword} was expected")),
        }
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), String> {
        match self.takes_sign(sign) {
            true => Ok(()),
            false => Err(format!("{sign} was expected")),
        }
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let word = self.tokens.get(self.at);
        let found = matches!(word, Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(found);
        found
    }

    fn takes_sign(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(sign)) if *sign == wanted);
        self.at += usize::from(found);
        found
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_view_is_refused_with_a_reason() {
        for text in [
            "",
            "select",
            "select * from",
            "select from c",
            "select a, from c",
            "insert into c",
            "select * from c where",
            "select * from c where a",
            "select * from c where a = b",
            "select * from c where a = 'open",
            "select * from c where (a = 1",
            "select * from c group zone",
            "select count(a) from c",
            "select * from c extra",
            "select * from c where a ~ 1",
            "select * from c where a = 1-2-3",
        ] {
            assert!(!parse(text).unwrap_err().is_empty(), "{text}");
        }
        let deep = format!("select * from c where {}a = 1{}", "(".repeat(99), ")".repeat(99));
        assert!(parse(&deep).is_err());
        assert!(parse(&format!("select * from {}", "x".repeat(9000))).is_err());
    }

    #[test]
    fn channels_may_be_quoted_and_have_dashes() {
        for (text, channel) in [
            ("select * from big-data", "big-data"),
            ("select * from `a b``c`;", "a b`c"),
            ("Select * From selections", "selections"),
        ] {
            assert_eq!(parse(text).unwrap().channel, channel);
        }
    }
}
