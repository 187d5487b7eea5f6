//! What a request has bound so far, where several parts of it can bind the same: a short list.
//!
//! A request has few parameters, and their number has a limit: each is compared with those before
//! it, which costs less than to hash it.

use super::plan::FieldPlan;
use crate::schema::Cardinality;

/// The fields that are bound, each by the plans that lead to it from the request message.
#[derive(Default)]
pub(super) struct Bound<'p> {
    fields: Vec<BoundField>,
    /// Of all of them, one behind the other; and so the keys of maps, encoded.
    steps: Vec<&'p FieldPlan>,
    keys: Vec<u8>,
}

struct BoundField {
    /// Where its steps and its key end; they begin where those before it end.
    steps_end: usize,
    keys_end: usize,
    by: By,
}

/// Which part of a request binds a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The path's variable of this number.
    Path(usize),
    Body,
    Query,
}

/// What a field is to those that are bound already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// Nothing.
    New,
    /// One more element of a list.
    Another,
    /// The same, which can be there once only.
    Twice(By),
    /// Another member of a oneof, its own or one around it.
    Excluded,
}

impl<'p> Bound<'p> {
    /// Binds the field that `steps` lead to; of a map, the entry of this key.
    pub(super) fn add(&mut self, steps: impl Iterator<Item = &'p FieldPlan>, key: &[u8], by: By) {
        self.steps.extend(steps);
        self.keys.extend_from_slice(key);
        let (steps_end, keys_end) = (self.steps.len(), self.keys.len());
        self.fields.push(BoundField { steps_end, keys_end, by });
    }

    /// What a field is to those bound so far.
    pub(super) fn relation(&self, steps: &[&FieldPlan], key: &[u8]) -> Relation {
        let (mut steps_start, mut keys_start) = (0, 0);
        let mut relation = Relation::New;
        for field in &self.fields {
            let other = &self.steps[steps_start..field.steps_end];
            let other_key = &self.keys[keys_start..field.keys_end];
            (steps_start, keys_start) = (field.steps_end, field.keys_end);
            // A plan is one field of one message, and all begin at the same.
            let both = steps.iter().zip(other);
            let common = both.take_while(|(step, other)| std::ptr::eq(**step, **other)).count();
            match (steps.get(common), other.get(common)) {
                (None, None) => match steps.last().map(|leaf| leaf.cardinality) {
                    Some(Cardinality::Repeated) => relation = Relation::Another,
                    Some(Cardinality::Map) if key != other_key => {}
                    _ => return Relation::Twice(field.by),
                },
                (Some(step), Some(other)) if step.oneof.is_some() && step.oneof == other.oneof => {
                    return Relation::Excluded;
                }
                _ => {}
            }
        }
        relation
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{plan::Plans, tests::transcoder},
        *,
    };
    use crate::schema::MessageIndex;

    fn steps<'p>(plans: &'p Plans, mut message: MessageIndex, path: &str) -> Vec<&'p FieldPlan> {
        let mut steps = Vec::new();
        for name in path.split('.') {
            let plan = plans.message(message);
            let field = &plan.fields[plan.names.get(name.as_bytes()).unwrap() as usize];
            steps.push(field);
            message = field.kind.message().unwrap_or(message);
        }
        steps
    }

    #[test]
    fn a_field_is_new_or_what_it_is_to_another() {
        let (transcoder, everything) = transcoder();
        let steps = |path| steps(&transcoder.plans, everything, path);
        let mut bound = Bound::default();
        assert_eq!(bound.relation(&steps("text"), &[]), Relation::New);
        for (path, key, by) in [
            ("text", "", By::Path(0)),
            ("tags", "", By::Query),
            ("labels", "a", By::Query),
            ("labels", "b", By::Query),
            ("child.left", "", By::Body),
            ("child.child.text", "", By::Query),
        ] {
            bound.add(steps(path).into_iter(), key.as_bytes(), by);
        }
        for (path, key, expected) in [
            ("text", "", Relation::Twice(By::Path(0))),
            ("opt", "", Relation::New),
            ("tags", "", Relation::Another),
            ("child.tags", "", Relation::New),
            ("labels", "b", Relation::Twice(By::Query)),
            ("labels", "c", Relation::New),
            ("child.labels", "a", Relation::New),
            ("left", "", Relation::New),
            ("child.left", "", Relation::Twice(By::Body)),
            ("child.right", "", Relation::Excluded),
            ("child.child.right", "", Relation::New),
            ("child.child.text", "", Relation::Twice(By::Query)),
            ("child.child", "", Relation::New),
        ] {
            assert_eq!(bound.relation(&steps(path), key.as_bytes()), expected, "{path}[{key}]");
        }
    }
}
