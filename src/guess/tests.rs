use proptest::prelude::*;

use super::*;
use crate::settings::{Environment, Settings};
use crate::table::TableName;

fn of(text: impl AsRef<[u8]>) -> Guess {
    hinted(text, &Hints::default())
}

fn hinted(text: impl AsRef<[u8]>, hints: &Hints) -> Guess {
    let sample = Sample { head: text.as_ref(), is_whole: true, ..Sample::default() };
    guess(&sample, hints).expect("a guess")
}

fn kinds(guess: &Guess) -> Vec<String> {
    guess.columns.iter().map(|column| column.kind.sql()).collect()
}

/// The same table under every delimiter.
#[test]
fn delimiters_of_one_and_more_bytes_are_found() {
    let rows =
        ["id,name,price,day", "1,apple pie,1.50,2024-01-05", "2,pear,20.25,2024-02-29", "3,,3.00,2024-03-01"];
    for delimiter in [
        ",", "\t", ";", "|", ":", "^", "~", "\u{1}", "\u{1f}", "||", "::", "|~|", "\t\t", "~|~", "^|^", "@@",
        ";;", "\u{a6}",
    ] {
        let text = rows.map(|row| row.replace(',', delimiter)).join("\n");
        let guess = of(&text);
        assert_eq!(guess.delimiter, delimiter, "{text}");
        assert_eq!(kinds(&guess), ["bigint", "text", "numeric(18,2)", "date"], "{delimiter:?}");
        assert!(guess.header);
    }
}

#[test]
fn a_blank_delimits_what_has_no_blanks() {
    let guess = of("id size day\n1 20 2024-01-05\n2 30 2024-01-06\n3 5 2024-01-07\n");
    assert_eq!(guess.delimiter, " ");
    assert_eq!(kinds(&guess), ["bigint", "bigint", "date"]);
}

#[test]
fn quotes_and_escapes_are_found() {
    for (text, quote, escape, columns) in [
        ("a,b\n1,\"x, y\"\n2,\"z\"\n", "\"", "\"", 2),
        ("a,b\n1,'x, y'\n2,'it''s'\n", "'", "'", 2),
        ("a,b\n1,\"x \\\"q\\\", y\"\n2,\"z\"\n", "\"", "\\", 2),
        ("a,b\n1,\"x \"\"q\"\", y\"\n2,\"z\"\n", "\"", "\"", 2),
        ("a,b\n1,it's\n2,o'clock\n", "\"", "\"", 2),
        ("a\tb\n1\tsay \"hi\"\n2\tx\n", "", "", 2),
        ("a;b\n1;5\" pipe\n2;7\" pipe\n", "", "", 2),
        ("a,b\n1,\"two\nlines\"\n2,z\n", "\"", "\"", 2),
    ] {
        let guess = of(text);
        assert_eq!(
            (guess.quote.as_str(), guess.escape.as_str(), guess.columns.len()),
            (quote, escape, columns),
            "{text}"
        );
    }
    let stray = of("id,comment\n1,\"{\"a\":\"b\"}\"\n2,\"{\"a\":\"c d\"}\"\n");
    assert!(stray.has_stray_quotes && stray.columns.len() == 2, "{stray:?}");
    // A quote far behind is one all the same.
    let late = format!("a,b\n{}9,\"x, y\"\n", "1,x\n".repeat(30_000));
    assert_eq!(of(late).quote, "\"");
}

#[test]
fn a_single_column_is_not_split() {
    for text in [
        "10:20:30\n11:21:31\n12:00:00\n",
        "when\n2024-01-02 10:20:30\n2024-01-03 11:21:31\n",
        "name\nAda Lovelace\nGrace Hopper\nJean Bartik\n",
        "id\n1\n2\n3\n",
        "100,000.00\n300,000.20\n300,000,000.40\n50\n",
        "url\nhttp://a.example/x\nhttps://b.example/y?z=1\n",
    ] {
        let guess = of(text);
        assert_eq!(guess.columns.len(), 1, "{text}: {:?}", guess.columns);
        assert!(!text.contains(&guess.delimiter), "{text}");
    }
}

#[test]
fn lines_before_the_table_and_comments_are_passed_over() {
    let text = "Report of May\nMade by hand\n\nid,name,amount\n1,x,2\n2,y,3\n3,z,4\n";
    let guess = of(text);
    assert_eq!((guess.skip_lines, guess.header, guess.columns.len()), (3, true, 3));
    for marker in ["#", "//", "--"] {
        let text =
            format!("{marker} made, by hand, on Monday, thrice\nid,name\n1,x\n{marker} nothing here\n2,y\n");
        let guess = of(&text);
        assert_eq!((guess.comment.as_str(), guess.skip_lines, guess.row_count), (marker, 0, 2), "{text}");
    }
    let header = of("#id,name\n1,x\n2,y\n");
    assert_eq!((header.comment.as_str(), header.header), ("", true));
}

