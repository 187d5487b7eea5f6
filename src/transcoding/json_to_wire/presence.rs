//! Whether JSON says anything of a field, be it its default, which leaves no trace on the wire.

use super::{super::Transcoder, ReadOptions, Reader, Stop};
use crate::schema::Field;

impl Transcoder {
    /// Whether `json`, which was read before, has a value other than `null` where the `path` of
    /// fields leads to.
    pub(in crate::transcoding) fn says(
        &self,
        json: &[u8],
        path: &[&Field],
        options: &ReadOptions,
    ) -> bool {
        let mut found = false;
        // What cannot be read says nothing.
        let _ = self.read(json, options, &mut Vec::new(), |reader| {
            found = reader.says(path)?;
            Ok(())
        });
        found
    }
}

impl Reader<'_> {
    /// Reads a value; whether there is one at the end of `path` in it.
    fn says(&mut self, path: &[&Field]) -> Result<bool, Stop> {
        let [field, inner @ ..] = path else {
            let is_null = self.peek() == b'n';
            return self.skip_value().map(|()| !is_null);
        };
        if self.peek() != b'{' {
            return self.skip_value().map(|()| false);
        }
        self.open(b'{', "an object")?;
        let mut found = false;
        if self.is_empty(b'}') {
            return Ok(found);
        }
        loop {
            let key = self.object_key()?;
            let key = self.text(key);
            let is_it = key == field.json_name.as_bytes() || key == field.name.as_bytes();
            self.colon()?;
            if is_it {
                found |= self.says(inner)?;
            } else {
                self.skip_value()?;
            }
            if !self.more(b'}')? {
                return Ok(found);
            }
        }
    }
}
