//! What others' tests say a file holds: rows, NULLs and what must be refused.
//!
//! Every case runs as a load would, without a server: unpack, charset, dialect (as written, or guessed), records, and
//! rows typed by their columns. Where we answer otherwise on purpose, `differences` names the case and the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use holoload::charset::{self, Charset, Transcoder};
use holoload::decode::csv::CsvDecoder;
use holoload::decode::{Record, Step};
use holoload::guess::{Hints, Sample, guess};
use holoload::inflate::{Compression, Inflater};
use holoload::plan;
use holoload::row::{Encoder, Rules, Slot, Trim};
use holoload::settings::{
    self, Environment, ExtraFields, HeaderRule, MissingFields, ParseSettings, Settings,
};
use holoload::table::Kind;
use serde_json::{Value, json};

use super::differences::{DELIBERATE, NOT_OURS};
use super::duckdb;

pub(crate) type Row = Vec<Option<String>>;

/// What a case asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Keys of `parse:` that are said.
    pub(crate) said: serde_json::Map<String, Value>,
    /// What is not said is guessed.
    pub(crate) is_guessed: bool,
    /// Columns by position, where they are known.
    pub(crate) columns: Option<Vec<(String, Kind)>>,
}

/// What a file came to.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) names: Option<Vec<String>>,
    pub(crate) rows: Vec<Row>,
    pub(crate) rejects: Vec<(String, String)>,
    pub(crate) error: Option<String>,
}

impl Loaded {
    fn failed(error: &holoload::error::Error) -> Self {
        Self { error: Some(error.to_string()), ..Self::default() }
    }

    pub(crate) fn is_reported(&self) -> bool {
        self.error.is_some() || !self.rejects.is_empty()
    }
}

/// Loads `path` as asked.
pub(crate) fn load(path: &Path, asked: &Asked) -> Loaded {
    let raw = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match settings_of(path, &raw, asked).and_then(|parse| load_with(&raw, &parse, asked)) {
        Ok(loaded) => loaded,
        Err(error) => Loaded::failed(&error),
    }
}

fn settings_of(path: &Path, raw: &[u8], asked: &Asked) -> holoload::error::Result<ParseSettings> {
    let mut said = asked.said.clone();
    if asked.is_guessed {
        let hints = ParseSettings::default();
        let mut hints = Hints::of(&hints);
        let text = |key: &str| asked.said.get(key).and_then(Value::as_str).map(str::to_owned);
        hints.delimiter = text("delimiter");
        hints.quote = text("quote");
        hints.escape = text("escape");
        hints.comment = text("comment");
        hints.skip_lines = asked.said.get("skip_lines").and_then(Value::as_u64);
        hints.header = asked.said.get("header").and_then(Value::as_bool);
        let name = path.display().to_string();
        let sample = Sample { head: raw, is_whole: true, name: &name, ..Sample::default() };
        let yaml = guess(&sample, &hints)?.yaml("guessed.csv", Some("t"));
        let guessed = read_parse(&yaml)?;
        for (key, value) in guessed {
            said.entry(key).or_insert(value);
        }
    }
    let yaml = json!({"routes": [{"object": "**", "table": "t", "parse": said}]}).to_string();
    Ok(Settings::read(Some(&yaml), &Environment::of([]))?.routes.remove(0).parse)
}

/// The keys of `parse:` that a guess wrote.
fn read_parse(yaml: &str) -> holoload::error::Result<serde_json::Map<String, Value>> {
    let parse = &Settings::read(Some(yaml), &Environment::of([]))?.routes[0].parse;
    let word = |word: &dyn std::fmt::Debug| json!(format!("{word:?}").to_lowercase());
    let Value::Object(map) = json!({
        "charset": parse.charset,
        "compression": parse.compression,
        "header": parse.header == HeaderRule::Present,
        "delimiter": parse.delimiter.as_deref().unwrap_or(","),
        "quote": parse.quote,
        "escape": parse.escape,
        "stray_quotes": word(&parse.stray_quotes),
        "comment": parse.comment,
        "skip_lines": parse.skip_lines,
        "trim": word(&parse.trim),
        "null_string": parse.null_string,
        "null_quoted": parse.null_quoted,
        "extra_fields": word(&parse.extra_fields),
        "missing_fields": word(&parse.missing_fields),
    }) else {
        unreachable!("an object")
    };
    Ok(map)
}

