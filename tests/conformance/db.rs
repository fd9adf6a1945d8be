//! Files and tables of other loaders' suites, loaded into PostgreSQL by the real binary: the table must hold what
//! they say.

use crate::harness::Lab;
use crate::manifest::{Case, Outcome, cases, settle};

/// A case in our settings: what stands under the route beside `object` and `table`, and what the expected file shows.
struct Said {
    id: &'static str,
    table: &'static str,
    route: &'static str,
    timezone: &'static str,
    select: &'static str,
}

impl Said {
    const fn new(id: &'static str, table: &'static str, select: &'static str, route: &'static str) -> Self {
        Self { id, table, route, timezone: "UTC", select }
    }
}

const ANY_BAD_ROW: &str = "bad_rows: {max: 100, max_percent: 100}";

/// Every case of `pgloader` with inline data but those of `NO_LOAD`.
const PGLOADER: &[Said] = &[
    Said::new(
        "pgloader/csv",
        "csv",
        r#"a, b, c, "camelCase""#,
        "parse: {header: false, skip_lines: 1}\ndrop: [1, 2]\n\
         columns: {a: {from: 3}, b: {from: 4}, c: {from: 5}, camelCase: {from: 6}}",
    ),
    Said::new(
        "pgloader/csv-error",
        "jordane",
        r#""NOM", "PRENOM""#,
        "parse: {header: false, delimiter: \"|\", quote: \"\", charset: us-ascii}",
    ),
    Said::new(
        "pgloader/csv-header",
        "group",
        r#"somefields, rekplcode, "repl$grpid", "repl$id", another, fields"#,
        "parse: {header: true}",
    ),
    Said::new(
        "pgloader/csv-json",
        "json",
        "json",
        "parse: {header: false, delimiter: \"\\x02\", quote: \"\"}",
    ),
    Said::new(
        "pgloader/csv-keep-extra-blanks",
        "nulls",
        "id, f1, f2, f3",
        "parse: {header: false}\ncolumns: {f1: {from: 1}, f2: {from: 2}, f3: {from: 3}}",
    ),
    Said::new(
        "pgloader/csv-trim-extra-blanks",
        "nulls",
        "id, f1, f2, f3",
        "parse: {header: false, trim: unquoted}\ncolumns: {f1: {from: 1}, f2: {from: 2}, f3: {from: 3}}",
    ),
    Said::new("pgloader/csv-missing-col", "missingcol", "*", "parse: {header: false}"),
    Said::new(
        "pgloader/csv-non-printable",
        "tab_csv",
        "*",
        "parse: {header: false, trim: unquoted, charset: iso-8859-1}",
    ),
    Said::new(
        "pgloader/csv-nulls",
        "nullif",
        "*",
        "parse: {header: false, escape: '\\', null_string: ['\\N']}",
    ),
    Said {
        timezone: "Europe/Paris",
        ..Said::new(
            "pgloader/csv-parse-date",
            "dateformat",
            r#""row num", ts, hr"#,
            "parse: {header: false}\n\
             columns: {ts: {format: [\"%m-%d-%Y %H-%M-%S.%f\", \"%m-%d-%Y %H-%M-%S\"]}, hr: {format: \"%H:%M.%S\"}}",
        )
    },
    Said::new("pgloader/csv-temp", "temp", "*", "parse: {header: false, delimiter: \";\"}"),
];

const BLANK_QUOTE: &str = "a blank before a quote is data, and then so is the quote (RFC 4180): pgloader takes the blank off even where \
                           it keeps blanks, and refuses line 7, whose bytes are loaded here";
const PGLOADER_DELIBERATE: &[(&str, &str)] = &[
    (
        "pgloader/csv-error",
        "`us-ascii` is read as UTF-8, of which it is a part: letters beyond it are loaded, not refused",
    ),
    ("pgloader/csv-keep-extra-blanks", BLANK_QUOTE),
    (
        "pgloader/csv-escape-mode",
        "`identity` and 94 unnamed fields that go nowhere: settings of pgloader's own language",
    ),
    ("pgloader/csv-using-sexp", "a Lisp expression computes the column"),
];

