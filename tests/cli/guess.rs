//! `holoload guess`, `preview` and `check`: what people see before anything is loaded; and the way of somebody new, from a
//! file to a table.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::COMMANDS;
use crate::harness::{Lab, Run, assert_contains, s3};

const ORDERS: &str = "order_id,user_id,book_name,order_cnt,order_amt,ordered_at\n\
    A-1,1,吾輩は猫である,3,1200.50,2024-05-01 10:00:00\n\
    A-2,2,\"容疑者Xの献身, 上\",1,980.00,2024-05-02 11:30:00\n\
    A-3,3,火花,2,1500.25,2024-05-03 09:15:00\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn shift_jis(text: &str) -> Vec<u8> {
    encoding_rs::SHIFT_JIS.encode(text).0.into_owned()
}

/// A file, two commands, and its rows are in a table that was not there.
#[track_caller]
fn newcomer(name: &str, file: &str, bytes: impl AsRef<[u8]>) {
    let lab = Lab::new(name, "");
    let path = lab.file(file, bytes);
    let ddl = lab.holoload(&["guess", &path, "--ddl", "--table", "orders"]).run().exits(0);
    // What goes into psql is SQL and comments, as it is.
    lab.db.run(&ddl.stdout);
    lab.holoload(&["load", "--json", &path, "--table", "orders", "--mode", "insert"]).run().loaded();
    assert_eq!(
        lab.rows(
            "SELECT order_id, user_id, book_name, order_cnt, order_amt, ordered_at FROM orders ORDER BY 1"
        ),
        [
            "A-1|1|吾輩は猫である|3|1200.50|2024-05-01 10:00:00",
            "A-2|2|容疑者Xの献身, 上|1|980.00|2024-05-02 11:30:00",
            "A-3|3|火花|2|1500.25|2024-05-03 09:15:00",
        ]
    );
}

#[test]
fn a_newcomer_loads_csv_in_two_commands() {
    newcomer("new_csv", "orders.csv", ORDERS);
}

#[test]
fn a_newcomer_loads_shift_jis_in_two_commands() {
    newcomer("new_sjis", "orders.csv", shift_jis(ORDERS));
}

#[test]
fn a_newcomer_loads_gzip_in_two_commands() {
    newcomer("new_gzip", "orders.csv.gz", gzip(ORDERS.as_bytes()));
}

#[test]
fn a_newcomer_loads_tsv_in_two_commands() {
    let text =
        ORDERS.replace("\"容疑者Xの献身, 上\"", "容疑者Xの献身@ 上").replace(',', "\t").replace('@', ",");
    newcomer("new_tsv", "orders.tsv", text);
}

#[test]
fn a_newcomer_loads_json_lines_in_two_commands() {
    let text = r#"{"order_id":"A-1","user_id":1,"book_name":"吾輩は猫である","order_cnt":3,"order_amt":1200.50,"ordered_at":"2024-05-01 10:00:00"}
{"order_id":"A-2","user_id":2,"book_name":"容疑者Xの献身, 上","order_cnt":1,"order_amt":980.00,"ordered_at":"2024-05-02 11:30:00"}
{"order_id":"A-3","user_id":3,"book_name":"火花","order_cnt":2,"order_amt":1500.25,"ordered_at":"2024-05-03 09:15:00"}
"#;
    newcomer("new_jsonl", "orders.jsonl", text);
}

#[test]
fn a_guess_is_a_configuration_that_loads() {
    let lab = Lab::new(
        "guess_yaml",
        "CREATE TABLE orders (order_id text PRIMARY KEY, user_id int8, book_name text, order_cnt int8, order_amt numeric(10,2), ordered_at timestamp)",
    );
    let path = lab.file("orders.csv", ORDERS.replace(',', ";").replace("献身; 上", "献身, 上"));
    let yaml = lab.folder().join("holoload.yaml").display().to_string();
    let guessed = lab.holoload(&["guess", &path, "--table", "orders", "-o", &yaml]).run().exits(0);
    assert_eq!(guessed.stdout, "");
    assert_contains(&std::fs::read_to_string(&yaml).expect("a file"), "delimiter");
    lab.holoload(&["guess", &path, "-o", &yaml]).run().refused(2, "write `", "--force");
    let load = lab.holoload(&["load", "--json", &path, "--config", &yaml]).without("HOLOLOAD_TABLE").run();
    assert_eq!(load.loaded()["row_count"], 3);
    assert_eq!(lab.db.count("orders"), 3);
}

