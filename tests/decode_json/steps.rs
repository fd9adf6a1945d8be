//! Decoding in chunks, and what every decoding must satisfy.

use bytes::Bytes;
use holoload::decode::json::{JsonDecoder, JsonPath, Layout, Others};
use holoload::decode::{Malformation, Position, Step};
use holoload::error::Class;

/// Texts up to this length are split into three chunks in every way.
const THREE_WAY_BYTES_MAX: usize = 24;

/// What is wanted of a text.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) layout: Layout,
    pub(crate) paths: Vec<JsonPath>,
    pub(crate) as_json: Vec<usize>,
    pub(crate) passed: Vec<&'static str>,
    pub(crate) late: Vec<&'static str>,
    pub(crate) others: Others,
    pub(crate) record_bytes_max: usize,
}

impl Wanted {
    pub(crate) fn new(layout: Layout, paths: &str) -> Self {
        let paths = paths.split_whitespace().map(|path| JsonPath::parse(path).unwrap());
        Self {
            layout,
            paths: paths.collect(),
            as_json: Vec::new(),
            passed: Vec::new(),
            late: Vec::new(),
            others: Others::Pass,
            record_bytes_max: 1 << 20,
        }
    }

    pub(crate) fn lines(paths: &str) -> Self {
        Self::new(Layout::Lines, paths)
    }

    pub(crate) fn document(root: &str, paths: &str) -> Self {
        Self::new(Layout::Document { root: JsonPath::root(root).unwrap() }, paths)
    }

    pub(crate) fn decoder(&self) -> JsonDecoder {
        JsonDecoder::new(&self.paths, self.layout.clone(), self.record_bytes_max)
            .with_json_fields(self.as_json.iter().copied())
            .with_passed(self.passed.iter().copied())
            .with_late(self.late.iter().copied())
            .with_others(self.others)
    }
}

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
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(bytes, is_quoted)| match String::from_utf8_lossy(bytes) {
                        text if *is_quoted => format!("<{text}>"),
                        text => text.into_owned(),
                    })
                    .collect();
                format!("{line}:{byte} {}", fields.join("|"))
            }
            Self::Malformed { position: Position { line, byte }, raw, malformation, .. } => {
                let name = match malformation {
                    Malformation::UnknownName(span) | Malformation::LateName(span) => {
                        let name = &raw[span.start as usize..span.end as usize];
                        format!(" ({})", String::from_utf8_lossy(name))
                    }
                    _ => String::new(),
                };
                format!("{line}:{byte} {}{name}", malformation.reason())
            }
            Self::Failed { message, .. } => message.clone(),
        }
    }

    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// Decodes `chunks`; ends at the end or at the first error.
pub(crate) fn decode<'a>(wanted: &Wanted, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    decode_with(wanted.decoder(), chunks, |_, _| {})
}

/// The same; behind each step `look` sees where the next record begins, and what is around it.
fn decode_with<'a>(
    mut decoder: JsonDecoder,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    mut look: impl FnMut(Position, &str),
) -> Vec<Seen> {
    let mut chunks = chunks.into_iter();
    let mut seen = Vec::new();
    loop {
        match decoder.step() {
            Ok(Step::Record(record)) => {
                let fields = record.fields().map(|field| (field.bytes.to_vec(), field.is_quoted)).collect();
                seen.push(Seen::Record { position: record.position, raw: record.raw.to_vec(), fields });
                look(decoder.position(), decoder.around());
            }
            Ok(Step::Malformed { position, raw, malformation, field }) => {
                seen.push(Seen::Malformed { position, raw: raw.to_vec(), malformation, field });
                look(decoder.position(), decoder.around());
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
pub(crate) fn assert_resumes(wanted: &Wanted, input: &[u8], whole: &[Seen]) {
    let mut places = Vec::new();
    decode_with(wanted.decoder(), [input], |position, around| places.push((position, around.to_owned())));
    for (index, (position, around)) in places.into_iter().enumerate() {
        let rest = &input[usize::try_from(position.byte).unwrap()..];
        let decoder = wanted.decoder().resumed(position, &around);
        let seen = decode_with(decoder, [rest], |_, _| {});
        assert_eq!(seen, whole[index + 1..], "from {position:?} on in `{}`", input.escape_ascii());
    }
}

/// Decodes `input` in every chunking that is cheap enough, and answers the steps that all of them gave.
pub(crate) fn decode_in_all_chunkings(wanted: &Wanted, input: &[u8]) -> Vec<Seen> {
    let shown = input.escape_ascii();
    let whole = decode(wanted, [input]);
    for first in 0..=input.len() {
        let (head, tail) = input.split_at(first);
        assert_eq!(decode(wanted, [head, tail]), whole, "`{shown}` split at {first}");
        if input.len() <= THREE_WAY_BYTES_MAX {
            for second in 0..=tail.len() {
                let (middle, tail) = tail.split_at(second);
                let steps = decode(wanted, [head, middle, tail]);
                assert_eq!(steps, whole, "`{shown}` split at {first} and {}", first + second);
            }
        }
    }
    for size in 1..=input.len() {
        assert_eq!(decode(wanted, input.chunks(size)), whole, "`{shown}` in chunks of {size}");
    }
    assert_resumes(wanted, input, &whole);
    whole
}

/// Asserts that the original bytes of all steps, and between them nothing but what may be passed over, are `input`.
pub(crate) fn assert_covers(input: &[u8], steps: &[Seen]) {
    let mut covered = 0;
    for (index, step) in steps.iter().enumerate() {
        let (Seen::Record { position, raw, .. } | Seen::Malformed { position, raw, .. }) = step else {
            return;
        };
        let begin = usize::try_from(position.byte).unwrap();
        assert_eq!(*raw, input[begin..begin + raw.len()]);
        let lines = memchr::memchr_iter(b'\n', &input[..begin]).count() as u64;
        assert_eq!(position.line, lines + 1, "line of step {index}");
        assert!(begin >= covered, "step {index}");
        covered = begin + raw.len();
    }
}
