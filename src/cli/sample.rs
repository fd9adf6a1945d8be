//! A bounded part of a source, to guess from: its head, and where it can be opened anywhere a piece of its middle and of
//! its end.

use std::path::Path;

use bytes::{Bytes, BytesMut};

use super::sources::Source;
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::guess::{Format, Guess, Hints, Note, Sample, guess};
#[cfg(feature = "parquet")]
use crate::guess::{SchemaRead, TAIL_BYTES, read_schema};
use crate::object::body::ObjectBody;
use crate::object::{ObjectRef, ObjectVersion};

/// Read of the head unless something else is said: some thousand rows.
pub(super) const HEAD_BYTES: usize = 256 * 1024;
/// Each of the pieces from further on.
const PIECE_BYTES: usize = 64 * 1024;
/// How objects begin that are packed: gzip, zstd, bzip2.
const PACKED: [&[u8]; 3] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh"];
/// Objects that are looked at of a prefix or a glob: the newest ones.
const OBJECTS_MAX: usize = 3;

/// A guess, and what was looked at for it.
pub(super) struct Guessed {
    pub(super) object: ObjectRef,
    pub(super) guess: Guess,
    /// Of what can be read once alone: the same bytes from their beginning.
    pub(super) body: Option<ObjectBody>,
}

/// Guesses from the newest of the sources, and says where the next ones differ.
pub(super) async fn guess_from(
    mut found: Vec<Source>,
    aws: &Aws,
    hints: &Hints,
    head_bytes: usize,
) -> Result<Option<Guessed>> {
    // Newest first; those of unknown age keep their order.
    found.sort_by_key(|source| std::cmp::Reverse(source.last_modified_ms));
    let count = found.len();
    let mut looked = found.into_iter().take(OBJECTS_MAX).map(|source| source.object);
    let Some(first) = looked.next() else { return Ok(None) };
    let mut guessed = one(&first, aws, hints, head_bytes).await?;
    for object in looked {
        let other = one(&object, aws, hints, head_bytes).await?;
        for text in differences(&guessed.guess, &other.guess) {
            guessed.guess.notes.push(Note { column: None, text: format!("`{object}` differs: {text}") });
        }
    }
    if count > OBJECTS_MAX {
        let text = format!("the newest {OBJECTS_MAX} of {count} objects were looked at");
        guessed.guess.notes.push(Note { column: None, text });
    }
    Ok(Some(guessed))
}

async fn one(object: &ObjectRef, aws: &Aws, hints: &Hints, head_bytes: usize) -> Result<Guessed> {
    let mut body = ObjectBody::open(Some(aws), object, &ObjectVersion::default()).await?;
    let Piece { bytes: head, is_last: is_at_end, all } = read(&mut body, head_bytes).await?;
    if head.starts_with(b"PAR1") || hints.format == Some(Format::Parquet) {
        let guess = by_schema(&mut body).await;
        let guess = guess.map_err(|error| error.context(format!("read the schema of `{object}`")))?;
        return Ok(Guessed { object: object.clone(), guess, body: None });
    }
    let version = body.version.clone();
    let is_whole = is_at_end || version.size == Some(head.len() as u64);
    let mut pieces = Vec::new();
    // Of a packed object a piece from further on says nothing.
    let is_packed = PACKED.iter().any(|magic| head.starts_with(magic));
    let content_type = body.content_type.clone();
    if let Some(size) = version.size.filter(|_| !is_whole && !is_packed && body.is_seekable()) {
        let last = size.saturating_sub(PIECE_BYTES as u64);
        let middle = (size / 2).min(last);
        let starts = [middle, last].into_iter().filter(|start| *start >= head.len() as u64);
        for start in starts {
            let mut body = ObjectBody::open_at(Some(aws), object, &version, start).await?;
            pieces.push(read(&mut body, PIECE_BYTES).await?.bytes);
        }
        pieces.dedup();
    }
    let sample = Sample {
        head: &head,
        is_whole,
        further: pieces.iter().map(Bytes::as_ref).collect(),
        name: &object.key,
        content_type: content_type.as_deref(),
    };
    let guess = guess(&sample, hints).map_err(|error| error.context(format!("guess what `{object}` is")))?;
    let body = (!body.is_seekable()).then(|| {
        body.give_back(all);
        body
    });
    Ok(Guessed { object: object.clone(), guess, body })
}

