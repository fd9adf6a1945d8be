//! Any bytes as JSON of any layout give the same steps however they are cut, also for whoever begins in the middle, and
//! the records cover them in order. The first four bytes of an input choose layout, paths, rules, limit and chunks.
#![no_main]

use bytes::Bytes;
use holoload::decode::json::{JsonDecoder, JsonPath, Layout, Others, Survey, one_line};
use holoload::decode::{Format, Position, Step};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq)]
enum Seen {
    Record(Position, Vec<u8>, Vec<(Vec<u8>, bool)>),
    Malformed(Position, Vec<u8>, &'static str, usize),
    Failed(String),
}

const PATHS: [&str; 6] = ["a", "b.c", "/b/0", "/a~1b/1/x", "a", "id"];

fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_first_chunk::<4>() else { return };
    let chunk_bytes = usize::from(head[3] % 64) + 1;
    let whole = decode(decoder(head), [text], |_, _| {});
    assert_eq!(whole, decode(decoder(head), text.chunks(chunk_bytes), |_, _| {}));

    let mut covered = 0;
    for step in &whole {
        let (Seen::Record(position, raw, _) | Seen::Malformed(position, raw, ..)) = step else { break };
        let from = usize::try_from(position.byte).expect("small");
        assert!(from >= covered && !raw.is_empty() && text[from..].starts_with(raw));
        assert_eq!(one_line(raw).len(), raw.len());
        covered = from + raw.len();
    }
    let mut places = Vec::new();
    decode(decoder(head), [text], |position, around| places.push((position, around.to_owned())));
    for (index, (position, around)) in places.into_iter().enumerate().step_by(8) {
        let rest = &text[usize::try_from(position.byte).expect("small")..];
        let resumed = decoder(head).resumed(position, &around);
        assert_eq!(decode(resumed, rest.chunks(chunk_bytes), |_, _| {}), whole[index + 1..]);
    }
    let mut survey = Survey::new(layout(head), 1 << 20);
    survey.push(Bytes::copy_from_slice(text));
    survey.finish();
    // Whatever it is taken for, or refused as.
    drop(Format::of_head(Format::ALL.get(usize::from(head[1] % 8)).copied(), text, true));
});

fn layout(head: &[u8; 4]) -> Layout {
    let root = match head[0] % 4 {
        0 | 1 => return Layout::Lines,
        2 => "",
        _ => "/a/0",
    };
    Layout::Document { root: JsonPath::root(root).expect("a pointer") }
}

fn decoder(head: &[u8; 4]) -> JsonDecoder {
    let count = usize::from(head[1]) % (PATHS.len() + 1);
    let paths: Vec<JsonPath> =
        PATHS.iter().take(count).map(|path| JsonPath::parse(path).expect("a path")).collect();
    let others = match head[0] / 4 % 3 {
        0 => Others::Pass,
        1 => Others::Refuse,
        _ => Others::Collect,
    };
    let record_bytes_max = if head[2] < 192 { 1 << 20 } else { usize::from(head[2] - 191) };
    let decoder = JsonDecoder::new(&paths, layout(head), record_bytes_max)
        .with_json_fields([4])
        .with_passed(["p"])
        .with_late(["late"])
        .with_others(others);
    if head[0] < 128 { decoder } else { decoder.with_forms(["A", "ID"], str::to_uppercase) }
}

fn decode<'a>(
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
                seen.push(Seen::Record(record.position, record.raw.to_vec(), fields));
            }
            Ok(Step::Malformed { position, raw, malformation, field }) => {
                seen.push(Seen::Malformed(position, raw.to_vec(), malformation.reason(), field));
            }
            Ok(Step::NeedInput) => {
                match chunks.next() {
                    Some(chunk) => decoder.push(Bytes::copy_from_slice(chunk)),
                    None => decoder.finish(),
                }
                continue;
            }
            Ok(Step::End) => return seen,
            Err(error) => {
                seen.push(Seen::Failed(error.to_string()));
                return seen;
            }
        }
        look(decoder.position(), decoder.around());
    }
}
