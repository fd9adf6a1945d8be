//! `holoload preview`: rows as they will stand in the table, by whichever types are known, and the bad ones with their reason.

use serde_json::json;

use crate::harness::{Lab, Run, assert_contains};
#[cfg(feature = "parquet")]
use crate::parquet_files::{Values, file, optional, required};

const EUROPEAN: &str = "id;day;amount;paid\n1;13/05/2024;1.234,56;yes\n2;14/06/2024;7,5;no\n";

/// Rows as text, a row a line.
fn cells(run: Run) -> Vec<String> {
    let answer = run.argument("--json").run().exits(0).json();
    let rows = answer["rows"].as_array().expect("a list").clone();
    let cell = |cell: &serde_json::Value| cell.as_str().unwrap_or("NULL").to_owned();
    let row = |row: &serde_json::Value| {
        row["cells"].as_array().expect("a list").iter().map(cell).collect::<Vec<_>>().join("|")
    };
    rows.iter().map(row).collect()
}

#[test]
fn values_are_shown_as_they_will_stand_in_the_table() {
    let lab = Lab::new(
        "preview_values",
        "CREATE TABLE t (id int8 PRIMARY KEY, price numeric(9,2), at timestamptz, day date, ok bool, u uuid, x float8, \
         j jsonb)",
    );
    let path = lab.file(
        "input.csv",
        "id,price,at,day,ok,u,x,j\n\
         007,12.5,2024-05-01T10:00:00.250Z,2024/5/1,yes,00112233445566778899AABBCCDDEEFF,1e-5,\"{\"\"a\"\":1}\"\n\
         8,,,,,,,\n\
         x,1,,,,,,\n",
    );
    let run = || lab.holoload(&["preview", &path]).env("HOLOLOAD_TIMEZONE", "Asia/Tokyo");
    assert_eq!(
        cells(run()),
        [
            "7|12.50|2024-05-01 19:00:00.25+09|2024-05-01|true|00112233-4455-6677-8899-aabbccddeeff|1e-05|{\"a\":1}",
            "8|NULL|NULL|NULL|NULL|NULL|NULL|NULL",
            "x|1|NULL|NULL|NULL|NULL|NULL|NULL",
        ]
    );
    assert_contains(
        &run().run().exits(0).stdout,
        "^ line 4: column `id`: not an integer\n\n3 rows, 1 bad, types of",
    );
    lab.assert_untouched("t");
}

#[test]
fn columns_that_no_field_fills_are_shown_and_fields_that_go_nowhere_too() {
    let lab = Lab::new(
        "preview_filled",
        "CREATE TABLE t (id int8 PRIMARY KEY, source text, line int8, made timestamptz DEFAULT now())",
    );
    let path = lab.file("a.csv", "id,rest\n1,x\n");
    let config =
        "routes: [{object: '**', table: t, drop: [rest], columns: {source: {constant: web}, line: $line}}]";
    let run = lab.holoload(&["preview", &path]).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
    assert_eq!(cells(run), ["1|x|web|2"]);
}

#[test]
fn deletions_are_told() {
    let lab = Lab::new("preview_op", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let path = lab.file("a.csv", "Op,id,name\nI,1,a\nD,2,b\n");
    let config = "routes: [{object: '**', table: t, write: {op: {column: Op}}}]";
    let run = lab.holoload(&["preview", &path]).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
    assert_contains(&run.run().exits(0).stdout, "^ line 3: deletes the row of this key\n");
}

#[test]
fn without_a_database_types_are_guessed_or_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("euro.csv").display().to_string();
    std::fs::write(&path, EUROPEAN).expect("a file");
    let guessed = ["1|2024-05-13|1234.56|true", "2|2024-06-14|7.50|false"];
    assert_eq!(cells(Run::new(&["preview", &path])), guessed);
    // The same by the YAML of the guess, and with another type that it says.
    let yaml = folder.path().join("holoload.yaml").display().to_string();
    Run::new(&["guess", &path, "-o", &yaml]).run().exits(0);
    assert_eq!(cells(Run::new(&["preview", &path, "--config", &yaml])), guessed);
    let said = std::fs::read_to_string(&yaml).expect("YAML").replace("numeric(18,2)", "numeric(18,4)");
    std::fs::write(&yaml, said).expect("a file");
    let shown = Run::new(&["preview", &path, "--config", &yaml]).run().exits(0).stdout;
    assert_contains(&shown, "1234.5600…2 rows, types of the settings and a guess");
    Run::new(&["preview", &path, "--table", "t"]).run().refused(
        2,
        "no database is named",
        "leave --table out",
    );
}

