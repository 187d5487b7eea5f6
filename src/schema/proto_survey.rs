//! What can be looked at of `.proto` sources that do not compile. The compiler stops at the first
//! fault; an undefined type is put aside and the rest compiled again, so that one typing error does
//! not hide every other problem.

use bytes::Bytes;
use prost::Message as _;
use protox::file::File;

use super::{
    Problem, Problems,
    builtin::{compiler, problem},
    descriptor_set::FileDescriptorSet,
};

/// How many rounds are made: each puts one type aside.
const ROUNDS: usize = 32;
/// What a method has, for the compiler, in place of a type that is not defined.
const PLACEHOLDER: &str = "TransomUndefinedType";
/// `TYPE_BYTES`: what a field of an undefined type is taken for.
const BYTES: i32 = 12;

/// The `FileDescriptorSet` of `.proto` sources as far as they compile, and what is wrong with them:
/// to be looked at by [`Schema::survey`](super::Schema::survey), which tells of methods whose types
/// are not defined. None, if something is wrong that cannot be put aside.
pub fn survey_protos(sources: &[(String, String)]) -> (Option<Bytes>, Problems) {
    let sources: Vec<_> = sources.iter().map(|(n, s)| (n.as_str(), s.as_str())).collect();
    let (mut changed, mut methods) = (Vec::new(), Vec::new());
    let (mut of_fields, mut of_methods) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut compiler = compiler(&sources, &changed);
        let mut hopeless = Vec::new();
        let mut is_changed = false;
        for (name, _) in &sources {
            let Err(error) = compiler.open_file(name) else { continue };
            let problem = problem(&error);
            match undefined(&problem, &sources, &changed) {
                Some((file, undefined)) => {
                    changed.retain(|known: &File| known.name() != file.name());
                    match undefined {
                        Undefined::Field => of_fields.push(problem),
                        Undefined::Method(method) => {
                            methods.push(method);
                            of_methods.push(problem);
                        }
                    }
                    changed.push(file);
                    is_changed = true;
                    break;
                }
                None => hopeless.push(problem),
            }
        }
        if is_changed {
            continue;
        }
        if hopeless.is_empty() {
            let set = with_names(&compiler.encode_file_descriptor_set(), &methods);
            return (Some(set), sorted(of_fields));
        }
        return (None, sorted([of_fields, of_methods, hopeless].concat()));
    }
    (None, sorted([of_fields, of_methods].concat()))
}

/// What uses a type that is not defined.
enum Undefined {
    /// It goes on as bytes.
    Field,
    /// It goes on with [`PLACEHOLDER`].
    Method(UndefinedMethod),
}

struct UndefinedMethod {
    file: String,
    /// Of the service in its file, and of the method in its service.
    place: (usize, usize),
    is_input: bool,
    /// As it is written.
    type_name: String,
}

