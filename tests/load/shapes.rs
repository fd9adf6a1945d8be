//! Shapes of files, and where they come from.

use crate::harness::{Lab, Run, counts, s3};
use crate::support::s3::{BucketOptions, Put};

const BOOKS: &str = "CREATE TABLE t (order_id text PRIMARY KEY, user_id int8 NOT NULL, book_id int8 NOT NULL, \
                     book_name text NOT NULL, order_cnt int8 NOT NULL, order_amt int8 NOT NULL)";

#[test]
fn an_article_s_file_without_header_loads_by_position() {
    let lab = Lab::new("article", BOOKS);
    let text: String = (0..1000)
        .map(|at| {
            format!(
                "20240105{at:06},{},{},ファイル名 {at},{},{}\r\n",
                10_000 + at,
                at % 7,
                at % 5 + 1,
                at * 100
            )
        })
        .collect();
    let report = lab.load(&lab.put("original-data/book_order_20240105.csv", &text)).run().loaded();
    assert_eq!(counts(&report), [1000, 1000, 0, 0, 0, 0]);
    assert_eq!(report["byte_count"], text.len());
    assert_eq!(report["table"], "public.t");
    assert_eq!(
        lab.rows("SELECT * FROM t ORDER BY order_id OFFSET 998"),
        ["20240105000998|10998|4|ファイル名 998|4|99800", "20240105000999|10999|5|ファイル名 999|5|99900",]
    );
    assert_eq!(lab.rows("SELECT count(*), sum(order_amt) FROM t"), ["1000|49950000"]);
    lab.assert_gone();
}

