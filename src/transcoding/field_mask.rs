//! The paths of a `google.protobuf.FieldMask`: `snake_case` on the wire, `lowerCamel` in JSON.

use std::borrow::Cow;

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

/// Appends a path as the wire has it. False where it is none of JSON names.
pub(super) fn put_proto_path(out: &mut Vec<u8>, path: &str) -> bool {
    if path.split('.').any(str::is_empty) {
        return false;
    }
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' => out.extend_from_slice(&[b'_', byte.to_ascii_lowercase()]),
            b'a'..=b'z' | b'0'..=b'9' | b'.' => out.push(byte),
            _ => return false,
        }
    }
    true
}

/// Paths between commas, each `snake_case` one as JSON has it; others are left as they are.
pub(super) fn json_paths(paths: &str) -> Cow<'_, str> {
    if !paths.contains('_') {
        return Cow::Borrowed(paths);
    }
    let mut json = String::with_capacity(paths.len());
    for (number, path) in paths.split(',').enumerate() {
        if number > 0 {
            json.push(',');
        }
        let start = json.len();
        if !put_json_path(&mut json, path) {
            json.truncate(start);
            json.push_str(path);
        }
    }
    Cow::Owned(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_there_and_back_or_are_refused() {
        for (proto, json) in [("a", "a"), ("a_b.c_d", "aB.cD"), ("a1.b", "a1.b")] {
            let (mut there, mut back) = (String::new(), Vec::new());
            assert!(put_json_path(&mut there, proto) && put_proto_path(&mut back, json));
            assert_eq!((there.as_str(), back.as_slice()), (json, proto.as_bytes()));
        }
        for proto in ["aB", "a__b", "a_", "a_1", "a_.b", "a,b", "a_B"] {
            assert!(!put_json_path(&mut String::new(), proto), "{proto}");
        }
        for json in ["a_b", "", "a..b", ".a", "a.", "a+b", "a b", "\u{e9}"] {
            assert!(!put_proto_path(&mut Vec::new(), json), "{json}");
        }
    }

    #[test]
    fn a_url_may_have_either_names() {
        for (paths, json) in [
            ("display_name,address.post_code", "displayName,address.postCode"),
            ("displayName,post_code", "displayName,postCode"),
            ("aB_c,d_e", "aB_c,dE"),
            ("a,b", "a,b"),
        ] {
            assert_eq!(json_paths(paths), json);
        }
    }
}
