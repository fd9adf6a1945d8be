//! Memory does not grow with the object. Peaks are `VmHWM`, so these tests run on Linux only; `--nocapture` shows the
//! figures.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

mod support;
#[path = "bootstrap/world.rs"]
mod world;

use support::s3::Stored;
use world::{World, failure, report};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// What a load may take of the machine, whatever the object.
const PEAK_MAX_KIB: u64 = 64 * KIB;
/// Length of a generated row, its line end included.
const ROW_BYTES: u64 = 16 * KIB;

/// Figures for whoever runs the tests with `--nocapture`.
fn tell(what: &str, bytes: u64, took: Duration, peak_kib: u64) {
    let line = format!(
        "{what}: {} MiB in {:.1} s, peak {:.1} MiB\n",
        bytes / MIB,
        took.as_secs_f64(),
        mib(peak_kib)
    );
    // A closed standard error fails no test.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn mib(kib: u64) -> f64 {
    Duration::from_millis(kib * 1000 / 1024).as_secs_f64()
}

/// Numbered rows of a key and a long text; no byte of it is held.
fn put_wide_rows(world: &World, row_count: u64) -> Stored {
    world.database.run("CREATE UNLOGGED TABLE wide (id int8 PRIMARY KEY, body text NOT NULL)");
    let generator = |from: u64| {
        let mut bytes = Vec::with_capacity(usize::try_from(16 * ROW_BYTES).expect("small"));
        let first = from / ROW_BYTES;
        for id in first..first + 16 {
            let start = bytes.len();
            bytes.extend_from_slice(format!("{id:012},").as_bytes());
            bytes.resize(
                start + usize::try_from(ROW_BYTES).expect("small") - 1,
                b'a' + u8::try_from(id % 26).expect("a letter"),
            );
            bytes.push(b'\n');
        }
        Bytes::from(bytes).slice(usize::try_from(from % ROW_BYTES).expect("small")..)
    };
    world.s3.put_generated(&world.bucket, "wide.csv", row_count * ROW_BYTES, Box::new(generator))
}

fn wide_object_loads(name: &str, memory_mib: &str, bytes: u64) {
    let world = World::new(name);
    let row_count = bytes / ROW_BYTES;
    let stored = put_wide_rows(&world, row_count);
    let handler =
        world.handler_with(&[("HOLOLOAD_TABLE", "wide"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mib)]);
    let payload = serde_json::to_vec(&stored.event()).expect("JSON");
    let clock = Instant::now();
    // As long as Lambda allows.
    let report = report(handler.invoke(&payload, 900_000));
    let peak_kib = handler.peak_rss_kib();
    tell(&format!("{memory_mib} MiB function"), bytes, clock.elapsed(), peak_kib);
    assert_eq!((&report["status"], &report["row_count"]), (&json!("loaded"), &json!(row_count)), "{report}");
    assert_eq!(report["byte_count"], bytes);
    assert!(peak_kib < PEAK_MAX_KIB, "{peak_kib} KiB at the peak");
    let sums = world
        .database
        .query("SELECT count(*)::text, min(id)::text, max(id)::text, sum(length(body))::text FROM wide");
    let expected = [row_count, 0, row_count - 1, row_count * (ROW_BYTES - 14)];
    assert_eq!(sums[0], expected.map(|number| Some(number.to_string())));
}

#[test]
fn a_large_object_loads_in_little_memory() {
    wide_object_loads("large", "1769", 2 * KIB * MIB);
}

#[test]
fn a_small_function_takes_no_more() {
    wide_object_loads("small", "512", 128 * MIB);
    wide_object_loads("smallest", "128", 64 * MIB);
}

/// The quote is never closed: after one record's worth of bytes that is known, not after a gibibyte.
#[test]
fn an_unterminated_quote_is_given_up_early() {
    for (memory_mib, read_max) in [("128", 12 * MIB), ("512", 24 * MIB), ("1769", 32 * MIB)] {
        let world = World::new("quote");
        let generator = |from: u64| {
            let head = b"id,name,amount\n1,\"";
            match head.get(usize::try_from(from).expect("a 64-bit machine")..) {
                Some(rest) if !rest.is_empty() => Bytes::copy_from_slice(rest),
                _ => Bytes::from(vec![b'x'; 256 * 1024]),
            }
        };
        let stored = world.s3.put_generated(&world.bucket, "quote.csv", KIB * MIB, Box::new(generator));
        let handler = world.handler_with(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mib)]);
        let clock = Instant::now();
        let failed = failure(handler.invoke_json(&stored.event()));
        let took = clock.elapsed();
        assert_eq!(failed.error_type, "Input", "{failed:?}");
        assert!(failed.line.contains("line 2, byte 15"), "{failed:?}");
        let read: u64 = world.s3.gets(&world.bucket, "quote.csv").iter().map(|get| get.bytes_sent).sum();
        tell(&format!("unterminated quote, {memory_mib} MiB function"), read, took, handler.peak_rss_kib());
        assert!(read < read_max, "{read} bytes were read");
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert!(handler.peak_rss_kib() < PEAK_MAX_KIB, "{} KiB at the peak", handler.peak_rss_kib());
        assert!(world.rows().is_empty());
        world.assert_at_rest();
    }
}