/// Cases of Embulk's output plugin: its input has types in the header, which are taken off.
const EMBULK: &[Said] = &[
    Said::new("embulk-output-postgresql/test_merge", "test_merge", "*", ""),
    Said::new("embulk-output-postgresql/test_string", "test_string", "*", ""),
    Said::new(
        "embulk-output-postgresql/test_number",
        "test_number",
        "*",
        "columns: {money_item: {type: text}}",
    ),
    Said::new("embulk-output-postgresql/test_replace", "test_string", "*", ""),
    Said::new("embulk-output-postgresql/test_json", "test_json", "*", "parse: {quote: \"\"}\n"),
    Said::new(
        "embulk-output-postgresql/test_timestamp",
        "test_timestamp",
        "*",
        "columns:\n  timestamp_item: {format: \"%Y-%m-%d %H:%M:%S.%f %z\", timezone: UTC}",
    ),
];

const SQL: &str = "SQL of the user before or after a load is not run: a trigger, or the caller, does it";
const EMBULK_DELIBERATE: &[(&str, &str)] = &[
    ("embulk-output-postgresql/test_merge_keys", "merges over columns that are no key of the table"),
    ("embulk-output-postgresql/test_merge_rule", "computes the new value by an SQL expression of both"),
    ("embulk-output-postgresql/test_replace", "the table stays what it is: its `char(4)` pads"),
    (
        "embulk-output-postgresql/test_timestamp",
        "a day and a time of day are no moments: `2019-01-02 00:00 +0900` in a column of dates is refused, not moved to the day before",
    ),
    (
        "embulk-output-postgresql/test_number",
        "`money` is what the server makes of a text: the column is refused, by name",
    ),
    ("embulk-output-postgresql/test_insert_after_load", SQL),
    ("embulk-output-postgresql/test_insert_direct_after_load", SQL),
    ("embulk-output-postgresql/test_merge_after_load", SQL),
    ("embulk-output-postgresql/test_merge_direct_after_load", SQL),
    ("embulk-output-postgresql/test_replace_after_load", SQL),
    ("embulk-output-postgresql/test_truncate_insert_after_load", SQL),
    ("embulk-output-postgresql/test_insert_before_load", SQL),
    ("embulk-output-postgresql/test_insert_direct_before_load", SQL),
    ("embulk-output-postgresql/test_merge_before_load", SQL),
    ("embulk-output-postgresql/test_merge_direct_before_load", SQL),
    ("embulk-output-postgresql/test_truncate_insert_before_load", SQL),
];

#[test]
fn tables_of_pgloader_hold_what_it_says() {
    let outcomes: Vec<(String, Outcome)> =
        cases("db", "pg_copy_text").iter().map(|case| (case.id.clone(), pgloader(case))).collect();
    settle("db (pgloader)", &outcomes, PGLOADER_DELIBERATE);
}

#[test]
fn tables_of_embulk_hold_what_it_says() {
    let outcomes: Vec<(String, Outcome)> =
        cases("db", "table_csv").iter().map(|case| (case.id.clone(), embulk(case))).collect();
    settle("db (embulk)", &outcomes, EMBULK_DELIBERATE);
}

