//! Files that are not quite what they should be.

use super::*;

fn names(guess: &Guess) -> Vec<&str> {
    guess.columns.iter().map(|column| column.name.as_str()).collect()
}

fn has_note(guess: &Guess, part: &str) -> bool {
    guess.notes.iter().any(|note| note.text.contains(part))
}

#[test]
fn blanks_beside_quotes_are_passed_over() {
    for text in [
        "day, count, word\n1, 2, \"a\"\n3, 4, \"b, c\"\n",
        "day, count, word\n1, 2, \"a\" \n3, 4, \"b, c\" \n",
        "day,count,word\n\"1\" ,\"2\" ,\"a\"\n\"3\" ,\"4\" ,\"b, c\"\n",
    ] {
        let guess = of(text);
        assert_eq!(names(&guess), ["day", "count", "word"], "{text}");
        assert_eq!(kinds(&guess), ["bigint", "bigint", "text"], "{text}");
        assert_eq!((guess.quote.as_str(), guess.trim, guess.odd_count), ("\"", Trim::Unquoted, 0), "{text}");
    }
}

#[test]
fn lines_quoted_as_a_whole_are_one_column_with_a_note() {
    for text in
        ["\"a;b;c\"\n\"1;x;2\"\n\"2;y;3\"\n", "\"a,\"\"b\"\",c\"\n\"1,\"\"x\"\",2\"\n\"2,\"\"y\"\",3\"\n"]
    {
        let guess = of(text);
        assert_eq!((guess.columns.len(), guess.quote.as_str()), (1, "\""), "{text}");
        assert!(guess.sure < 0.5 && has_note(&guess, "in quotes as a whole"), "{text}: {:?}", guess.notes);
    }
}

#[test]
fn what_stands_before_the_table_is_passed_over() {
    for (text, skip) in [
        ("a title\nand,more\nday,word,n\n2024-01-05,x,1.5\n", 2),
        ("Sales, all shops, this year\nby hand\n\nshop,month,total\nNorth,1,100\nSouth,2,200\n", 3),
        ("sep=;\nid;price\n1;2,5\n2;3,5\n", 1),
        ("\"sep=|\"\r\nid|price\r\n1|2.5\r\n2|3.5\r\n", 1),
    ] {
        let guess = of(text);
        assert_eq!((guess.skip_lines, guess.header, guess.odd_count), (skip, true, 0), "{text}: {guess:?}");
    }
    // Rows that are wider than the header in the middle of others are no preamble.
    let middle = of("id,name\n1,x\n2\n3,y\n4,z\n");
    assert_eq!((middle.skip_lines, middle.odd_count), (0, 1));
}

#[test]
fn a_comment_among_few_lines_is_found_whatever_the_escape_is() {
    let text = "\"\\\"Big\\\" Al\";1987\n\"Bo \\\"B\\\" Cee\";1984\n# nobody's year\n\"D\";1964\n";
    let guess = of(text);
    assert_eq!((guess.comment.as_str(), guess.escape.as_str(), guess.odd_count), ("#", "\\", 0));
    assert_eq!(kinds(&guess), ["text", "bigint"]);
}

#[test]
fn records_of_another_width_change_no_type() {
    let guess = of("id,name,n\n1,x,2\n2,y,3\n3,z,4\n\n3 rows\n");
    assert_eq!((kinds(&guess)[0].as_str(), guess.odd_count), ("bigint", 1));
    assert!(
        has_note(&guess, "1 record does not have 3 fields or is not well formed (line 6)"),
        "{:?}",
        guess.notes
    );
}

#[test]
fn further_pieces_that_do_not_fit_are_noted() {
    let head = b"id,v\n1,\"a, b\"\n2,c\n";
    let told = |piece: &[u8]| {
        let sample = Sample { head, further: vec![piece], ..Sample::default() };
        let guess = guess(&sample, &Hints::default()).expect("a guess");
        (guess.row_count, has_note(&guess, "further on"), guess.sure)
    };
    let (rows, is_noted, sure) = told(b"x\n7,d\n8,e\n9,f\n");
    assert_eq!((rows, is_noted), (5, false));
    let (rows, is_noted, less_sure) = told(b"x\n7;d;1\n8;e;1\n9;f;1\n");
    assert!(rows == 2 && is_noted && less_sure < sure && less_sure < 0.5);
    // Cut inside a text in quotes: from its closing quote on it is as before.
    let (rows, is_noted, _) = told(b"x\nand, more\", 5\n7,\"d, e\"\n8,\"f, g\"\n9,\"h, i\"\n");
    assert_eq!((rows, is_noted), (5, false));
}

