//! One case of a property: a random schema, loaded by both sides, and random messages of it.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{Arc, LazyLock},
};

use proptest::{collection, prelude::*, test_runner::RngSeed};
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, MessageDescriptor,
    prost_types::{FileDescriptorProto, FileDescriptorSet},
};
use transom::{
    schema::{MessageIndex, Schema, compile_protos},
    status::{FieldViolation, VIOLATION_LIMIT},
    transcoding::{JsonError, ReadOptions, RequestBody, RestRequest, Transcoder, WriteOptions},
};

use super::{
    choices::{Choices, words},
    json::Json,
    message::random_wire,
    schema::{MESSAGES, WELL_KNOWN, WELL_KNOWN_FILES, random_files},
    show::{hex, pseudo_proto},
    slots::slots,
};

/// `cases` where nothing is said of it, and as many more as `PROPTEST_CASES` is more than 256.
///
/// Always the same cases, unless `PROPTEST_RNG_SEED` is given: a run that fails can be repeated,
/// so nothing is kept of it in files.
pub(crate) fn config(cases: u32, seed: u64) -> ProptestConfig {
    let given = ProptestConfig::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(seed),
        given => given,
    };
    let cases = (u64::from(cases) * u64::from(given.cases)).div_ceil(256) as u32;
    let max_shrink_iters = 4_000;
    ProptestConfig { cases, rng_seed, max_shrink_iters, failure_persistence: None, ..given }
}

/// A schema and messages, as the words that make them.
pub(crate) struct Case {
    schema: Vec<u64>,
    messages: Vec<Vec<u64>>,
}

/// Cases of this many messages each.
pub(crate) fn cases(messages: RangeInclusive<usize>) -> impl Strategy<Value = Case> {
    (words(1..=32), collection::vec(words(1..=40), messages))
        .prop_map(|(schema, messages)| Case { schema, messages })
}

/// A schema, loaded by both sides.
pub(crate) struct Subject {
    pub(crate) pool: DescriptorPool,
    transcoder: Transcoder,
}

/// A message of a subject's schema.
pub(crate) struct Sample {
    pub(crate) root: MessageDescriptor,
    pub(crate) wire: Vec<u8>,
    /// What else a property has to choose.
    pub(crate) choices: Choices,
}

impl Case {
    pub(crate) fn subject(&self) -> Subject {
        Subject::of_files(&random_files(&self.schema)).unwrap()
    }

    pub(crate) fn samples(&self, subject: &Subject) -> Vec<Sample> {
        let sample = |words: &Vec<u64>| {
            let mut choices = Choices::of(words.first().copied().unwrap_or_default() ^ 1);
            let with_fields: Vec<_> = MESSAGES
                .into_iter()
                .filter(|name| !slots(&subject.message(name)).is_empty())
                .collect();
            let root = match with_fields.is_empty() || choices.one_in(8) {
                true => format!("google.protobuf.{}", choices.pick(&WELL_KNOWN)),
                false => (*choices.pick(&with_fields)).to_owned(),
            };
            let root = subject.message(&root);
            let wire = random_wire(&root, words);
            Sample { root, wire, choices }
        };
        self.messages.iter().map(sample).collect()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", pseudo_proto(&random_files(&self.schema)))?;
        // Where the schema itself is at fault, it is enough to see it.
        let subject = Subject::of_files(&random_files(&self.schema)).ok();
        for Sample { root, wire, .. } in subject.iter().flat_map(|subject| self.samples(subject)) {
            writeln!(f, "{}: {}", root.full_name(), hex(&wire))?;
        }
        Ok(())
    }
}

