//! How a [`RouteTree`] comes to be: templates are inserted one by one, then laid flat.

use std::collections::{BTreeMap, BTreeSet};

use super::{ANY_METHOD, Edge, NONE, Node, RouteTree, SCAN_LIMIT, Terminal, hash};
use crate::{
    routing::path_template::{PathTemplate, Segment},
    schema::HttpMethod,
};

/// Collects routes.
#[derive(Debug, Default)]
pub struct RouteTreeBuilder {
    root: Branch,
}

#[derive(Debug, Default)]
struct Branch {
    literals: BTreeMap<String, Branch>,
    any: Option<Box<Branch>>,
    rest: Option<Box<Branch>>,
    ends: Vec<End>,
}

#[derive(Debug)]
struct End {
    verb: Option<String>,
    method: HttpMethod,
    route: usize,
}

impl RouteTreeBuilder {
    /// Adds a route. Fails with the number of the one that already matches exactly this.
    pub fn insert(
        &mut self,
        template: &PathTemplate,
        method: &HttpMethod,
        route: usize,
    ) -> Result<(), usize> {
        let mut branch = &mut self.root;
        for segment in &template.segments {
            branch = match segment {
                Segment::Literal(text) => branch.literals.entry(text.clone()).or_default(),
                Segment::Any => branch.any.get_or_insert_default(),
                Segment::Rest => branch.rest.get_or_insert_default(),
            };
        }
        let same = |end: &&End| end.verb == template.verb && end.method == *method;
        if let Some(same) = branch.ends.iter().find(same) {
            return Err(same.route);
        }
        branch.ends.push(End { verb: template.verb.clone(), method: method.clone(), route });
        Ok(())
    }

    /// The tree of all that was added.
    pub fn finish(self) -> RouteTree {
        let mut verbs = BTreeSet::new();
        self.root.collect_verbs(&mut verbs);
        let mut tree = RouteTree { verbs: verbs.into_iter().collect(), ..RouteTree::default() };
        lay(&self.root, &mut tree);
        tree
    }
}

impl Branch {
    fn below(&self) -> impl Iterator<Item = &Self> {
        let wild = self.any.iter().chain(&self.rest).map(AsRef::as_ref);
        self.literals.values().chain(wild)
    }

    fn collect_verbs(&self, verbs: &mut BTreeSet<String>) {
        verbs.extend(self.ends.iter().filter_map(|end| end.verb.clone()));
        self.below().for_each(|branch| branch.collect_verbs(verbs));
    }
}

/// Lays a branch and all below it; the number of its node.
fn lay(branch: &Branch, tree: &mut RouteTree) -> u32 {
    let number = tree.nodes.len();
    let first_terminal = tree.terminals.len() as u32;
    for End { verb, method, route } in &branch.ends {
        let verb = verb.as_deref().and_then(|verb| tree.verb(verb)).unwrap_or(NONE);
        let method = match method {
            HttpMethod::Any => ANY_METHOD,
            HttpMethod::Is(method) => {
                let known = tree.methods.iter().position(|known| known == method);
                known.unwrap_or_else(|| {
                    tree.methods.push(method.clone());
                    tree.methods.len() - 1
                }) as u32
            }
        };
        tree.terminals.push(Terminal { verb, method, route: *route as u32 });
    }
    tree.nodes.push(Node {
        any: NONE,
        rest: NONE,
        first_edge: 0,
        edge_count: 0,
        first_terminal,
        terminal_count: branch.ends.len() as u32,
        depth: 0,
    });
    // What follows a wildcard is mostly one node: it lies beside its parent.
    let any = branch.any.as_ref().map_or(NONE, |below| lay(below, tree));
    let rest = branch.rest.as_ref().map_or(NONE, |below| lay(below, tree));
    let edges: Vec<_> = branch
        .literals
        .iter()
        .map(|(text, below)| {
            let start = tree.texts.len() as u32;
            tree.texts.extend_from_slice(text.as_bytes());
            let node = lay(below, tree);
            Edge { hash: hash(text.as_bytes()), node, text: start, length: text.len() as u32 }
        })
        .collect();
    let below = edges.iter().map(|edge| edge.node).chain([any, rest]);
    let depths = below.filter_map(|node| tree.nodes.get(node as usize)).map(|node| node.depth + 1);
    let depth = depths.max().unwrap_or_default();
    let first_edge = tree.edges.len() as u32;
    if edges.len() as u32 <= SCAN_LIMIT {
        tree.edges.extend(edges);
    } else {
        tree.edges.extend(table(edges));
    }
    let edge_count = tree.edges.len() as u32 - first_edge;
    let node = &mut tree.nodes[number];
    (node.any, node.rest, node.depth) = (any, rest, depth);
    (node.first_edge, node.edge_count) = (first_edge, edge_count);
    number as u32
}

/// A hash table, half empty at the least, each edge in the first free slot from its hash on.
fn table(edges: Vec<Edge>) -> Vec<Edge> {
    let empty = Edge { hash: 0, node: NONE, text: 0, length: 0 };
    let mut slots = vec![empty; (2 * edges.len()).next_power_of_two()];
    let count = slots.len();
    for edge in edges {
        let mut slot = edge.hash as usize % count;
        while slots[slot].node != NONE {
            slot = (slot + 1) % count;
        }
        slots[slot] = edge;
    }
    slots
}
