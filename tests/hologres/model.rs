//! Random tables, rows and paths against a model of "the last one wins".

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::lab::Hologres;
use crate::support::standin::{Options, Profile};

/// A column's type, and texts of its values that read back as they are.
const KINDS: [(&str, &[&str]); 8] = [
    ("int8", &["0", "-7", "9223372036854775807"]),
    ("text", &["a", "b c", "日本", "\"q\"", "x,y"]),
    ("numeric(12,3)", &["0.000", "1.500", "-99.125"]),
    ("bool", &["t", "f"]),
    ("date", &["2024-02-29", "1999-12-31"]),
    ("float8", &["0.1", "-2.5", "1e+100"]),
    ("timestamp", &["2024-01-01 00:00:00.123456", "1970-01-01 00:00:00"]),
    ("jsonb", &["{\"a\": 1}", "[]"]),
];

#[derive(Clone, Debug)]
struct Case {
    profile: Profile,
    extended_copy: bool,
    chunk_rows: usize,
    mode: &'static str,
    path: &'static str,
    /// Indexes into [`KINDS`].
    columns: Vec<usize>,
    /// A composite key.
    is_wide_key: bool,
    objects: Vec<Vec<Row>>,
}

#[derive(Clone, Debug)]
struct Row {
    key: (u8, u8),
    /// Indexes into the column's values; beyond them NULL.
    values: Vec<usize>,
}

fn cases() -> impl Strategy<Value = Case> {
    let profile = prop_oneof![Just(Profile::V2_2), Just(Profile::V3_1), Just(Profile::V4_1)];
    let mode = prop_oneof![3 => Just("upsert"), 1 => Just("ignore"), 1 => Just("replace")];
    let path =
        prop_oneof![3 => Just("auto"), 1 => Just("unnest"), 1 => Just("values"), 1 => Just("single_row")];
    let columns = prop::collection::vec(0..KINDS.len(), 1..4);
    (profile, any::<bool>(), 1..40_usize, mode, path, columns, any::<bool>()).prop_flat_map(
        |(profile, extended_copy, chunk_rows, mode, path, columns, is_wide_key)| {
            let row = (0..12_u8, 0..3_u8, prop::collection::vec(0..6_usize, columns.len()));
            let row = row.prop_map(|(first, second, values)| Row { key: (first, second), values });
            let objects = prop::collection::vec(prop::collection::vec(row, 1..40), 1..4);
            objects.prop_map(move |objects| Case {
                profile,
                extended_copy,
                chunk_rows,
                mode,
                path,
                columns: columns.clone(),
                is_wide_key,
                objects,
            })
        },
    )
}

impl Case {
    fn table(&self) -> String {
        let columns = self.columns.iter().enumerate().map(|(at, kind)| format!("c{at} {}", KINDS[*kind].0));
        let columns: Vec<String> = columns.collect();
        let key = if self.is_wide_key { "k, j" } else { "k" };
        format!(
            "CREATE TABLE t (k int4 NOT NULL, j text NOT NULL, {}, PRIMARY KEY ({key}))",
            columns.join(", ")
        )
    }

    fn key(&self, row: &Row) -> (u8, u8) {
        if self.is_wide_key { row.key } else { (row.key.0, 0) }
    }

    fn value(&self, column: usize, index: usize) -> Option<&'static str> {
        KINDS[self.columns[column]].1.get(index).copied()
    }

    fn line(&self, row: &Row) -> Vec<Option<String>> {
        let (k, j) = self.key(row);
        let values =
            row.values.iter().enumerate().map(|(at, index)| self.value(at, *index).map(str::to_owned));
        [Some(k.to_string()), Some(format!("j{j}"))].into_iter().chain(values).collect()
    }

    fn csv(&self, rows: &[Row]) -> String {
        let mut text = String::from("k,j");
        for at in 0..self.columns.len() {
            text.push_str(&format!(",c{at}"));
        }
        text.push('\n');
        for row in rows {
            let fields = self.line(row).into_iter().map(|field| {
                field.map_or_else(String::new, |field| format!("\"{}\"", field.replace('"', "\"\"")))
            });
            text.push_str(&fields.collect::<Vec<_>>().join(","));
            text.push('\n');
        }
        text
    }

    /// What the table must hold after all objects.
    fn expected(&self) -> Vec<String> {
        let mut table: BTreeMap<(u8, String), Vec<Option<String>>> = BTreeMap::new();
        for row in self.objects.iter().flatten() {
            let (k, j) = self.key(row);
            let place = table.entry((k, format!("j{j}")));
            match self.mode {
                "ignore" => drop(place.or_insert_with(|| self.line(row))),
                _ => {
                    let line = self.line(row);
                    place.and_modify(|held| held.clone_from(&line)).or_insert(line);
                }
            }
        }
        let text = |field: Option<String>| field.unwrap_or_else(|| "NULL".to_owned());
        table.into_values().map(|line| line.into_iter().map(text).collect::<Vec<_>>().join("|")).collect()
    }
}

#[test]
fn the_last_one_wins_whatever_table_rows_and_path() {
    let cases = std::env::var("HOLOLOAD_TEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(48);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&cases_strategy(), |case| {
            check(&case);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

fn cases_strategy() -> impl Strategy<Value = Case> {
    cases()
}

fn check(case: &Case) {
    let options = Options {
        profile: case.profile,
        extended_copy: case.extended_copy,
        fixed_copy_chunk_rows: case.chunk_rows,
        ..Options::default()
    };
    let hologres = Hologres::with("model", &case.table(), options);
    for rows in &case.objects {
        let write = format!("write: {{mode: {}, path: {}}}", case.mode, case.path);
        let load = hologres.load_with(&write, case.csv(rows)).argument("--force");
        let report = load.run().loaded();
        assert_eq!(report["row_count"], rows.len(), "{case:?}");
    }
    assert_eq!(hologres.rows("SELECT * FROM t ORDER BY k, j COLLATE \"C\""), case.expected(), "{case:?}");
    hologres.assert_nothing_forbidden();
}