#[test]
fn names_that_are_none_go_by_number() {
    let twice = of("id,id,n\n1,2,3\n4,5,6\n");
    let yaml = twice.yaml("a.csv", None);
    for part in ["\"id\": {from: 1,", "\"id_1\": {from: 2,", "\"n\": {type: bigint}"] {
        assert!(yaml.contains(part), "{yaml}");
    }
    let empty = of("id,,n\n1,x,3\n4,y,6\n").yaml("a.csv", None);
    assert!(empty.contains("\"c1\": {from: 2,"), "{empty}");
    let end = of("id,n,\n1,3,\n4,6,\n");
    assert_eq!((names(&end), end.odd_count, end.has_last_delimiter), (vec!["id", "n"], 0, true));
    assert!(end.yaml("a.csv", None).contains("      trailing_delimiter: true\n"));
}

#[test]
fn headers_over_other_values_are_found() {
    for (text, is_there) in [
        ("t\n2024-01-05T10:20:30Z\n2024-01-06T10:20:30Z\n", true),
        ("on,t\n2024-01-05,1\n2024-01-06,2\n", true),
        ("t\nf\nt\n", false),
        ("x's,y,1/2/03\nb,c,12/28/02\nd,e,12/19/02\n", false),
        ("land,2019,2020,2021\nA,1.5,2,3\nB,4.5,5,6\n", true),
        ("land,2019,2021,2020\nA,1.5,2,3\nB,4.5,5,6\n", false),
        ("A,1999,2000\nB,2001,2002\nC,2003,2004\n", false),
    ] {
        assert_eq!(of(text).header, is_there, "{text}");
    }
}

#[test]
fn short_dates_are_dates_and_versions_are_none() {
    for (values, kind, format) in [
        (["2/1/03", "12/28/02", "1/31/99"], "date", "%m/%d/%y"),
        (["5/1/24 3:04 PM", "15/2/24 11:04 AM", "1/1/24 1:00 PM"], "timestamp", "%d/%m/%y %I:%M %p"),
        (["Jan 5 2024", "Feb 15 2024", "Mar 1 2024"], "date", "%b %d %Y"),
        (["1.2.10", "1.2.11", "1.3.10"], "text", ""),
    ] {
        let guess = of(format!("v|w\n{}", values.map(|value| format!("{value}|1\n")).concat()));
        let column = &guess.columns[0];
        assert_eq!(
            (column.kind.sql().as_str(), column.formats.concat().as_str()),
            (kind, format),
            "{values:?}"
        );
    }
}

#[test]
fn rare_marks_delimit_only_where_every_line_has_them() {
    let rows = "a?b?c\n1?x?2\n2?y?3\n";
    for mark in ["?", "+", "!", "*", "#", "\u{3}"] {
        assert_eq!(of(rows.replace('?', mark)).delimiter, mark);
    }
    for text in ["who?\nwhat? and why?\nwhen?\n", "C++\nC#\nJava\n", "1+1\n2+2\n3+3\n"] {
        assert_eq!(of(text).columns.len(), 1, "{text}");
    }
    let log =
        of("10.0.0.1 - x [05/Jan/2024:10:20:30 +0000] ok\n10.0.0.2 - y [05/Jan/2024:10:20:31 +0000] no\n");
    assert!(log.columns.len() == 1 || log.sure <= 0.5, "{log:?}");
}

#[test]
fn json_over_many_lines_is_json() {
    for (text, rows) in [
        ("{\n \"a\": 1,\n \"b\": [\n]}\n", 1),
        ("{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n", 2),
        ("{\n \"a\": [{\"x\": 1}]\n}\n{\n \"a\": []\n}\n", 2),
        ("[]", 0),
    ] {
        let guess = of(text);
        assert_eq!((guess.format, guess.root.as_str(), guess.row_count), (Format::Json, "", rows), "{text}");
    }
}

#[test]
fn half_width_katakana_alone_are_japanese() {
    let text = "id,name\n1,ﾔﾏﾀﾞ ﾀﾛｳ\n2,ｽｽﾞｷ\n";
    let shift_jis = crate::charset::Charset::named("cp932").expect("a name").restore(text.as_bytes());
    assert_eq!(of(shift_jis).charset, "CP932");
    let euc = crate::charset::Charset::named("euc-jp").expect("a name").restore(text.as_bytes());
    assert_eq!(of(euc).charset, "EUC-JP");
    // Cyrillic and Latin letters of one byte are none.
    for (name, text) in
        [("koi8-r", "id,имя\n1,Иван\n2,Пётр Иванов\n"), ("windows-1252", "id,n\n1,café\n2,Müller\n")]
    {
        let bytes = crate::charset::Charset::named(name).expect("a name").restore(text.as_bytes());
        assert_ne!(of(bytes).charset, "CP932", "{name}");
    }
}

