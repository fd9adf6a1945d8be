//! What others' tests say a file holds: rows, NULLs and what must be refused.
//!
//! Every case runs as a load would, without a server: unpack, charset, dialect (as written, or guessed), records, and
//! rows typed by their columns. Where we answer otherwise on purpose, `differences` names the case and the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use holoload::charset::{self, Transcoder};
use holoload::decode::csv::CsvDecoder;
use holoload::decode::{Field, Record, Step};
use holoload::error::Result;
use holoload::guess::{Hints, Sample, Type, guess};
use holoload::inflate::{Compression, Inflater};
use holoload::plan::{Limits, Planner, Route};
use holoload::row::{Conversion, Encoder, Slot};
use holoload::settings::{Environment, HeaderRule, ParseSettings, Settings};
use holoload::table::Kind;
use serde_json::{Map, Value, json};

use super::differences::{DELIBERATE, NOT_OURS};
use super::duckdb;
use super::manifest::{Case, Outcome, cases, settle};

pub(crate) type Row = Vec<Option<String>>;

/// What a case asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Keys of `parse:` that are said.
    pub(crate) said: Map<String, Value>,
    /// What is not said is guessed.
    pub(crate) is_guessed: bool,
    /// Columns by position, where they are known.
    pub(crate) columns: Option<Vec<(String, Kind)>>,
    /// Kinds of columns that the header names; all others are texts.
    pub(crate) kinds: Vec<(String, Kind)>,
    /// Rules of columns, as in `columns:`.
    pub(crate) rules: Map<String, Value>,
    /// An empty line is a record if the guess finds one column.
    pub(crate) keeps_empty_lines_of_one: bool,
    /// Columns as they were guessed for a file without header.
    pub(crate) guessed: Vec<(String, Kind)>,
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
    pub(crate) fn is_reported(&self) -> bool {
        self.error.is_some() || !self.rejects.is_empty()
    }
}

/// Loads `path` as asked.
pub(crate) fn load(path: &Path, asked: &Asked) -> Loaded {
    let raw = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match route(path, &raw, asked.clone()).and_then(|(route, asked)| load_by(&raw, &route, &asked)) {
        Ok(loaded) => loaded,
        Err(error) => Loaded { error: Some(error.to_string()), ..Loaded::default() },
    }
}

/// The route that says all that, and what was guessed as if it had been asked for.
fn route(path: &Path, raw: &[u8], mut asked: Asked) -> Result<(Arc<Route>, Asked)> {
    if asked.is_guessed {
        add_guess(path, raw, &mut asked)?;
    }
    let yaml = json!({"routes": [{
        "object": "**", "table": "t", "parse": asked.said, "columns": asked.rules, "bad_rows": {"max": 0},
    }]});
    let settings = Settings::read(Some(&yaml.to_string()), &Environment::of([]))?;
    let planner = Planner::new(&settings, Limits::for_memory(1024))?;
    Ok((Arc::clone(&planner.routes()[0]), asked))
}

fn add_guess(path: &Path, raw: &[u8], asked: &mut Asked) -> Result<()> {
    let text = |key: &str| asked.said.get(key).and_then(Value::as_str).map(str::to_owned);
    let hints = Hints {
        delimiter: text("delimiter"),
        quote: text("quote"),
        escape: text("escape"),
        comment: text("comment"),
        charset: text("charset"),
        skip_lines: asked.said.get("skip_lines").and_then(Value::as_u64),
        header: asked.said.get("header").and_then(Value::as_bool),
        ..Hints::default()
    };
    let name = path.display().to_string();
    let guessed = guess(&Sample { head: raw, is_whole: true, name: &name, ..Sample::default() }, &hints)?;
    let yaml = guessed.yaml("guessed.csv", Some("t"));
    let parse = &Settings::read(Some(&yaml), &Environment::of([]))?.routes[0].parse;
    for (key, value) in keys(parse) {
        asked.said.entry(key).or_insert(value);
    }
    if asked.keeps_empty_lines_of_one && guessed.columns.len() == 1 {
        asked.said.insert("empty_lines".to_owned(), json!("record"));
    }
    if asked.columns.is_some() {
        return Ok(());
    }
    for column in &guessed.columns {
        let kind = match column.kind {
            Type::Date => Kind::Date,
            Type::Timestamp => Kind::Timestamp { digits: 6 },
            _ => continue,
        };
        asked.kinds.push((column.name.clone(), kind));
        if !column.formats.is_empty() && !asked.rules.contains_key(&column.name) {
            asked.rules.insert(column.name.clone(), json!({"format": column.formats}));
        }
    }
    let names = guessed.columns.iter().map(|column| (column.name.clone(), Kind::Text)).collect();
    if parse.header == HeaderRule::Absent {
        asked.guessed = names;
    }
    Ok(())
}

