//! Path templates: `/v1/{name=shelves/*/books/*}:publish`.
//!
//! The grammar is the one of `google/api/http.proto`:
//!
//! ```text
//! Template  = "/" Segments [ Verb ] ;
//! Segments  = Segment { "/" Segment } ;
//! Segment   = "*" | "**" | LITERAL | Variable ;
//! Variable  = "{" FieldPath [ "=" Segments ] "}" ;
//! FieldPath = IDENT { "." IDENT } ;
//! Verb      = ":" LITERAL ;
//! ```
//!
//! Where it leaves room: `**` stands at most once, matches zero or more segments, and may be
//! followed by others; variables do not nest; a colon is a verb only in the last segment.

use std::fmt;

use super::percent_encoding::{self, Slashes};

/// Longer templates are nobody's; a lookup goes as deep as the longest.
const SEGMENT_LIMIT: usize = 256;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    /// The segments, variables flattened into theirs.
    pub segments: Vec<Segment>,
    /// Which segments each variable captures.
    pub variables: Vec<Variable>,
    /// The verb without its colon.
    pub verb: Option<String>,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this, percent-decoded.
    Literal(String),
    /// `*`: any one segment that is not empty.
    Any,
    /// `**`: any number of segments.
    Rest,
}

/// A variable of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The field it binds: `user.name`.
    pub field_path: String,
    /// Its first segment.
    pub start: usize,
    /// Behind its last segment.
    pub end: usize,
    /// Whether it may span several segments, so that `/` in it means something.
    pub is_multi_segment: bool,
}

/// Why a template cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The byte it was found at, from 1.
    pub column: usize,
    /// What was found.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at character {} of the template)", self.message, self.column)
    }
}

impl PathTemplate {
    /// Parses a template.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        let mut parser = Parser {
            template,
            offset: 0,
            parsed: Self { segments: Vec::new(), variables: Vec::new(), verb: None },
        };
        parser.template()?;
        Ok(parser.parsed)
    }

    /// The position of its `**`, if it has one.
    pub(super) fn rest(&self) -> Option<usize> {
        self.segments.iter().position(|segment| *segment == Segment::Rest)
    }
}

struct Parser<'t> {
    template: &'t str,
    offset: usize,
    parsed: PathTemplate,
}

