//! Which field goes into which column: names, numbers, constants, fields that have no column and columns that have no
//! field.

use serde_json::json;

use crate::harness::{Lab, Run, assert_contains, counts};

const TABLE: &str =
    "CREATE TABLE t (order_id int8 PRIMARY KEY, name text, amount numeric(10,2), day date, rest jsonb)";

/// `load` under further lines of a route.
fn load(lab: &Lab, route: &str, text: impl AsRef<[u8]>) -> Run {
    let source = lab.file("input.csv", text);
    load_from(lab, route, &source)
}

fn load_from(lab: &Lab, route: &str, source: &str) -> Run {
    let config = format!(
        "rejects: {}\nroutes: [{{object: '**', table: t, {route}}}]",
        lab.folder().join("rejects").display()
    );
    let config = lab.file("c.yml", config);
    lab.load(source).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).argument("--force")
}

#[test]
fn a_field_fills_the_column_that_names_it() {
    let lab = Lab::new("mapping_from", TABLE);
    let route = "columns: {order_id: {from: 注文ID}, name: {from: '品名, 型'}, amount: {from: 3}}";
    let text = "注文ID,\"品名, 型\",金額\n1,茶,1200\n2,\"a\"\"b\",\n";
    assert_eq!(counts(&load(&lab, route, text).run().loaded()), [2, 2, 0, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT order_id, name, amount FROM t ORDER BY 1"), ["1|茶|1200.00", "2|a\"b|NULL"]);
    // Names may change places, and one field may fill two columns: its own, and the one that names it.
    lab.db.run("TRUNCATE t; ALTER TABLE t ADD note text");
    load(&lab, "columns: {name: {from: note}, note: {from: name}}", "order_id,name,note\n1,n,m\n")
        .run()
        .loaded();
    load(&lab, "columns: {note: {from: name}}", "order_id,name\n2,both\n").run().loaded();
    assert_eq!(lab.rows("SELECT name, note FROM t ORDER BY order_id"), ["m|n", "both|both"]);
}

#[test]
fn a_field_that_is_named_and_not_there_is_told() {
    let lab = Lab::new("mapping_absent", TABLE);
    let route = "columns: {name: {from: 品名}}, parse: {header: true}";
    load(&lab, route, "order_id,品名型\n1,a\n").run().failed(
        2,
        "the file has no field `品名`, from which column `name` is filled",
        "did you mean `品名型`? `missing: allow`",
    );
    load(&lab, "columns: {name: {from: 9}}", "order_id,amount\n1,2\n").run().failed(
        2,
        "the file has no field 9, from which column `name`",
        "`missing: allow`",
    );
    load(&lab, "columns: {name: {from: 品名}}, missing: allow", "order_id,amount\n1,2\n").run().loaded();
    assert_eq!(lab.rows("SELECT order_id, name FROM t"), ["1|NULL"]);
    // What the column has by its own name is not what was asked for.
    load(&lab, "columns: {name: {from: 品名}}", "order_id,品名,name\n1,a,b\n").run().failed(
        2,
        "column `name` is filled from field `品名`, the file must not have it",
        "`drop: [name]`",
    );
    load(&lab, "columns: {name: {from: 品名}}, drop: [name]", "order_id,品名,name\n1,a,b\n").run().loaded();
    assert_eq!(lab.rows("SELECT order_id, name FROM t"), ["1|a"]);
}

#[test]
fn a_constant_fills_every_row_with_and_without_a_header() {
    let lab = Lab::new(
        "mapping_constant",
        "CREATE TABLE t (tenant int4, id int8, day date, note text, PRIMARY KEY (tenant, id))",
    );
    let route = "columns: {tenant: {constant: 7}, day: {constant: '2024-02-29'}, note: {constant: ''}}";
    load(&lab, route, "id\n1\n2\n").run().loaded();
    load(&lab, route, "3\n4\n").run().loaded();
    assert_eq!(
        lab.rows("SELECT * FROM t ORDER BY id"),
        ["7|1|2024-02-29|", "7|2|2024-02-29|", "7|3|2024-02-29|", "7|4|2024-02-29|"]
    );
    load(&lab, route, "id,day\n1,2024-01-01\n").run().failed(
        2,
        "column `day` is filled with a constant, the file must not have it",
        "`drop: [day]`",
    );
    load(&lab, "columns: {tenant: {constant: x}}", "id\n1\n").run().failed(
        2,
        "`columns.tenant`: its `constant` does not fit: not an integer",
        "of type `integer`",
    );
    load(&lab, "columns: {tenant: 7}", "id\n1\n").run().refused(2, "a column must be", "");
}

