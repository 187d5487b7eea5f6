//! The paths of a `google.protobuf.FieldMask`: `snake_case` on the wire, `lowerCamel` in JSON.

/// Appends a path as JSON has it. False where the way back would lead to another path.
pub(super) fn put_json_path(out: &mut String, path: &str) -> bool {
    let mut after_underscore = false;
    for c in path.chars() {
        match c {
            'a'..='z' if after_underscore => out.push(c.to_ascii_uppercase()),
            // Only a letter can say that there was an underscore before it.
            _ if after_underscore => return false,
            '_' => {}
            'A'..='Z' | ',' => return false,
            c => out.push(c),
        }
        after_underscore = c == '_';
    }
    !after_underscore
}

/// Appends a path as the wire has it. False where it has a character that no field's JSON name
/// has.
pub(super) fn put_proto_path(out: &mut Vec<u8>, path: &str) -> bool {
    for c in path.chars() {
        match c {
            'A'..='Z' => out.extend_from_slice(&[b'_', c.to_ascii_lowercase() as u8]),
            '_' => return false,
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_there_and_back_or_are_refused() {
        for (proto, json) in [("a", "a"), ("a_b.c_d", "aB.cD"), ("", ""), ("a1.b", "a1.b")] {
            let (mut there, mut back) = (String::new(), Vec::new());
            assert!(put_json_path(&mut there, proto) && put_proto_path(&mut back, json));
            assert_eq!((there.as_str(), back.as_slice()), (json, proto.as_bytes()));
        }
        for proto in ["aB", "a__b", "a_", "a_1", "a_.b", "a,b", "a_B"] {
            assert!(!put_json_path(&mut String::new(), proto), "{proto}");
        }
        assert!(!put_proto_path(&mut Vec::new(), "a_b"));
    }
}
