//! Any bytes in any dialect give the same steps however they are cut, also for whoever begins in the middle, and
//! the records cover them in order. The first eight bytes of an input choose dialect, limit and chunks.
#![no_main]

use bytes::Bytes;
use holoload::decode::csv::{CsvDecoder, Delimiter, Dialect, Escape, Marker, RecordEnd, StrayQuotes};
use holoload::decode::{Position, Step};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq)]
enum Seen {
    Record(Position, Vec<u8>, Vec<(Vec<u8>, bool)>),
    Malformed(Position, Vec<u8>, &'static str, usize),
    Failed(String),
}

const DELIMITERS: [&str; 8] = [",", "\t", ";", "||", " | ", "aab", "、", " "];

fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_first_chunk::<8>() else { return };
    let dialect = dialect(head);
    let record_bytes_max = if head[6] < 128 { 1 << 20 } else { usize::from(head[6]) };
    let chunk_bytes = usize::from(head[7] % 64) + 1;

    let whole = decode(CsvDecoder::new(dialect, record_bytes_max), [text]);
    let cut = decode(CsvDecoder::new(dialect, record_bytes_max), text.chunks(chunk_bytes));
    assert_eq!(whole, cut);

    let mut covered = 0;
    for (index, step) in whole.iter().enumerate() {
        let (Seen::Record(position, raw, _) | Seen::Malformed(position, raw, ..)) = step else { break };
        let from = usize::try_from(position.byte).expect("small");
        assert!(from >= covered && !raw.is_empty() && text[from..].starts_with(raw));
        covered = from + raw.len();
        if index % 8 == 0 {
            let rest = &text[from..];
            let resumed = CsvDecoder::resumed(dialect, record_bytes_max, *position);
            // What begins with the first byte passes over the lines before it once more.
            if position.byte > 0 {
                assert_eq!(decode(resumed, rest.chunks(chunk_bytes)), whole[index..]);
            }
        }
    }
});

fn dialect(head: &[u8; 8]) -> Dialect {
    let escape = if head[1] & 2 == 0 { Escape::Doubled } else { Escape::Byte(b'\\') };
    Dialect {
        delimiter: Delimiter::new(DELIMITERS[usize::from(head[0] % 8)].as_bytes()).expect("short"),
        quote: (head[1] & 1 == 0).then_some(if head[1] & 4 == 0 { b'"' } else { b'\'' }),
        escape,
        skip_lines: u64::from(head[2] % 4),
        comment: match head[3] % 4 {
            0 | 1 => None,
            2 => Marker::new(b"#"),
            _ => Marker::new(b"//"),
        },
        record_end: [RecordEnd::Any, RecordEnd::Lf, RecordEnd::Crlf, RecordEnd::Cr][usize::from(head[4] % 4)],
        stray_quotes: if head[5] & 1 == 0 { StrayQuotes::Refuse } else { StrayQuotes::Accept },
        passes_blanks: head[5] & 2 != 0,
        field_bytes_max: (head[5] & 4 != 0).then_some(u32::from(head[5] >> 3)),
        escapes_unquoted: head[4] & 4 != 0,
        keeps_empty_lines: head[4] & 8 != 0,
        drops_last_delimiter: head[4] & 16 != 0,
    }
}

fn decode<'a>(mut decoder: CsvDecoder, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let (mut chunks, mut seen) = (chunks.into_iter(), Vec::new());
    loop {
        match decoder.step() {
            Ok(Step::Record(record)) => {
                let fields = record.fields().map(|field| (field.bytes.to_vec(), field.is_quoted)).collect();
                seen.push(Seen::Record(record.position, record.raw.to_vec(), fields));
            }
            Ok(Step::Malformed { position, raw, malformation, field }) => {
                seen.push(Seen::Malformed(position, raw.to_vec(), malformation.reason(), field));
            }
            Ok(Step::NeedInput) => match chunks.next() {
                Some(chunk) => decoder.push(Bytes::copy_from_slice(chunk)),
                None => decoder.finish(),
            },
            Ok(Step::End) => return seen,
            Err(error) => {
                seen.push(Seen::Failed(error.to_string()));
                return seen;
            }
        }
    }
}
