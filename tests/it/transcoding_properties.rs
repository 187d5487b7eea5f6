//! The transcoder against prost-reflect: random messages of random schemas, both ways.
//!
//! `PROPTEST_CASES=10000 cargo test --test it transcoding_properties` looks longer, and with
//! `PROPTEST_RNG_SEED` elsewhere. Where the two may differ is in `exceptions`.

mod case;
mod choices;
mod corrections;
mod declarations;
mod depth;
mod exceptions;
mod found;
mod garbage;
mod json;
mod message;
mod oracle;
#[cfg(feature = "users")]
mod pbjson;
mod reading;
mod records;
mod respell;
mod schema;
mod show;
mod slots;
mod specified;
mod texts;
mod values;
mod well_known;

use proptest::prelude::*;
use transom::transcoding::WriteOptions;

use case::{Sample, Subject, cases, config};
use choices::Choices;
use exceptions::{Exception, Notes, Ours};
use json::{Json, difference, is_laid_out};

/// What JSON is made of, to damage it with.
const TOKENS: &[u8] = b"{}[]\",:\\0123456789.eE+-ntfu \n\xc3\x80\0";

proptest! {
    #![proptest_config(config(300, 1))]
    #[test]
    fn a_wire_is_written_as_prost_reflect_writes_it(case in cases(1..=4)) {
        let subject = case.subject();
        for mut sample in case.samples(&subject) {
            let options = options(&mut sample.choices);
            check_json(&subject, &sample, &options, |_| {})?;
            check_json(&subject, &sample, &WriteOptions::default(), |_| {})?;
            if let Ok(text) = subject.wire_to_json(&sample.root, &sample.wire, &options) {
                prop_assert!(is_laid_out(&text, options.pretty), "{options:?}\n{text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(config(300, 2))]
    #[test]
    fn a_damaged_wire_is_refused_where_prost_reflect_refuses_it(case in cases(1..=4)) {
        let subject = case.subject();
        for mut sample in case.samples(&subject) {
            let tokens = [0, 1, 2, 5, 0x7f, 0x80, 0xff];
            sample.wire = garbage::damaged(&sample.wire, &tokens, &mut sample.choices);
            let is_long = records::may_have_long_varint(&sample.wire);
            let note = |notes: &mut Notes| if is_long { notes.add(Exception::LongVarint) };
            check_json(&subject, &sample, &WriteOptions::default(), note)?;
        }
    }
}

proptest! {
    #![proptest_config(config(300, 3))]
    #[test]
    fn json_in_any_spelling_is_the_same_message(case in cases(1..=4)) {
        let subject = case.subject();
        for mut sample in case.samples(&subject) {
            let expected = oracle::expected_json(&sample.root, &sample.wire, &WriteOptions::default());
            let Some(json) = expected.certain() else { continue };
            let text = respell::respelled(&sample.root, json, &mut sample.choices);
            let wire = subject.json_to_wire(&sample.root, text.as_bytes(), false);
            let wire = wire.map_err(|error| fail(&format!("refused: {error}"), &sample, &text))?;
            let read = oracle::decode(&sample.root, &wire).map_err(|error| {
                fail(&format!("{error}: {}", show::hex(&wire)), &sample, &text)
            })?;
            prop_assert!(!oracle::has_unknown_fields(&read), "unknown fields: {}", show::hex(&wire));
            let read = oracle::expected_json(&sample.root, &wire, &WriteOptions::default());
            let checked = read.check(&Ok(json.clone()));
            checked.map_err(|problem| fail(&problem, &sample, &text))?;
        }
    }
}

proptest! {
    #![proptest_config(config(600, 4))]
    #[test]
    fn json_that_is_nearly_a_message_is_refused_where_prost_reflect_refuses_it(
        case in cases(1..=4),
    ) {
        let subject = case.subject();
        for mut sample in case.samples(&subject) {
            let json = garbage::nearly(&sample.root, 4, &mut sample.choices).to_string();
            check_reading(&subject, &mut sample, json.as_bytes())?;
        }
    }
}

proptest! {
    #![proptest_config(config(300, 5))]
    #[test]
    fn damaged_json_is_refused_where_prost_reflect_refuses_it(case in cases(1..=4)) {
        let subject = case.subject();
        for mut sample in case.samples(&subject) {
            let options = options(&mut sample.choices);
            let message = oracle::decode(&sample.root, &sample.wire);
            let Ok(json) = message.and_then(|message| oracle::to_json(&message, &options)) else {
                continue;
            };
            let json = json.to_string();
            let json = garbage::damaged(json.as_bytes(), TOKENS, &mut sample.choices);
            check_reading(&subject, &mut sample, &json)?;
        }
    }
}

proptest! {
    #![proptest_config(config(300, 6))]
    #[test]
    fn what_is_written_is_read_and_written_again_alike(case in cases(1..=4)) {
        let subject = case.subject();
        for mut sample in case.samples(&subject) {
            let root = &sample.root;
            let mut options = options(&mut sample.choices);
            // A proto name that is another field's JSON name would be read as that.
            options.proto_names &= !oracle::has_crossed_names(&subject.pool);
            let expected = oracle::expected_json(root, &sample.wire, &options);
            if expected.certain().is_none() {
                continue;
            }
            let Ok(text) = subject.wire_to_json(root, &sample.wire, &options) else { continue };
            let wire = subject.json_to_wire(root, text.as_bytes(), false);
            let wire = wire.map_err(|error| fail(&format!("refused: {error}"), &sample, &text))?;
            let again = subject.json(root, &wire, &options);
            let again = again.map_err(|error| fail(&error, &sample, &text))?;
            let first = Json::parse(text.as_bytes()).unwrap();
            if let Some(difference) = difference(&first, &again, 0) {
                return Err(fail(&difference, &sample, &format!("{text}\n{again}")));
            }
        }
    }
}

/// Checks what the transcoder writes of a sample.
fn check_json(
    subject: &Subject,
    sample: &Sample,
    options: &WriteOptions,
    note: impl FnOnce(&mut Notes),
) -> Result<(), TestCaseError> {
    let mut expected = oracle::expected_json(&sample.root, &sample.wire, options);
    note(&mut expected.notes);
    let ours = subject.json(&sample.root, &sample.wire, options);
    let checked = expected.check(&ours);
    checked.map_err(|problem| fail(&problem, sample, &format!("{options:?}")))
}

/// Checks that the transcoder reads `json` where prost-reflect does, and the same from it.
fn check_reading(subject: &Subject, sample: &mut Sample, json: &[u8]) -> Result<(), TestCaseError> {
    let ignore_unknown_fields = sample.choices.one_in(3);
    let value = Json::parse(json);
    let mut notes = Notes::default();
    match &value {
        Some(value) => notes = reading::notes_of(&sample.root, value),
        // What is ignored is not looked into by everybody.
        None if ignore_unknown_fields => return Ok(()),
        None => {}
    }
    if notes.has(Exception::NullList) {
        return Ok(());
    }
    let ours = subject.json_to_wire(&sample.root, json, ignore_unknown_fields);
    let theirs = oracle::from_json(&sample.root, json, ignore_unknown_fields);
    let problem = match (&ours, &theirs) {
        _ if notes.any(Ours::Open) => None,
        (Ok(_), _) if notes.any(Ours::Refuses) => Some("ours accepts what must be refused"),
        (Err(_), Ok(_)) if !notes.any(Ours::Refuses) => Some("ours refuses, prost-reflect accepts"),
        (Ok(_), Err(_)) if !notes.any(Ours::MayAccept) => {
            Some("ours accepts, prost-reflect refuses")
        }
        (Ok(wire), Ok(theirs)) if notes.is_empty() => {
            let json = |message| oracle::to_json(&message, &WriteOptions::default());
            let ours = oracle::decode(&sample.root, wire).and_then(json);
            let same = match (&ours, &json(theirs.clone())) {
                (Ok(ours), Ok(theirs)) => is_near(ours, theirs),
                (ours, theirs) => ours.is_err() == theirs.is_err(),
            };
            (!same).then_some("ours reads another message")
        }
        _ => None,
    };
    let Some(problem) = problem else { return Ok(()) };
    Err(TestCaseError::fail(format!(
        "{problem}\n  {}: {}\n  ignoring unknown fields: {ignore_unknown_fields}\n  ours          \
         {:?}\n  prost-reflect {:?}\n  exceptions    {notes:?}",
        sample.root.full_name(),
        String::from_utf8_lossy(json),
        ours.map(|wire| show::hex(&wire)),
        theirs.map(|message| message.to_string()),
    )))
}

/// Whether two values differ by no more than prost-reflect's reader does: it may miss a double by
/// some steps (serde_json does, unless told not to), and takes -0.0 for 0 where that means not set.
fn is_near(left: &Json, right: &Json) -> bool {
    difference(&oracle::without_zeros(left), &oracle::without_zeros(right), 16).is_none()
}

fn fail(problem: &str, sample: &Sample, more: &str) -> TestCaseError {
    let Sample { root, wire, .. } = sample;
    TestCaseError::fail(format!("{problem}\n{more}\n{}: {}", root.full_name(), show::hex(wire)))
}

fn options(choices: &mut Choices) -> WriteOptions {
    WriteOptions {
        enum_numbers: choices.one_in(2),
        proto_names: choices.one_in(2),
        emit_defaults: choices.one_in(2),
        pretty: choices.one_in(2),
        int64_numbers: choices.one_in(4),
        ..Default::default()
    }
}
