//! Every protocol, every kind of call, every ending, in process and remote: one table of calls
//! (`matrix/calls.yaml`), and the same outcome for all.
//!
//! `cargo test --test it matrix -- --nocapture` prints what was tried.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use transom::{Gateway, config::Limits, upstream::Upstream};
use transom_test_services::{
    INVENTORY_DESCRIPTOR_SET,
    inventory::{Inventory, InventoryServer},
};

use crate::{remote, support::until};

mod callers;
mod connect;
mod exchange;
mod rest;
mod rpc;
mod types;
mod websocket;

use callers::{Caller, Conversation, Event, Told};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    calls: Vec<Call>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    kind: String,
    ending: String,
    /// Why there is no such call.
    #[serde(default)]
    cannot: Option<String>,
    #[serde(default)]
    method: String,
    /// Whether each message sent is answered before the next.
    #[serde(default)]
    echoed: bool,
    /// As JSON; `<1000>` is a text of as many bytes, in base64 too.
    #[serde(default)]
    send: Vec<Value>,
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default = "ok")]
    end: String,
    /// The message of the status, where it is the service's.
    #[serde(default)]
    says: Option<String>,
}

fn ok() -> String {
    "OK".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    callers: Vec<String>,
    /// `KIND ENDING`, or all of some kinds.
    #[serde(default)]
    calls: Vec<String>,
    #[serde(default)]
    kinds: Vec<String>,
    /// What is told instead; none where there is no such call.
    #[serde(default)]
    end: Option<String>,
    because: String,
}

impl Exception {
    fn is_of(&self, caller: &str, call: &Call) -> bool {
        self.callers.iter().any(|name| name == caller)
            && (self.kinds.contains(&call.kind)
                || self.calls.contains(&format!("{} {}", call.kind, call.ending)))
    }
}

/// What came of a call.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    messages: Vec<Value>,
    end: String,
    says: Option<String>,
}

struct Place {
    name: &'static str,
    gateway: Gateway,
    inventory: Inventory,
}

async fn places() -> [Place; 2] {
    let inventories = [Inventory::default(), Inventory::default()];
    let server = InventoryServer::new(inventories[0].clone());
    let address = remote::serve_inventory(inventories[1].clone()).await;
    let upstreams =
        [Upstream::service(server), Upstream::remote(&remote::options(address)).unwrap()];
    let [in_process, remote] = upstreams.map(|upstream| {
        let limits = Limits {
            message_limit_bytes: 1_000,
            reply_message_limit_bytes: 1_000,
            ..Limits::default()
        };
        Gateway::builder()
            .upstream(INVENTORY_DESCRIPTOR_SET, upstream)
            .limits(limits)
            .build()
            .unwrap()
    });
    let [first, second] = inventories;
    [
        Place { name: "in process", gateway: in_process, inventory: first },
        Place { name: "remote", gateway: remote, inventory: second },
    ]
}

/// How long calls that end at their deadline may take.
const TIMEOUT: Duration = Duration::from_secs(10);

async fn outcome(caller: &dyn Caller, call: &Call, place: &Place) -> Outcome {
    let mut conversation = caller.call(&place.gateway, call);
    let mut outcome = Outcome::default();
    for (number, message) in call.send.iter().enumerate() {
        conversation.send(&types::expand(message)).await;
        if call.echoed && number < call.messages.len() {
            match conversation.next().await {
                Event::Message(message) => outcome.messages.push(message),
                Event::End(told) => return outcome.ended(told),
            }
        }
    }
    conversation.close().await;
    if matches!(call.ending.as_str(), "deadline" | "cancel") {
        while outcome.messages.len() < call.messages.len() {
            match conversation.next().await {
                Event::Message(message) => outcome.messages.push(message),
                Event::End(told) => return outcome.ended(told),
            }
        }
        tokio::select! {
            event = conversation.next() => return outcome.surprised(event),
            () = until(|| place.inventory.hanging.value() == 1) => {}
        }
    }
    if call.ending == "cancel" {
        drop(conversation);
        until(|| place.inventory.hanging.value() == 0).await;
        return Outcome { end: "CANCELLED".to_owned(), ..outcome };
    }
    if call.ending == "deadline" {
        // Not a race between a short deadline and the messages before it.
        tokio::time::pause();
        tokio::time::advance(TIMEOUT).await;
        tokio::time::resume();
    }
    let outcome = rest(&mut *conversation, outcome).await;
    drop(conversation);
    // Whatever ended it, the service is not kept.
    until(|| place.inventory.hanging.value() == 0).await;
    outcome
}

