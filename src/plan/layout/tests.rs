use std::sync::Arc;

use crate::error::{Error, Result};
use crate::plan::{Destination, How, Layout, Limits, Plan, Planner};
use crate::settings::{Environment, Settings};
use crate::table::{Column, Generated, Key, Kind, Table, TableName};

/// A table `t` of these columns, of which the first is the key and NOT NULL.
fn plan(route: &str, columns: &[(&str, Kind)]) -> Result<Plan> {
    let yaml = format!("routes: [{{object: '**', table: t, {route}}}]");
    let settings = Settings::read(Some(&yaml), &Environment::of(std::iter::empty()))?;
    let planner = Planner::new(&settings, Limits::for_memory(512))?;
    let object = crate::object::ObjectRef { bucket: "b".to_owned(), key: "k".to_owned() };
    let Destination::Route(route) = planner.destination(&object)? else {
        return Err(Error::bug("no route"));
    };
    let column = |(index, (name, kind)): (usize, &(&str, Kind))| Column {
        name: (*name).to_owned(),
        sql_type: "some type".to_owned(),
        cast_type: "some type".to_owned(),
        kind: *kind,
        is_rounded_by_server: false,
        not_null: index == 0,
        has_default: false,
        generated: Generated::No,
    };
    let table = Table {
        name: TableName::parse("t")?,
        columns: columns.iter().enumerate().map(column).collect(),
        key: Some(Key { columns: vec![0], deferrable: false }),
        is_partitioned: false,
        partition_column: None,
        distribution_key: Vec::new(),
    };
    Plan::new(route, Arc::new(table))
}

const COLUMNS: &[(&str, Kind)] =
    &[("id", Kind::Int8), ("name", Kind::Text), ("amount", Kind::Int8), ("rest", Kind::Jsonb)];

/// Column and field of each slot; what is behind the fields begins with a `+`.
fn slots(plan: &Plan, layout: &Layout) -> String {
    let slot = |slot: &super::Slot| {
        let column = &plan.table.columns[slot.column].name;
        match slot.field.checked_sub(layout.field_count) {
            None => format!("{column}={}", slot.field + 1),
            Some(at) => format!("{column}=+{at}"),
        }
    };
    layout.slots.iter().map(slot).collect::<Vec<_>>().join(" ")
}

#[test]
fn names_find_their_columns() {
    for (route, header, expected) in [
        ("", "id,name", "id=1 name=2"),
        ("", "amount,name,id", "id=3 amount=1 name=2"),
        ("columns: {id: {from: 番号}}", "name,番号", "id=2 name=1"),
        ("columns: {id: {from: 2}}", "name,name", "id=2 name=1"),
        ("columns: {id: {from: 1}}", "番号,name", "id=1 name=2"),
        ("columns: {name: {from: amount}, amount: {from: name}}", "id,name,amount", "id=1 amount=2 name=3"),
        ("columns: {name: {from: amount}}", "id,amount", "id=1 name=2 amount=2"),
        ("columns: {id: {constant: 1}}", "name", "id=+0 name=1"),
        ("columns: {amount: {default: 1}}", "id", "id=1 amount=+0"),
        ("columns: {amount: {default: 1}}", "id,amount", "id=1 amount=2"),
        ("columns: {amount: {from: x, default: 1}}", "id", "id=1 amount=+0"),
        ("drop: [x]", "x,id", "id=2"),
        ("drop: [x]", "id", "id=1"),
        ("drop: [1]", "x,id", "id=2"),
        ("drop: [2]", "id,id", "id=1"),
        ("extras: rest", "id,x,y", "id=1 rest=+0"),
        ("extras: rest, columns: {name: $key}", "id,x", "id=1 name=+0 rest=+1"),
        ("drift: ignore", "x,id,", "id=2"),
        ("missing: allow, columns: {name: {from: x}}", "id", "id=1"),
        ("parse: {header_match: relaxed}", " ID ,ＮＡＭＥ", "id=1 name=2"),
        ("parse: {header_match: relaxed}, columns: {id: {from: ﾊﾞﾝ}}", "バン,x", "unknown"),
        ("parse: {header_match: relaxed}, columns: {id: {from: ﾊﾞﾝ}}, drop: [Ｘ]", "バン,x", "id=1"),
    ] {
        let plan = plan(route, COLUMNS).expect(route);
        let names: Vec<&str> = header.split(',').collect();
        match plan.by_names(&names) {
            Ok(layout) => assert_eq!(slots(&plan, &layout), expected, "{route} {header}"),
            Err(error) => assert_eq!(expected, "unknown", "{route} {header}: {error}"),
        }
    }
}

