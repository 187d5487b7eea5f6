//! What is wrong with a schema, and where: `users.proto:42:7: …`.

use std::fmt;

/// A place in a proto source: line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file's path as the compiler was given it.
    pub file: String,
    /// Line and column, where the descriptors carry source information.
    pub line_column: Option<(u32, u32)>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line_column {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// One thing that keeps a schema from being served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is, if it is somewhere.
    pub position: Option<Position>,
    /// What it is.
    pub message: String,
}

impl Problem {
    pub(crate) fn at(position: &Position, message: impl Into<String>) -> Self {
        Self { position: Some(position.clone()), message: message.into() }
    }

    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into() }
    }
}

/// Every problem of a schema: building is all-or-nothing, and says all it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some(position) = &problem.position {
                write!(f, "{position}: ")?;
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
