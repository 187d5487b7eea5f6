//! YAML, with the place of each value: what a service configuration is read from.
//!
//! Values stay text; what they mean is for whoever reads them. An alias stands for nothing here:
//! it is refused where its value is asked for.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// Deeper documents are nobody's; each level takes stack.
const DEPTH_LIMIT: usize = 64;

/// Line and column, from 1.
pub(super) type LineColumn = (u32, u32);

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: LineColumn,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(String),
    List(Vec<Node>),
    /// Keys that are text, in order; one may stand there twice.
    Map(Vec<(Key, Node)>),
    Alias,
}

/// A key of a map.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) at: LineColumn,
    pub(super) name: String,
}

/// Why a text is no YAML, and where.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) at: LineColumn,
    pub(super) message: String,
}

impl Value {
    /// What it is, for a message that expected something else.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Alias => "an alias",
        }
    }
}

/// Reads the one document of `text`; an empty text is [`Value::Null`].
pub(super) fn parse(text: &str) -> Result<Node, YamlError> {
    let mut loader = Loader { parser: Parser::new_from_str(text), text };
    let mut root = Node { at: (1, 1), value: Value::Null };
    let mut documents = 0;
    loop {
        let (event, at) = loader.next()?;
        match event {
            Event::StreamEnd => return Ok(root),
            Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    let message = "there is a second document: only one is read".to_owned();
                    return Err(YamlError { at, message });
                }
            }
            event => root = loader.node(event, at, 0)?,
        }
    }
}

struct Loader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    text: &'t str,
}

impl<'t> Loader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, LineColumn), YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, line_column(&span.start))),
            Some(Err(error)) => {
                let at = line_column(error.marker());
                let line = self.text.lines().nth(at.0 as usize - 1).unwrap_or_default();
                // The likeliest fault by far: to YAML, a bare `*` is the name of an alias.
                let hint = if line.contains(": *") { "; write \"*\" in quotes" } else { "" };
                Err(YamlError { at, message: format!("{}{hint}", error.info()) })
            }
            None => Ok((Event::StreamEnd, (1, 1))),
        }
    }

    fn node(&mut self, event: Event<'t>, at: LineColumn, depth: usize) -> Result<Node, YamlError> {
        if depth > DEPTH_LIMIT {
            let message = format!("it nests more than {DEPTH_LIMIT} lists and maps");
            return Err(YamlError { at, message });
        }
        let value = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..)
                if matches!(text.as_ref(), "" | "~" | "null") =>
            {
                Value::Null
            }
            Event::Scalar(text, ..) => Value::Scalar(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(list),
                        (event, at) => list.push(self.node(event, at, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut map = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, _) => break Value::Map(map),
                        (Event::Scalar(name, ..), at) => {
                            let key = Key { at, name: name.into_owned() };
                            let (event, at) = self.next()?;
                            map.push((key, self.node(event, at, depth + 1)?));
                        }
                        (_, at) => {
                            let message = "a key must be a text".to_owned();
                            return Err(YamlError { at, message });
                        }
                    }
                }
            }
            _ => Value::Alias,
        };
        Ok(Node { at, value })
    }
}

fn line_column(marker: &Marker) -> LineColumn {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (number(marker.line().max(1)), number(marker.col() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (LineColumn, String) {
        let Err(YamlError { at, message }) = parse(text) else { panic!("it is read") };
        (at, message)
    }

    fn map(node: &Node) -> &[(Key, Node)] {
        let Value::Map(map) = &node.value else { panic!("{}", node.value.noun()) };
        map
    }

    #[test]
    fn each_value_has_its_place() {
        let root = parse("a:\n  - b: x\n    c: {d: \"y\"}\n  -\n    e: 1\n").unwrap();
        let [(key, list)] = map(&root) else { panic!() };
        assert_eq!((key.name.as_str(), key.at), ("a", (1, 1)));
        let Value::List(list) = &list.value else { panic!() };
        let places: Vec<_> = list.iter().map(|node| node.at).collect();
        assert_eq!(places, [(2, 5), (5, 5)]);
        let (key, inner) = &map(&list[0])[1];
        assert_eq!((key.at, inner.at), ((3, 5), (3, 8)));
        assert_eq!(map(inner)[0].1.at, (3, 12));
    }

    #[test]
    fn what_is_no_yaml_is_told_where() {
        assert_eq!(error("a: [1\nb: 2\n").0.0, 2);
        let (at, message) = error("a: 1\nbody: *\n");
        assert!(at.0 == 2 && message.ends_with("write \"*\" in quotes"), "{at:?} {message}");
        assert_eq!(error("--- 1\n--- 2\n").0, (2, 1));
        assert_eq!(error("? [a]\n: b\n").1, "a key must be a text");
        assert!(error(&"[".repeat(100)).1.contains("nests"));
    }

    #[test]
    fn empty_values_and_aliases_are_told_apart_from_texts() {
        for empty in ["", "# nothing\n", "~", "null"] {
            assert!(matches!(parse(empty).map(|n| n.value), Ok(Value::Null)), "{empty}");
        }
        let root = parse("a: &x 1\nb: *x\nc: \"null\"\n").unwrap();
        assert!(matches!(map(&root)[1].1.value, Value::Alias));
        assert!(matches!(&map(&root)[2].1.value, Value::Scalar(text) if text == "null"));
    }
}