#[test]
fn one_is_no_plural() {
    let yaml = of("a,b\n1,x\n").yaml("a.csv", None);
    for part in ["1 row;", "1 value;", "integers of 1 digit", "1 character"] {
        assert!(yaml.contains(part), "no {part} in {yaml}");
    }
    assert!(
        !yaml.contains("1 values") && !yaml.contains("1 digits") && !yaml.contains("1 characters"),
        "{yaml}"
    );
}

/// The last line of a file that was cut while it was written: its row is bad, and the quotes are quotes.
#[test]
fn a_file_that_ends_inside_quotes_keeps_its_quotes() {
    let cut = of("id,day,word\n1,2024-01-05,a\n2,2024-01-06,b\n3,2024-01-07,\"c \"\"d");
    assert_eq!((cut.quote.as_str(), cut.has_stray_quotes, cut.odd_count), ("\"", false, 1), "{cut:?}");
    assert_eq!(kinds(&cut), ["bigint", "date", "text"]);
    assert!(has_note(&cut, "not well formed (line 4)"), "{:?}", cut.notes);
    // Quotes in the middle of a file that do not close are data.
    let inches = of("id,word\n1,\"a\n2,b\n3,c\n");
    assert_eq!((inches.quote.as_str(), inches.odd_count), ("", 0), "{inches:?}");
}

#[test]
fn what_is_not_read_as_it_was_meant_is_said() {
    for (text, part) in [
        ("id   name    qty\n1    apple   3\n2    pear    14\n3    fig     5\n", "at fixed places"),
        ("[[1,\"x\"],[2,\"y\"]]\n", "rows are JSON arrays"),
        ("[1,\"x\"]\n[2,\"y\"]\n", "rows are JSON arrays"),
    ] {
        let guess = of(text);
        assert!(guess.sure < 0.5 && has_note(&guess, part), "{text}: {guess:?}");
    }
    for text in ["[{\"a\":1}]\n", "[x],[y]\n[1],[2]\n", "word\na b\nc  d\n"] {
        let guess = of(text);
        assert!(!has_note(&guess, "JSON arrays") && !has_note(&guess, "fixed places"), "{text}: {guess:?}");
    }
}

/// Lines that begin with a comment's marker and read as records are records.
#[test]
fn records_are_no_comments() {
    for (text, rows) in [
        ("num,name\n1.5,x\n#REF!,y\n#DIV/0!,yy\n3,z\n4,w\n5,q\n#NAME?,zz\n", 7),
        ("temp,t\n-1,a\n--,b\n3,c\n4,d\n5,e\n", 5),
        ("n,t\n1,a\n//,b\n3,c\n4,d\n5,e\n", 5),
        ("ticket,qty\n#100,1\n101,2\n102,3\n#103,4\n104,5\n", 5),
        ("v\n#\n##\n1\n2\n3\n", 5),
        ("x;y\n1;10\n2;20\n-- 3;30\n4;40\n", 4),
    ] {
        let guess = of(text);
        assert_eq!((guess.comment.as_str(), guess.row_count), ("", rows), "{text}: {guess:?}");
    }
    let noted = of("id,name\n1,x\n# by hand\n2,y\n3,z\n");
    assert_eq!((noted.comment.as_str(), noted.row_count), ("#", 3), "{noted:?}");
    assert!(noted.sure < 0.9 && has_note(&noted, "1 line with `#`"), "{:?}", noted.notes);
}

#[test]
fn quotes_that_do_not_close_glue_no_records() {
    let text =
        "id,t,q\n1,\"n1\",1\n2,\"n2\",2\n3,\"n3\",3\n4,\"n4\" ,4\n5,\"n5\",5\n6,\"n6\",6\n21, \"c d\" e,5\n";
    let guess = of(text);
    assert_eq!((guess.row_count, guess.odd_count, guess.quote.as_str()), (6, 1, "\""), "{guess:?}");
}

#[test]
fn a_header_and_the_row_below_it_are_no_preamble() {
    let guess = of("sensor,value\nA,offline\noops\nB,error\nC0,0\nC1,3\nC2,4\nC3,5\n");
    assert_eq!(
        (names(&guess), guess.skip_lines, guess.odd_count),
        (vec!["sensor", "value"], 0, 1),
        "{guess:?}"
    );
}
