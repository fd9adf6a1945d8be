//! A file, its guess as DDL, its guess as YAML, and a load: all rows arrive, none is refused.

use holoload::guess::{DdlDialect, Guess, Hints, Sample, guess};
use holoload::table::TableName;

use crate::harness::Lab;

fn of(bytes: &[u8]) -> Guess {
    let sample = Sample { head: bytes, is_whole: true, ..Sample::default() };
    guess(&sample, &Hints::default()).expect("a guess")
}

fn table() -> TableName {
    TableName { schema: "public".to_owned(), name: "t".to_owned() }
}

const FILES: &[(&str, &[u8], u64)] = &[
    ("plain", b"id,name,amount,day\n1,x,1.50,2024-01-05\n2,\"y, z\",20.25,2024-02-29\n", 2),
    ("german", b"Nr;Bezeichnung;Betrag;Datum\n1;Schraube;1.234,50;13.01.2024\n2;Mutter;12,5;14.02.2024\n", 2),
    (
        "comments",
        b"# made by hand\nid|at|ok\n1|05/Jan/2024:10:20:30 +0900|true\n# x\n2|06/Jan/2024:10:20:30 Z|false\n",
        2,
    ),
    ("preamble", b"Report\n\nOrder ID\tTotal\tNote\n7\t1,000\tNULL\n8\t25,000\tx\n", 2),
    ("no_header", b"1||2024-01-05 10:20:30||abc\n2||2024-01-06 10:20:30||\n3||2024-01-07 10:20:30||x\n", 3),
    ("latin", b"id,city\n1,Malm\xf6\n2,Z\xfcrich\n3,G\xf6teborg\n", 3),
    ("epoch", b"id,created_at\n1,1700000000000\n2,1700000001000\n", 2),
    ("nulls", b"\"id\",\"n\",\"d\"\n\"1\",\"\",\"2024-01-05\"\n\"2\",\"5\",\"\"\n", 2),
    (
        "japanese",
        "番号,氏名,金額,登録日\n1,山田,１２,2024年1月5日\n2,田中,３４,2024年12月31日\n".as_bytes(),
        2,
    ),
    ("trim", b" id , day \n 1 , 2024-01-05 \n 2 , 2024-01-06 \n", 2),
];

#[test]
fn what_is_guessed_is_loaded() {
    for (name, bytes, rows) in FILES {
        let guess = of(bytes);
        let ddl = guess.ddl(&table(), DdlDialect::Postgres);
        let lab = Lab::new(&format!("guess_{name}"), &ddl);
        let path = lab.file(&format!("{name}.csv"), bytes);
        let yaml = guess.yaml(&path, Some("t"));
        let mode = if ddl.contains("PRIMARY KEY") { "" } else { "    write: {mode: insert}\n" };
        let config = lab.file("c.yml", format!("{yaml}{mode}"));
        let report = lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).run().loaded();
        assert_eq!(report["row_count"], *rows, "{name}: {report:#}\n{yaml}");
        assert_eq!(report["reject_count"], 0, "{name}: {report:#}\n{yaml}");
    }
}

/// Two commands: no YAML between them.
#[test]
fn the_table_of_a_plain_file_takes_it_without_settings() {
    let bytes = b"id,Name,amount\n1,x,1.5\n2,y,2.5\n";
    let lab = Lab::new("guess_two", &of(bytes).ddl(&table(), DdlDialect::Postgres));
    lab.load_text(bytes);
    assert_eq!(lab.rows("SELECT id, \"Name\", amount FROM t ORDER BY id"), ["1|x|1.5", "2|y|2.5"]);
}
