//! The bundled service's messages, against the serde code that pbjson has generated for them.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use proptest::prelude::*;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use transom::{
    schema::Schema,
    transcoding::{ReadOptions, Transcoder, WriteOptions},
    users::{self, v1},
};

use super::{
    case::config,
    json::{Json, difference},
    show::hex,
};

/// Strings of all sorts, some with what JSON escapes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), any::<String>(), "[\\x00-\\x7f]{0,20}"]
}

fn user() -> impl Strategy<Value = v1::User> {
    // What a time can be: the years 1 to 9999.
    let time = (-62_135_596_800..=253_402_300_799_i64, prop_oneof![Just(0), 0..1_000_000_000]);
    let created_at = proptest::option::of(time);
    (text(), text(), text(), 0..=2, created_at).prop_map(|(id, email, name, status, time)| {
        let created_at = time.map(|(seconds, nanos)| pbjson_types::Timestamp { seconds, nanos });
        v1::User { id, email, name, status, created_at }
    })
}

/// Checks both directions of one message.
fn check<M>(name: &str, message: &M) -> Result<(), TestCaseError>
where
    M: Message + Default + Serialize + DeserializeOwned + PartialEq + fmt::Debug,
{
    static TRANSCODER: LazyLock<Transcoder> = LazyLock::new(|| {
        let schema = Schema::from_descriptor_set(users::DESCRIPTOR_SET).unwrap();
        Transcoder::new(Arc::new(schema)).unwrap()
    });
    let transcoder = &*TRANSCODER;
    let index = transcoder.schema().message_by_name(name).unwrap();
    let theirs = serde_json::to_string(message).unwrap();

    let mut ours = Vec::new();
    let wire = message.encode_to_vec();
    transcoder.wire_to_json(index, &wire, &WriteOptions::default(), &mut ours).unwrap();
    let shown = String::from_utf8_lossy(&ours).into_owned();
    // The one known difference: pbjson writes UTC as an offset.
    let zulu = Json::parse(theirs.replace("+00:00\"", "Z\"").as_bytes()).unwrap();
    let difference = difference(&Json::parse(&ours).unwrap(), &zulu, 0);
    prop_assert!(difference.is_none(), "{difference:?}\n{shown}\n{theirs}\n{}", hex(&wire));
    prop_assert_eq!(&serde_json::from_slice::<M>(&ours).unwrap(), message);

    for json in [theirs.as_bytes(), &ours] {
        let mut read = Vec::new();
        transcoder.json_to_wire(index, json, &ReadOptions::default(), &mut read).unwrap();
        prop_assert_eq!(&M::decode(read.as_slice()).unwrap(), message, "{}", hex(&read));
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(100, 11))]
    #[test]
    fn users_are_as_pbjson_has_them(
        user in user(),
        texts in proptest::collection::vec(text(), 3),
        number in any::<i32>(),
    ) {
        check("user.v1.User", &user)?;
        let [first, second, third] = texts.try_into().unwrap();
        let reply = v1::BulkCreateResponse {
            created_count: number,
            user_ids: vec![first.clone(), second.clone()],
        };
        check("user.v1.BulkCreateResponse", &reply)?;
        let page = v1::ListUsersRequest { page_size: number, page_token: first.clone() };
        check("user.v1.ListUsersRequest", &page)?;
        check("user.v1.GetUserRequest", &v1::GetUserRequest { user_id: second.clone() })?;
        let request = v1::CreateUserRequest { email: first, name: second, password: third };
        check("user.v1.CreateUserRequest", &request)?;
    }
}