#[test]
fn a_default_stands_in_for_a_field_that_the_file_does_not_have() {
    let lab = Lab::new("mapping_default", "CREATE TABLE t (id int8 PRIMARY KEY, kind text NOT NULL, n int4)");
    let route = "columns: {kind: {from: art, default: plain}, n: {default: 3}}";
    load(&lab, route, "id,art\n1,odd\n").run().loaded();
    load(&lab, route, "id,n\n2,4\n").run().loaded();
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|odd|3", "2|plain|4"]);
    load(&lab, "columns: {n: {default: many}, kind: {default: a}}", "id\n1\n").run().failed(
        2,
        "`columns.n`: its `default` does not fit: not an integer",
        "",
    );
}

#[test]
fn dropped_fields_go_nowhere() {
    let lab = Lab::new("mapping_drop", TABLE);
    load(&lab, "drop: [内部メモ, 4]", "order_id,内部メモ,name,\n1,secret,a,x\n").run().loaded();
    // Without a header by number, and the others in the table's order.
    load(&lab, "drop: [2], extras: rest", "2,secret,b,1.5,2024-01-01\n").run().loaded();
    assert_eq!(lab.rows("SELECT order_id, name, rest FROM t ORDER BY 1"), ["1|a|NULL", "2|b|{}"]);
    load(&lab, "drop: [name], columns: {name: {from: name}}", "order_id\n1\n").run().refused(
        2,
        "`drop` has field `name`, which fills column `name`",
        "keep one",
    );
}

#[test]
fn fields_without_header_go_by_their_numbers_where_one_column_does() {
    let lab = Lab::new("mapping_numbers", TABLE);
    let columns = "columns: {order_id: {from: 2}, name: {from: 4}, amount: {from: 1}}";
    load(&lab, &format!("{columns}, drop: [3]"), "1.50,1,secret,a\n2.50,2,secret,b\n").run().loaded();
    assert_eq!(
        lab.rows("SELECT order_id, name, amount, day FROM t ORDER BY 1"),
        ["1|a|1.50|NULL", "2|b|2.50|NULL"]
    );
    load(&lab, &format!("{columns}, extras: rest"), "1.50,1,kept,a\n").run().loaded();
    assert_eq!(lab.rows("SELECT rest FROM t WHERE order_id = 1"), ["{\"3\": \"kept\"}"]);
    load(&lab, columns, "1.50,1,kept,a\n").run().failed(
        2,
        "no column of table `public.t` takes field 3",
        "`drop: [3]`",
    );
    let report = load(&lab, &format!("{columns}, drift: ignore"), "9,3,,c\n").run().loaded();
    assert_eq!(report["warnings"], json!(["1 field was left out, table `public.t` has no such column: `3`"]));
    load(&lab, &format!("{columns}, drift: suggest"), "9,3,,c\n").run().failed(
        2,
        "the file has a field that table `public.t` has no column for: `3`",
        "ADD COLUMN \"field_3\" text;",
    );
}

#[test]
fn fields_without_a_column_are_kept_as_one_object() {
    for kind in ["json", "jsonb"] {
        let lab = Lab::new("mapping_extras", &TABLE.replace("jsonb", kind));
        let text = "order_id,色,\"a\"\"b\",name\n1,赤,\"x\ny\\z\"\"\t\u{1}\",n\n2,,\"\",m\n3,\0,,bad\n";
        let report = load(&lab, "extras: rest", text).run().loaded();
        assert_eq!(report["reject_sample"][0]["reason"], "NUL byte");
        assert_eq!(report["reject_sample"][0]["column"], "rest");
        let found = lab.rows("SELECT rest::text FROM t ORDER BY order_id");
        let found: Vec<serde_json::Value> =
            found.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
        assert_eq!(found, [json!({"色": "赤", "a\"b": "x\ny\\z\"\t\u{1}"}), json!({"色": null, "a\"b": ""})]);
        // Bytes that are no text are as bad here as in a column of text.
        let report =
            load(&lab, "extras: rest, parse: {charset: utf-8}", b"order_id,x\n4,a\n5,\xff\n").run().loaded();
        assert_eq!(report["reject_sample"][0]["reason"], "not UTF-8");
        assert_eq!(lab.rows("SELECT order_id, rest->>'x' FROM t WHERE order_id > 3"), ["4|a"]);
        // A file without such fields has an object without members.
        load(&lab, "extras: rest", "order_id,name\n6,a\n").run().loaded();
        assert_eq!(lab.rows("SELECT rest::text FROM t WHERE order_id = 6"), ["{}"]);
    }
}

