//! Compressed objects, and objects in other charsets.

use std::io::Write as _;

use holoload::charset::Charset;
use serde_json::Value;

use crate::harness::{Lab, Run, counts, s3};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";
const COUNT: u32 = 20_000;

fn rows(ids: std::ops::RangeInclusive<u32>) -> String {
    std::iter::once("id,name\n".to_owned())
        .chain(ids.map(|id| format!("{id},容疑者Ⅹの献身 {}\n", id % 7)))
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(text).expect("memory");
    writer.finish().expect("memory")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(text, 3).expect("memory")
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    writer.write_all(text).expect("memory");
    writer.finish().expect("memory")
}

fn encoded(charset: &str, text: &str) -> Vec<u8> {
    Charset::named(charset).expect("a charset").restore(text.as_bytes())
}

fn told(lab: &Lab, address: &str, yaml: &str) -> Run {
    lab.load(address).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", yaml)
}

#[test]
fn compressed_objects_load_whatever_their_names_are() {
    let lab = Lab::new("packed", TABLE);
    let text = rows(1..=COUNT);
    // Two members, as rotated logs are joined.
    let (first, second) = text.split_at(text.len() / 2 - text.len() / 2 % 2);
    let cut = first.rfind('\n').expect("a line") + 1;
    let joined = [gzip(&text.as_bytes()[..cut]), gzip(&text.as_bytes()[cut..])].concat();
    assert!(!second.is_empty());
    let objects = [
        ("a.csv.gz", gzip(text.as_bytes())),
        ("joined.gz", joined),
        ("a.csv.zst", zstd(text.as_bytes())),
        ("a.csv", bzip2(text.as_bytes())),
        ("sjis.csv.gz", gzip(&encoded("cp932", &text))),
    ];
    for (name, bytes) in objects {
        lab.db.run("TRUNCATE t");
        let size = bytes.len();
        let report = lab.load(&lab.put(name, bytes)).run().loaded();
        assert_eq!(counts(&report)[0], u64::from(COUNT), "{name}");
        assert_eq!(report["byte_count"], size, "{name}: what was read");
        assert_eq!(
            lab.rows("SELECT count(*), max(name) FROM t"),
            [format!("{COUNT}|容疑者Ⅹの献身 6")],
            "{name}"
        );
    }
    // Also from a pipe and a file.
    lab.db.run("TRUNCATE t");
    let file = lab.file("local.csv.zst", "");
    std::fs::write(&file, zstd(text.as_bytes())).expect("a file");
    assert_eq!(counts(&lab.load(&file).run().loaded())[1], u64::from(COUNT));
}