fn load_with(raw: &[u8], parse: &ParseSettings, asked: &Asked) -> holoload::error::Result<Loaded> {
    let dialect = plan::dialect(parse)?;
    let text = text_of(raw, parse)?;
    let mut decoder = CsvDecoder::new(dialect, 16 << 20);
    decoder.push(text.into());
    decoder.finish();
    let mut loaded = Loaded::default();
    let mut encoders = None;
    loop {
        match decoder.step()? {
            Step::Record(record) => {
                if encoders.is_none() {
                    let first: Vec<_> = record
                        .fields()
                        .map(|field| String::from_utf8_lossy(field.bytes).trim().to_owned())
                        .collect();
                    let kinds = match &asked.columns {
                        Some(columns) => columns.iter().map(|(_, kind)| *kind).collect(),
                        None => vec![Kind::Text; first.len()],
                    };
                    let texts = vec![Kind::Text; kinds.len()];
                    encoders = Some((encoder(parse, &kinds), encoder(parse, &texts)));
                    if is_header(parse, asked, &first) {
                        loaded.names = Some(first);
                        continue;
                    }
                }
                let (typed, plain) = encoders.as_ref().expect("made above");
                take(typed, plain, &record, &mut loaded);
            }
            Step::Malformed { raw, malformation, .. } => {
                loaded
                    .rejects
                    .push((String::from_utf8_lossy(raw).into_owned(), malformation.reason().to_owned()));
            }
            Step::NeedInput => {}
            Step::End => return Ok(loaded),
        }
    }
}

fn is_header(parse: &ParseSettings, asked: &Asked, first: &[String]) -> bool {
    match (parse.header, &asked.columns) {
        (HeaderRule::Present, _) => true,
        (HeaderRule::Absent, _) => false,
        (HeaderRule::Auto, Some(columns)) => {
            columns.iter().zip(first).all(|((name, _), field)| name == field)
        }
        (HeaderRule::Auto, None) => false,
    }
}

fn text_of(raw: &[u8], parse: &ParseSettings) -> holoload::error::Result<Vec<u8>> {
    let plain = match Compression::of(raw)? {
        None => raw.to_vec(),
        Some(compression) => {
            let mut inflater = Inflater::new(compression, 128 << 20)?;
            inflater.push(Bytes::copy_from_slice(raw));
            inflater.finish();
            let mut plain = Vec::new();
            while let Some(piece) = inflater.pull()? {
                plain.extend_from_slice(&piece);
            }
            plain
        }
    };
    let charset = match parse.charset.as_str() {
        "auto" => charset::guess(&plain, true),
        name => Charset::named(name)?,
    };
    if charset.is_utf_8() {
        return Ok(plain);
    }
    let mut text = Vec::new();
    Transcoder::new(charset).decode(&plain, true, &mut text);
    Ok(text)
}

fn encoder(parse: &ParseSettings, kinds: &[Kind]) -> Encoder {
    let slot = |(field, kind): (usize, &Kind)| Slot {
        kind: *kind,
        not_null: false,
        field,
        is_key: false,
        conversion: None,
    };
    let rules = Rules {
        null_strings: parse.null_string.iter().map(|text| text.clone().into_bytes()).collect(),
        null_quoted: parse.null_quoted,
        trim: match parse.trim {
            settings::Trim::None => Trim::None,
            settings::Trim::Unquoted => Trim::Unquoted,
            settings::Trim::All => Trim::All,
        },
        extra_fields: parse.extra_fields == ExtraFields::Ignore,
        missing_fields: parse.missing_fields == MissingFields::Null,
        ..Rules::default()
    };
    Encoder::new(rules, kinds.iter().enumerate().map(slot).collect(), kinds.len())
}

fn take(typed: &Encoder, plain: &Encoder, record: &Record<'_>, loaded: &mut Loaded) {
    let mut out = Vec::new();
    let refused = typed.encode(record, &mut out).and_then(|_| {
        out.clear();
        plain.encode(record, &mut out)
    });
    match refused {
        Ok(_) => loaded.rows.push(values(&out)),
        Err(refusal) => loaded
            .rejects
            .push((String::from_utf8_lossy(record.raw).into_owned(), refusal.reason.to_string())),
    }
}

/// The texts of an encoded row.
fn values(mut row: &[u8]) -> Row {
    let mut values = Vec::new();
    while let Some((length, rest)) = row.split_first_chunk() {
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                let (value, behind) = rest.split_at(length);
                values.push(Some(String::from_utf8(value.to_vec()).expect("accepted as text")));
                row = behind;
            }
            Err(_) => {
                values.push(None);
                row = rest;
            }
        }
    }
    values
}

