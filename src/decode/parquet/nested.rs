//! Columns of columns, put together from the levels of their leaves, as JSON.

use super::Trouble;
use super::leaf::Leaf;
use super::schema::{Node, Repeated, Shape};
use super::value::append_escaped;

/// Appends the value of `node`, of which `leaves` are all leaves; false for NULL.
pub(super) fn append(
    node: &Node,
    leaves: &mut [Leaf],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<bool, Trouble> {
    if out.len() > bytes_max {
        return Err(Trouble::TooLong);
    }
    if let Shape::Leaf(_) = node.shape {
        return append_leaf(node, leaves, bytes_max, out);
    }
    let (level, _) = leaves.first().and_then(Leaf::peek).ok_or(Trouble::Levels)?;
    if level < node.level {
        pass(leaves)?;
        out.extend_from_slice(b"null");
        return Ok(false);
    }
    match &node.shape {
        Shape::Leaf(_) => {}
        Shape::Struct(members) => {
            for (at, member) in members.iter().enumerate() {
                out.push(if at == 0 { b'{' } else { b',' });
                append_key(member.name.as_bytes(), out);
                let own = below(node, member, leaves)?;
                append(member, own, bytes_max, out)?;
            }
            out.push(b'}');
        }
        Shape::List { element, repeated } => {
            out.push(b'[');
            each(*repeated, leaves, out, |leaves, out| {
                append(element, below(node, element, leaves)?, bytes_max, out).map(drop)
            })?;
            out.push(b']');
        }
        Shape::Map { key, value, repeated } => {
            out.push(b'{');
            each(*repeated, leaves, out, |leaves, out| {
                append_entry(node, (key, value.as_deref()), leaves, bytes_max, out)
            })?;
            out.push(b'}');
        }
    }
    Ok(true)
}

fn append_leaf(
    node: &Node,
    leaves: &mut [Leaf],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<bool, Trouble> {
    let Shape::Leaf(kind) = &node.shape else { return Err(Trouble::Levels) };
    let leaf = leaves.first_mut().ok_or(Trouble::Levels)?;
    let Some(value) = leaf.next()? else {
        out.extend_from_slice(b"null");
        return Ok(false);
    };
    if value.length() / 2 > bytes_max {
        return Err(Trouble::TooLong);
    }
    match value.text(*kind) {
        Some(text) => {
            out.push(b'"');
            append_escaped(text, out);
            out.push(b'"');
        }
        None => {
            let _ = value.append_json(*kind, out);
        }
    }
    Ok(true)
}

/// A member of a map: keys of JSON are text.
fn append_entry(
    node: &Node,
    (key, value): (&Node, Option<&Node>),
    leaves: &mut [Leaf],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), Trouble> {
    let start = out.len();
    append(key, below(node, key, leaves)?, bytes_max, out)?;
    if out.get(start) != Some(&b'"') {
        let text = out.split_off(start);
        out.push(b'"');
        append_escaped(&text, out);
        out.push(b'"');
    }
    out.push(b':');
    match value {
        Some(value) => append(value, below(node, value, leaves)?, bytes_max, out).map(drop),
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}

/// Calls for each element of a list, with commas between them.
fn each(
    repeated: Repeated,
    leaves: &mut [Leaf],
    out: &mut Vec<u8>,
    mut element: impl FnMut(&mut [Leaf], &mut Vec<u8>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let (level, _) = leaves.first().and_then(Leaf::peek).ok_or(Trouble::Levels)?;
    if level < repeated.level {
        return pass(leaves);
    }
    loop {
        element(leaves, out)?;
        let next = leaves.first().and_then(Leaf::peek);
        // A smaller one begins another list around this one, or another record.
        if next.is_none_or(|(_, repetition)| repetition != repeated.repetition) {
            return Ok(());
        }
        out.push(b',');
    }
}

/// Passes over what stands for nothing, once in each leaf.
fn pass(leaves: &mut [Leaf]) -> Result<(), Trouble> {
    leaves.iter_mut().try_for_each(|leaf| match leaf.next() {
        Ok(None) => Ok(()),
        _ => Err(Trouble::Levels),
    })
}

/// The leaves of a member.
fn below<'a>(node: &Node, member: &Node, leaves: &'a mut [Leaf]) -> Result<&'a mut [Leaf], Trouble> {
    let from = member.leaves.start.checked_sub(node.leaves.start).ok_or(Trouble::Levels)?;
    leaves.get_mut(from..from + member.leaves.len()).ok_or(Trouble::Levels)
}

fn append_key(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    append_escaped(name, out);
    out.extend_from_slice(b"\":");
}
