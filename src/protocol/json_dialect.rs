//! The JSON that one caller wants: parameters of the media range in `Accept`, and the query's
//! `$prettyPrint`.
//!
//! ```text
//! Accept: application/json; enums=number; names=proto; defaults=emit; int64=number; pretty=true
//! ```

use http::HeaderMap;

use super::accept;
use crate::{
    status::{Cause, FieldViolation, Refusal},
    transcoding::WriteOptions,
};

/// The query parameter of Google's APIs that asks for indented JSON.
pub const PRETTY_PRINT: &str = "$prettyPrint";

/// What a caller that takes `media` asks of its JSON. A value that a parameter does not have is
/// refused; a parameter that is none of these is not ours, and passed over.
pub fn write_options(headers: &HeaderMap, media: &str) -> Result<WriteOptions, Refusal> {
    let mut options = WriteOptions::default();
    for (name, value) in accept::parameters(headers, media) {
        let is = |yes: &str, no: &str| match value {
            _ if value.eq_ignore_ascii_case(yes) => Ok(true),
            _ if value.eq_ignore_ascii_case(no) => Ok(false),
            _ => {
                let text = format!("{name}={value} in accept: it is {yes} or {no}");
                Err(Refusal::new(Cause::NotAcceptable, text))
            }
        };
        match name.to_ascii_lowercase().as_str() {
            "enums" => options.enum_numbers = is("number", "name")?,
            "names" => options.proto_names = is("proto", "json")?,
            "defaults" => options.emit_defaults = is("emit", "omit")?,
            "int64" => options.int64_numbers = is("number", "string")?,
            "pretty" => options.pretty = is("true", "false")?,
            _ => {}
        }
    }
    Ok(options)
}

/// Whether a `$prettyPrint` of this value asks for indented JSON.
pub fn pretty_print(value: &str) -> Result<bool, FieldViolation> {
    match value {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(FieldViolation {
            field: PRETTY_PRINT.to_owned(),
            description: format!("expected true or false, found {value:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    fn options(accept: &'static str) -> Result<WriteOptions, Refusal> {
        let value = HeaderValue::from_static(accept);
        write_options(&HeaderMap::from_iter([(header::ACCEPT, value)]), "application/json")
    }

    #[test]
    fn parameters_of_the_range_that_counts_are_read() {
        let all = options(
            "text/html, application/json; Enums=number; names=proto; defaults=emit; \
             int64=number; pretty=true; q=0.9; charset=utf-8",
        )
        .unwrap();
        assert!(all.enum_numbers && all.proto_names && all.emit_defaults);
        assert!(all.int64_numbers && all.pretty);
        let none = options("application/json;enums=name;names=\"json\", */*;names=proto").unwrap();
        assert!(!none.enum_numbers && !none.proto_names);
        let error = options("application/json; enums=numbers").unwrap_err();
        assert_eq!(error.cause, Cause::NotAcceptable);
        assert!(error.status.message.contains("enums=numbers in accept: it is number or name"));
    }

    #[test]
    fn pretty_print_is_a_truth() {
        assert_eq!(
            ["", "true", "1", "false", "0"].map(|v| pretty_print(v).unwrap()),
            [true, true, true, false, false]
        );
        assert!(pretty_print("yes").is_err());
    }
}