#[test]
fn a_guess_is_json_and_takes_stdin() {
    let guess = Run::new(&["guess", "--json", "-"]).stdin(ORDERS).run().exits(0);
    assert_eq!(guess.stderr, "");
    let answer = guess.json();
    let said = ["format", "delimiter", "header", "charset"].map(|name| &answer[name]);
    assert_eq!(said, [&json!("csv"), &json!(","), &json!(true), &json!("UTF-8")]);
    let names: Vec<&Value> =
        answer["columns"].as_array().expect("columns").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["order_id", "user_id", "book_name", "order_cnt", "order_amt", "ordered_at"]);
    // No value of the file stands in it.
    assert!(!guess.stdout.contains("火花"), "{}", guess.stdout);
    Run::new(&["guess", "-", "--format", "xml"]).stdin("a").run().refused(
        2,
        "the format `xml` is not known",
        "csv",
    );
}

#[test]
fn the_newest_objects_of_a_prefix_are_compared() {
    let lab = Lab::new("guess_prefix", "");
    lab.put("in/a.csv", "id,name\n1,a\n2,b\n");
    lab.put("in/b.csv", "id;name\n1;a\n2;b\n");
    let guess = lab.holoload(&["guess", "--table", "t", &lab.address("in/")]).run().exits(0);
    assert_contains(&guess.stdout, &format!("object: \"{}**\"", lab.address("in/")));
    assert_contains(&guess.stderr, "note: `s3://…` differs: delimiter");
}

#[test]
fn a_guess_is_compared_with_the_live_table() {
    let lab = Lab::new(
        "guess_compare",
        "CREATE TABLE t (order_id text PRIMARY KEY, user_id int8, book_name text, order_cnt int8, order_amt numeric(10,2), ordered_at timestamp); CREATE TABLE u (order_id int8 PRIMARY KEY, note text NOT NULL)",
    );
    let path = lab.file("orders.csv", ORDERS);
    let fits = lab.holoload(&["guess", "--compare", &path]).run().exits(0);
    assert_eq!(fits.stdout, format!("{path} fits public.t\n"));
    let differs = lab.holoload(&["guess", "--compare", "--table", "u", &path]).run().exits(1);
    assert_contains(&differs.stdout, "COLUMN…WHAT…FIX");
    assert_contains(&differs.stdout, "user_id");
    let answer = lab.holoload(&["guess", "--compare", "--json", "--table", "u", &path]).run().exits(1).json();
    assert_eq!(answer["table"], "public.u");
    assert!(answer["differences"].as_array().expect("a list").len() > 1, "{answer:#}");
}

