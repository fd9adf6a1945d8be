//! Decoding in chunks, and what every decoding must satisfy.

use bytes::Bytes;
use holoload::decode::csv::{CsvDecoder, Dialect};
use holoload::decode::{Malformation, Position, Step};
use holoload::error::Class;

/// Texts up to this length are split into three chunks in every way.
const THREE_WAY_BYTES_MAX: usize = 24;

/// A step that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Record { position: Position, raw: Vec<u8>, fields: Vec<(Vec<u8>, bool)> },
    Malformed { position: Position, raw: Vec<u8>, malformation: Malformation, field: usize },
    Failed { message: String, hint: String },
}

impl Seen {
    /// `line:byte field|field`, a quoted field in angle brackets.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Record { position: Position { line, byte }, fields, .. } => {
                let fields: Vec<_> =
                    fields.iter().map(|(bytes, is_quoted)| field_text(bytes, *is_quoted)).collect();
                format!("{line}:{byte} {}", fields.join("|"))
            }
            Self::Malformed { position: Position { line, byte }, malformation, field, .. } => {
                format!("{line}:{byte} field {field}: {}", malformation.reason())
            }
            Self::Failed { message, .. } => message.clone(),
        }
    }
}

fn field_text(bytes: &[u8], is_quoted: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    if is_quoted { format!("<{text}>") } else { text.into_owned() }
}

/// Decodes `chunks`; ends at the end or at the first error.
pub(crate) fn decode<'a>(
    dialect: Dialect,
    record_bytes_max: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Seen> {
    decode_with(CsvDecoder::new(dialect, record_bytes_max), chunks, |_| {})
}

/// The same; between two steps `look` sees where the next record begins.
fn decode_with<'a>(
    mut decoder: CsvDecoder,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    mut look: impl FnMut(Position),
) -> Vec<Seen> {
    let mut chunks = chunks.into_iter();
    let mut seen = Vec::new();
    loop {
        match decoder.step() {
            Ok(Step::Record(record)) => {
                assert_eq!(record.field_count(), record.fields().count(), "every span lies in the data");
                seen.push(Seen::Record {
                    position: record.position,
                    raw: record.raw.to_vec(),
                    fields: record.fields().map(|field| (field.bytes.to_vec(), field.is_quoted)).collect(),
                });
                look(decoder.position());
            }
            Ok(Step::Malformed { position, raw, malformation, field }) => {
                seen.push(Seen::Malformed { position, raw: raw.to_vec(), malformation, field });
                look(decoder.position());
            }
            Ok(Step::NeedInput) => match chunks.next() {
                Some(chunk) => decoder.push(Bytes::copy_from_slice(chunk)),
                None => decoder.finish(),
            },
            Ok(Step::End) => {
                assert!(matches!(decoder.step(), Ok(Step::End)), "the end stays the end");
                return seen;
            }
            Err(error) => {
                assert_eq!(error.class(), Class::Input);
                seen.push(Seen::Failed {
                    message: error.to_string(),
                    hint: error.hint().unwrap().to_owned(),
                });
                assert_eq!(decoder.step().unwrap_err().to_string(), error.to_string(), "the error stays");
                return seen;
            }
        }
    }
}

/// Asserts that whoever begins behind any of the records sees the rest of them, at the same places.
pub(crate) fn assert_resumes(dialect: Dialect, record_bytes_max: usize, input: &[u8], whole: &[Seen]) {
    let mut places = Vec::new();
    decode_with(CsvDecoder::new(dialect, record_bytes_max), [input], |position| places.push(position));
    for (index, position) in places.into_iter().enumerate() {
        let rest = &input[usize::try_from(position.byte).unwrap()..];
        let decoder = CsvDecoder::resumed(dialect, record_bytes_max, position);
        assert_eq!(decode_with(decoder, [rest], |_| {}), whole[index + 1..], "from {position:?} on");
    }
}

/// Decodes `input` in every chunking that is cheap enough, and answers the steps that all of them gave.
pub(crate) fn decode_in_all_chunkings(dialect: Dialect, record_bytes_max: usize, input: &[u8]) -> Vec<Seen> {
    let whole = decode(dialect, record_bytes_max, [input]);
    for first in 0..=input.len() {
        let (head, tail) = input.split_at(first);
        assert_eq!(decode(dialect, record_bytes_max, [head, tail]), whole, "split at {first}");
        if input.len() <= THREE_WAY_BYTES_MAX {
            for second in 0..=tail.len() {
                let (middle, tail) = tail.split_at(second);
                let steps = decode(dialect, record_bytes_max, [head, middle, tail]);
                assert_eq!(steps, whole, "split at {first} and {}", first + second);
            }
        }
    }
    for size in 1..=input.len() {
        assert_eq!(decode(dialect, record_bytes_max, input.chunks(size)), whole, "chunks of {size}");
    }
    assert_resumes(dialect, record_bytes_max, input, &whole);
    whole
}

/// Asserts that the original bytes of all steps, and between them nothing but what may be passed over, are `input`.
pub(crate) fn assert_covers(dialect: Dialect, input: &[u8], steps: &[Seen]) {
    let mut covered = 0;
    for (index, step) in steps.iter().enumerate() {
        let (Seen::Record { position, raw, .. } | Seen::Malformed { position, raw, .. }) = step else {
            panic!("{step:?} in {input:?}");
        };
        let begin = usize::try_from(position.byte).unwrap();
        let gap = &input[covered..begin];
        assert!(is_passed_over(dialect, gap, covered == 0), "gap {gap:?} before step {index}");
        covered = begin + raw.len();
        assert_eq!(raw, &input[begin..covered]);
        let is_ended = raw.ends_with(b"\n") || raw.ends_with(b"\r") && input.get(covered) != Some(&b'\n');
        assert!(is_ended || covered == input.len(), "step {index} ends at {covered}");
    }
    let gap = &input[covered..];
    assert!(is_passed_over(dialect, gap, covered == 0), "gap {gap:?} at the end");
}

fn is_passed_over(dialect: Dialect, gap: &[u8], is_first: bool) -> bool {
    let gap = if is_first { gap.strip_prefix(b"\xef\xbb\xbf").unwrap_or(gap) } else { gap };
    is_first && dialect.skip_lines > 0 || gap.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}