async fn rest(conversation: &mut dyn Conversation, mut outcome: Outcome) -> Outcome {
    loop {
        match conversation.next().await {
            Event::Message(message) => outcome.messages.push(message),
            Event::End(told) => return outcome.ended(told),
        }
    }
}

impl Outcome {
    fn ended(self, told: Told) -> Self {
        Self { end: told.code, says: Some(told.message), ..self }
    }

    fn surprised(mut self, event: Event) -> Self {
        match event {
            Event::End(told) => self.ended(told),
            Event::Message(message) => {
                self.messages.push(message);
                self
            }
        }
    }
}

/// What is tried of a call by a caller, and what is expected of it.
fn expected<'a>(table: &'a Table, caller: &str, call: &'a Call) -> Result<Outcome, &'a str> {
    if let Some(reason) = &call.cannot {
        return Err(reason);
    }
    let exception = table.exceptions.iter().find(|exception| exception.is_of(caller, call));
    let end = match exception {
        Some(Exception { end: None, because, .. }) => return Err(because),
        Some(Exception { end: Some(end), .. }) => end,
        None => &call.end,
    };
    let says = if exception.is_none() { call.says.clone() } else { None };
    Ok(Outcome { messages: call.messages.clone(), end: end.clone(), says })
}

#[tokio::test]
async fn every_protocol_tells_the_same() {
    let table: Table = serde_norway::from_str(include_str!("matrix/calls.yaml")).unwrap();
    let callers = callers::all();
    let mut failures = Vec::new();
    let mut tried = BTreeMap::new();
    for place in places().await {
        for call in &table.calls {
            for caller in &callers {
                let Ok(expected) = expected(&table, caller.name(), call) else { continue };
                let mut found = outcome(&**caller, call, &place).await;
                if expected.says.is_none() {
                    found.says = None;
                }
                if found != expected {
                    failures.push(format!(
                        "{}, {} {}, {}:\n    {found:?}\n  instead of\n    {expected:?}",
                        caller.name(),
                        call.kind,
                        call.ending,
                        place.name,
                    ));
                }
                *tried
                    .entry((call.kind.as_str(), call.ending.as_str(), caller.name()))
                    .or_insert(0) += u32::from(found == expected);
            }
        }
    }
    println!("{}", picture(&table, &callers, &tried));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // Nothing of the table is without effect.
    let names: Vec<_> = callers.iter().map(|caller| caller.name()).collect();
    for exception in &table.exceptions {
        for name in &exception.callers {
            assert!(names.contains(&name.as_str()), "{name} calls nothing");
            assert!(table.calls.iter().any(|call| exception.is_of(name, call)), "{name}");
        }
    }
}

/// A table in Markdown: how each ending is told, in process and remote.
fn picture(
    table: &Table,
    callers: &[Box<dyn Caller>],
    tried: &BTreeMap<(&str, &str, &str), u32>,
) -> String {
    let mut text = "| call | ending |".to_owned();
    for caller in callers {
        let _ = write!(text, " {} |", caller.name());
    }
    let _ = write!(text, "\n|---|---|{}\n", "---|".repeat(callers.len()));
    let mut reasons = Vec::new();
    for call in &table.calls {
        let _ = write!(text, "| {} | {} |", call.kind, call.ending);
        for caller in callers {
            let outcome = expected(table, caller.name(), call);
            let reason = outcome.as_ref().err().map(|reason| (*reason).to_owned()).or_else(|| {
                let mut all = table.exceptions.iter();
                all.find(|e| e.is_of(caller.name(), call)).map(|e| e.because.clone())
            });
            let note = reason.map_or(String::new(), |reason| {
                let number =
                    reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                format!(" [{}]", number + 1)
            });
            let passed = tried.get(&(call.kind.as_str(), call.ending.as_str(), caller.name()));
            let cell = match (&outcome, passed) {
                (Err(_), _) => "–",
                (Ok(outcome), Some(2)) => outcome.end.as_str(),
                _ => "FAILED",
            };
            let _ = write!(text, " {cell}{note} |");
        }
        text.push('\n');
    }
    for (number, reason) in reasons.iter().enumerate() {
        let _ = write!(text, "\n[{}] {reason}", number + 1);
    }
    let _ = write!(text, "\n{} calls", tried.values().sum::<u32>());
    text
}