#[test]
fn damaged_and_unread_compressions_load_nothing() {
    let lab = Lab::new("packed_damaged", TABLE);
    let text = rows(1..=COUNT);
    let whole = gzip(text.as_bytes());
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    for (name, bytes, part) in [
        ("short.gz", whole[..whole.len() / 2].to_vec(), "it ends in the middle"),
        ("sum.gz", wrong_sum, "gzip data"),
        ("tail.gz", [&whole[..], b"id,name\n"].concat(), "something else follows its end"),
        ("a.zip", b"PK\x03\x04\x14\x00\x00\x00".to_vec(), "it is a zip archive"),
        ("a.xz", b"\xfd7zXZ\x00\x00\x04".to_vec(), "it is compressed with xz"),
        ("bomb.zst", zstd(&vec![b'a'; 100 << 20]), "record"),
    ] {
        let address = lab.put(name, bytes);
        let run = lab.load(&address).run().exits(1);
        let report = run.json();
        let error = &report["objects"][0]["error"];
        assert_eq!(error["class"], "Input", "{name}: {report}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(part)), "{name}: {error}");
        assert!(error["hint"].is_string(), "{name}");
    }
    assert_eq!(lab.rows("SELECT count(*) FROM t"), ["0"]);
}

#[test]
fn charsets_are_told_by_name_or_by_the_bytes() {
    let lab = Lab::new("charsets", TABLE);
    let text = "id,name\n1,容疑者の献身\n2,髙島屋ﾊﾝｶｸ\n";
    for (charset, is_told) in
        [("cp932", true), ("cp932", false), ("utf-16le", false), ("utf-16be", false), ("gb18030", true)]
    {
        lab.db.run("TRUNCATE t");
        let address = lab.put(&format!("{charset}-{is_told}.csv"), encoded(charset, text));
        let yaml = format!("routes: [{{object: '**', table: t, parse: {{charset: {charset}}}}}]\n");
        let load = if is_told { told(&lab, &address, &yaml) } else { lab.load(&address) };
        let report = load.run().loaded();
        assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|容疑者の献身", "2|髙島屋ﾊﾝｶｸ"], "{charset}");
        let warnings = report["warnings"].to_string();
        assert_eq!(warnings.contains("by its bytes"), !is_told, "{charset}: {warnings}");
    }
    // Latin-1 is never guessed: what would be `é` there is no UTF-8, and no row is repaired.
    let address = lab.put("latin.csv", b"id,name\n1,caf\xe9\n2,ol\xe9\n");
    lab.load(&address).run().failed(1, "not UTF-8", "");
    let yaml = "routes: [{object: '**', table: t, parse: {charset: latin1}}]\n";
    told(&lab, &address, yaml).run().loaded();
    assert_eq!(lab.rows("SELECT name FROM t ORDER BY id"), ["café", "olé"]);
    let yaml = "routes: [{object: '**', table: t, parse: {charset: shift-jiss}}]\n";
    told(&lab, &address, yaml).run().refused(
        2,
        "the charset `shift-jiss` is not known",
        "did you mean `shift_jis`",
    );
}

/// Bad rows come back as they were, so that they can be set right with the tools that made the file.
#[test]
fn rejects_are_written_in_the_object_s_own_charset() {
    for (charset, bad) in [("cp932", &b"\x93\xff"[..]), ("euc-jp", b"\xa1\x20"), ("utf-16le", b"\x00\xd8")] {
        let lab = Lab::new(&format!("rejects_{}", charset.replace('-', "_")), TABLE);
        let comma = encoded(charset, ",");
        let line = |id: &str, name: &[u8]| {
            [encoded(charset, id), comma.clone(), name.to_vec(), encoded(charset, "\n")].concat()
        };
        let header = encoded(charset, "id,name\n");
        let good = line("1", &encoded(charset, "容疑者の献身"));
        let (undecodable, untyped) = (line("2", bad), line("三", &encoded(charset, "魔女")));
        let object = [&header[..], &good, &undecodable, &untyped].concat();
        let yaml = format!(
            "routes: [{{object: '**', table: t, parse: {{charset: {charset}}}, bad_rows: {{max: 5}}}}]\n"
        );
        let address = lab.put("in/a.csv", object);
        let load = told(&lab, &address, &yaml).env("HOLOLOAD_REJECTS", lab.address("rejects/"));
        let report = load.run().loaded();
        assert_eq!(counts(&report)[5], 2, "{charset}: {report}");
        let reasons: Vec<&Value> =
            report["reject_sample"].as_array().expect("a sample").iter().map(|one| &one["reason"]).collect();
        let name = Charset::named(charset).expect("a charset").name();
        assert_eq!(
            reasons,
            [&Value::from(format!("not {name}")), &Value::from("not an integer")],
            "{charset}"
        );
        let key = report["rejects"]
            .as_str()
            .and_then(|address| address.strip_prefix("s3://")?.split_once('/'))
            .expect("an address")
            .1;
        let kept = s3().get(&lab.bucket, key).expect("an object");
        let mark = Charset::named(charset).expect("a charset").mark();
        assert_eq!(kept, [mark, &header[..], &undecodable, &untyped].concat(), "{charset}");
    }
}