/// One line of the manifest.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) category: String,
    pub(crate) input: PathBuf,
    pub(crate) options: Value,
    pub(crate) expected: Value,
}

fn cases(corpus: &Path) -> Vec<Case> {
    let manifest = std::fs::read_to_string(corpus.join("MANIFEST.jsonl")).expect("a manifest");
    let text = |case: &Value, key: &str| case[key].as_str().unwrap_or_default().to_owned();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let case = |case: Value| Case {
        id: text(&case, "id"),
        category: text(&case, "category"),
        input: corpus.join(text(&case, "input")),
        options: case["options"].clone(),
        expected: case["expected"].clone(),
    };
    lines
        .map(case)
        .filter(|case| matches!(&*case.category, "parse" | "parse-error" | "guess+parse"))
        .collect()
}

/// What a case came to: nothing is wrong, or what.
fn answer(corpus: &Path, case: &Case) -> Result<(), String> {
    match case.id.split('/').next().unwrap_or_default() {
        "csv-spectrum" => objects(corpus, case),
        "embulk-tokenizer" => tokenizer(case),
        "postgres-copy" => copied(case),
        "rust-csv" => python(case),
        _ => duckdb::answer(corpus, case),
    }
}

fn same(found: &[Row], expected: &[Row]) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("rows {found:?}, expected {expected:?}")) }
}

fn said(pairs: &[(&str, Value)]) -> serde_json::Map<String, Value> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn objects(corpus: &Path, case: &Case) -> Result<(), String> {
    let said = said(&[("header", json!(true)), ("null_string", json!([]))]);
    let loaded = load(&case.input, &Asked { said, ..Asked::default() });
    let file = corpus.join(case.expected["file"].as_str().expect("a file"));
    let objects: Vec<BTreeMap<String, String>> =
        serde_json::from_str(&std::fs::read_to_string(file).expect("a file")).expect("objects");
    let names = loaded.names.clone().unwrap_or_default();
    let found: Vec<BTreeMap<String, String>> = loaded
        .rows
        .iter()
        .map(|row| names.iter().cloned().zip(row.iter().flatten().cloned()).collect())
        .collect();
    let is_same = found == objects && !loaded.is_reported();
    if is_same { Ok(()) } else { Err(format!("{loaded:?}, expected {objects:?}")) }
}

fn tokenizer(case: &Case) -> Result<(), String> {
    let options = &case.options;
    let null_string = options["null_string"].as_str();
    let mut said = said(&[
        ("header", json!(false)),
        ("delimiter", options["delimiter"].clone()),
        ("quote", options["quote"].clone()),
        ("escape", options["escape"].clone()),
        ("null_string", json!(null_string.unwrap_or_default())),
        ("null_quoted", json!(null_string.is_some())),
    ]);
    if options["trim_if_not_quoted"] == true {
        said.insert("trim".to_owned(), json!("unquoted"));
    }
    if let Some(marker) = options.get("comment_line_marker") {
        said.insert("comment".to_owned(), marker.clone());
    }
    if let Some(limit) = options.get("max_quoted_size_limit") {
        said.insert("field_bytes_max".to_owned(), limit.clone());
    }
    let loaded = load(&case.input, &Asked { said, ..Asked::default() });
    let rows = |value: &Value| serde_json::from_value::<Vec<Row>>(value.clone()).expect("rows");
    match case.expected["kind"].as_str() {
        Some("must_report_error") if loaded.is_reported() => Ok(()),
        Some("must_report_error") => Err(format!("nothing was reported: {loaded:?}")),
        Some("rows_with_rejects") => {
            same(&loaded.rows, &rows(&case.expected["rows"]))?;
            let lines: Vec<_> = loaded.rejects.iter().map(|(raw, _)| json!(raw.trim_end())).collect();
            let is_same = Value::from(lines) == case.expected["rejected_lines"];
            if is_same { Ok(()) } else { Err(format!("rejects {:?}", loaded.rejects)) }
        }
        _ if loaded.is_reported() => Err(format!("{loaded:?}")),
        _ => same(&loaded.rows, &rows(&case.expected["value"])),
    }
}