/// The same for a line of JSON that never ends, and for a string inside of an array.
#[test]
fn json_without_an_end_is_given_up_early() {
    for (key, head, place) in [
        ("line.jsonl", &b"{\"id\":1,\"name\":\""[..], "line 1, byte 0"),
        ("array.json", b"[{\"id\":1},\n{\"id\":2,\"name\":\"", "line 2, byte 11"),
        ("spaces.jsonl", b"{\"id\":1}\n  ", "line 2, byte 9"),
    ] {
        for (memory_mib, read_max) in [("128", 12 * MIB), ("1769", 32 * MIB)] {
            let world = World::new("json_end");
            let filler = if key == "spaces.jsonl" { b' ' } else { b'x' };
            let generator =
                move |from: u64| match head.get(usize::try_from(from).expect("a 64-bit machine")..) {
                    Some(rest) if !rest.is_empty() => Bytes::copy_from_slice(rest),
                    _ => Bytes::from(vec![filler; 256 * 1024]),
                };
            let stored = world.s3.put_generated(&world.bucket, key, KIB * MIB, Box::new(generator));
            let config = "routes: [{object: '**', table: orders, columns: {name: {default: x}}}]\n";
            let handler = world.handler_with(&[
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mib),
                ("HOLOLOAD_CONFIG", config),
                ("HOLOLOAD_TABLE", ""),
            ]);
            let clock = Instant::now();
            let failed = failure(handler.invoke_json(&stored.event()));
            assert_eq!(failed.error_type, "Input", "{failed:?}");
            assert!(failed.line.contains(place) && failed.line.contains("is longer than"), "{failed:?}");
            let read: u64 = world.s3.gets(&world.bucket, key).iter().map(|get| get.bytes_sent).sum();
            tell(&format!("{key}, {memory_mib} MiB function"), read, clock.elapsed(), handler.peak_rss_kib());
            assert!(read < read_max, "{read} bytes were read");
            assert!(handler.peak_rss_kib() < PEAK_MAX_KIB, "{} KiB at the peak", handler.peak_rss_kib());
            assert!(world.rows().is_empty());
            world.assert_at_rest();
        }
    }
}

/// Every other row is bad, and as many as may be are kept: they take their share and no more.
#[test]
fn many_bad_rows_take_their_share_of_memory() {
    const LINE: u64 = 64;
    for (memory_mib, peak_max_mib) in [("128", 64), ("1769", 256)] {
        let world = World::new("bad_rows");
        let generator = |from: u64| {
            let mut bytes = Vec::with_capacity(64 * 1024);
            let first = from / LINE;
            for id in first..first + 1024 {
                let key = if id % 2 == 0 { format!("{id:012}") } else { format!("x{id:011}") };
                bytes.extend_from_slice(format!("{key},{:040},{:09}\n", id, id % 1000).as_bytes());
            }
            Bytes::from(bytes).slice(usize::try_from(from % LINE).expect("small")..)
        };
        let stored = world.s3.put_generated(&world.bucket, "in/bad.csv", 512 * MIB, Box::new(generator));
        let rejects = format!("s3://{}/rejects/", world.bucket);
        let handler = world.handler_with(&[
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mib),
            ("HOLOLOAD_REJECTS", &rejects),
            ("HOLOLOAD_BAD_ROWS_MAX", "100000000"),
            ("HOLOLOAD_BAD_ROWS_MAX_PERCENT", "100"),
        ]);
        let clock = Instant::now();
        let payload = serde_json::to_vec(&stored.event()).expect("JSON");
        let failed = failure(handler.invoke(&payload, 300_000));
        let read: u64 = world.s3.gets(&world.bucket, "in/bad.csv").iter().map(|get| get.bytes_sent).sum();
        tell(&format!("bad rows, {memory_mib} MiB function"), read, clock.elapsed(), handler.peak_rss_kib());
        assert_eq!(failed.error_type, "Input", "{failed:?}");
        assert!(failed.line.contains("the bad rows take more than"), "{failed:?}");
        let peak_kib = handler.peak_rss_kib();
        assert!(peak_kib < peak_max_mib * KIB, "{peak_kib} KiB at the peak");
        assert!(world.rows().is_empty());
        let kept = world.s3.keys(&world.bucket, "rejects/");
        assert_eq!(kept.len(), 2, "what is known of them is kept: {kept:?}");
    }
}

/// Sixty-four members of four mebibytes in another charset: what is unpacked is never held as a whole.
#[test]
fn a_packed_object_takes_no_more() {
    const ROWS: u64 = 256;
    const MEMBERS: u64 = 64;
    let world = World::new("packed");
    world.database.run("CREATE UNLOGGED TABLE wide (id int8 PRIMARY KEY, body text NOT NULL)");
    let mut noise = 1_u32;
    let mut plain = Vec::new();
    for id in 0..ROWS {
        plain.extend_from_slice(format!("{id:012},").as_bytes());
        for _ in 0..ROW_BYTES / 2 - 7 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Hiragana of Shift_JIS.
            plain.extend_from_slice(&[0x82, 0x9f + u8::try_from(noise >> 26).expect("six bits")]);
        }
        plain.push(b'\n');
    }
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(&plain).expect("memory");
    let member = Bytes::from(writer.finish().expect("memory"));
    let length = member.len() as u64;
    let generator = move |from: u64| member.slice(usize::try_from(from % length).expect("small")..);
    let stored = world.s3.put_generated(&world.bucket, "wide.csv.gz", MEMBERS * length, Box::new(generator));
    let handler =
        world.handler_with(&[("HOLOLOAD_TABLE", "wide"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")]);
    let payload = serde_json::to_vec(&stored.event()).expect("JSON");
    let clock = Instant::now();
    let report = report(handler.invoke(&payload, 900_000));
    let peak_kib = handler.peak_rss_kib();
    tell("packed, 512 MiB function", MEMBERS * plain.len() as u64, clock.elapsed(), peak_kib);
    assert_eq!(
        (&report["status"], &report["row_count"]),
        (&json!("loaded"), &json!(ROWS * MEMBERS)),
        "{report}"
    );
    assert_eq!(world.database.count("wide"), i64::try_from(ROWS).expect("few"));
    assert!(peak_kib < PEAK_MAX_KIB, "{peak_kib} KiB at the peak");
}