#[test]
fn extras_that_cannot_be_kept_are_refused() {
    let lab = Lab::new("mapping_extras_bad", TABLE);
    for (route, text, message, hint) in [
        (
            "extras: rest",
            "order_id,x,x\n1,2,3\n",
            "the header names `x` twice, fields 2 and 3",
            "`drop: [3]`",
        ),
        (
            "extras: rest",
            "order_id,rest\n1,{}\n",
            "column `rest` takes the fields without a column",
            "`drop: [rest]`",
        ),
        (
            "extras: rset",
            "order_id\n1\n",
            "`extras: rset`: table `public.t` has no such column",
            "did you mean `rest`?",
        ),
        ("extras: name", "order_id\n1\n", "`extras: name`: it is of type `text`", "jsonb or json"),
        ("extras: zzzz", "order_id\n1\n", "has no such column", "ADD COLUMN \"zzzz\" jsonb"),
    ] {
        load(&lab, route, text).run().failed(2, message, hint);
    }
    load(&lab, "extras: rest, columns: {rest: $key}", "order_id\n1\n").run().refused(
        2,
        "something else fills it",
        "",
    );
    assert_eq!(lab.db.count("t"), 0);
}

#[test]
fn fields_that_the_table_does_not_know_fail_are_left_out_or_come_with_the_statement() {
    let lab = Lab::new("mapping_drift", TABLE);
    let text = "order_id,name,色,\"Size \"\"L\"\"\"\n1,a,red,9\n";
    load(&lab, "drift: strict", text).run().failed(
        2,
        "the header names `色`, table `public.t` has no such column",
        "`drop: [色]`",
    );
    let report = load(&lab, "drift: ignore", text).run().loaded();
    assert_eq!(
        report["warnings"],
        json!(["2 fields were left out, table `public.t` has no such column: `色`, `Size \"L\"`"])
    );
    let failed = load(&lab, "drift: suggest", text).run().failed(
        2,
        "the file has fields that table `public.t` has no column for: `色`, `Size \"L\"`",
        "ALTER TABLE",
    );
    let statement = failed["error"]["hint"].as_str().expect("a hint");
    assert_eq!(
        statement,
        "ALTER TABLE \"public\".\"t\" ADD COLUMN \"色\" text, ADD COLUMN \"Size \"\"L\"\"\" text;"
    );
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|a|NULL|NULL|NULL"], "nothing was added");
    lab.db.run(statement);
    load(&lab, "drift: suggest", text).run().loaded();
    assert_eq!(lab.rows("SELECT \"色\", \"Size \"\"L\"\"\" FROM t"), ["red|9"]);
    // A column that the route speaks of gets the type that it says.
    load(&lab, "drift: suggest, columns: {price: {type: 'numeric(12,2)'}}", "order_id,price\n1,2\n")
        .run()
        .failed(
            2,
            "`columns.price`: table `public.t` has no such column",
            "ADD COLUMN \"price\" numeric(12,2);",
        );
}

#[test]
fn columns_that_the_file_does_not_have_may_be_asked_for() {
    let lab = Lab::new("mapping_missing", TABLE);
    for policy in ["missing: refuse", "missing: allow"] {
        load(&lab, policy, "order_id,name\n1,a\n").run().loaded();
        load(&lab, policy, "name,amount\na,1\n").run().failed(
            2,
            "has no column `order_id`, which is NOT NULL",
            "add the column",
        );
    }
    load(&lab, "missing: refuse_all, extras: rest", "order_id,name,day\n1,a,\n").run().failed(
        2,
        "the file has no column `amount`, and `missing: refuse_all` wants every one",
        "add the column",
    );
    load(&lab, "missing: refuse_all, extras: rest", "order_id,name,day,amount\n1,b,,\n").run().loaded();
    load(&lab, "missing: refused", "order_id\n1\n").run().refused(
        2,
        "unknown variant",
        "did you mean `refuse`?",
    );
}