impl Parser<'_> {
    fn template(&mut self) -> Result<(), TemplateError> {
        self.expect('/', "a template begins with /")?;
        self.segments(false)?;
        if self.peek() == Some(':') {
            self.offset += 1;
            let verb = self.take_while(|c| !matches!(c, '/' | ':' | '{' | '}' | '*'));
            if verb.is_empty() {
                return Err(self.error("a verb is empty"));
            }
            let verb = self.literal(verb)?;
            if self.peek() == Some(':') {
                return Err(self.error("there are several verbs"));
            }
            self.parsed.verb = Some(verb);
        }
        match self.peek() {
            None => Ok(()),
            Some('/') => Err(self.error("only the last segment can have a verb")),
            Some(c) => Err(self.error(format!("`{c}` is not expected here"))),
        }
    }

    fn segments(&mut self, in_variable: bool) -> Result<(), TemplateError> {
        loop {
            self.segment(in_variable)?;
            if self.parsed.segments.len() > SEGMENT_LIMIT {
                return Err(self.error(format!("there are more than {SEGMENT_LIMIT} segments")));
            }
            if self.peek() != Some('/') {
                return Ok(());
            }
            self.offset += 1;
        }
    }

    fn segment(&mut self, in_variable: bool) -> Result<(), TemplateError> {
        match self.peek() {
            Some('{') if in_variable => Err(self.error("variables do not nest")),
            Some('{') => self.variable(),
            Some('*') => {
                let stars = self.take_while(|c| c == '*').len();
                let segment = match stars {
                    1 => Segment::Any,
                    2 if self.parsed.rest().is_none() => Segment::Rest,
                    2 => return Err(self.error("`**` can stand only once")),
                    _ => return Err(self.error("`*` and `**` are the only wildcards")),
                };
                self.parsed.segments.push(segment);
                match self.peek() {
                    None | Some('/' | '}' | ':') => Ok(()),
                    Some(_) => Err(self.error("a wildcard is a whole segment")),
                }
            }
            _ => {
                let start = self.offset;
                let text = self.literal_text(in_variable);
                if text.is_empty() {
                    self.offset = start;
                    return Err(self.error("a segment is empty"));
                }
                let literal = self.literal(text)?;
                if literal == "." || literal == ".." {
                    return Err(self.error("`.` and `..` are no segments"));
                }
                self.parsed.segments.push(Segment::Literal(literal));
                Ok(())
            }
        }
    }

    /// The text of a literal. A colon ends it in the last segment, where it begins the verb, and
    /// is a plain character in any other.
    fn literal_text(&mut self, in_variable: bool) -> String {
        let rest = &self.template[self.offset..];
        let is_last = !in_variable && !rest.contains('/');
        self.take_while(|c| !matches!(c, '/' | '{' | '}' | '*') && (!is_last || c != ':'))
    }

    fn variable(&mut self) -> Result<(), TemplateError> {
        self.offset += 1;
        let field_path = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let well_formed =
            |ident: &str| ident.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !field_path.split('.').all(well_formed) {
            return Err(self.error("a variable is named by a field path"));
        }
        if self.parsed.variables.iter().any(|v| v.field_path == field_path) {
            return Err(self.error(format!("`{field_path}` is bound twice")));
        }
        let start = self.parsed.segments.len();
        match self.peek() {
            Some('=') => {
                self.offset += 1;
                self.segments(true)?;
            }
            _ => self.parsed.segments.push(Segment::Any),
        }
        self.expect('}', "a variable ends with }")?;
        match self.peek() {
            None | Some('/' | ':') => {}
            Some(_) => return Err(self.error("a variable is a whole segment")),
        }
        let segments = &self.parsed.segments[start..];
        self.parsed.variables.push(Variable {
            field_path,
            start,
            end: self.parsed.segments.len(),
            is_multi_segment: segments.len() > 1 || segments.contains(&Segment::Rest),
        });
        Ok(())
    }

    fn literal(&self, text: String) -> Result<String, TemplateError> {
        percent_encoding::decode(&text, Slashes::Decode)
            .map(|decoded| decoded.into_owned())
            .map_err(|error| self.error(error.to_string()))
    }

    fn peek(&self) -> Option<char> {
        self.template[self.offset..].chars().next()
    }

    fn expect(&mut self, c: char, message: &str) -> Result<(), TemplateError> {
        if self.peek() != Some(c) {
            return Err(self.error(message));
        }
        self.offset += c.len_utf8();
        Ok(())
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let rest = &self.template[self.offset..];
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.offset += end;
        rest[..end].to_owned()
    }

    fn error(&self, message: impl Into<String>) -> TemplateError {
        TemplateError { column: self.offset + 1, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.to_owned())
    }

    #[test]
    fn flattens_variables_into_their_segments() {
        let template = PathTemplate::parse("/v1/{name=shelves/*/books/**}/x:publish").unwrap();
        assert_eq!(
            template.segments,
            [
                literal("v1"),
                literal("shelves"),
                Segment::Any,
                literal("books"),
                Segment::Rest,
                literal("x")
            ]
        );
        assert_eq!(template.verb.as_deref(), Some("publish"));
        assert_eq!(
            template.variables,
            [Variable { field_path: "name".into(), start: 1, end: 5, is_multi_segment: true }]
        );
    }

    #[test]
    fn a_colon_is_a_verb_in_the_last_segment_only() {
        let template = PathTemplate::parse("/v1/a:b/{x}").unwrap();
        assert_eq!(template.segments, [literal("v1"), literal("a:b"), Segment::Any]);
        assert_eq!(template.verb, None);
        assert!(!template.variables[0].is_multi_segment);
        assert_eq!(PathTemplate::parse("/v1/users:bulk").unwrap().verb.as_deref(), Some("bulk"));
    }

    #[test]
    fn refuses_with_a_column() {
        for (template, column, message) in [
            ("v1", 1, "a template begins with /"),
            ("/", 2, "a segment is empty"),
            ("/v1//x", 5, "a segment is empty"),
            ("/v1/", 5, "a segment is empty"),
            ("/v1/{a={b}}", 8, "variables do not nest"),
            ("/v1/{a}{b}", 8, "a variable is a whole segment"),
            ("/v1/{a", 7, "a variable ends with }"),
            ("/v1/{1a}", 8, "a variable is named by a field path"),
            ("/v1/{a..b}", 10, "a variable is named by a field path"),
            ("/v1/{a}/{a}", 11, "`a` is bound twice"),
            ("/**/**", 7, "`**` can stand only once"),
            ("/***", 5, "`*` and `**` are the only wildcards"),
            ("/v1/*x", 6, "a wildcard is a whole segment"),
            ("/v1/x:", 7, "a verb is empty"),
            ("/v1/x:a:b", 8, "there are several verbs"),
            ("/v1/x%zz", 9, "a % must be followed by two hexadecimal digits"),
            ("/v1/..", 7, "`.` and `..` are no segments"),
            ("/v1/{a}:b/c", 10, "only the last segment can have a verb"),
        ] {
            let error = PathTemplate::parse(template).unwrap_err();
            assert_eq!((error.column, error.message.as_str()), (column, message), "{template}");
        }
        assert!(PathTemplate::parse(&"/a".repeat(SEGMENT_LIMIT)).is_ok());
        let error = PathTemplate::parse(&"/a".repeat(SEGMENT_LIMIT + 1)).unwrap_err();
        assert_eq!(error.message, "there are more than 256 segments");
    }
}