fn copied(case: &Case) -> Result<(), String> {
    let columns: Vec<_> = case.options["columns"]
        .as_str()
        .expect("columns")
        .split(',')
        .map(|column| {
            let (name, sql_type) = column.trim().split_once(' ').expect("a name and a type");
            (name.to_owned(), if sql_type == "int" { Kind::Int4 } else { Kind::Text })
        })
        .collect();
    let copy = case.options["copy_options"].as_str().expect("options");
    let mark = |word: &str| {
        let (_, behind) = copy.split_once(word)?;
        let inside = behind.trim_start().trim_start_matches('E').strip_prefix('\'')?;
        Some(match inside {
            inside if inside.starts_with("''") => "'".to_owned(),
            inside => inside.split('\'').next()?.replace("\\\\", "\\"),
        })
    };
    let mut said = said(&[("header", json!(copy.contains("header")))]);
    for (word, key) in [("quote ", "quote"), ("escape ", "escape"), ("delimiter ", "delimiter")] {
        if let Some(mark) = mark(word) {
            said.insert(key.to_owned(), json!(mark));
        }
    }
    let loaded = load(&case.input, &Asked { said, columns: Some(columns), ..Asked::default() });
    if case.expected["kind"] == "must_report_error" {
        return if loaded.is_reported() { Ok(()) } else { Err(format!("nothing was reported: {loaded:?}")) };
    }
    let value = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let expected: Vec<Row> = case.expected["value"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row.as_array().expect("a row").iter().map(value).collect())
        .collect();
    same(&loaded.rows, &expected)
}

/// Python's reader has no NULL; a test of ours it is all the same, because the dialect is guessed.
fn python(case: &Case) -> Result<(), String> {
    let mut said = said(&[("null_string", json!([]))]);
    if case.options["encoding"] == "latin-1" {
        said.insert("charset".to_owned(), json!("latin1"));
    }
    let loaded = load(&case.input, &Asked { said, is_guessed: true, ..Asked::default() });
    let header = case.options["header"] == true;
    let raw = std::fs::read(&case.input).expect("a file");
    let lines = raw.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.starts_with(b"#")).count() - usize::from(header);
    let delimiter = case.expected["delimiter"].as_str().expect("a delimiter");
    let widths: BTreeSet<_> = loaded.rows.iter().map(Vec::len).collect();
    let is_right = loaded.rows.len() == lines
        && widths.len() == 1
        && widths.first().is_some_and(|width| *width > 1)
        && loaded.names.is_some() == header
        && !loaded.is_reported()
        && !loaded.rows.iter().flatten().flatten().any(|value| value.contains(delimiter) && delimiter != ",");
    if is_right {
        return Ok(());
    }
    let first: Vec<_> = loaded.rows.iter().take(2).collect();
    Err(format!("{} rows of {lines}, {:?}, {first:?}, {:?}", loaded.rows.len(), loaded.names, loaded.rejects))
}

#[test]
fn files_hold_what_others_say_they_hold() {
    let Some(corpus) = std::env::var_os("HOLOLOAD_CORPUS").map(PathBuf::from) else {
        println!("skipped: HOLOLOAD_CORPUS names no directory with the cases of other projects");
        return;
    };
    let (mut scores, mut wrong) = (BTreeMap::<String, [usize; 4]>::new(), Vec::new());
    for case in cases(&corpus) {
        let reason = |list: &[(&'static str, &'static str)]| {
            list.iter().find(|(id, _)| case.id.ends_with(id)).map(|(_, reason)| *reason)
        };
        let kept = [reason(NOT_OURS), reason(DELIBERATE)];
        let project = case.id.split('/').next().unwrap_or_default();
        let score = scores.entry(format!("{:<12} {project}", case.category)).or_default();
        if kept[0].is_some() {
            score[3] += 1;
            continue;
        }
        match (answer(&corpus, &case), kept[1]) {
            (Ok(()), None) => score[0] += 1,
            (Err(_), Some(_)) => score[1] += 1,
            (Ok(()), Some(reason)) => wrong.push(format!("{}: differs no longer ({reason})", case.id)),
            (Err(what), None) => {
                score[2] += 1;
                wrong.push(format!("{}: {}", case.id, what.chars().take(600).collect::<String>()));
            }
        }
    }
    println!("{:<32} right  on purpose otherwise  wrong  not a loader's", "");
    for (name, [right, kept, wrong, foreign]) in &scores {
        println!("{name:<32} {right:>5}  {kept:>20}  {wrong:>5}  {foreign:>14}");
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
