//! The body of a request: a whole message, or one field of it.

use super::{super::Transcoder, JsonError, Present, ReadOptions, Reader, Stop};
use crate::{
    schema::{FieldPath, MessageIndex},
    transcoding::plan::FieldPlan,
};

impl Transcoder {
    /// Appends the encoding of the message that `json` is, or whose one set field, `field`, it is;
    /// and tells what was there. Of a body with faults, `out` gets what is in order, if anything,
    /// and the faults are those that are told and one more if there are more.
    pub(in crate::transcoding) fn body_to_wire(
        &self,
        message: MessageIndex,
        field: Option<&FieldPath>,
        json: &[u8],
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<Option<Present>, Vec<JsonError>> {
        let plan = match field {
            None => None,
            Some(path) => match self.leaf_plan(path) {
                Some(plan) => Some(plan),
                None => return Ok(None),
            },
        };
        let read = self.read(json, options, out, |reader| {
            reader.reserve();
            reader.body(message, plan)?;
            Ok(reader.present())
        });
        read.map_err(|first| {
            let mut faults =
                self.json_faults(json, options, first, out, |reader| reader.body(message, plan));
            if let Some(path) = field {
                let name = &path.leaf(self.schema()).json_name;
                faults.iter_mut().for_each(|fault| put_outer(name, &mut fault.path));
            }
            faults
        })
    }
}

impl<'a, const COLLECTS: bool> Reader<'a, COLLECTS> {
    fn body(&mut self, message: MessageIndex, field: Option<&'a FieldPlan>) -> Result<(), Stop> {
        match field {
            None => self.message(message),
            Some(field) => self.field(field).map(|_| ()),
        }
    }
}

/// Puts the name of the body's field in front of a path in it.
fn put_outer(name: &str, path: &mut String) {
    let separator = if path.is_empty() || path.starts_with('[') { "" } else { "." };
    *path = format!("{name}{separator}{path}");
}