/// The keys of `parse:` that a guess wrote.
fn keys(parse: &ParseSettings) -> Map<String, Value> {
    let word = |word: &dyn std::fmt::Debug| json!(format!("{word:?}").to_lowercase());
    let keys = json!({
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
    });
    keys.as_object().expect("an object").clone()
}

fn load_by(raw: &[u8], route: &Route, asked: &Asked) -> Result<Loaded> {
    let mut decoder = CsvDecoder::new(route.dialect, 16 << 20);
    decoder.push(text_of(raw, route)?.into());
    decoder.finish();
    let mut loaded = Loaded::default();
    let mut typed = None;
    loop {
        match decoder.step()? {
            Step::Record(record) => {
                if typed.is_none() {
                    let text = |field: Field<'_>| String::from_utf8_lossy(field.bytes).trim().to_owned();
                    let first: Vec<_> = record.fields().map(text).collect();
                    let is_header = route.header == HeaderRule::Present;
                    let columns = columns(asked, &first, is_header);
                    typed = Some(Typed::new(route, &columns));
                    if is_header {
                        loaded.names = Some(first);
                        continue;
                    }
                }
                typed.as_ref().expect("made above").take(&record, &mut loaded);
            }
            Step::Malformed { raw, malformation, .. } => {
                let raw = String::from_utf8_lossy(raw).into_owned();
                loaded.rejects.push((raw, malformation.reason().to_owned()));
            }
            Step::NeedInput => {}
            Step::End => return Ok(loaded),
        }
    }
}

/// Names and kinds of the columns, by position.
fn columns(asked: &Asked, first: &[String], is_header: bool) -> Vec<(String, Kind)> {
    let columns = asked.columns.clone().unwrap_or_else(|| {
        if !is_header && asked.guessed.len() == first.len() {
            return asked.guessed.clone();
        }
        let name = |at: usize| if is_header { first[at].clone() } else { format!("column{at}") };
        (0..first.len()).map(|at| (name(at), Kind::Text)).collect()
    });
    let kind = |(name, kind): (String, Kind)| {
        let known = asked.kinds.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        (name, known.unwrap_or(kind))
    };
    columns.into_iter().map(kind).collect()
}

/// The columns' own encoder, and one that takes them all for texts, by which values are looked at.
struct Typed {
    kinds: Vec<Kind>,
    own: Encoder,
    texts: Encoder,
}

impl Typed {
    fn new(route: &Route, columns: &[(String, Kind)]) -> Self {
        let kinds: Vec<_> = columns.iter().map(|(_, kind)| *kind).collect();
        let encoder = |is_text: bool| {
            let slots = columns.iter().enumerate().map(|(field, (name, kind))| {
                let rule = route.conversions.iter().position(|(known, _)| known == name);
                Slot {
                    kind: if is_text { Kind::Text } else { *kind },
                    not_null: false,
                    field,
                    is_key: false,
                    conversion: rule.and_then(|rule| u16::try_from(rule).ok()),
                }
            });
            let conversions = route.conversions.iter().map(|(_, rule)| {
                let plain =
                    Conversion { nulls: rule.nulls.clone(), trim: rule.trim, ..Conversion::default() };
                if is_text { plain } else { rule.clone() }
            });
            Encoder::new(route.rules.clone(), slots.collect(), columns.len())
                .with_conversions(conversions.collect())
        };
        Self { kinds, own: encoder(false), texts: encoder(true) }
    }

    fn take(&self, record: &Record<'_>, loaded: &mut Loaded) {
        let (mut own, mut texts) = (Vec::new(), Vec::new());
        let refused = self.own.encode(record, &mut own).and_then(|_| self.texts.encode(record, &mut texts));
        match refused {
            Ok(_) => {
                let values = values(&own).into_iter().zip(values(&texts)).zip(&self.kinds);
                loaded.rows.push(values.map(|((own, text), kind)| shown(*kind, own, text)).collect());
            }
            Err(refusal) => {
                let raw = String::from_utf8_lossy(record.raw).into_owned();
                loaded.rejects.push((raw, refusal.reason.to_string()));
            }
        }
    }
}

/// A value as text: times as the server shows them, all others as they were written.
fn shown(kind: Kind, own: Option<&[u8]>, text: Option<&[u8]>) -> Option<String> {
    let (own, text) = (own?, text?);
    let text = String::from_utf8(text.to_vec()).expect("accepted as text");
    let start = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0);
    let shown = match kind {
        Kind::Date => own.try_into().ok().and_then(|days| {
            start
                .checked_add(jiff::Span::new().days(i32::from_be_bytes(days)))
                .ok()
                .map(|at| at.date().to_string())
        }),
        Kind::Timestamp { .. } => own.try_into().ok().and_then(|micros| {
            let at = start.checked_add(jiff::Span::new().microseconds(i64::from_be_bytes(micros))).ok()?;
            Some(at.to_string().replace('T', " "))
        }),
        _ => None,
    };
    Some(shown.unwrap_or(text))
}