#[test]
fn relaxed_names_are_taken_whatever_their_case_and_width() {
    let lab = Lab::new("mapping_relaxed", TABLE);
    let relaxed = "parse: {header_match: relaxed}";
    load(&lab, relaxed, "Ｏｒｄｅｒ＿ＩＤ, NAME ,Amount\n1,a,2\n").run().loaded();
    assert_eq!(lab.rows("SELECT order_id, name, amount FROM t"), ["1|a|2.00"]);
    load(
        &lab,
        &format!("{relaxed}, columns: {{name: {{from: ﾒﾓ}}}}, drop: [X]"),
        "ORDER_ID,メモ,ｘ\n1,b,9\n",
    )
    .run()
    .loaded();
    assert_eq!(lab.rows("SELECT order_id, name FROM t"), ["1|b"]);
    // What fits only so is neither data nor, without being asked for, a header.
    load(&lab, "parse: {header: auto}", "Order_Id,NAME\n1,a\n").run().failed(
        1,
        "first row is neither header nor data",
        "`parse: {header_match: relaxed}`",
    );
    load(&lab, "parse: {header: true}", "Order_Id,NAME\n1,a\n").run().failed(
        2,
        "the first row names no column",
        "`parse: {header_match: relaxed}`",
    );
    load(&lab, "parse: {header: true}", "order_id,Name\n1,a\n").run().failed(
        2,
        "the header names `Name`",
        "did you mean `name`? `parse: {header_match: relaxed}`",
    );
    load(&lab, relaxed, "order_id,name,ＮＡＭＥ\n1,a,b\n").run().failed(
        2,
        "the header names `name` and `ＮＡＭＥ`, which are the same under `header_match: relaxed`",
        "`drop: [3]`",
    );
    lab.db.run("ALTER TABLE t ADD \"Name\" text");
    load(&lab, relaxed, "order_id\n1\n").run().failed(
        2,
        "columns `name` and `Name` of table `public.t` are the same",
        "header_match: exact",
    );
}

#[test]
fn header_cells_without_a_name_are_told_by_number() {
    let lab = Lab::new("mapping_unnamed", TABLE);
    let text = "order_id,name,\n1,a,x\n";
    for route in ["drift: strict", "drift: suggest", "extras: rest"] {
        load(&lab, route, text).run().failed(
            2,
            "the header has no name for field 3",
            "`drop: [3]`…`columns: {name: {from: 3}}`",
        );
    }
    load(&lab, "drift: ignore", text).run().loaded();
    load(&lab, "drop: [3]", text).run().loaded();
    load(&lab, "columns: {amount: {from: 3}}", "order_id,name,\n1,a,5\n").run().loaded();
    assert_eq!(lab.rows("SELECT order_id, name, amount FROM t"), ["1|a|5.00"]);
}

#[test]
fn columns_that_there_are_not_are_told_with_the_nearest() {
    let lab = Lab::new(
        "mapping_unknown",
        &TABLE.replace("day date", "day date, seq int8 GENERATED ALWAYS AS IDENTITY"),
    );
    load(&lab, "columns: {nmae: {from: x}}", "order_id,x\n1,a\n").run().failed(
        2,
        "`columns.nmae`: table `public.t` has no such column",
        "did you mean `name`?",
    );
    load(&lab, "columns: {seq: {constant: 1}}", "order_id\n1\n").run().failed(
        2,
        "`columns.seq`: the column is generated always",
        "leave it out",
    );
    load(&lab, "columns: {name: {frm: x}}", "order_id\n1\n").run().refused(
        2,
        "unknown field `frm`",
        "did you mean `from`?",
    );
    load(&lab, "columns: {name: {type: nummeric}}", "order_id\n1\n").run().refused(
        2,
        "`columns.name`…`type: nummeric` is no type",
        "did you mean `numeric(12,2)`?",
    );
    load(&lab, "columns: {name: x}", "order_id\n1\n").run().refused(
        2,
        "`columns: {name: x}` is not known",
        "`{from: x}`",
    );
}

