//! Random bytes against themselves in other chunks and against `csv-core`, and random records there and back.
//! `PROPTEST_CASES` says how many.

use std::mem;

use holoload::decode::Malformation;
use holoload::decode::csv::{Dialect, Escape};
use proptest::prelude::*;

use super::steps::{Seen, assert_covers, assert_resumes, decode};
use super::{AMPLE_BYTES, BACKSLASH, CSV, UNQUOTED, UNQUOTED_BACKSLASH};

/// What `csv-core` makes of `input`.
fn oracle(dialect: Dialect, input: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut builder = csv_core::ReaderBuilder::new();
    builder.delimiter(dialect.delimiter.byte().unwrap()).quoting(dialect.quote.is_some());
    if let Some(quote) = dialect.quote {
        builder.quote(quote);
    }
    if let Escape::Byte(escape) = dialect.escape {
        builder.escape(Some(escape));
    }
    let mut reader = builder.build();
    let (mut rest, mut records) = (input, Vec::new());
    let mut text = vec![0; input.len() + 1];
    let mut ends = vec![0; input.len() + 2];
    let (mut text_len, mut ends_len) = (0, 0);
    loop {
        let (result, read, written, ended) =
            reader.read_record(rest, &mut text[text_len..], &mut ends[ends_len..]);
        rest = &rest[read..];
        text_len += written;
        ends_len += ended;
        match result {
            csv_core::ReadRecordResult::InputEmpty => {}
            csv_core::ReadRecordResult::Record => {
                let starts = [0].into_iter().chain(ends[..ends_len].iter().copied());
                records.push(
                    starts.zip(&ends[..ends_len]).map(|(start, end)| text[start..*end].to_vec()).collect(),
                );
                (text_len, ends_len) = (0, 0);
            }
            csv_core::ReadRecordResult::End => return records,
            full => panic!("{full:?}"),
        }
    }
}

/// Bytes in which everything that means something is frequent.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words =
        ["a", "bc", ",", "\"", "\"\"", "\r", "\n", "\r\n", "\\", "é", "\u{feff}", ",\"", "\",", "\"\n", " "];
    let long = "0123456789".repeat(8);
    let word = prop_oneof![
        40 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => Just(long.into_bytes()),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![CSV, BACKSLASH, UNQUOTED, UNQUOTED_BACKSLASH])
}

/// `input` with every backslash before something that needs none doubled: there `csv-core` drops it, and we keep it.
fn well_escaped(input: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(input.len());
    let mut run = 0;
    for (at, byte) in input.iter().enumerate() {
        escaped.push(*byte);
        run = if *byte == b'\\' { run + 1 } else { 0 };
        let ends = run % 2 == 1 && input.get(at + 1).is_none_or(|next| *next != b'\\' && *next != b'"');
        if ends {
            escaped.push(b'\\');
        }
    }
    escaped
}

/// Cuts `input` at the offsets `cuts`, taken modulo its length.
fn cut<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut offsets: Vec<_> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    offsets.sort_unstable();
    offsets.push(input.len());
    let mut start = 0;
    let pieces = offsets.into_iter().map(|end| &input[mem::replace(&mut start, end)..end]);
    pieces.collect()
}

#[derive(Clone, Debug)]
struct Written {
    text: String,
    is_quoted: bool,
}

fn written_field() -> impl Strategy<Value = Written> {
    let plain = "[a-z é\\\\]{0,12}".prop_map(|text| Written { text, is_quoted: false });
    let quoted = "[a-z\",\r\né\\\\]{0,90}".prop_map(|text| Written { text, is_quoted: true });
    prop_oneof![plain, quoted]
}

/// A record and the line end after it.
fn written_record() -> impl Strategy<Value = (Vec<Written>, &'static str)> {
    let fields = prop::collection::vec(written_field(), 1..8);
    let line_end = prop::sample::select(vec!["\n", "\r", "\r\n", "\n\n", "\r\n\r\n"]);
    // A line with nothing in it is no record.
    let fields = fields.prop_filter(
        "empty line",
        |fields| !matches!(&fields[..], [Written { text, is_quoted: false }] if text.is_empty()),
    );
    (fields, line_end)
}

fn encode(dialect: Dialect, records: &[(Vec<Written>, &str)]) -> String {
    let encode_field = |Written { text, is_quoted }: &Written| match (is_quoted, dialect.escape) {
        (false, _) => text.clone(),
        (true, Escape::Doubled) => format!("\"{}\"", text.replace('"', "\"\"")),
        (true, Escape::Byte(_)) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    let encode_record = |(fields, line_end): &(Vec<Written>, &str)| {
        fields.iter().map(encode_field).collect::<Vec<_>>().join(",") + line_end
    };
    records.iter().map(encode_record).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_the_same_steps_in_any_chunks(
        input in soup(), dialect in dialect(), skip_lines in 0..3_u64, limit in 1..200_usize,
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let dialect = Dialect { skip_lines, ..dialect };
        let chunks = cut(&input, &cuts);
        let whole = decode(dialect, AMPLE_BYTES, [&input[..]]);
        prop_assert_eq!(&decode(dialect, AMPLE_BYTES, chunks.iter().copied()), &whole);
        assert_covers(dialect, &input, &whole);
        assert_resumes(dialect, AMPLE_BYTES, &input, &whole);
        prop_assert_eq!(decode(dialect, limit, chunks), decode(dialect, limit, [&input[..]]));
    }

    #[test]
    fn any_bytes_are_cut_into_the_records_and_fields_of_csv_core(input in soup(), dialect in dialect()) {
        let input = well_escaped(&input);
        let steps = decode(dialect, AMPLE_BYTES, [&input[..]]);
        let records = oracle(dialect, &input);
        // What `csv-core` takes for the last record we read again but for a line.
        let is_open = |step: &Seen| {
            matches!(step, Seen::Malformed { malformation: Malformation::UnterminatedQuote, .. })
        };
        let count = steps.iter().position(is_open).map_or(steps.len(), |at| at + 1);
        prop_assert_eq!(count, records.len());
        for (step, record) in steps.into_iter().zip(records) {
            if let Seen::Record { fields, .. } = step {
                let fields: Vec<_> = fields.into_iter().map(|(bytes, _)| bytes).collect();
                prop_assert_eq!(fields, record);
            }
        }
    }

    #[test]
    fn what_was_written_comes_back(
        records in prop::collection::vec(written_record(), 0..6), is_doubled in any::<bool>(),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let dialect = if is_doubled { CSV } else { BACKSLASH };
        let text = encode(dialect, &records);
        let steps = decode(dialect, AMPLE_BYTES, cut(text.as_bytes(), &cuts));
        prop_assert_eq!(steps.len(), records.len());
        for (step, (written, _)) in steps.into_iter().zip(records) {
            let Seen::Record { fields, .. } = step else { panic!("{step:?}") };
            let written: Vec<_> =
                written.into_iter().map(|field| (field.text.into_bytes(), field.is_quoted)).collect();
            prop_assert_eq!(fields, written);
        }
    }
}
