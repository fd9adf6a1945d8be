//! What Embulk's guess gets wrong without a word, and what ours says. The numbers are those of `docs/conformance.md`.

use holoload::guess::{ColumnGuess, Guess, Hints, Sample, Type, guess};

fn of(bytes: impl AsRef<[u8]>) -> Guess {
    let sample = Sample { head: bytes.as_ref(), is_whole: true, ..Sample::default() };
    guess(&sample, &Hints::default()).expect("a guess")
}

fn column<'a>(guess: &'a Guess, name: &str) -> &'a ColumnGuess {
    guess.columns.iter().find(|column| column.name == name).expect("the column")
}

fn notes(guess: &Guess) -> String {
    guess.notes.iter().map(holoload::guess::Note::message).collect::<Vec<_>>().join("\n")
}

/// 3: NULL as a null string does not make empty fields values.
#[test]
fn a_null_string_beside_empty_fields_keeps_both_null() {
    let guess = of("id,amount\n1,NULL\n2,\n3,7\n");
    assert_eq!(guess.null_strings, ["", "NULL"]);
    assert_eq!(column(&guess, "amount").kind, Type::Bigint);
    assert!(column(&guess, "amount").nullable);
}

/// 4: a column of countries with nothing but NO in the sample.
#[test]
fn norway_is_no_truth_value() {
    let guess = of("id,country\n1,NO\n2,NO\n3,NO\n");
    assert_eq!(column(&guess, "country").kind, Type::Text);
    assert!(notes(&guess).contains("NO is Norway"), "{}", notes(&guess));
    let both = of("id,is_paid\n1,NO\n2,YES\n3,NO\n");
    assert_eq!(column(&both, "is_paid").kind, Type::Bool);
}

/// 12: digits beyond a double.
#[test]
fn decimals_are_exact() {
    let guess = of("id,amount\n1,12345678901234567.89\n2,0.5\n");
    assert_eq!(column(&guess, "amount").kind, Type::Numeric { limits: Some((38, 2)) });
}

/// 14: Latin-1 is not UTF-8 with holes.
#[test]
fn latin_1_is_told_and_said_to_be_unsure() {
    let guess = of(b"id,city\n1,Malm\xf6\n2,Z\xfcrich\n3,G\xf6teborg\n");
    assert_eq!(guess.charset, "windows-1252");
    assert!(notes(&guess).contains("charset"), "{}", notes(&guess));
}

/// 15: a tiny file in ASCII.
#[test]
fn ascii_is_utf_8() {
    let guess = of("a,b\n1,2\n");
    assert_eq!((guess.charset.as_str(), guess.delimiter.as_str(), guess.header), ("UTF-8", ",", true));
    assert!(guess.columns.iter().all(|column| column.kind == Type::Bigint));
}

/// 16: one line, and no line end behind it.
#[test]
fn one_line_is_a_whole_file() {
    let guess = of("1,2.5,abc");
    let kinds: Vec<Type> = guess.columns.iter().map(|column| column.kind).collect();
    assert_eq!(kinds, [Type::Bigint, Type::Numeric { limits: Some((18, 1)) }, Type::Text]);
    assert!(!guess.header);
    assert_eq!(guess.row_count, 1);
}

/// 17: words alone, with a header; and a header alone.
#[test]
fn a_header_over_words_is_found() {
    let guess = of("first_name,city\nAda,London\nGrace,New York\nEdsger,Rotterdam\n");
    assert!(guess.header);
    assert_eq!(guess.columns[1].name, "city");
    let alone = of("order_id,book_name,amount\n");
    assert!(alone.header);
    assert_eq!(alone.columns[2].name, "amount");
    assert_eq!(alone.row_count, 0);
    let data = of("red,apple\nyellow,banana\nred,cherry\ngreen,apple\n");
    assert!(!data.header, "its first record comes again");
}

/// 18: ids of eight digits that look like days.
#[test]
fn ids_that_look_like_days_stay_numbers_and_days_are_told() {
    let guess = of("id,shipped_date,batch\n20210712,20210712,20210712\n20210713,20210801,20210713\n");
    assert_eq!(column(&guess, "id").kind, Type::Bigint);
    assert_eq!(column(&guess, "shipped_date").kind, Type::Date);
    assert!(notes(&guess).contains("column id: 8 digits"), "{}", notes(&guess));
    assert!(column(&guess, "batch").sure < 0.7);
    assert!(notes(&guess).contains("column batch: 8 digits"));
}

/// 19: day and month.
#[test]
fn an_open_order_of_day_and_month_is_said() {
    let guess = of("id,d\n1,01/02/2024\n2,03/04/2024\n");
    let open = column(&guess, "d");
    assert!(open.sure < 0.5);
    let text = notes(&guess);
    assert!(text.contains("`%m/%d/%Y` was taken") && text.contains("`%d/%m/%Y` fits"), "{text}");
    // One value tells, in its own column or in another.
    let told = of("id,d,e\n1,01/02/2024,13/04/2024\n2,03/04/2024,01/02/2024\n");
    assert_eq!(column(&told, "d").formats, ["%d/%m/%Y"]);
    assert_eq!(column(&told, "e").formats, ["%d/%m/%Y"]);
}

/// 20: a name that is null.
#[test]
fn a_header_cell_named_null_is_a_name() {
    for name in ["null", "NULL"] {
        let guess = of(format!("id,{name},x\n1,2,3\n4,5,6\n"));
        assert!(guess.header);
        assert_eq!(guess.columns[1].name, name);
    }
}

/// 21: the same name twice.
#[test]
fn names_that_come_twice_get_numbers_and_a_note() {
    let guess = of("id,v,v\n1,2,3\n4,5,6\n");
    assert_eq!(guess.columns[2].name, "v_1");
    assert!(notes(&guess).contains("come twice"), "{}", notes(&guess));
}

/// 24: times since 1970, thousands, currencies, exponents, bare points.
#[test]
fn numbers_of_all_forms_are_told() {
    let guess = of(
        "created_at,seen,total,price,ratio,half\n\
         1700000000000,1700000000,\"1,234,567\",$5.00,1e5,.5\n\
         1700000100000,1700000001,\"1,234\",$7.25,2.5e-3,1.\n\
         1700000200000,1700000002,999,$8.00,3e0,2.75\n",
    );
    let created = column(&guess, "created_at");
    assert_eq!((created.kind, created.epoch), (Type::Timestamptz, Some("ms")));
    assert_eq!(column(&guess, "seen").kind, Type::Bigint);
    assert!(notes(&guess).contains("column seen: all values could be seconds from 1970"), "{}", notes(&guess));
    let total = column(&guess, "total");
    assert_eq!((total.kind, total.thousands), (Type::Bigint, Some(',')));
    assert_eq!(column(&guess, "price").kind, Type::Text);
    assert!(notes(&guess).contains("column price: all values are amounts"));
    assert_eq!(column(&guess, "ratio").kind, Type::Double);
    assert_eq!(column(&guess, "half").kind, Type::Numeric { limits: Some((18, 2)) });
}