fn text_of(raw: &[u8], route: &Route) -> Result<Vec<u8>> {
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
    let charset = route.packing.charset.unwrap_or_else(|| charset::guess(&plain, true));
    if charset.is_utf_8() {
        return Ok(plain);
    }
    let mut text = Vec::new();
    Transcoder::new(charset).decode(&plain, true, &mut text);
    Ok(text)
}

/// The values of an encoded row.
fn values(mut row: &[u8]) -> Vec<Option<&[u8]>> {
    let mut values = Vec::new();
    while let Some((length, rest)) = row.split_first_chunk() {
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let (value, behind) = rest.split_at(length.unwrap_or(0));
        values.push(length.map(|_| value));
        row = behind;
    }
    values
}

/// What a case came to: nothing is wrong, or what.
fn answer(case: &Case) -> Outcome {
    match case.id.split('/').next().unwrap_or_default() {
        "csv-spectrum" => objects(case),
        "embulk-tokenizer" => tokenizer(case),
        "postgres-copy" => copied(case),
        "rust-csv" => python(case),
        _ => duckdb::answer(case),
    }
}

fn same(found: &[Row], expected: &[Row]) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("rows {found:?}, expected {expected:?}")) }
}

fn path(case: &Case) -> &Path {
    case.input.as_deref().expect("an input")
}

fn said(pairs: &[(&str, Value)]) -> Map<String, Value> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn objects(case: &Case) -> Outcome {
    let said = said(&[("header", json!(true)), ("null_string", json!([]))]);
    let loaded = load(path(case), &Asked { said, ..Asked::default() });
    let file = case.file(case.expected["file"].as_str().expect("a file"));
    let said: Value = serde_json::from_slice(&file).expect("JSON");
    let said = if said.is_array() { said } else { json!([said]) };
    let objects: Vec<BTreeMap<String, String>> = serde_json::from_value(said).expect("objects");
    let names = loaded.names.clone().unwrap_or_default();
    let found: Vec<BTreeMap<String, String>> = loaded
        .rows
        .iter()
        .map(|row| names.iter().cloned().zip(row.iter().flatten().cloned()).collect())
        .collect();
    let is_same = found == objects && !loaded.is_reported();
    if is_same { Ok(()) } else { Err(format!("{loaded:?}, expected {objects:?}")) }
}

fn tokenizer(case: &Case) -> Outcome {
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
    let loaded = load(path(case), &Asked { said, ..Asked::default() });
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

fn copied(case: &Case) -> Outcome {
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
    let mut rules = Map::new();
    if copy.contains("force_not_null(b)") {
        rules.insert("b".to_owned(), json!({"null": []}));
        said.insert("null_quoted".to_owned(), json!(true));
    }
    let loaded = load(path(case), &Asked { said, columns: Some(columns), rules, ..Asked::default() });
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
fn python(case: &Case) -> Outcome {
    let mut said = said(&[("null_string", json!([]))]);
    if case.options["encoding"] == "latin-1" {
        said.insert("charset".to_owned(), json!("latin1"));
    }
    let loaded = load(path(case), &Asked { said, is_guessed: true, ..Asked::default() });
    let header = case.options["header"] == true;
    let raw = case.bytes();
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

const CATEGORIES: [(&str, &[&str]); 3] = [
    (
        "parse",
        &[
            "objects",
            "rows_nullable",
            "rows_with_rejects",
            "must_report_error",
            "rows_typed",
            "duckdb_sqllogic",
        ],
    ),
    ("parse-error", &["duckdb_sqllogic"]),
    ("guess+parse", &["python_csv_rows"]),
];

#[test]
fn files_hold_what_others_say_they_hold() {
    let mut failed = Vec::new();
    for (category, kinds) in CATEGORIES {
        let cases: Vec<_> = kinds.iter().flat_map(|kind| cases(category, kind)).collect();
        let is_ours = |case: &&Case| NOT_OURS.iter().all(|(id, _)| *id != case.id);
        let outcomes: Vec<_> =
            cases.iter().filter(is_ours).map(|case| (case.id.clone(), answer(case))).collect();
        let foreign = cases.len() - outcomes.len();
        if foreign > 0 {
            eprintln!("conformance: {category}: {foreign} of {} ask for what no loader does", cases.len());
        }
        let is_known = |(id, _): &&(&'static str, &'static str)| cases.iter().any(|case| case.id == *id);
        let deliberate: Vec<_> = DELIBERATE.iter().filter(is_known).copied().collect();
        let settled = std::panic::catch_unwind(|| settle(category, &outcomes, &deliberate));
        failed.extend(settled.is_err().then_some(category));
    }
    assert!(failed.is_empty(), "{failed:?}");
}