impl Subject {
    /// The schema of `files` and of the well-known types.
    fn of_files(files: &[FileDescriptorProto]) -> Result<Self, String> {
        static WELL_KNOWN: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let pool = DescriptorPool::global();
            let file = |name: &str| pool.get_file_by_name(name).unwrap();
            let file = WELL_KNOWN_FILES.map(|name| file(name).file_descriptor_proto().clone());
            FileDescriptorSet { file: file.to_vec() }.encode_to_vec()
        });
        let own = FileDescriptorSet { file: files.to_vec() }.encode_to_vec();
        // One set behind another is one set.
        Self::of_bytes([WELL_KNOWN.as_slice(), own.as_slice()].concat())
    }

    /// The schema of a proto file.
    pub(crate) fn of_source(source: &str) -> Self {
        let sources = [("m.proto".to_owned(), source.to_owned())];
        Self::of_bytes(compile_protos(&sources).unwrap().to_vec()).unwrap()
    }

    fn of_bytes(bytes: Vec<u8>) -> Result<Self, String> {
        let pool = DescriptorPool::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
        let schema = Schema::from_descriptor_set(bytes).map_err(|problems| problems.to_string())?;
        let transcoder = Transcoder::new(Arc::new(schema));
        let transcoder = transcoder.map_err(|problems| problems.to_string())?;
        Ok(Self { pool, transcoder })
    }

    pub(crate) fn message(&self, name: &str) -> MessageDescriptor {
        self.pool.get_message_by_name(name).unwrap()
    }

    fn index(&self, message: &MessageDescriptor) -> MessageIndex {
        self.transcoder.schema().message_by_name(message.full_name()).unwrap()
    }

    /// What the transcoder writes of `wire`, as text; what `out` held before must stay.
    pub(crate) fn wire_to_json(
        &self,
        message: &MessageDescriptor,
        wire: &[u8],
        options: &WriteOptions,
    ) -> Result<String, String> {
        let index = self.index(message);
        let json = appended(|out| self.transcoder.wire_to_json(index, wire, options, out));
        let json = json.map_err(|error| {
            assert!(error.offset <= wire.len(), "an offset beyond the input: {error}");
            assert!(!error.message.is_empty(), "an error without a message");
            error.to_string()
        });
        json.map(|json| String::from_utf8(json).expect("what is written is UTF-8"))
    }

    /// What the transcoder writes of `wire`, as a value.
    pub(crate) fn json(
        &self,
        message: &MessageDescriptor,
        wire: &[u8],
        options: &WriteOptions,
    ) -> Result<Json, String> {
        let text = self.wire_to_json(message, wire, options)?;
        Ok(Json::parse(text.as_bytes()).unwrap_or_else(|| panic!("no JSON: {text}")))
    }

    /// What the transcoder reads from `json`. An error must tell something, and where.
    pub(crate) fn json_to_wire(
        &self,
        message: &MessageDescriptor,
        json: &[u8],
        ignore_unknown_fields: bool,
    ) -> Result<Vec<u8>, String> {
        let index = self.index(message);
        let options = ReadOptions { ignore_unknown_fields, ..Default::default() };
        let wire = appended(|out| self.transcoder.json_to_wire(index, json, &options, out));
        self.check_bind(index, json, &options, &wire);
        wire.map_err(|error| {
            assert!(error.offset <= json.len(), "an offset beyond the input: {error}");
            assert!(!error.message.is_empty(), "an error without a message");
            error.to_string()
        })
    }
}

impl Subject {
    /// As a request's body, `json` is the same message, or has that fault among others.
    fn check_bind(
        &self,
        input: MessageIndex,
        json: &[u8],
        options: &ReadOptions,
        read: &Result<Vec<u8>, JsonError>,
    ) {
        if json.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let body = RequestBody::Message(json);
        let request = RestRequest { input, path: &[], query: &[], body, mask: None, resume: None };
        let mut wire = Vec::new();
        match (read, self.transcoder.bind(&request, options, &mut wire)) {
            (Ok(read), Ok(())) => assert!(*read == wire, "a body is another message"),
            (Err(first), Err(violations)) => {
                let described = format!("{} (at byte {} of the body)", first.message, first.offset);
                let is_first =
                    |v: &FieldViolation| v.field == first.path && v.description == described;
                assert!(violations.iter().any(is_first), "{first} is not among {violations:?}");
                assert!(violations.len() <= VIOLATION_LIMIT + 1, "{}", violations.len());
                for (index, violation) in violations.iter().enumerate() {
                    assert!(!violations[..index].contains(violation), "{violation:?} twice");
                }
            }
            (read, bound) => panic!("{read:?} and {bound:?} of one text"),
        }
    }
}

/// Runs `write` on a buffer that holds something, which must be there afterwards, and nothing
/// else where it failed.
fn appended<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Vec<u8>, E> {
    const BEFORE: &[u8] = b"\x00{\"before\xff";
    let mut out = BEFORE.to_vec();
    let result = write(&mut out);
    assert!(out.starts_with(BEFORE), "what the buffer held is not there any more");
    assert!(result.is_ok() || out == BEFORE, "a failure has left something in the buffer");
    result.map(|()| out.split_off(BEFORE.len()))
}