/// The file that `problem` is in, without the undefined type that it tells of; None if it tells of
/// something else.
fn undefined(
    problem: &Problem,
    sources: &[(&str, &str)],
    changed: &[File],
) -> Option<(File, Undefined)> {
    let position = problem.position.as_ref().filter(|_| problem.message.starts_with("name '"))?;
    let (line, column) = position.line_column?;
    let begins = [i32::try_from(line).ok()? - 1, i32::try_from(column).ok()? - 1];
    let file = match changed.iter().find(|file| file.name() == position.file) {
        Some(file) => file.clone(),
        None => {
            let (name, source) = sources.iter().find(|(name, _)| *name == position.file)?;
            File::from_source(name, source).ok()?
        }
    };
    let mut proto = file.file_descriptor_proto().clone();
    let locations = proto.source_code_info.clone()?.location;
    let starts_there = |span: &[i32]| span.starts_with(&begins);
    let mut paths = locations.iter().filter(|found| starts_there(&found.span)).map(|l| &l.path[..]);
    let (path, part) = paths.find_map(|path| match path {
        [6, _, 2, _, part @ (2 | 3)] | [4, .., 2, _, part @ 6] => Some((path, *part)),
        _ => None,
    })?;
    let number = |at: usize| usize::try_from(*path.get(at)?).ok();
    if part == 6 {
        // A message, those in it, and the field: each a kind and a number.
        let mut message = proto.message_type.get_mut(number(1)?)?;
        let field_at = path.len() - 2;
        for at in (3..field_at).step_by(2) {
            message = message.nested_type.get_mut(number(at)?)?;
        }
        let field = message.field.get_mut(number(field_at)?)?;
        (field.type_name, field.r#type) = (None, Some(BYTES));
        return Some((proto.into(), Undefined::Field));
    }
    let (service, place) = (number(1)?, number(3)?);
    let method = proto.service.get_mut(service)?.method.get_mut(place)?;
    let is_input = part == 2;
    let r#type = if is_input { &mut method.input_type } else { &mut method.output_type };
    let type_name = r#type.replace(PLACEHOLDER.to_owned())?;
    let method = UndefinedMethod {
        file: position.file.clone(),
        place: (service, place),
        is_input,
        type_name,
    };
    if !proto.message_type.iter().any(|message| message.name() == PLACEHOLDER) {
        // Last, where it moves nothing that has a place in the source.
        proto.message_type.push(Default::default());
        proto.message_type.last_mut()?.name = Some(PLACEHOLDER.to_owned());
    }
    Some((proto.into(), Undefined::Method(method)))
}

/// The set with the types that are not defined as they are written.
fn with_names(set: &[u8], methods: &[UndefinedMethod]) -> Bytes {
    if methods.is_empty() {
        return Bytes::copy_from_slice(set);
    }
    let mut set = FileDescriptorSet::decode(set).unwrap_or_default();
    for file in &mut set.file {
        for UndefinedMethod { place: (service, method), is_input, type_name, .. } in
            methods.iter().filter(|method| method.file == file.name)
        {
            let method = file.service.get_mut(*service).and_then(|s| s.method.get_mut(*method));
            if let Some(method) = method {
                let r#type =
                    if *is_input { &mut method.input_type } else { &mut method.output_type };
                r#type.clone_from(type_name);
            }
        }
        file.message_type.retain(|message| message.name != PLACEHOLDER);
    }
    set.encode_to_vec().into()
}

fn sorted(mut problems: Vec<Problem>) -> Problems {
    problems.sort();
    problems.dedup();
    Problems(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Exposure, Schema};

    fn survey(sources: &[(&str, &str)]) -> (Option<Schema>, Vec<String>) {
        let sources: Vec<_> =
            sources.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let (set, Problems(mut problems)) = survey_protos(&sources);
        let schema = set.and_then(|set| {
            let (schema, Problems(found)) = Schema::survey(set, &Exposure::default());
            problems.extend(found);
            schema
        });
        (schema, sorted(problems).to_string().lines().map(str::to_owned).collect())
    }

    const A: &str = "syntax = \"proto3\";\npackage a;\nservice S {\n  rpc A(M) returns (Nope);\n  \
                     rpc B(stream Neither) returns (M);\n  rpc C(M) returns (M);\n}\n\
                     message M {\n  Missing x = 1;\n  message N { repeated o.Missing y = 1; }\n}\n";

    #[test]
    fn undefined_types_are_put_aside_and_told_together() {
        let (schema, problems) = survey(&[("a.proto", A)]);
        assert_eq!(
            problems,
            [
                "a.proto:4:21: `A` uses the unknown type `Nope`",
                "a.proto:5:16: `B` uses the unknown type `Neither`",
                "a.proto:9:3: name 'Missing' is not defined",
                "a.proto:10:24: name 'o.Missing' is not defined",
            ]
        );
        let schema = schema.unwrap();
        let methods: Vec<_> = schema.services()[0].methods.iter().map(|m| &m.name[..]).collect();
        assert_eq!(methods, ["C"]);
        assert!(schema.message_by_name("a.TransomUndefinedType").is_none());
        assert!(schema.message(schema.message_by_name("a.M").unwrap()).field("x").is_some());
    }

    #[test]
    fn what_cannot_be_put_aside_is_told_of_every_file() {
        let broken = "syntax = \"proto3\";\nmessage X {\n  string x = 1 }";
        let importing = "syntax = \"proto3\";\nimport \"broken.proto\";\nimport \"none.proto\";\n";
        let lost = "syntax = \"proto3\";\nimport \"none.proto\";\n";
        let sources =
            [("a.proto", A), ("broken.proto", broken), ("c.proto", importing), ("d.proto", lost)];
        let (schema, problems) = survey(&sources);
        assert!(schema.is_none());
        let places: Vec<_> = problems.iter().map(|p| p.split(": ").next().unwrap()).collect();
        let expected = [
            "a.proto:4:21",
            "a.proto:5:16",
            "a.proto:9:3",
            "a.proto:10:24",
            "broken.proto:3:16",
            "d.proto:2:1",
        ];
        assert_eq!(places, expected, "{problems:#?}");
    }

    #[test]
    fn what_compiles_is_as_it_was() {
        let sources = [("m.proto".to_owned(), "syntax = \"proto3\"; message M {}".to_owned())];
        let (set, problems) = survey_protos(&sources);
        assert_eq!((set, problems.0), (crate::schema::compile_protos(&sources).ok(), Vec::new()));
    }
}
