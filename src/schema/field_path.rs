//! `user.address.city`: a way from a message to one of its fields.

use super::{Cardinality, Field, MessageIndex, MessageType, Schema};

/// A path of field names, resolved against a message type.
///
/// Every field but the last is a singular message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath {
    /// The message type and the position in its `fields`, from the outside in; never empty.
    steps: Vec<(MessageIndex, usize)>,
}

impl FieldPath {
    /// Resolves `path` from `root`. The error says which part does not fit, and why.
    pub fn resolve(schema: &Schema, root: MessageIndex, path: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut message = Some(root);
        let mut previous = "";
        for name in path.split('.') {
            let Some(index) = message else {
                return Err(format!("`{previous}` has no fields: it is not a singular message"));
            };
            let r#type = schema.message(index);
            let Some(&position) = r#type.fields_by_name.get(name) else {
                return Err(format!("`{}` has no field `{name}`", r#type.name));
            };
            steps.push((index, position));
            let field = &r#type.fields[position];
            message = match field.cardinality {
                Cardinality::Singular => field.kind.message(),
                Cardinality::Repeated | Cardinality::Map => None,
            };
            previous = name;
        }
        Ok(Self { steps })
    }

    /// The field the path leads to.
    pub fn leaf<'s>(&self, schema: &'s Schema) -> &'s Field {
        let (message, position) = self.steps[self.steps.len() - 1];
        &schema.message(message).fields[position]
    }

    /// The message that the leaf is a field of.
    pub fn leaf_message(&self) -> MessageIndex {
        self.steps[self.steps.len() - 1].0
    }

    /// The messages on the way and the field of each that it takes, from the outside in.
    pub fn steps<'s>(
        &self,
        schema: &'s Schema,
    ) -> impl Iterator<Item = (&'s MessageType, &'s Field)> {
        self.steps.iter().map(|&(message, position)| {
            let message = schema.message(message);
            (message, &message.fields[position])
        })
    }

    /// The fields on the way, from the outside in, the leaf last.
    pub fn fields<'s>(
        &self,
        schema: &'s Schema,
    ) -> impl DoubleEndedIterator<Item = &'s Field> + Clone {
        self.steps.iter().map(|&(message, position)| &schema.message(message).fields[position])
    }

    /// Whether `other` is this path or leads through the field it ends at.
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        other.steps.starts_with(&self.steps)
    }

    /// The proto names, dotted.
    pub fn display(&self, schema: &Schema) -> String {
        let names: Vec<_> = self.fields(schema).map(|field| field.name.as_str()).collect();
        names.join(".")
    }

    /// The numbers on the way, from the outside in.
    pub fn numbers(&self, schema: &Schema) -> Vec<u32> {
        self.fields(schema).map(|field| field.number).collect()
    }

    /// The message types on the way and the number of the field each takes, from the outside in.
    pub fn numbered_steps(
        &self,
        schema: &Schema,
    ) -> impl DoubleEndedIterator<Item = (MessageIndex, u32)> + Clone {
        self.steps
            .iter()
            .map(|&(message, position)| (message, schema.message(message).fields[position].number))
    }

    /// How many fields long it is.
    pub fn depth(&self) -> usize {
        self.steps.len()
    }
}
