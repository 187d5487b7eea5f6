//! Where declarations stand in their source, and the comments above them.

use std::collections::HashMap;

use super::{Position, descriptor_set};

/// Where the parts of a file stand, by their path in its descriptor.
pub(super) struct SourceMap<'d> {
    file: &'d str,
    locations: HashMap<&'d [i32], &'d descriptor_set::SourceLocation>,
}

impl<'d> SourceMap<'d> {
    pub(super) fn new(file: &'d descriptor_set::FileDescriptor) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let locations = locations.map(|location| (location.path.as_slice(), location)).collect();
        Self { file: &file.name, locations }
    }

    pub(super) fn find(&self, path: &[i32]) -> Option<Position> {
        self.position_of(self.locations.get(path)?)
    }

    /// The first place of what is at `path` or inside it: an option may be written in parts.
    pub(super) fn find_inside(&self, path: &[i32]) -> Option<Position> {
        let inside = self.locations.iter().filter(|(found, _)| found.starts_with(path));
        inside.filter_map(|(_, location)| self.position_of(location)).min()
    }

    fn position_of(&self, location: &descriptor_set::SourceLocation) -> Option<Position> {
        let span = &location.span;
        let (&line, &column) = (span.first()?, span.get(1)?);
        let line_column = (u32::try_from(line).ok()? + 1, u32::try_from(column).ok()? + 1);
        Some(Position { file: self.file.to_owned(), line_column: Some(line_column) })
    }

    /// The comment above a declaration, lines trimmed.
    pub(super) fn comment(&self, path: &[i32]) -> String {
        let comment = self.locations.get(path).map_or("", |location| &location.leading_comments);
        comment.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    pub(super) fn position(&self, path: &[i32]) -> Position {
        let nowhere = || Position { file: self.file.to_owned(), line_column: None };
        self.find(path).unwrap_or_else(nowhere)
    }
}