fn said(cases: &'static [Said], id: &str) -> Result<&'static Said, String> {
    cases.iter().find(|said| said.id == id).ok_or_else(|| "not said in our settings".to_owned())
}

fn pgloader(case: &Case) -> Outcome {
    let said = said(PGLOADER, &case.id)?;
    let bytes = case.bytes();
    // The statement is text; what follows its last `;` are the bytes of the file.
    let statements = String::from_utf8_lossy(&bytes).into_owned();
    let blocks: Vec<&str> = statements.split("$$").skip(1).step_by(2).collect();
    let after = find_last(&bytes, b"$$").ok_or("no statements")?;
    let end =
        after + bytes[after..].iter().position(|byte| *byte == b';').ok_or("no end of the command")? + 1;
    let data = bytes[end..].trim_ascii_start();
    let sql: Vec<&str> = blocks.iter().map(|block| block.trim().trim_end_matches(';')).collect();
    let expected = case.file(case.expected["file"].as_str().ok_or("no expected file")?);
    let expected = copy_text(&String::from_utf8_lossy(&expected));
    compare(said, &sql.join(";"), data, &expected)
}

fn embulk(case: &Case) -> Outcome {
    let said = said(EMBULK, &case.id)?;
    let text = String::from_utf8(case.bytes()).map_err(|error| error.to_string())?;
    let (header, rows) = text.split_once('\n').ok_or("no header")?;
    let names: Vec<&str> = header.split(',').filter_map(|typed| typed.split(':').next()).collect();
    let setup = String::from_utf8(case.file(case.option("setup"))).map_err(|error| error.to_string())?;
    let expected = case.file(case.expected["file"].as_str().ok_or("no expected file")?);
    let expected = String::from_utf8_lossy(&expected).replace("\\N", "NULL");
    let expected: Vec<String> = expected.lines().map(|line| line.replace("\\,", "\u{1}")).collect();
    // A comma inside JSON is no delimiter there; the tables have none but in the last case's own texts.
    let expected =
        expected.iter().map(|line| line.replace(',', "|").replace('\u{1}', ",")).collect::<Vec<_>>();
    compare(said, &setup, format!("{}\n{rows}", names.join(",")).as_bytes(), &expected)
}

/// Loads the data and compares the table, in the order of its first column.
fn compare(said: &Said, sql: &str, data: &[u8], expected: &[String]) -> Outcome {
    let name = format!("corpus_{}", said.id.replace(['/', '-'], "_"));
    let lab = Lab::new(&name, sql);
    let path = lab.file("input.csv", data);
    let rejects = lab.folder().join("rejects");
    // Their tables have no key, for the most part, and then there is nothing that a row could update.
    let mode = if sql.to_lowercase().contains("primary key") { "" } else { "write: {mode: insert}" };
    let route: String = format!("{}\n{mode}\n{ANY_BAD_ROW}", said.route)
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let yaml = format!(
        "rejects: {}\nroutes:\n  - object: '**'\n    table: '{}'\n{route}",
        rejects.display(),
        said.table
    );
    let config = lab.file("holoload.yml", yaml);
    let run = lab.holoload(&["load", "--json", "--config", &config, &path]).without("HOLOLOAD_TABLE");
    let outcome = run.env("HOLOLOAD_TIMEZONE", said.timezone).run();
    let report: serde_json::Value =
        serde_json::from_str(&outcome.stdout).map_err(|_| outcome.stderr.clone())?;
    let zone = said.timezone;
    lab.db.run(&format!(
        "DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO %L', current_database(), '{zone}'); END $do$"
    ));
    let rows = lab.rows(&format!("SELECT {} FROM \"{}\" ORDER BY 1", said.select, said.table));
    let mut expected = expected.to_vec();
    expected.sort_by_key(|row| row.split('|').next().unwrap_or_default().to_owned());
    let mut sorted = rows.clone();
    sorted.sort();
    expected.sort();
    if sorted == expected {
        return Ok(());
    }
    Err(format!("expected {expected:#?}, the table has {sorted:#?}; {:#}", report["objects"][0]))
}

/// `COPY` text as the harness shows rows.
fn copy_text(text: &str) -> Vec<String> {
    let value = |field: &str| match field {
        "\\N" => "NULL".to_owned(),
        field => field.replace("\\\\", "\\"),
    };
    text.lines().map(|line| line.split('\t').map(value).collect::<Vec<_>>().join("|")).collect()
}

fn find_last(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).rposition(|window| window == needle).map(|at| at + needle.len())
}
