//! JSON for people: the compact text, indented.

/// Indents what is in `out` from `start` on, valid JSON without blanks, by two spaces a level.
/// False where `out` would become longer than `limit`.
pub(super) fn indent(out: &mut Vec<u8>, start: usize, limit: usize) -> bool {
    let compact = out.split_off(start);
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (at, &byte) in compact.iter().enumerate() {
        if out.len() > limit {
            return false;
        }
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                // An empty one stays on its line.
                if compact.get(at + 1) != Some(&(byte + 2)) {
                    new_line(out, depth);
                }
            }
            b'}' | b']' => {
                depth -= 1;
                if compact.get(at.wrapping_sub(1)) != Some(&(byte - 2)) {
                    new_line(out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
    out.len() <= limit
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_what_serde_json_writes() {
        for json in
            ["{}", "[]", "1", r#""{[,:\"\\""#, r#"{"a":[],"b":{},"c":[1,"x",{"d":"\\"}],"e":null}"#]
        {
            let mut out = b"before".to_vec();
            out.extend_from_slice(json.as_bytes());
            assert!(super::indent(&mut out, 6, 1_000));
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            let pretty = format!("before{}", serde_json::to_string_pretty(&value).unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), pretty);
        }
    }
}