#[test]
fn each_difference_is_told_with_what_mends_it() {
    let lab = Lab::new(
        "compare_kinds",
        "CREATE TABLE t (id int8 PRIMARY KEY, day date, name varchar(3), total int8, note text NOT NULL, title text, \
         must text NOT NULL, made timestamptz DEFAULT now())",
    );
    let path = lab.file(
        "input.csv",
        "id,day,name,total,note,titel,extra\n1,13/05/2024,a,x,b,c,1\n2,14/05/2024,abcd,y,,e,2\n3,15/05/2024,b,z,d,f,3\n",
    );
    let answer = lab.holoload(&["guess", "--compare", "--json", &path]).run().exits(1).json();
    let told: Vec<(&str, bool)> = answer["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["column"].as_str().expect("a name"), one["is_fatal"] == true))
        .collect();
    assert_eq!(
        told,
        [
            ("day", true),
            ("name", false),
            ("total", true),
            ("note", true),
            ("titel", true),
            ("extra", true),
            ("title", false),
            ("must", true),
            ("made", false),
        ]
    );
    let shown = lab.holoload(&["guess", "--compare", &path]).run().exits(1).stdout;
    for wanted in [
        "fail  day…need a rule to be read as date…columns: {day: {format: [\"%d/%m/%Y\"]}}",
        "warn  name…values that do not fit are refused",
        "fail  total…the file holds text, the table bigint",
        "fail  note…the file has rows without…columns: {note: {default:",
        "fail  titel…the nearest is title…columns: {title: {from: \"titel\"}}",
        "fail  extra…no such column…ALTER TABLE \"public\".\"t\" ADD COLUMN \"extra\" bigint;",
        "fail  must…the table wants a value, and the file has no such column…columns: {must: {constant:",
        "warn  made…it keeps its default or NULL",
    ] {
        assert_contains(&shown, wanted);
    }
}

#[test]
fn a_preview_shows_rows_typed_by_a_guess() {
    let path_of = |lab: &Lab| lab.file("orders.csv", ORDERS);
    let lab = Lab::new("preview_guess", "");
    let run = Run::new(&["preview", &path_of(&lab), "-n", "2"]).run().exits(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_contains(lines[0], "LINE  order_id…user_id  book_name…ordered_at");
    assert_contains(lines[1], "text…bigint  text…timestamp");
    assert_contains(lines[2], "   2  A-1…1  吾輩は猫である…3…1200.50  2024-05-01 10:00:00");
    assert_contains(lines[3], "   3  A-2…2  容疑者Xの献身, 上…1…980.00");
    assert_eq!(lines.last(), Some(&"2 rows, types of a guess"));
    // Columns stand under each other as wide as they look.
    // On a terminal that is too narrow for that they stand one below the other.
    for (columns, begin) in
        [(80, "LINE  order_id  user_id  book_name"), (40, "LINE        2\norder_id    A-1\n")]
    {
        let run = Run::new(&["preview", &path_of(&lab)]).env("COLUMNS", columns.to_string());
        let narrow = run.run().exits(0).stdout;
        assert!(narrow.starts_with(begin), "{narrow}");
        for line in narrow.lines() {
            let wide: usize =
                line.chars().map(|letter| if letter as u32 >= 0x1100 && letter != '…' { 2 } else { 1 }).sum();
            assert!(wide <= columns, "{wide}: {line}");
        }
    }
    let vertical = Run::new(&["preview", "--vertical", "-n", "1", &path_of(&lab)]).run().exits(0).stdout;
    assert_contains(
        &vertical,
        "-- line 2\norder_id    A-1  (text)\nuser_id     1  (bigint)\nbook_name   吾輩は猫である  (text)\n",
    );
}

#[test]
fn a_preview_shows_bad_rows_as_such() {
    let lab = Lab::new("preview_table", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let path = lab.file("input.csv", "id,name\n1,a\nx,b\n3,\n4,\"\"\n");
    let shown = lab.holoload(&["preview", &path]).run().exits(0);
    assert_eq!(
        shown.stdout,
        "LINE      id  name\n\
         \x20     bigint  text\n\
         \x20  2       1  a\n\
         \x20  3       x  b\n\
         ^ line 3: column `id`: not an integer\n\
         \x20  4       3  NULL\n\
         \x20  5       4  ''\n\
         \n\
         4 rows, 1 bad, types of public.t\n"
    );
    let answer = lab.holoload(&["preview", "--json", "-n", "2", &path]).run().exits(0).json();
    assert_eq!(answer["rows"][1]["reason"], "not an integer");
    assert_eq!(answer["rows"].as_array().map(Vec::len), Some(2));
    lab.assert_gone();
    assert_eq!(lab.db.count("t"), 0);
}

#[test]
fn a_check_tells_what_a_load_would_come_to() {
    let lab =
        Lab::new("check", "CREATE TABLE t (id int8 PRIMARY KEY, name text, made timestamptz DEFAULT now())");
    let path = lab.file("input.csv", "id,name\n1,a\n2,b\nx,c\n1,d\n");
    let rejects = lab.folder().join("rejects").display().to_string();
    let check = |arguments: &[&str]| {
        lab.holoload(&[&["check"], arguments].concat()).env("HOLOLOAD_REJECTS", &rejects)
    };
    let shown = check(&[&path]).run().exits(0);
    assert_eq!(
        shown.stdout,
        format!(
            "warn {path} -> public.t\n\
             \x20 4 rows, 1 bad, 1 whose key came before (24 bytes)\n\
             \x20 would be written by unnest, all rows appear together; nothing was\n\
             \x20 FIELD  COLUMN  TYPE\n\
             \x20 id     id      bigint\n\
             \x20 name   name    text\n\
             \x20 -      made    timestamp with time zone  not in the file\n\
             \x20 bad line 4, byte 16, column `id`: not an integer\n\
             \x20 line 5 has the key of line 2\n"
        )
    );
    let answer = check(&["--json", &path]).run().exits(0).json();
    let one = &answer["objects"][0];
    assert_eq!(
        one["duplicate_keys"],
        json!({"has_key": true, "row_count": 1, "lines": [[2, 5]], "is_bounded": false})
    );
    assert_eq!(one["bad_rows"][0]["line"], 4);
    assert_eq!(one["mapping"][0]["column"], "id");
    // Without a place for bad rows a load fails; all of them are told all the same.
    let more = lab.file("more.csv", "id,name\nx,a\n2,b\ny,c\n");
    let failed = lab.holoload(&["check", &more]).run().exits(1);
    assert_contains(&failed.stdout, "bad line 2, …bad line 4, ");
    assert_contains(
        &failed.stderr,
        "error: 2 bad rows, and none is put up with: line 2, …hint: a load fails: ",
    );
    lab.holoload(&["check", &lab.file("drift.csv", "id,nome\n1,a\n")]).run().exits(2);
    lab.assert_untouched("t");
    assert!(!std::path::Path::new(&rejects).exists(), "a check writes nothing");
    assert_eq!(lab.rows("SELECT to_regclass('holoload_ledger')"), ["NULL"]);
}

#[test]
fn sources_are_globs_prefixes_and_lists() {
    let lab = Lab::new("sources", "CREATE TABLE t (id int8 PRIMARY KEY)");
    for name in ["a.csv", "b.csv", ".hidden.csv", "c.txt", "x.errors.jsonl"] {
        lab.file(name, format!("id\n{}\n", name.len() + name.as_bytes()[0] as usize));
    }
    std::fs::create_dir(lab.folder().join("deep")).expect("a folder");
    std::fs::write(lab.folder().join("deep/d.csv"), "id\n1000\n").expect("a file");
    let folder = lab.folder().display().to_string();
    let keys = |source: &str| -> Vec<String> {
        let answer = lab.holoload(&["load", "--json", "--dry-run", source]).run().exits(0).json();
        let key =
            |one: &Value| one["key"].as_str().expect("text").rsplit('/').next().expect("a name").to_owned();
        answer["objects"].as_array().expect("a list").iter().map(key).collect()
    };
    assert_eq!(keys(&format!("{folder}/*.csv")), ["a.csv", "b.csv"]);
    assert_eq!(keys(&format!("{folder}/**/*.csv")), ["a.csv", "b.csv", "d.csv"]);
    assert_eq!(keys(&format!("{folder}/{{a,c}}.*")), ["a.csv", "c.txt"]);
    assert_eq!(keys(&format!("{folder}/")), ["a.csv", "b.csv", "c.txt", "d.csv"]);
    assert_eq!(keys(&format!("{folder}/.*.csv")), [".hidden.csv"]);
    // A file that is there is meant, whatever its name looks like.
    let odd = lab.file("[a].csv", "id\n5\n");
    assert_eq!(keys(&odd), ["[a].csv"]);

    for key in ["in/a.csv", "in/b.csv", "in/deep/c.csv", "in/", "in/.tmp.csv", "out/d.csv"] {
        lab.put(key, if key == "in/" { "" } else { "id\n7\n" });
    }
    assert_eq!(keys(&lab.address("in/")), ["a.csv", "b.csv", "c.csv"]);
    assert_eq!(keys(&lab.address("in/*.csv")), ["a.csv", "b.csv"]);
    assert_eq!(keys(&lab.address("**/*.csv")), ["a.csv", "b.csv", "c.csv", "d.csv"]);
    assert_eq!(keys(&lab.address("{in,out}/[ad].csv")), ["a.csv", "d.csv"]);
    for nothing in [format!("{folder}/*.parquet"), lab.address("in/*.parquet"), lab.address("no/")] {
        lab.holoload(&["load", &nothing]).run().refused(
            1,
            "nothing matches `",
            "`*` stays within one folder",
        );
    }
    lab.holoload(&["load", "-", "-"]).run().refused(2, "standard input is named twice", "once");

    // Several objects end in a line about all of them.
    let all = lab.holoload(&["load", &format!("{folder}/*.csv")]).run().exits(0);
    assert_contains(&all.stdout, "\n\n3 objects: 3 loaded; 3 rows, 0 rejected\n");
    assert_eq!(lab.db.count("t"), 3);
}

#[test]
fn s3_is_reached_through_a_proxy_where_one_is_named() {
    let lab = Lab::new("proxy", "CREATE TABLE t (id int8 PRIMARY KEY)");
    let address = lab.put("a.csv", "id\n1\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = format!("http://{}", listener.local_addr().expect("an address"));
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = std::sync::Arc::clone(&seen);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            // It reads the request and passes nothing on.
            let mut client = client;
            let mut head = [0; 4096];
            let _ = std::io::Read::read(&mut client, &mut head);
            let _ =
                client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let count = || seen.load(std::sync::atomic::Ordering::SeqCst);
    lab.holoload(&["load", "--dry-run", &address]).env("HTTP_PROXY", &proxy).run().exits(3);
    let through = count();
    assert!(through > 0, "no request came to the proxy");
    lab.holoload(&["load", "--dry-run", &address])
        .env("HTTP_PROXY", &proxy)
        .env("NO_PROXY", "127.0.0.1")
        .run()
        .exits(0);
    assert_eq!(count(), through, "NO_PROXY was not heeded");
}

#[test]
fn profiles_are_those_of_aws_tools() {
    let lab = Lab::new("profile", "CREATE TABLE t (id int8 PRIMARY KEY)");
    let address = lab.put("a.csv", "id\n1\n");
    let environment: std::collections::BTreeMap<_, _> =
        s3().environment().into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    let of = |name: &str| environment.get(name).cloned().unwrap_or_default();
    let credentials = lab.file(
        "credentials",
        format!(
            "[other]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            of("AWS_ACCESS_KEY_ID"),
            of("AWS_SECRET_ACCESS_KEY")
        ),
    );
    let run = |arguments: &[&str]| {
        lab.holoload(&[&["load", "--dry-run", &address], arguments].concat())
            .without("AWS_ACCESS_KEY_ID")
            .without("AWS_SECRET_ACCESS_KEY")
            .env("AWS_SHARED_CREDENTIALS_FILE", &credentials)
            .env("AWS_EC2_METADATA_DISABLED", "true")
    };
    run(&["--profile", "other"]).run().exits(0);
    run(&[]).env("AWS_PROFILE", "other").run().exits(0);
    run(&[]).run().exits(3);
    lab.holoload(&["history"]).env("HOLOLOAD_S3_STYLE", "dots").run().refused(
        2,
        "HOLOLOAD_S3_STYLE must be `path` or `virtual`",
        "OSS",
    );
}

#[test]
fn colour_is_said_and_completions_are_made() {
    let lab = Lab::new("colour", "CREATE TABLE t (id int8 PRIMARY KEY)");
    let path = lab.file("a.csv", "id\n1\n");
    let plain = lab.holoload(&["check", &path]).run().exits(0).stdout;
    assert!(!plain.contains('\x1b'), "{plain}");
    let coloured = lab.holoload(&["check", &path, "--color", "always"]).run().exits(0).stdout;
    assert_contains(&coloured, "\x1b[32mok\x1b[0m ");
    let forced = lab.holoload(&["check", &path]).env("CLICOLOR_FORCE", "1").run().exits(0).stdout;
    assert_contains(&forced, "\x1b[32mok\x1b[0m ");
    let error = Run::new(&["load", "s3://x", "--color", "always"]).run().exits(2).stderr;
    assert_contains(&error, "\x1b[1;31merror\x1b[0m: ");

    for (shell, word) in [
        ("bash", "_holoload"),
        ("zsh", "#compdef holoload"),
        ("fish", "complete -c holoload"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let script = Run::new(&["completions", shell]).run().exits(0).stdout;
        assert_contains(&script, word);
        assert_contains(&script, "import-embulk");
    }
    let short = Run::new(&[]).run().exits(2).stderr;
    assert_contains(&short, "holoload guess orders.csv --ddl…holoload load…holoload doctor");
    for command in COMMANDS {
        assert_contains(&Run::new(&[command, "--help"]).run().exits(0).stdout, "Example");
    }
}

#[test]
fn later_pieces_of_a_long_object_are_looked_at() {
    let lab = Lab::new("guess_pieces", "");
    let mut text = String::from("id,amount\n");
    for id in 0..60_000 {
        let amount = if id > 58_000 { "12.5" } else { "12" };
        text.push_str(&format!("{id},{amount}\n"));
    }
    for source in [lab.file("long.csv", &text), lab.put("long.csv", &text)] {
        let answer = lab.holoload(&["guess", "--json", &source]).run().exits(0).json();
        let kind = answer["columns"][1]["type"].as_str().expect("a type").to_owned();
        assert!(kind.starts_with("numeric"), "{source}: {kind}");
    }
}

#[test]
fn several_objects_are_verified_at_once() {
    let lab = Lab::new("verify_several", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let first = lab.file("a.csv", "id,name\n1,a\n");
    let second = lab.file("b.csv", "id,name\n2,b\n");
    lab.holoload(&["load", &first, &second]).run().exits(0);
    let equal = lab.holoload(&["verify", &first, &second]).run().exits(0).stdout;
    assert_contains(&equal, "equal /…a.csv -> public.t…equal /…b.csv -> public.t");
    lab.db.query("UPDATE t SET name = 'c' WHERE id = 2");
    let answer = lab.holoload(&["verify", "--json", &first, &second]).run().exits(1).json();
    let verdicts: Vec<&Value> =
        answer.as_array().expect("a list").iter().map(|one| &one["is_equal"]).collect();
    assert_eq!(verdicts, [&json!(true), &json!(false)]);
}