#[test]
fn a_header_in_another_order_names_the_columns() {
    let lab = Lab::new("header_order", BOOKS);
    let report = lab.load_text(
        "order_amt,book_name,order_id,book_id,order_cnt,user_id\n100,Rust,k1,2,3,4\n200,SQL,k2,5,6,7\n",
    );
    assert_eq!(counts(&report), [2, 2, 0, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["k1|4|2|Rust|3|100", "k2|7|5|SQL|6|200"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_header() {
    let lab = Lab::new("bom", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    lab.load_text("\u{feff}id,name\n1,a\n");
    lab.load_text("\u{feff}\"name\",\"id\"\nb,2\n");
    lab.load_text("\u{feff}3,c\n");
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a", "2|b", "3|c"]);
}

#[test]
fn lines_may_end_in_cr_lf_or_both_and_the_last_in_none() {
    let lab = Lab::new("line_ends", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let report = lab.load_text("id,name\r1,a\r2,b\r");
    assert_eq!(counts(&report), [2, 2, 0, 0, 0, 0]);
    lab.load_text("id,name\n3,c\r\n4,d\r5,e");
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a", "2|b", "3|c", "4|d", "5|e"]);
}

#[test]
fn a_quoted_newline_is_kept_byte_for_byte() {
    let lab = Lab::new("newline", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    lab.load_text("id,name\r\n1,\"a\r\nb\"\r\n2,\"a\nb\"\r\n3,\"a\rb\"\r\n4,\"say \"\"hi\"\", \"\r\n");
    assert_eq!(
        lab.rows("SELECT id, encode(convert_to(name, 'UTF8'), 'hex') FROM t ORDER BY 1"),
        ["1|610d0a62", "2|610a62", "3|610d62", "4|7361792022686922 2c20".replace(' ', "").as_str(),]
    );
}

#[test]
fn empty_is_null_and_quoted_empty_is_empty_text() {
    let lab = Lab::new("empty", "CREATE TABLE t (id int8 PRIMARY KEY, name text, n int8)");
    lab.load_text("id,name,n\n1,,\n2,\"\",2\n3,NULL,3\n4, ,4\n");
    let sql = "SELECT id, name IS NULL, '<' || name || '>', n FROM t ORDER BY 1";
    assert_eq!(lab.rows(sql), ["1|t|NULL|NULL", "2|f|<>|2", "3|f|<NULL>|3", "4|f|< >|4"]);
}

#[test]
fn japanese_keys_values_and_columns_pass_through() {
    let lab = Lab::new("japanese", "CREATE TABLE t (\"注文番号\" text PRIMARY KEY, \"書名\" text)");
    let key = "original-data/注文 一覧+2024(1月).csv";
    let report =
        lab.load(&lab.put(key, "注文番号,書名\nキー１,吾輩は猫である\nｷｰ2,𠮷野家🍜\n")).run().loaded();
    assert_eq!(report["key"], key);
    assert_eq!(
        lab.rows("SELECT * FROM t ORDER BY \"注文番号\" COLLATE \"C\""),
        ["キー１|吾輩は猫である", "ｷｰ2|𠮷野家🍜"]
    );
    assert_eq!(lab.rows("SELECT object_key FROM holoload_ledger"), [key]);
}

#[test]
fn names_that_need_quotes_are_quoted() {
    let lab = Lab::new(
        "quoting",
        "CREATE SCHEMA \"My Schema\"; CREATE TABLE \"My Schema\".\"select\" (\"Order\" int8 PRIMARY KEY, \"a\"\"b\" text, \"group\" text)",
    );
    let path = lab.file("input.csv", "Order,\"a\"\"b\",group\n1,x,y\n");
    let report = lab.load(&path).env("HOLOLOAD_TABLE", "\"My Schema\".\"select\"").run().loaded();
    assert_eq!(counts(&report), [1, 1, 0, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM \"My Schema\".\"select\""), ["1|x|y"]);
}

#[test]
fn a_file_stdin_and_objects_load_in_one_command() {
    let lab = Lab::new("sources", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    s3().put_with(
        &lab.bucket,
        "kms.csv",
        "id,name\n4,d\n",
        Put { kms_key: Some("sources-key".to_owned()), ..Put::default() },
    );
    let file = lab.file("one.csv", "id,name\n1,a\n");
    let plain = lab.put("plain.csv", "3,c\n");
    let kms = lab.address("kms.csv");
    let outcome = lab
        .holoload(&["load", "--json", &file, "-", &plain, &kms])
        .stdin("id,name\n2,b\n")
        .run()
        .exits(0)
        .json();
    let objects = outcome["objects"].as_array().expect("objects");
    let seen: Vec<String> = objects
        .iter()
        .map(|report| {
            let text = |name: &str| report[name].as_str().expect("text").to_owned();
            // What is piped in has a name of its own each time.
            let key = if text("bucket") == "stdin" { "-".to_owned() } else { text("key") };
            format!("{} {key} {} {}", text("bucket"), text("status"), report["inserted_count"])
        })
        .collect();
    let bucket = &lab.bucket;
    assert_eq!(
        seen,
        [
            format!("file {file} loaded 1"),
            "stdin - loaded 1".to_owned(),
            format!("{bucket} plain.csv loaded 1"),
            format!("{bucket} kms.csv loaded 1"),
        ]
    );
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a", "2|b", "3|c", "4|d"]);
    lab.assert_gone();
}

#[test]
fn of_several_sources_the_worst_exit_code_counts_and_the_good_ones_load() {
    let lab = Lab::new("worst", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let good = lab.put("good.csv", "id,name\n1,a\n");
    let bad = lab.put("bad.csv", "id,name\nx,b\n");
    let header = lab.put("header.csv", "id,nome\n2,b\n");
    let archived = lab.address("archived.csv");
    s3().put_with(
        &lab.bucket,
        "denied.csv",
        "id,name\n3,c\n",
        Put { kms_key: Some("worst-denied".to_owned()), ..Put::default() },
    );
    s3().set_key("worst-denied", crate::support::s3::KeyState::Denied);
    let denied = lab.address("denied.csv");
    let after = lab.put("after.csv", "id,name\n9,z\n");

    let outcome = lab.holoload(&["load", &bad, &good]).run().exits(1);
    assert!(
        outcome.stdout.contains("failed s3://") && outcome.stdout.contains("loaded s3://"),
        "{outcome:?}"
    );
    lab.holoload(&["load", &bad, &header, &archived]).run().exits(2);
    lab.holoload(&["load", &bad, &denied, &header, &after]).run().exits(3);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a", "9|z"]);
}

#[test]
fn a_versioned_bucket_loads_the_newest_version() {
    let lab = Lab::new("versions", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    s3().create_bucket(&lab.bucket, BucketOptions { versioning: true, ..BucketOptions::default() });
    lab.put("a.csv", "id,name\n1,old\n");
    let newest = s3().put(&lab.bucket, "a.csv", "id,name\n1,new\n");
    let report = lab.load(&lab.address("a.csv")).run().loaded();
    assert_eq!(report["version_id"].as_str(), newest.version_id.as_deref());
    assert_eq!(report["etag"], newest.etag);
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|new"]);
}

#[test]
fn a_configuration_file_routes_objects_to_tables() {
    let lab = Lab::new(
        "routes",
        "CREATE TABLE orders (id int8 PRIMARY KEY, name text); CREATE TABLE users (id int8 PRIMARY KEY, name text)",
    );
    let bucket = &lab.bucket;
    let config = lab.file(
        "holoload.yaml",
        format!(
            "target: {{user: '${{DB_USER}}'}}\nroutes:\n\
             - object: s3://{bucket}/orders/**/*.csv\n  table: orders\n\
             - object: s3://{bucket}/users/*.tsv\n  table: users\n  parse: {{delimiter: '\\t', header: false, null_string: 'NULL', skip_lines: 1}}\n"
        ),
    );
    let orders = lab.put("orders/2024/01/a.csv", "id,name\n1,a\n");
    let users = lab.put("users/a.tsv", "# exported by hand\n2\tNULL\n3\t\n");
    let other = lab.put("users/sub/a.tsv", "4\tx\n");
    let run = |sources: &[&str]| {
        let mut arguments = vec!["--config", config.as_str(), "load", "--json"];
        arguments.extend(sources);
        let run = lab.holoload(&arguments).without("HOLOLOAD_TABLE").without("HOLOLOAD_USER");
        run.env("DB_USER", lab.db.user.as_str()).run().exits(0).json()
    };
    let answer = run(&[&orders, &users, &other]);
    let statuses: Vec<_> =
        answer["objects"].as_array().expect("objects").iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["loaded", "loaded", "ignored"]);
    assert_eq!(answer["objects"][2]["reason"], "no route matches");
    assert_eq!(lab.rows("SELECT * FROM orders"), ["1|a"]);
    assert_eq!(lab.rows("SELECT * FROM users ORDER BY 1"), ["2|NULL", "3|"]);
}

#[test]
fn a_local_file_needs_no_aws_settings() {
    let lab = Lab::new("no_aws", "CREATE TABLE t (id int8 PRIMARY KEY)");
    let path = lab.file("input.csv", "id\n1\n");
    let mut run = Run::new(&["load", "--json", &path]).env("HOLOLOAD_TABLE", "t");
    for (name, value) in lab.db.environment() {
        run = run.env(name, value);
    }
    run.run().loaded();
    assert_eq!(lab.db.count("t"), 1);
}
