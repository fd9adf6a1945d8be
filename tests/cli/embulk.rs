//! `holoload import-embulk`: whole files, each option, and the files of Embulk's own tests.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Run, assert_contains};

/// Before `embulk guess`: bucket and database alone.
const SEED: &str = r"
in:
  type: s3
  bucket: bob-embulk-demo
  path_prefix: original-data/
  endpoint: s3-ap-northeast-1.amazonaws.com
  access_key_id: AKIAEXAMPLEEXAMPLE
  secret_access_key: abcdEXAMPLEsecret
out:
  type: postgresql
  host: hgpostcn-cn-x-ap-northeast-1.hologres.aliyuncs.com
  port: 80
  user: LTAIexampleexample
  password: hologresEXAMPLEsecret
  database: demo
  table: book_order
  mode: insert_direct
";

/// What `embulk guess` adds to it.
const PARSER: &str = r#"
  parser:
    charset: UTF-8
    newline: CRLF
    type: csv
    delimiter: ','
    quote: '"'
    escape: '"'
    trim_if_not_quoted: false
    skip_header_lines: 1
    allow_extra_columns: false
    allow_optional_columns: false
    columns:
    - {name: order_id, type: string}
    - {name: user_id, type: long}
    - {name: book_id, type: long}
    - {name: book_name, type: string}
    - {name: order_cnt, type: long}
    - {name: order_amt, type: long}
"#;

fn guessed() -> String {
    SEED.replace("out:\n", &format!("{}out:\n", PARSER.trim_start_matches('\n')))
}

struct Imported {
    yaml: String,
    stderr: String,
}

fn import(text: &str) -> Imported {
    let outcome = Run::new(&["import-embulk", "-"]).stdin(text).run().exits(0);
    assert_is_read(&outcome.stdout);
    Imported { yaml: outcome.stdout, stderr: outcome.stderr }
}

/// The loader itself takes it.
#[track_caller]
fn assert_is_read(yaml: &str) {
    let names = ["ACCESS_KEY_SECRET", "ACCESS_KEY_ID", "X", "PW"];
    let variables = names.map(|name| (name.to_owned(), "value".to_owned()));
    let environment = holoload::settings::Environment::of(variables);
    let settings = holoload::settings::Settings::read(Some(yaml), &environment);
    let settings = settings.unwrap_or_else(|error| panic!("{error:?}\n{yaml}"));
    let limits = holoload::plan::Limits::for_memory(1024);
    holoload::plan::Planner::new(&settings, limits).unwrap_or_else(|error| panic!("{error:?}\n{yaml}"));
}