/// A Parquet file says itself what is in it.
#[cfg(feature = "parquet")]
async fn by_schema(body: &mut ObjectBody) -> Result<Guess> {
    let size = body.version.size.unwrap_or(0);
    let tail = body.part(size.saturating_sub(TAIL_BYTES)..size).await?;
    let read = match read_schema(size, &tail)? {
        SchemaRead::Wants(range) => read_schema(size, &body.part(range).await?)?,
        read @ SchemaRead::Guess(_) => read,
    };
    match read {
        SchemaRead::Guess(guess) => Ok(*guess),
        SchemaRead::Wants(_) => Err(Error::bug("read a Parquet file's footer")),
    }
}

#[cfg(not(feature = "parquet"))]
fn by_schema(_: &mut ObjectBody) -> impl Future<Output = Result<Guess>> {
    let error = Error::config("the object is a Parquet file, and this holoload is built without Parquet");
    std::future::ready(Err(error.with_hint("build it with the feature `parquet`")))
}

/// A part of a body.
struct Piece {
    bytes: Bytes,
    /// Nothing comes after it.
    is_last: bool,
    /// The same with what was read beyond it.
    all: Bytes,
}

/// At most so many bytes.
async fn read(body: &mut ObjectBody, bytes_max: usize) -> Result<Piece> {
    let mut bytes = BytesMut::new();
    let mut is_last = false;
    // One more look tells a sample from a whole object, where nobody said its size.
    let looks_on = body.version.size.is_none();
    while bytes.len() < bytes_max || looks_on && bytes.len() == bytes_max {
        match body.next().await? {
            Some(chunk) => bytes.extend_from_slice(&chunk),
            None => {
                is_last = true;
                break;
            }
        }
    }
    let all = bytes.freeze();
    Ok(Piece { bytes: all.slice(..all.len().min(bytes_max)), is_last, all })
}

/// What one route could not say of both.
fn differences(one: &Guess, other: &Guess) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, one: &str, other: &str| {
        if one != other {
            found.push(format!("{what} {other:?} instead of {one:?}"));
        }
    };
    compare("format", one.format.name(), other.format.name());
    compare("charset", &one.charset, &other.charset);
    compare("delimiter", &one.delimiter, &other.delimiter);
    compare("quote", &one.quote, &other.quote);
    let word = |guess: &Guess| if guess.header { "a header" } else { "no header" }.to_owned();
    compare("", &word(one), &word(other));
    let names =
        |guess: &Guess| guess.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>().join(", ");
    let (mine, theirs) = (names(one), names(other));
    if mine == theirs {
        for (one, other) in one.columns.iter().zip(&other.columns) {
            compare(&format!("column {}:", one.name), &one.kind.sql(), &other.kind.sql());
        }
    } else {
        compare("columns", &mine, &theirs);
    }
    found
}

/// A name for a table, of the object's own.
pub(super) fn table_name(object: &ObjectRef) -> String {
    let name = Path::new(&object.key).file_name().map(|name| name.to_string_lossy().into_owned());
    let name = if object.bucket == crate::object::STDIN_BUCKET { None } else { name };
    let stem = name.as_deref().and_then(|name| name.split('.').find(|part| !part.is_empty()));
    let mut table = String::new();
    for letter in stem.unwrap_or_default().chars().flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            table.push(letter);
        } else if !table.is_empty() && !table.ends_with('_') {
            table.push('_');
        }
    }
    let table = table.trim_end_matches('_');
    match table.chars().next() {
        None => "loaded".to_owned(),
        Some(first) if first.is_numeric() => format!("t_{table}"),
        Some(_) if table.is_ascii() => table.to_owned(),
        Some(_) => format!("\"{table}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_after_files() {
        for (key, name) in [
            ("/data/orders.csv", "orders"),
            ("in/Book Order-2024.csv.gz", "book_order_2024"),
            ("2024.csv", "t_2024"),
            ("注文.csv", "\"注文\""),
            ("/.csv", "csv"),
            ("---", "loaded"),
        ] {
            assert_eq!(table_name(&ObjectRef::local(key)), name, "{key}");
        }
        assert_eq!(table_name(&ObjectRef::stdin("2024")), "loaded");
    }
}