#[test]
fn numbers_find_their_columns() {
    for (route, count, expected) in [
        ("", 4, Some("id=1 name=2 amount=3 rest=4")),
        ("", 3, None),
        ("", 5, None),
        ("drop: [2, 6]", 6, Some("id=1 name=3 amount=4 rest=5")),
        ("drop: [2]", 4, None),
        ("columns: {rest: {constant: '{}'}}", 3, Some("id=1 name=2 amount=3 rest=+0")),
        ("extras: rest", 3, Some("id=1 name=2 amount=3 rest=+0")),
        ("columns: {id: {from: 3}}, drop: [1, 2]", 3, Some("id=3")),
        ("columns: {id: {from: 3}, name: {from: 3}}, extras: rest", 4, Some("id=3 name=3 rest=+0")),
        ("columns: {id: {from: 1}}, drift: ignore", 9, Some("id=1")),
    ] {
        let plan = plan(route, COLUMNS).expect(route);
        let layout = plan.by_position(count).expect(route);
        let found = layout.map(|layout| slots(&plan, &layout));
        assert_eq!(found.as_deref(), expected, "{route} {count}");
    }
    let unmapped = plan("columns: {id: {from: 3}}", COLUMNS).expect("a plan").by_position(3);
    assert!(unmapped.expect_err("fields without a column").to_string().contains("takes field 1"));
    let beyond = plan("columns: {id: {from: 3}}", COLUMNS).expect("a plan").by_position(2);
    assert!(beyond.expect_err("no such field").to_string().contains("has no field 3"));
}

#[test]
fn a_layout_can_be_told() {
    let route =
        "columns: {id: {from: 番号}, name: {constant: one}}, extras: rest, drop: [x], write: {op: Op}";
    let plan = plan(route, COLUMNS).expect("a plan");
    let layout = plan.by_names(&["Op", "番号", "x", "色"]).expect("a layout");
    let told: Vec<String> = plan
        .describe(&layout)
        .iter()
        .map(|one| {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            format!("{} {} {:?}", text(&one.field), text(&one.column), one.how)
        })
        .collect();
    assert_eq!(
        told,
        [
            "Op - Operation",
            "番号 id Field",
            "x - Dropped",
            "色 rest Extra",
            "- name Constant",
            "- amount Missing",
            "- rest Extras",
        ]
    );
    assert_eq!(How::Dropped.text(), "dropped");
    assert_eq!(layout.extras().collect::<Vec<_>>(), [("色", 3)]);
}

#[test]
fn formats_that_can_be_asked_for_fields_are_asked_for_these() {
    let route = "columns: {id: {from: a.b}, name: {constant: one}, amount: {from: a.b}}, write: {op: Op}";
    assert_eq!(plan(route, COLUMNS).expect("a plan").wanted_names(), ["a.b", "rest", "Op"]);
}

#[test]
fn names_that_fall_together_are_refused() {
    let columns = [("id", Kind::Int8), ("ID", Kind::Int8)];
    assert!(plan("", &columns).is_ok());
    let error = plan("parse: {header_match: relaxed}", &columns).expect_err("one name");
    assert!(error.to_string().contains("columns `id` and `ID`"), "{error}");
    let relaxed = plan("parse: {header_match: relaxed}", COLUMNS).expect("a plan");
    let error = relaxed.by_names(&["ｉｄ", "id"]).expect_err("one name");
    assert!(error.to_string().contains("`ｉｄ` and `id`"), "{error}");
}