#[test]
fn bad_rows_come_back_through_the_same_mapping() {
    let lab = Lab::new("mapping_rejects", TABLE);
    let route = "columns: {order_id: {from: 注文ID}, day: {constant: '2024-01-01'}}, drop: [x], extras: rest";
    let text = "注文ID,x,name,色\n1,-,a,red\ntwo,-,b,blue\n";
    let report = load(&lab, route, text).run().loaded();
    assert_eq!(report["reject_sample"][0]["column"], "order_id");
    let kept = report["rejects"].as_str().expect("an address");
    let fixed = std::fs::read_to_string(kept).expect("rejects").replace("two", "2");
    assert_eq!(fixed, "注文ID,x,name,色\n2,-,b,blue\n");
    load(&lab, route, fixed).run().loaded();
    assert_eq!(
        lab.rows("SELECT * FROM t ORDER BY 1"),
        ["1|a|NULL|2024-01-01|{\"色\": \"red\"}", "2|b|NULL|2024-01-01|{\"色\": \"blue\"}"]
    );
}

#[test]
fn whatever_names_a_column_knows_renamed_and_constant_ones() {
    let lab = Lab::new(
        "mapping_write",
        "CREATE TABLE t (id int8, region text, v int4, seen date, gone bool, src_key text, src_seq text, PRIMARY KEY (id, region))",
    );
    let columns = "id: {from: ID番号}, seen: {from: 日付}, region: {constant: jp}";
    let newer = format!("columns: {{{columns}}}, write: {{newer_by: seen}}");
    load(&lab, &newer, "ID番号,日付,v\n1,2024-01-02,2\n").run().loaded();
    load(&lab, &newer, "ID番号,日付,v\n1,2024-01-01,1\n2,2024-01-01,1\n").run().loaded();
    assert_eq!(lab.rows("SELECT id, region, v FROM t ORDER BY 1"), ["1|jp|2", "2|jp|1"]);
    let op = format!("columns: {{{columns}}}, write: {{op: 操作, soft_delete: gone}}");
    load(&lab, &op, "操作,ID番号,日付,v\nD,1,2024-01-03,2\nU,2,2024-01-03,9\n").run().loaded();
    assert_eq!(lab.rows("SELECT id, v, gone FROM t ORDER BY 1"), ["1|2|t", "2|9|f"]);
    lab.db.run("TRUNCATE t");
    let snapshot =
        format!("columns: {{{columns}, src_key: $key, src_seq: $sequencer}}, write: {{mode: snapshot}}");
    let address = lab.put("s.csv", "ID番号,日付,v\n1,2024-01-02,2\n2,2024-01-02,2\n");
    load_from(&lab, &snapshot, &address).run().loaded();
    let address = lab.put("s.csv", "ID番号,日付,v\n2,2024-01-02,3\n");
    load_from(&lab, &snapshot, &address).run().loaded();
    assert_eq!(lab.rows("SELECT id, region, v FROM t ORDER BY 1"), ["2|jp|3"]);
    load(&lab, "columns: {gone: {constant: 'true'}}, write: {op: op, soft_delete: gone}", "op,id\n")
        .run()
        .failed(2, "`soft_delete: gone`: something else fills it", "");
}

#[test]
fn verify_compares_by_the_same_mapping() {
    let lab = Lab::new("mapping_verify", TABLE);
    let route = "columns: {order_id: {from: 注文ID}, day: {constant: '2024-01-01'}}, drop: [x], extras: rest";
    let address = lab.put("v.csv", "注文ID,x,name,色\n1,-,a,red\n2,-,b,\n");
    load_from(&lab, route, &address).run().loaded();
    let verify = || load_from(&lab, route, &address).arguments(&["verify", "--json", &address]).run();
    let verdict = verify().exits(0).json();
    assert_eq!((&verdict["is_equal"], &verdict["equal_count"]), (&json!(true), &json!(2)), "{verdict:#}");
    for change in ["day = '2024-01-02'", "rest = '{\"色\": \"rot\"}'", "name = 'c'"] {
        lab.db.run(&format!("BEGIN; UPDATE t SET {change} WHERE order_id = 1; COMMIT"));
        let verdict = verify().exits(1).json();
        assert_eq!(verdict["different_count"], 1, "{change}: {verdict:#}");
        load_from(&lab, route, &address).run().loaded();
    }
    let ledger = lab.holoload(&["history", "--json"]).run().exits(0).stdout;
    assert_contains(&ledger, "v.csv");
}