#[test]
fn line_ends_are_told() {
    for (end, name) in [("\n", "lf"), ("\r\n", "crlf"), ("\r", "cr")] {
        let guess = of(["a,b", "1,2", "3,4"].map(|line| format!("{line}{end}")).concat());
        assert_eq!((guess.newline.name(), guess.row_count), (name, 2));
    }
    assert!(of("a,b\r\n1,2\n3,4\r\n").notes.iter().any(|note| note.text.contains("line ends differ")));
}

#[test]
fn the_end_of_a_cut_sample_is_left_out_and_that_of_a_file_is_not() {
    let text = "id,day\n1,2024-01-05\n2,2024-0";
    let cut = Sample { head: text.as_bytes(), ..Sample::default() };
    let cut = guess(&cut, &Hints::default()).expect("a guess");
    assert_eq!((cut.row_count, kinds(&cut)), (1, vec!["bigint".to_owned(), "date".to_owned()]));
    let whole = of(text);
    assert_eq!((whole.row_count, kinds(&whole)), (2, vec!["bigint".to_owned(), "text".to_owned()]));
}

#[test]
fn further_pieces_widen_types() {
    let sample = Sample {
        head: b"id,v\n1,5\n2,6\n",
        further: vec![b"00,7\n50,1.25\n51,2.5\n52,", b"no line end"],
        ..Sample::default()
    };
    let guess = guess(&sample, &Hints::default()).expect("a guess");
    assert_eq!(kinds(&guess), ["bigint", "numeric(18,2)"]);
}

#[test]
fn types_of_columns() {
    for (values, kind) in [
        ("1,-2,30", "bigint"),
        ("9223372036854775807,1,2", "bigint"),
        ("9223372036854775808,1,2", "numeric(38,0)"),
        ("1.5,2,-0.25", "numeric(18,2)"),
        ("1e5,2,3", "double precision"),
        ("NaN,1.5,2", "double precision"),
        ("007,008,1", "text"),
        ("+318855443322,+552244331122,+12", "text"),
        ("true,false,TRUE", "boolean"),
        ("t,f,t", "boolean"),
        ("Y,N,Y", "boolean"),
        ("yes,yes,yes", "text"),
        ("1,0,1", "bigint"),
        ("10:20,11:21:31,12:00:00.5", "time"),
        ("2024-01-05,2024/02/29,2023-12-31", "date"),
        ("2023-02-29,2024-01-01,2024-01-02", "text"),
        ("2024-01-05 10:20:30,2024-01-05T10:20,2024-01-05 00:00:00.123", "timestamp"),
        ("2024-01-05 10:20:30Z,2024-01-05T10:20+09:00,2024-01-05 00:00:00 UTC", "timestamptz"),
        ("2024-01-05,2024-01-05 10:00:00,2024-01-06", "text"),
        ("2024年1月5日,2024年12月31日,2024年2月29日", "date"),
        ("2024年1月5日 10時20分30秒,2024年12月31日 1時2分3秒,2024年2月29日 23時59分59秒", "timestamp"),
        ("05/Jan/2024:10:20:30 +0900,06/Jan/2024:10:20:30 +0900,07/Jan/2024:10:20:30 Z", "timestamptz"),
        ("31-OCT-2023,01-NOV-2023,02-DEC-2023", "date"),
        ("20240105102030,20240106112131,20231231235959", "timestamp"),
        (
            "ac97447f-146c-4d6c-914e-c283bb165804,fad3bfe5-88eb-48b0-ace0-12e85946e1d7,062003b0-a410-43b5-b530-ccfb8a117e77",
            "uuid",
        ),
        ("{},[1],{\"a\": 1}", "jsonb"),
        ("１２３,４５,－６", "bigint"),
        ("1 234,56;1 234 567,00;12,5", "numeric(18,2)"),
        ("1.234,56;1.234.567,00;12,5", "numeric(18,2)"),
        ("12,5;1,25;100,0", "numeric(18,2)"),
        ("5 %,7 %,10 %", "text"),
        ("x,1,2", "text"),
        ("2.2.2,2.2.0,2.10.1", "text"),
        ("192.168.0.1,10.0.0.1,127.0.0.1", "text"),
        ("12:0,12:00:,12:", "text"),
    ] {
        let by = if values.contains(';') { ';' } else { ',' };
        let values: Vec<String> =
            values.split(by).map(|value| format!("\"{}\"\t1\n", value.replace('"', "\"\""))).collect();
        let guess = of(format!("column\tother\n{}", values.concat()));
        assert_eq!(guess.columns[0].kind.sql(), kind, "{values:?} {:?}", guess.notes);
    }
}

