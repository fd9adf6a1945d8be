//! Lists, maps and structs, as JSON.

use crate::files::{
    BOUNDS, Values, column, file, footer, nested, optional, plain, read, read_columns, texts,
};

#[test]
fn lists_are_arrays() {
    let schema = "message m { optional group l (LIST) { repeated group list { optional int32 element; } } }";
    // NULL, [], [NULL], [1, 2], [3]
    let leaf = nested(Values::I32(vec![1, 2, 3]), &[0, 1, 2, 3, 3, 3], &[0, 0, 0, 0, 1, 0]);
    let file = file(schema, plain(), vec![vec![leaf]]);
    let read = read(&file).expect("read");
    assert_eq!(column(&read, 0), [None, Some("[]"), Some("[null]"), Some("[1,2]"), Some("[3]")]);
    assert_eq!(read.lines[0], "{\"l\":null}\n");
    assert_eq!(read.lines[3], "{\"l\":[1,2]}\n");
    assert_eq!(footer(&file).expect("a footer").columns()[0].sql_type, "jsonb");
}

#[test]
fn lists_of_lists_keep_their_shape() {
    let schema = "message m { optional group l (LIST) { repeated group list { optional group element (LIST) { \
                  repeated group list { optional binary element (STRING); } } } } }";
    // [["a", NULL], []], NULL, [NULL, ["b"]]
    let leaf = nested(texts(&["a", "b"]), &[5, 4, 3, 0, 2, 5], &[0, 2, 1, 0, 0, 1]);
    let read = read(&file(schema, plain(), vec![vec![leaf]])).expect("read");
    assert_eq!(column(&read, 0), [Some("[[\"a\",null],[]]"), None, Some("[null,[\"b\"]]")]);
}

#[test]
fn maps_are_objects() {
    let schema = "message m { optional group m (MAP) { repeated group key_value { required int32 key; \
                  optional binary value (STRING); } } }";
    // {1: "x", 2: NULL}, {}, NULL
    let keys = nested(Values::I32(vec![1, 2]), &[2, 2, 1, 0], &[0, 1, 0, 0]);
    let values = nested(texts(&["x\"y"]), &[3, 2, 1, 0], &[0, 1, 0, 0]);
    let read = read(&file(schema, plain(), vec![vec![keys, values]])).expect("read");
    assert_eq!(column(&read, 0), [Some("{\"1\":\"x\\\"y\",\"2\":null}"), Some("{}"), None]);
}

#[test]
fn members_of_structs_are_reached_by_name() {
    let schema = "message m { optional group a { optional int32 b; optional group c { required binary d (STRING); } } }";
    // {b: 1, c: {d: "x"}}, {b: NULL, c: NULL}, NULL
    let b = optional(Values::I32(vec![1]), &[2, 1, 0]);
    let d = optional(texts(&["x"]), &[2, 1, 0]);
    let file = file(schema, plain(), vec![vec![b, d]]);
    let read = read(&file).expect("read");
    assert_eq!(
        column(&read, 0),
        [Some("{\"b\":1,\"c\":{\"d\":\"x\"}}"), Some("{\"b\":null,\"c\":null}"), None]
    );
    let members = read_columns(&file, &["a.b", "a.c.d", "a.c", "a"], BOUNDS, 0).expect("read");
    assert_eq!(
        members.rows[0],
        ["1", "x", "{\"d\":\"x\"}", "{\"b\":1,\"c\":{\"d\":\"x\"}}"].map(|text| Some(text.to_owned()))
    );
    assert_eq!(members.rows[2], vec![None; 4]);
    let column = footer(&file).expect("a footer").column("a.b").expect("a member");
    assert_eq!((column.name.as_str(), column.sql_type.as_str()), ("a.b", "integer"));
}

#[test]
fn old_lists_without_a_group_of_their_own_are_read() {
    let bare = "message m { repeated int32 l; }";
    let leaf = nested(Values::I32(vec![1, 2, 3]), &[1, 1, 0, 1], &[0, 1, 0, 0]);
    let read_bare = read(&file(bare, plain(), vec![vec![leaf]])).expect("read");
    assert_eq!(column(&read_bare, 0), [Some("[1,2]"), Some("[]"), Some("[3]")]);
    let two = "message m { optional group l (LIST) { repeated int32 array; } }";
    let leaf = nested(Values::I32(vec![1, 2]), &[2, 2, 1, 0], &[0, 1, 0, 0]);
    let read_two = read(&file(two, plain(), vec![vec![leaf]])).expect("read");
    assert_eq!(column(&read_two, 0), [Some("[1,2]"), Some("[]"), None]);
    let structs = "message m { optional group l (LIST) { repeated group array { required int32 x; required int32 y; } } }";
    let x = nested(Values::I32(vec![1, 2]), &[2, 2], &[0, 1]);
    let y = nested(Values::I32(vec![3, 4]), &[2, 2], &[0, 1]);
    let read_structs = read(&file(structs, plain(), vec![vec![x, y]])).expect("read");
    assert_eq!(column(&read_structs, 0), [Some("[{\"x\":1,\"y\":3},{\"x\":2,\"y\":4}]")]);
}

#[test]
fn a_resumed_load_goes_on_behind_a_list() {
    let schema = "message m { optional group l (LIST) { repeated group list { optional int32 element; } } }";
    let leaf = || nested(Values::I32(vec![1, 2, 3, 4]), &[3, 3, 0, 3, 3], &[0, 1, 0, 0, 1]);
    let file = file(schema, plain(), vec![vec![leaf()], vec![leaf()]]);
    let whole = read(&file).expect("read");
    assert_eq!(whole.rows.len(), 6);
    for from in 0..=6 {
        let rest = read_columns(&file, &["l"], BOUNDS, from as u64).expect("read");
        assert_eq!(rest.rows, whole.rows[from..]);
    }
}

#[test]
fn levels_that_contradict_themselves_are_no_other_records() {
    // No list, and then an element of it; the writer writes what it is told.
    let bytes = file(
        "message m { optional group l (LIST) { repeated group list { optional int32 element; } } }",
        plain(),
        vec![vec![nested(Values::I32(vec![7, 8]), &[0, 3, 3], &[0, 1, 0])]],
    );
    let error = read(&bytes).expect_err("contradicts itself");
    assert!(error.message().contains("its levels do not fit its rows"), "{}", error.message());
}
