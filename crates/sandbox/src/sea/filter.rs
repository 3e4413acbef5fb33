//! Filter expressions of tokens.

use serde_json::Value;

/// Expressions inside each other, at most.
const MAX_DEPTH: usize = 64;

/// What cannot be evaluated: the message is not delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unknown;

/// What `filter` leaves of a payload: of a batch, the elements that pass.
pub(super) fn pass(filter: &Value, stream: &str, payload: &Value) -> Option<Value> {
    let passes = |message: &Value| {
        evaluate(filter, stream, message, 0).is_ok_and(|result| is_truthy(&result))
    };
    match payload {
        Value::Array(elements) => {
            let left: Vec<Value> = elements.iter().filter(|e| passes(e)).cloned().collect();
            (!left.is_empty()).then_some(Value::Array(left))
        }
        message => passes(message).then(|| message.clone()),
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn evaluate(node: &Value, stream: &str, message: &Value, depth: usize) -> Result<Value, Unknown> {
    let kind = node.get("t").and_then(Value::as_str).ok_or(Unknown)?;
    if depth > MAX_DEPTH {
        return Err(Unknown);
    }
    let of = |node: &Value| evaluate(node, stream, message, depth + 1);
    let inner = node.get("e");
    let nodes = || inner.and_then(Value::as_array).ok_or(Unknown);
    match (kind, inner) {
        ("string", Some(value)) if value.is_string() => Ok(value.clone()),
        ("number", Some(value)) if value.is_number() => Ok(value.clone()),
        ("bool", Some(value)) if value.is_boolean() => Ok(value.clone()),
        ("null", _) => Ok(Value::Null),
        ("path", Some(Value::String(path))) => at(message, path).cloned().ok_or(Unknown),
        ("meta", Some(Value::String(name))) if name == "streamName" => Ok(stream.into()),
        ("eq", _) => match nodes()?.as_slice() {
            [one, other] => Ok(same(&of(one)?, &of(other)?).into()),
            _ => Err(Unknown),
        },
        ("and", _) => {
            for node in nodes()? {
                if !is_truthy(&of(node)?) {
                    return Ok(false.into());
                }
            }
            Ok(true.into())
        }
        ("or", _) => {
            for node in nodes()? {
                if is_truthy(&of(node)?) {
                    return Ok(true.into());
                }
            }
            Ok(false.into())
        }
        ("not", Some(Value::Array(nodes))) => match nodes.as_slice() {
            [node] => Ok((!is_truthy(&of(node)?)).into()),
            _ => Err(Unknown),
        },
        ("not", Some(node)) => Ok((!is_truthy(&of(node)?)).into()),
        _ => Err(Unknown),
    }
}

/// Numbers by what they are worth, everything else by what it is.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        _ => one == other,
    }
}

/// `$.a.b[1]`, or `a.b[1]`.
fn at<'a>(message: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path.strip_prefix('$').unwrap_or(path);
    let mut found = message;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        if !name.is_empty() {
            found = found.get(name)?;
        }
        for index in indices.split('[').skip(1) {
            found = found.get(index.strip_suffix(']')?.parse::<usize>().ok()?)?;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_evaluated_does_not_pass() {
        let message = json!({"a": {"b": [1, 2.0]}, "s": "x", "zero": 0, "none": null});
        let path = |path: &str| json!({"t": "path", "e": path});
        let eq = |a: Value, b: Value| json!({"t": "eq", "e": [a, b]});
        let two = json!({"t": "number", "e": 2});
        for (filter, passes) in [
            (eq(path("$.a.b[1]"), two.clone()), true),
            (eq(path("a.b[0]"), two.clone()), false),
            (eq(json!({"t": "meta", "e": "streamName"}), json!({"t": "string", "e": "s1"})), true),
            (eq(path("none"), json!({"t": "null"})), true),
            (path("zero"), false),
            (path("s"), true),
            (path("missing"), false),
            (json!({"t": "not", "e": path("missing")}), false),
            (json!({"t": "not", "e": [path("zero")]}), true),
            (json!({"t": "or", "e": [path("s"), path("missing")]}), true),
            (json!({"t": "or", "e": [path("missing"), path("s")]}), false),
            (json!({"t": "and", "e": []}), true),
            (json!({"t": "or", "e": []}), false),
            (json!({"t": "meta", "e": "other"}), false),
            (json!({"t": "nonsense"}), false),
            (json!(7), false),
        ] {
            assert_eq!(pass(&filter, "s1", &message).is_some(), passes, "{filter}");
        }
        let batch = json!([{"s": 1}, {"s": 0}, {"t": 1}]);
        assert_eq!(pass(&path("s"), "s1", &batch), Some(json!([{"s": 1}])));
        assert_eq!(pass(&path("t"), "s1", &json!([{"s": 1}])), None);
    }
}
