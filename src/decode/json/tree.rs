//! All paths as one tree: which names matter in which object.

use super::path::JsonPath;

/// No child, no node.
pub(super) const NONE: u32 = u32::MAX;
/// The node of the record itself.
pub(super) const ROOT: u32 = 0;

/// Why a name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Fields are made of its value, or of what is in it.
    Wanted,
    /// It goes nowhere, on purpose.
    Passed,
    /// It should have been known before.
    Late,
}

/// A name, or the place of an element.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) name: Box<[u8]>,
    pub(super) fields: Vec<u32>,
    /// Where paths go on from here.
    pub(super) node: u32,
    pub(super) purpose: Use,
    /// The last record that has it.
    pub(super) seen: u64,
    /// The child that followed it last time.
    next: u32,
}

/// An object or an array that paths lead through.
#[derive(Debug, Default)]
struct Node {
    /// In the order of their names.
    children: Vec<u32>,
    /// The child that came first last time.
    first: u32,
}

#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    children: Vec<Child>,
}

impl Tree {
    pub(super) fn new(paths: &[JsonPath]) -> Self {
        let mut tree = Self { nodes: vec![Node { children: Vec::new(), first: NONE }], children: Vec::new() };
        for (field, path) in (0..).zip(paths) {
            let mut node = ROOT;
            let mut child = NONE;
            for token in path.tokens() {
                if child != NONE {
                    node = tree.node_below(child);
                }
                child = tree.insert(node, token, Use::Wanted);
            }
            if let Some(child) = tree.children.get_mut(child as usize) {
                child.fields.push(field);
            }
        }
        tree
    }

    /// Makes a name of the record known that no path wants.
    pub(super) fn know(&mut self, name: &str, purpose: Use) {
        self.insert(ROOT, name, purpose);
    }

    /// The child of this name, made if there is none.
    fn insert(&mut self, node: u32, name: &str, purpose: Use) -> u32 {
        let name = name.as_bytes();
        let new = u32::try_from(self.children.len()).unwrap_or(NONE);
        let Some(node) = self.nodes.get_mut(node as usize) else { return NONE };
        let children = &self.children;
        let found = node.children.binary_search_by(|child| name_of(children, *child).cmp(name));
        match found {
            Ok(at) => node.children.get(at).copied().unwrap_or(NONE),
            Err(at) => {
                node.children.insert(at, new);
                self.children.push(Child {
                    name: name.into(),
                    fields: Vec::new(),
                    node: NONE,
                    purpose,
                    seen: 0,
                    next: NONE,
                });
                new
            }
        }
    }

    fn node_below(&mut self, child: u32) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        let Some(child) = self.children.get_mut(child as usize) else { return NONE };
        if child.node == NONE {
            child.node = new;
            self.nodes.push(Node { children: Vec::new(), first: NONE });
        }
        child.node
    }

    pub(super) fn child(&mut self, child: u32) -> Option<&mut Child> {
        self.children.get_mut(child as usize)
    }

    /// The child of this name; most objects have their names in the order of the one before, so that the one which
    /// followed `last` then is looked at first.
    pub(super) fn find(&mut self, node: u32, last: u32, name: &[u8]) -> u32 {
        let guess = match self.children.get(last as usize) {
            Some(last) => last.next,
            None => self.nodes.get(node as usize).map_or(NONE, |node| node.first),
        };
        if guess != NONE && name_of(&self.children, guess) == name {
            return guess;
        }
        let Some(place) = self.nodes.get_mut(node as usize) else { return NONE };
        let children = &self.children;
        let found = place.children.binary_search_by(|child| name_of(children, *child).cmp(name));
        let Some(found) = found.ok().and_then(|at| place.children.get(at).copied()) else { return NONE };
        match self.children.get_mut(last as usize) {
            Some(last) => last.next = found,
            None => place.first = found,
        }
        found
    }
}

fn name_of(children: &[Child], child: u32) -> &[u8] {
    children.get(child as usize).map(|child| &*child.name).unwrap_or_default()
}
