//! A field's value written as text, in a path or a query: text in, an encoded field out.
//!
//! What a text may say is what JSON may say in quotes, and is read by the same reader.

use super::{
    ReadOptions, Transcoder, field_mask,
    form::Form,
    json_text,
    plan::FieldPlan,
    wire::{self, put_delimited},
};
use crate::schema::{Kind, MessageIndex};

impl Transcoder {
    /// Appends one element of `field`, its key included. The error says what was expected, and
    /// leaves `out` as before.
    pub(super) fn text_to_wire(
        &self,
        field: &FieldPlan,
        text: &str,
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        if field.kind == Kind::String {
            put_delimited(field.number, text.as_bytes(), out);
            return Ok(());
        }
        let json = self.json_of_text(field, text)?;
        let options = ReadOptions { ignore_unknown_fields: false, ..options.clone() };
        let read = self.read(json.as_bytes(), &options, out, |reader| {
            reader.value(field, field.tag, false).map(|_| ())
        });
        read.map_err(|error| error.message)
    }

    /// Whether JSON has the fields of a message as keys, so that a path can go through it.
    pub(super) fn is_object(&self, message: MessageIndex) -> bool {
        self.plans.message(message).form == Form::Object
    }

    /// The JSON that a text stands for.
    fn json_of_text(&self, field: &FieldPlan, text: &str) -> Result<String, String> {
        Ok(match field.kind {
            Kind::Bool if !matches!(text, "true" | "false") => {
                return Err(format!("expected true or false, found {}", quote(text)));
            }
            Kind::Bool => text.to_owned(),
            // A number is one, and anything else is a name.
            Kind::Enum(_)
                if text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                    && text.parse::<f64>().is_ok() =>
            {
                text.to_owned()
            }
            Kind::Message(message) | Kind::Group(message) => {
                let plan = self.plans.message(message);
                match plan.form {
                    Form::Wrapper => self.json_of_text(&plan.fields[0], text)?,
                    Form::Timestamp | Form::Duration => quote(text),
                    // What a URL says may be the names of the proto as well.
                    Form::FieldMask => quote(&field_mask::json_paths(text)),
                    Form::Struct | Form::Value | Form::ListValue => text.to_owned(),
                    Form::Object | Form::Any | Form::Empty => {
                        return Err(format!("{} is a message: name one of its fields", plan.name));
                    }
                }
            }
            _ => quote(text),
        })
    }
}

/// Whether an encoded scalar field is at its default: nothing but zeros behind the key.
pub(super) fn is_default(field: &[u8]) -> bool {
    let mut value = 0;
    wire::tag(field, &mut value).is_some() && field[value..].iter().all(|&byte| byte == 0)
}

fn quote(text: &str) -> String {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    json_text::put_str(&mut quoted, text);
    String::from_utf8(quoted).unwrap_or_default()
}