#[test]
fn null_texts_count_where_the_rest_is_typed() {
    let guess = of("id,a,b,c,d\n1,5,x,-,NULL\n2,NA,NA,2,\\N\n3,7,z,3,y\n4,8,w,4,z\n");
    assert_eq!(kinds(&guess), ["bigint", "bigint", "text", "bigint", "text"]);
    assert_eq!(guess.null_strings, ["", "NULL", "\\N"]);
    assert_eq!(guess.columns[1].nulls, ["", "NA"]);
    assert!(guess.columns[2].nulls.is_empty() && !guess.columns[2].nullable);
    assert_eq!(guess.columns[3].nulls, ["", "-"]);
    let quoted = of("\"id\",\"a\"\n\"1\",\"\"\n\"2\",\"5\"\n");
    assert!(quoted.null_quoted);
    assert_eq!(kinds(&quoted), ["bigint", "bigint"]);
}

#[test]
fn charsets_and_compressions_are_told() {
    let text = "id,name\n1,容疑者の献身\n2,ラプラスの魔女\n";
    for name in ["shift_jis", "euc-jp", "iso-2022-jp", "utf-16le", "gb18030"] {
        let charset = crate::charset::Charset::named(name).expect("a name");
        let guess = of(charset.restore(text.as_bytes()));
        assert_eq!(guess.columns[1].name, "name", "{name}");
        assert_eq!(guess.row_count, 2, "{name}: {guess:?}");
    }
    let marked = of(format!("\u{feff}{text}"));
    assert_eq!(marked.columns[0].name, "id");
    let packed = {
        let mut encoder = flate2_of(text.repeat(500).as_bytes());
        encoder.truncate(encoder.len() - 20);
        encoder
    };
    let sample = Sample { head: &packed, ..Sample::default() };
    let guess = guess(&sample, &Hints::default()).expect("a guess");
    assert_eq!(guess.compression, Some(Compression::Gzip));
}

/// A gzip member with stored blocks.
fn flate2_of(text: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for (at, block) in text.chunks(60_000).enumerate() {
        let is_last = (at + 1) * 60_000 >= text.len();
        let length = u16::try_from(block.len()).expect("a block");
        out.push(u8::from(is_last));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend([0; 8]);
    out
}

#[test]
fn json_lines_and_arrays_have_columns() {
    let lines = "{\"id\": 1, \"name\": \"x\", \"at\": \"2024-01-05T10:20:30Z\", \"tags\": [1], \"ok\": true, \"n\": 1.5}\n\
                 {\"id\": 2, \"name\": null, \"at\": \"2024-01-06T10:20:30Z\", \"tags\": [], \"ok\": false, \"n\": 2, \"zip\": \"0123\"}\n";
    let guess = of(lines);
    assert_eq!(guess.format, Format::Jsonl);
    let wanted = ["bigint", "text", "timestamptz", "jsonb", "boolean", "numeric(18,1)", "text"];
    assert_eq!(kinds(&guess), wanted);
    let names: Vec<&str> = guess.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "name", "at", "tags", "ok", "n", "zip"]);
    assert!(guess.columns[1].nullable && guess.columns[6].nullable && !guess.columns[0].nullable);
    for (text, root) in [
        ("[\n {\"id\": 1},\n {\"id\": 2}\n]", ""),
        ("{\"meta\": {\"n\": [1]}, \"data\": {\"items\": [{\"id\": 1}, {\"id\": 2}]}}", "/data/items"),
    ] {
        let guess = of(text);
        assert_eq!((guess.format, guess.root.as_str(), guess.row_count), (Format::Json, root, 2), "{text}");
    }
    let cut = Sample { head: b"[{\"id\": 1}, {\"id\": 2}, {\"i", ..Sample::default() };
    assert_eq!(super::guess(&cut, &Hints::default()).expect("a guess").row_count, 2);
}

fn samples() -> Vec<Guess> {
    let texts = [
        "id,Order Date,total,note\n1,13/01/2024,\"1,234.50\",x\n2,14/01/2024,\"2,000.00\",NULL\n",
        "x;y\n1,5;a\n2,5;b\n",
        "1|abc\n2|def\n",
        "# c\nid,created_at,$odd name\"'\n1,1700000000,a\n# c\n2,1700000001,b\n",
        "名前,金額\n山田,１２\n田中,３４\n",
        "{\"id\": 1, \"a b\": {\"c\": 2}}\n{\"id\": 2, \"a b\": null}\n",
        "only\n",
        "",
        "id,id\n1,2\n3,4\n",
    ];
    texts.iter().map(of).collect()
}