#[test]
fn standard_input_is_guessed_and_shown() {
    let run = |bytes: &[u8]| cells(Run::new(&["preview", "-"]).stdin(bytes));
    assert_eq!(run(EUROPEAN.as_bytes()), ["1|2024-05-13|1234.56|true", "2|2024-06-14|7.50|false"]);
    assert_eq!(run(b"{\"id\": 1, \"at\": \"2024-01-02T03:04:05Z\"}\n"), ["1|2024-01-02 03:04:05+00"]);
    // More than is looked at for a guess.
    let mut long = String::from("id,name\n");
    (0..60_000).for_each(|id| long.push_str(&format!("{id},name {id}\n")));
    let answer = Run::new(&["preview", "-", "-n", "2", "--json"]).stdin(&long).run().exits(0).json();
    assert_eq!(answer["rows"][1]["cells"], json!(["1", "name 1"]));
    let ddl = Run::new(&["guess", "-", "--ddl", "--table", "t"]).stdin(EUROPEAN).run().exits(0).stdout;
    assert_contains(&ddl, "CREATE TABLE \"public\".\"t\" (");
    assert_eq!(Run::new(&["preview", "-"]).stdin("").run().exits(0).stdout, "0 rows, types of a guess\n");
}

#[test]
fn a_table_without_a_key_still_has_types() {
    let lab = Lab::new("preview_keyless", "CREATE TABLE t (id int8, name text)");
    let path = lab.file("a.csv", "id,name\n1,a\n");
    assert_eq!(cells(lab.holoload(&["preview", &path])), ["1|a"]);
    lab.holoload(&["check", &path]).run().exits(2);
    lab.holoload(&["check", &path, "--table", "t", "--mode", "insert"]).run().exits(0);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_is_previewed_and_checked() {
    let schema = "message m { required int64 id; optional binary name (STRING); required int32 day (DATE); required int64 \
         amount (DECIMAL(12,2)); }";
    let columns = vec![
        required(Values::I64(vec![1, 2, 70_000])),
        optional(Values::Bytes(vec![b"say \"hi\", you".to_vec(), b"".to_vec()]), &[1, 1, 0]),
        required(Values::I32(vec![0, 1, 2])),
        required(Values::I64(vec![150, -5, 0])),
    ];
    let properties = parquet::file::properties::WriterProperties::builder().build();
    let bytes = file(schema, properties, vec![columns]);
    let lab = Lab::new(
        "preview_parquet",
        "CREATE TABLE t (id int2 PRIMARY KEY, name text, day date, amount numeric(12,2))",
    );
    let good = ["1|say \"hi\", you|1970-01-01|1.50", "2||1970-01-02|-0.05"];
    for source in [lab.file("a.parquet", &bytes), lab.put("in/a.parquet", &bytes)] {
        let shown = lab.holoload(&["preview", &source]).run().exits(0).stdout;
        assert_contains(&shown, "^ line 3: column `id`: …3 rows, 1 bad, types of public.t");
        let rows = cells(lab.holoload(&["preview", &source]));
        assert_eq!(rows.get(..2), Some(good.map(str::to_owned).as_slice()));
        assert_contains(&rows[2], "70000|NULL|1970-01-03|");
        let checked = lab.holoload(&["check", "--json", &source]).run().exits(1).json();
        let one = &checked["objects"][0];
        assert_eq!((&one["row_count"], &one["reject_count"]), (&json!(3), &json!(1)));
        assert_eq!(one["bad_rows"][0]["line"], 3);
        let guessed = cells(lab.holoload(&["preview", &source, "--guess"]));
        assert_eq!(guessed.get(..2), Some(good.map(str::to_owned).as_slice()));
    }
    lab.assert_untouched("t");
    // What the schema says never to be NULL is none in the table either.
    let ddl = Run::new(&["guess", &lab.file("b.parquet", &bytes), "--ddl"]).run().exits(0).stdout;
    assert_contains(
        &ddl,
        "\"id\" bigint NOT NULL,\n…\"name\" text,\n…\"day\" date NOT NULL,\n…(12,2) NOT NULL",
    );
    Run::new(&["preview", "-"]).stdin(&bytes).run().refused(
        1,
        "read standard input from its end",
        "give its path",
    );
}

#[test]
fn a_file_that_needs_rules_is_loaded_as_it_is_guessed() {
    let lab = Lab::new("load_guess", "");
    let path = lab.file("euro.csv", EUROPEAN);
    let ddl = lab.holoload(&["guess", &path, "--ddl", "--table", "t"]).run().exits(0).stdout;
    assert_contains(
        &ddl,
        "-- A table does not say how it is read (delimiter, day, amount): load with `--guess`",
    );
    lab.db.run(&ddl);
    lab.holoload(&["check", &path, "--table", "t", "--guess"]).run().exits(0);
    lab.holoload(&["load", "--json", &path, "--table", "t", "--guess"]).run().loaded();
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY id"), ["1|2024-05-13|1234.56|t", "2|2024-06-14|7.50|f"]);
    lab.holoload(&["load", "-", "--table", "t", "--guess"]).run().refused(
        2,
        "it is read once",
        "holoload guess -",
    );
    let plain = lab.file("plain.csv", "id,name\n1,a\n2,b\n");
    let ddl = lab.holoload(&["guess", &plain, "--ddl"]).run().exits(0).stdout;
    assert!(!ddl.contains("--guess"), "{ddl}");
}

/// What is written differently is not read alike, what a route says of fields gives way, and no row goes without a word.
#[test]
fn a_guess_loads_every_row_or_says_which_not() {
    let lab = Lab::new("guess_rows", "CREATE TABLE t (id int8, name text)");
    lab.file("m1.csv", "1,aa\n2,bb\n3,cc\n4,dd\n");
    lab.file("m2.csv", "Report of the day\nmade by X\n5,ee\n6,ff\n7,gg\n8,hh\n");
    let both = format!("{}/m?.csv", lab.folder().display());
    let load = |source: &str| lab.holoload(&["load", source, "--table", "t", "--mode", "insert", "--guess"]);
    let refused = load(&both).run().exits(2).stderr;
    assert_contains(&refused, "they are written differently…hint: load them one by one");
    lab.assert_untouched("t");

    let yaml = "routes: [{object: '**', table: t, write: {mode: insert}, drop: [name]}]";
    let kept = lab.file("kept.csv", "id,name\n77,kept\n");
    load(&kept).env("HOLOLOAD_CONFIG", yaml).run().exits(0);
    load(&lab.file("ends.csv", "id;name;\n1;a;\n2;b;\n")).run().exits(0);
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|a", "2|b", "77|kept"]);

    let bad = lab.file("bad.csv", "id,name\n1,a\n2,b,c\n3,c\n4,d\n5,e\n6,f\n");
    let shown = lab.holoload(&["preview", &bad, "--guess"]).run().exits(0).stdout;
    assert_contains(&shown, "…6 rows, 1 bad, types of ");
}
