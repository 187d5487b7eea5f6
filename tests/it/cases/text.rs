//! What a case's text stands for: `<>` is what `each` puts there, `<ab*3>` is `ababab`.

use serde_json::Value;

/// Longer runs than this are no case, but a slip of the pen.
const REPEAT_LIMIT: usize = 100_000;

pub(super) fn expand(text: &str, each: &str) -> String {
    let text = text.replace("<>", each);
    let mut expanded = String::new();
    let mut rest = text.as_str();
    while let Some((before, from)) = rest.split_once('<') {
        expanded.push_str(before);
        let run = from.split_once('>').and_then(|(run, behind)| {
            let (what, times) = run.rsplit_once('*')?;
            Some((what, times.parse().ok().filter(|n| *n < REPEAT_LIMIT)?, behind))
        });
        rest = match run {
            Some((what, times, behind)) => {
                expanded.push_str(&what.repeat(times));
                behind
            }
            None => {
                expanded.push('<');
                from
            }
        };
    }
    expanded + rest
}

/// The same in JSON; a string that is `<>` alone becomes `each` itself.
pub(super) fn expand_json(json: &Value, each: &Value) -> Value {
    let text = |text: &str| expand(text, each.as_str().unwrap_or_default());
    match json {
        Value::String(all) if all == "<>" => each.clone(),
        Value::String(part) => text(part).into(),
        Value::Array(elements) => elements.iter().map(|e| expand_json(e, each)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| (text(name), expand_json(value, each));
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

/// The bytes of a text in which `\xff` is a byte.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

/// Whether two JSON texts say the same: `100` and `1e2` do.
pub(super) fn equal(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| equal(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => found == expected,
    }
}

/// Whether `found` has at least the members of `part`, at every level of objects.
pub(super) fn has(found: &Value, part: &Value) -> bool {
    match (found, part) {
        (Value::Object(found), Value::Object(part)) => {
            part.iter().all(|(name, part)| found.get(name).is_some_and(|found| has(found, part)))
        }
        _ => equal(found, part),
    }
}

#[test]
fn texts_stand_for_others() {
    assert_eq!(expand("a<>b<xy*2><z>", "1"), "a1bxyxy<z>");
    assert_eq!(bytes("a\\xffb"), b"a\xffb");
    assert_eq!(
        expand_json(&serde_json::json!({"a": "<>"}), &7.into()),
        serde_json::json!({"a": 7})
    );
    let found = serde_json::json!({"a": {"b": 1, "c": 2}, "d": 3});
    assert!(has(&found, &serde_json::json!({"a": {"b": 1}})));
    assert!(equal(&serde_json::json!([1.0, {"a": 2}]), &serde_json::json!([1, {"a": 2.0}])));
    assert!(!equal(&serde_json::json!({"a": 1}), &serde_json::json!({"a": 1, "b": 1})));
    assert!(!has(&found, &serde_json::json!({"a": {"b": 2}})));
}