/// What is no comment.
fn code(yaml: &str) -> String {
    let lines = yaml.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_file_before_guess_is_a_target_and_a_route() {
    let imported = import(SEED);
    assert_eq!(
        code(&imported.yaml),
        "target:
  host: hgpostcn-cn-x-ap-northeast-1.hologres.aliyuncs.com
  port: 80
  database: demo
  user: \"${ACCESS_KEY_ID}\"
  password: ${ACCESS_KEY_SECRET}
  tls: verify-full
  timezone: UTC
routes:
  - object: \"s3://bob-embulk-demo/original-data/**\"
    table: book_order
    write: {mode: insert}
"
    );
    let both = format!("{}{}", imported.yaml, imported.stderr);
    for secret in ["AKIAEXAMPLE", "EXAMPLEsecret", "LTAIexample"] {
        assert!(!both.contains(secret), "{secret} was copied: {both}");
    }
    assert_contains(
        &imported.stderr,
        "to do: in.access_key_id, in.secret_access_key, in.session_token, keys of AWS are never copied",
    );
    assert_contains(
        &imported.stderr,
        "to do: out.password, passwords are never copied: set ACCESS_KEY_SECRET",
    );
    assert_contains(&imported.stderr, "not carried over: in.endpoint, because");
    assert_contains(
        &imported.stderr,
        "differs from Embulk: out.ssl, false: Embulk sent password and rows in the clear",
    );
    assert_contains(
        &imported.stderr,
        "differs from Embulk: out.mode: insert_direct, Embulk left a part of the rows",
    );
    assert_contains(&imported.yaml, "# not carried over: in.endpoint, because");
}

#[test]
fn the_guessed_file_reads_as_it_did() {
    let imported = import(&guessed());
    let parse = "    table: book_order
    parse:
      charset: utf-8
      header: true
    write: {mode: insert}
";
    assert_contains(&code(&imported.yaml), parse);
    assert_contains(
        &imported.stderr,
        "differs from Embulk: in.parser.stop_on_invalid_record, false: Embulk dropped bad rows",
    );
    assert_contains(&imported.stderr, "in.parser.newline, because line ends inside quotes stay");
    assert!(!imported.stderr.contains("in.parser.escape"), "{}", imported.stderr);
}

#[test]
fn every_option_of_the_parser_is_translated_or_named() {
    let text = r#"
in:
  type: file
  path_prefix: data/sample_
  decoders: [{type: gzip}, {type: zip}]
  parser:
    type: csv
    charset: MS932
    line_delimiter_recognized: LF
    delimiter: "||"
    quote: null
    quotes_in_quoted_fields: ACCEPT_STRAY_QUOTES_ASSUMING_NO_DELIMITERS_IN_FIELDS
    null_string: 'NULL'
    trim_if_not_quoted: true
    comment_line_marker: '#'
    skip_header_lines: 3
    allow_extra_columns: true
    allow_optional_columns: true
    stop_on_invalid_record: true
    max_quoted_size_limit: 1000
    default_timezone: Asia/Tokyo
    default_timestamp_format: '%Y/%m/%d %H:%M'
    default_date: '2000-01-01'
    colums: []
    columns:
    - {name: id, type: long}
    - {name: at, type: timestamp}
    - {name: day, type: timestamp, format: 'java:yyyy-MM-dd', timezone: UTC, date: '1999-01-01'}
    - {name: memo, type: string}
    - {name: memo, type: string}
    - {name: flag, type: boolean}
filters:
- {type: rename, columns: {id: order_id}, rules: [{rule: upper_to_lower}]}
- {type: remove_columns, remove: [flag]}
- {type: mask, columns: [memo]}
exec: {max_threads: 2, min_output_tasks: 1}
out: {type: postgresql, host: h, database: d, user: BASIC$x, schema: s, table: t, mode: merge, ssl: true,
      options: {sslmode: verify-full}, merge_keys: [id], merge_rule: ['a = S.a'], batch_size: 1, retry_limit: 3,
      column_options: {id: {type: bigint, value_type: string}}, before_load: 'delete from t'}
"#;
    let imported = import(text);
    assert_eq!(
        code(&imported.yaml),
        r#"target:
  host: h
  port: 5432
  database: d
  user: "BASIC$x"
  tls: verify-full
  timezone: Asia/Tokyo
routes:
  - object: "**/{data/sample_*,data/sample_*/**}"
    table: s.t
    parse:
      charset: ms932
      record_end: lf
      delimiter: "||"
      quote: ""
      escape: "\\"
      stray_quotes: accept
      trim: unquoted
      comment: "\#"
      extra_fields: ignore
      missing_fields: "null"
      field_bytes_max: 1000
      null_string: "NULL"
      null_quoted: true
      skip_lines: 2
      header: true
      compression: gzip
    columns:
      order_id: {from: id, null: ["NULL", ""]}
      at: {format: "%Y/%m/%d %H:%M", default_date: "2000-01-01", null: ["NULL", ""]}
      day: {format: "%Y-%m-%d", timezone: UTC, default_date: "1999-01-01", null: ["NULL", ""]}
    drop: [flag]
    write: {mode: upsert}
    bad_rows: {max: 0}
"#
        .replace("\\#", "#")
    );
    for named in [
        "not carried over: in.decoders, `zip`",
        "not carried over: in.parser.columns[4], because there is a column `memo` already",
        "not carried over: in.parser.colums, because the parser `csv` has no such option",
        "not carried over: filters[0].rules, ",
        "not carried over: filters[2], because there is no filter `mask`",
        "not carried over: exec.max_threads, ",
        "not carried over: exec.min_output_tasks, ",
        "not carried over: out.options.sslmode, `verify-full`",
        "not carried over: out.merge_keys, because the table's primary key decides: make it (id)",
        "not carried over: out.merge_rule, ",
        "not carried over: out.batch_size, ",
        "not carried over: out.retry_limit, ",
        "not carried over: out.column_options.id.type, ",
        "not carried over: out.column_options.id.value_type, ",
        "not carried over: out.before_load, ",
        "differs from Embulk: out.ssl, true: Embulk encrypted, and never verified",
        "differs from Embulk: in.parser.escape, which was not said",
        "differs from Embulk: in.parser.null_string, an empty field is ''",
        "differs from Embulk: in.parser.columns.type: boolean, ",
    ] {
        assert_contains(&imported.stderr, named);
    }
}

#[test]
fn times_are_read_and_written_as_they_were() {
    let column = |rest: &str| {
        let text = format!(
            "in: {{type: file, path_prefix: /d/, parser: {{type: csv, escape: '\"', columns: [{{name: a, {rest}}}]}}}}\n\
             out: {{type: postgresql, host: h, user: u, database: d, table: t, mode: insert, default_timezone: '+09:00'}}"
        );
        let imported = import(&text);
        let line = imported.yaml.lines().find(|line| line.starts_with("      a: ")).unwrap_or_default();
        (line.trim().to_owned(), imported.stderr)
    };
    for (said, expected) in [
        ("format: '%H:%M'", "a: {from: 1, format: \"%H:%M\", default_date: \"1970-01-01\"}"),
        (
            "format: '%m/%d', date: '2024-01-01'",
            "a: {from: 1, format: \"%m/%d\", default_date: \"2024-01-01\"}",
        ),
        ("date: '2024-01-01'", "a: {from: 1}"),
        ("format: '%F %T %z'", "a: {from: 1, format: \"%F %T %Z\", timezone: Etc/GMT-9}"),
        ("format: '%s'", "a: {from: 1, format: \"%s\", timezone: Etc/GMT-9}"),
        ("format: '%F', timezone: JST", "a: {from: 1, format: \"%F\", timezone: Asia/Tokyo}"),
        (
            "format: \"java:uuuu-MM-dd['T'HH:mm[:ss]]\"",
            "a: {from: 1, format: [\"%Y-%m-%dT%H:%M:%S\", \"%Y-%m-%dT%H:%M\", \"%Y-%m-%d\"]}",
        ),
    ] {
        assert_eq!(column(&format!("type: timestamp, {said}")).0, expected);
    }
    for (said, named) in [
        ("type: timestamp, format: '%I:%M'", "has an hour of twelve and no `%p`"),
        ("type: timestamp, format: 'java:HH:mm[:ss'", "because `[` has no equivalent"),
        ("type: timestamp, format: '%10N'", "unknown directive"),
        ("type: string, format: '%F'", "in.parser.columns[0].format, because the column is no `timestamp`"),
        (
            "type: timestamp, format: '%F %H:%M'",
            "wrote them into columns of type timestamp as clocks in Etc/GMT-9",
        ),
    ] {
        assert_contains(&column(said).1, named);
    }
    // No zone of the database is that: the file is not loaded before somebody has named one.
    let text = "in: {type: file, parser: {type: csv, default_timezone: '-0330', columns: []}}";
    let yaml = holoload::embulk::import(text).expect("translated").yaml;
    assert_contains(&yaml, "`-0330` is no name of a time zone");
}

#[test]
fn filters_work_one_after_another() {
    let imported = |columns: &str, filters: &str| {
        import(&format!(
            "in: {{type: file, path_prefix: /d/, parser: {{type: csv, skip_header_lines: 1, columns: [{columns}]}}}}\n\
             filters: [{filters}]\nout: {{type: postgresql, host: h, user: u, database: d, table: t, mode: insert, ssl: yes}}"
        ))
    };
    let columns = "{name: x, type: long}, {name: y, type: long}, {name: no, type: string}";
    let swapped = "{type: rename, columns: {x: y, y: x}}, {type: rename, columns: {x: lat, y: lon}}";
    let import = imported(columns, swapped);
    assert_contains(&import.yaml, "columns:\n      lon: {from: x}\n      lat: {from: \"y\"}\n    write:");
    assert_contains(&import.stderr, "out.ssl, true");
    // A name that a column no longer has means nothing.
    let kept = "{type: rename, columns: {x: a}}, {type: remove_columns, remove: [x]}, {type: remove_columns, keep: [a]}";
    let import = imported(columns, kept);
    assert_contains(&import.yaml, "      a: {from: x}\n    drop: [\"y\", \"no\"]");
    let import = imported("", kept);
    assert_contains(&import.yaml, "      a: {from: x}\n    write:");
    assert_contains(&import.stderr, "to do: filters.keep");
}

#[test]
fn names_of_tables_are_taken_as_they_are() {
    for (said, expected) in [
        ("table: orders", "table: orders"),
        ("table: Orders", "table: \"\\\"Orders\\\"\""),
        ("schema: my schema, table: a.b", "table: \"\\\"my schema\\\".\\\"a.b\\\"\""),
    ] {
        let text = format!("out: {{type: postgresql, host: h, user: u, database: d, mode: insert, {said}}}");
        assert_contains(&import(&text).yaml, expected);
    }
}

#[test]
fn every_option_of_the_input_is_named() {
    let options = "total_file_count_limit min_task_size last_path incremental use_modified_time last_modified_time \
                   skip_glacier_objects endpoint region http_proxy auth_method session_token profile_file profile_name \
                   account_id role_name external_id duration_in_seconds session_name arn_partition maximum_retries \
                   initial_retry_interval_millis maximum_retry_interval_millis";
    let said: String = options.split_whitespace().map(|name| format!("  {name}: x\n")).collect();
    let text = format!(
        "in:\n  type: s3\n  bucket: b\n  path_prefix: a/x\n  path_match_pattern: '.*\\.csv$'\n{said}  parser: {{type: csv, columns: []}}\n"
    );
    let imported = import(&text);
    assert_contains(&imported.yaml, "object: \"s3://b/{a/x*.csv,a/x*/**/*.csv}\"");
    for name in options.split_whitespace() {
        assert_contains(&imported.stderr, &format!("in.{name}"));
    }
    // Without a header columns are known by their place.
    let text = "in: {type: file, path_prefix: /d/, parser: {type: csv, columns: [{name: a, type: long}, {name: b, type: string}]}}";
    let yaml = import(text).yaml;
    assert_contains(&yaml, "object: \"/d/**\"…header: false…a: {from: 1}…b: {from: 2}");
}

#[test]
fn modes_are_what_they_meant() {
    for (mode, write) in [
        ("insert", "{mode: insert}"),
        ("insert_direct", "{mode: insert}"),
        ("truncate_insert", "{mode: snapshot, scope: table}"),
        ("replace", "{mode: snapshot, scope: table}"),
        ("merge", "{mode: upsert}"),
        ("merge_direct", "{mode: upsert}"),
    ] {
        let imported = import(&format!(
            "out: {{type: postgresql, host: h, user: u, database: d, table: t, mode: {mode}}}"
        ));
        assert_contains(&imported.yaml, &format!("    write: {write}\n"));
    }
}

#[test]
fn templates_are_filled_or_refused() {
    let variables =
        SEED.replace("hologresEXAMPLEsecret", "{{ env.PW }}").replace("demo\n", "\"{{ env.X }}\"\n");
    let imported = import(&variables);
    assert_contains(&imported.yaml, "database: \"${X}\"");
    // A variable holds no secret in itself: it stays what it is.
    assert_contains(&imported.yaml, "password: ${PW}");
    assert!(!imported.stderr.contains("out.password"), "{}", imported.stderr);
    Run::new(&["import-embulk", "-"]).stdin("in: <%= ENV['X'] %>").run().refused(
        2,
        "an ERB template",
        "erb config",
    );
    for template in ["in: {{ file }}", "{% include 'x' %}\nin: {}", "in: {{ env.x | upcase }}"] {
        Run::new(&["import-embulk", "-"]).stdin(template).run().refused(
            2,
            "it is a Liquid template",
            "`{{ env.NAME }}` alone is understood",
        );
    }
    // Nothing of a text that is no YAML is repeated: it may be a password.
    let outcome = Run::new(&["import-embulk", "-"]).stdin("out: {password: hunter2").run().exits(2);
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
}

#[test]
fn notes_are_for_machines_as_well_and_files_are_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("embulk.yml");
    std::fs::write(&file, guessed()).expect("a file");
    let file = file.display().to_string();
    let answer = Run::new(&["import-embulk", "--json", &file]).run().exits(0).json();
    assert_contains(answer["yaml"].as_str().expect("text"), "target:");
    let kinds: Vec<&Value> =
        answer["notes"].as_array().expect("notes").iter().map(|note| &note["kind"]).collect();
    assert!(kinds.contains(&&Value::from("to do")) && kinds.contains(&&Value::from("not carried over")));
    let to = folder.path().join("holoload.yaml").display().to_string();
    let outcome = Run::new(&["import-embulk", &file, "-o", &to, "--quiet"]).run().exits(0);
    assert_eq!(outcome.stdout, "");
    let written = std::fs::read_to_string(&to).expect("a file");
    assert_is_read(&written);
    Run::new(&["import-embulk", &file, "-o", &to]).run().refused(2, "write `", "--force");
    Run::new(&["import-embulk", &file, "-o", &to, "--force"]).run().exits(0);
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_under(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            found.push(path);
        }
    }
}

/// Those of Embulk's own tests, where the corpus is at hand.
#[test]
#[expect(clippy::print_stderr, reason = "whoever reads the log should know that it did not run")]
fn files_of_the_corpus_are_taken() {
    let Some(corpus) = std::env::var_os("HOLOLOAD_CORPUS").map(PathBuf::from) else {
        eprintln!("skipped: HOLOLOAD_CORPUS names no corpus");
        return;
    };
    let mut files = Vec::new();
    for name in ["embulk-output-postgresql", "embulk-guess-csv"] {
        files_under(&corpus.join(name), &mut files);
    }
    assert!(files.len() > 40, "{} files", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("UTF-8");
        let import =
            holoload::embulk::import(&text).unwrap_or_else(|error| panic!("{}: {error:?}", file.display()));
        assert_is_read(&import.yaml);
    }
}