#[test]
fn the_yaml_is_read_by_settings_as_it_is() {
    for guess in samples() {
        for (source, table) in
            [("s3://b/in/data [1].csv", None), ("in/Order {x}.csv.gz", Some("sales.orders")), ("-", None)]
        {
            let yaml = guess.yaml(source, table);
            let settings = Settings::read(Some(&yaml), &Environment::default());
            let settings = settings.unwrap_or_else(|error| panic!("{error}\n{yaml}"));
            assert_eq!(settings.routes.len(), 1);
            let route = &settings.routes[0];
            let hints = Hints::of(&route.parse);
            assert_eq!(hints.format, Some(guess.format));
            assert_eq!(route.columns.len(), guess.columns.len(), "{yaml}");
            for (column, name) in guess.columns.iter().zip(ddl::sql_names(&guess.columns)) {
                let said = &route.columns[&name];
                assert_eq!(said.sql_type.as_deref(), Some(column.kind.sql().as_str()), "{yaml}");
                assert_eq!(said.format, column.formats, "{yaml}");
            }
        }
    }
    let yaml = samples()[0].yaml("a.csv", None);
    assert!(
        yaml.contains("\"order_date\": {from: \"Order Date\", type: date, format: \"%d/%m/%Y\"}"),
        "{yaml}"
    );
    assert!(yaml.contains("table: \"public.a\""), "{yaml}");
}

#[test]
fn the_yaml_says_how_it_knows_and_holds_no_value() {
    let text = "id,secret\n1,hunter2hunter\n2,correcthorse\n3,batterystaple\n";
    let guess = of(text);
    let shown =
        format!("{}{}{}", guess.yaml("a.csv", None), guess.json(), guess.ddl(&table(), DdlDialect::Postgres));
    for value in ["hunter2", "correcthorse", "batterystaple"] {
        assert!(!shown.contains(value), "{shown}");
    }
    assert!(shown.contains("3 values"), "{shown}");
}

fn table() -> TableName {
    TableName { schema: "public".to_owned(), name: "t".to_owned() }
}

#[test]
fn the_ddl_has_a_key_where_one_is_likely() {
    let guess = of("order_id,at,Total Price\n7,2024-01-05 10:00:00,1.5\n8,2024-01-05 10:00:00,2.5\n");
    let text = guess.ddl(&table(), DdlDialect::Hologres);
    for part in [
        "BEGIN;\n",
        "\"order_id\" bigint NOT NULL,\n",
        "\"total_price\" numeric(18,1), -- from: Total Price\n",
        "PRIMARY KEY (\"order_id\")\n",
        "CALL set_table_property('public.t', 'orientation', 'column');\n",
        "CALL set_table_property('public.t', 'distribution_key', 'order_id');\n",
        "CALL set_table_property('public.t', 'event_time_column', 'at');\n",
        "COMMIT;\n",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let none = of("a,b\n1,x\n1,y\n").ddl(&table(), DdlDialect::Postgres);
    assert!(none.contains("-- No primary key") && !none.contains("CALL"), "{none}");
}

mod untidy;

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Whatever the bytes: an answer or an error, and YAML that is read.
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), is_whole: bool) {
        let sample = Sample { head: &bytes, is_whole, further: vec![&bytes], ..Sample::default() };
        if let Ok(guess) = guess(&sample, &Hints::default()) {
            let yaml = guess.yaml("a.csv", None);
            let settings = Settings::read(Some(&yaml), &Environment::default());
            prop_assert!(settings.is_ok(), "{:?}\n{yaml}", settings.err());
            let _ = (guess.json(), guess.ddl(&table(), DdlDialect::Hologres));
        }
    }

    #[test]
    fn no_text_of_marks_makes_it_panic(text in "[a0-9.,;|\t\"'\\\\#/:{}\\[\\] \r\n日年%$+-]{0,200}", is_whole: bool) {
        let sample = Sample { head: text.as_bytes(), is_whole, ..Sample::default() };
        if let Ok(guess) = guess(&sample, &Hints::default()) {
            let yaml = guess.yaml("a.csv", None);
            let settings = Settings::read(Some(&yaml), &Environment::default());
            prop_assert!(settings.is_ok(), "{:?}\n{yaml}", settings.err());
        }
    }

    /// Types do not depend on the order of the rows.
    #[test]
    fn the_order_of_rows_changes_no_type(rows in prop::collection::vec((0_u32..1000, "[a-z]{1,8}", 1_u8..28, any::<bool>()), 3..12), seed in 0_usize..11) {
        let mut lines: Vec<String> = rows.iter().map(|(id, word, day, flag)| format!("{id},w{word},2024-01-{day:02},{flag}\n")).collect();
        let header = "number,word,day,flag\n";
        let first = of(format!("{header}{}", lines.concat()));
        let by = seed % lines.len();
        lines.rotate_left(by);
        lines.reverse();
        let second = of(format!("{header}{}", lines.concat()));
        prop_assert_eq!(kinds(&first), kinds(&second));
        prop_assert!(first.header && second.header);
    }
}
