//! `make bench`: what a load costs, measured through the real handler.
//!
//! Everything runs on this machine in one go: PostgreSQL with TLS, an S3 server, the real `bootstrap` behind a
//! loopback Runtime API, and `psql \copy` + merge beside it. Rows are checked after each load. Ratios within one
//! run say more than its times; nothing here fails for being slow.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints, and panics when it cannot measure"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use holoload::decode::csv::{CsvDecoder, Delimiter, Dialect};
use holoload::decode::json::{JsonDecoder, JsonPath, Layout};
use holoload::decode::{Decoder, Step};
use holoload::row::{Encoder, Rules, Slot};
use holoload::table::Kind;
use serde_json::Value;
use support::postgres::{self, Database};
use support::runtime_api::RuntimeApi;
use support::s3::{BucketOptions, S3Server};

const TABLE: &str = "CREATE TABLE book_order (order_id text PRIMARY KEY, user_id int8 NOT NULL, \
     book_id int8 NOT NULL, book_name text NOT NULL, order_cnt int8 NOT NULL, order_amt int8 NOT NULL)";
const SMALL_ROWS: usize = 10_000;
const LARGE_ROWS: usize = 1_000_000;
const SMALL_RUNS: usize = 20;
const BUCKET: &str = "bench-orders";
/// Far beyond what any load here takes.
const DEADLINE_MS: u64 = 600_000;

fn main() {
    // `cargo test --benches` passes flags and wants an answer, not figures.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rounds = std::env::var("HOLOLOAD_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    println!("decode and type, one core");
    decode_and_type();
    println!("decode JSON Lines, one core");
    decode_json();

    if std::env::args().any(|argument| argument == "decode") {
        return;
    }

    let s3 = S3Server::start();
    s3.create_bucket(BUCKET, BucketOptions::default());
    println!("\nevent -> committed, {SMALL_ROWS} rows, warm handler, {SMALL_RUNS} loads");
    small(&s3);
    for round in 1..=rounds {
        println!("\n{LARGE_ROWS} rows, round {round} of {rounds}");
        large(&s3);
    }
}

/// Rows as the article's script makes them, keys in no order.
fn orders(count: usize, seed: u64) -> Bytes {
    let mut text = String::with_capacity(count * 72);
    let mut state = seed;
    let mut random = move || {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for row in 0..count {
        let (key, user, book) = (random(), random() % 1_000_000, random() % 100_000);
        let (name, amount) = (random() % 1000, random() % 10_000);
        let written = write!(
            text,
            "{key:016x}-{row:08},{user},{book},Book name number {name},{},{amount}\r\n",
            random() % 9 + 1
        );
        written.expect("memory");
    }
    text.into()
}

fn decode_and_type() {
    let data = orders(200_000, 7);
    let kinds = [Kind::Text, Kind::Int8, Kind::Int8, Kind::Text, Kind::Int8, Kind::Int8];
    let slots = kinds.iter().enumerate().map(|(field, kind)| Slot {
        kind: *kind,
        not_null: true,
        field,
        is_key: field == 0,
        conversion: None,
    });
    let encoder = Encoder::new(Rules::default(), slots.collect(), kinds.len());
    let plain = Dialect::default();
    let trimmed = Dialect { passes_blanks: true, ..plain };
    let bars = Dialect { delimiter: Delimiter::new(b"||").expect("short"), ..plain };
    let barred = std::str::from_utf8(&data).expect("UTF-8").replace(',', "||");
    let barred = Bytes::from(barred);
    for (name, (data, dialect), encoder) in [
        ("decode alone", (&data, plain), None),
        ("trimmed", (&data, trimmed), None),
        ("two-byte delimiter", (&barred, bars), None),
        ("decode and type", (&data, plain), Some(&encoder)),
    ] {
        let best = (0..7).map(|_| pass(data, dialect, encoder)).min().expect("runs");
        println!("  {name:<18} {:>7.0} MB/s", data.len() as f64 / 1e6 / best.as_secs_f64());
    }
}

fn pass(data: &Bytes, dialect: Dialect, encoder: Option<&Encoder>) -> Duration {
    const CHUNK_BYTES: usize = 256 * 1024;
    let clock = Instant::now();
    let mut decoder = CsvDecoder::new(dialect, 1 << 20);
    let mut rows = 0;
    let mut out = Vec::with_capacity(4 << 20);
    let mut at = 0;
    loop {
        match decoder.step().expect("well formed") {
            Step::Record(record) => {
                rows += 1;
                if let Some(encoder) = encoder {
                    encoder.encode(&record, &mut out).expect("typed");
                    if out.len() > 2 << 20 {
                        out.clear();
                    }
                }
            }
            Step::NeedInput if at < data.len() => {
                let end = (at + CHUNK_BYTES).min(data.len());
                decoder.push(data.slice(at..end));
                at = end;
            }
            Step::NeedInput => decoder.finish(),
            Step::Malformed { .. } => unreachable!("well formed"),
            Step::End => break,
        }
    }
    assert_eq!(rows, 200_000);
    clock.elapsed()
}

/// The same rows as JSON, all of their members wanted, and one of them.
fn decode_json() {
    const NAMES: [&str; 6] = ["order_id", "user_id", "book_id", "book_name", "order_cnt", "order_amt"];
    let rows = orders(200_000, 7);
    let text = std::str::from_utf8(&rows).expect("UTF-8");
    let line = |row: &str| {
        let members = row.split(',').zip(NAMES).map(|(value, name)| match name {
            "order_id" | "book_name" => format!("\"{name}\":\"{value}\""),
            _ => format!("\"{name}\":{value}"),
        });
        format!("{{{}}}\n", members.collect::<Vec<_>>().join(","))
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    let array = Bytes::from(format!("[{}]", lines.join(",")));
    let lines = Bytes::from(lines.concat());
    for (name, data, layout, wanted) in [
        ("lines, all members", &lines, Layout::Lines, &NAMES[..]),
        ("lines, one member", &lines, Layout::Lines, &NAMES[..1]),
        ("array, all members", &array, Layout::Document { root: JsonPath::default() }, &NAMES[..]),
    ] {
        let paths: Vec<JsonPath> = wanted.iter().map(|name| JsonPath::name(name)).collect();
        let pass = || {
            let clock = Instant::now();
            let decoder = JsonDecoder::new(&paths, layout.clone(), 1 << 20);
            assert_eq!(count_records(Decoder::Json(Box::new(decoder)), data), 200_000);
            clock.elapsed()
        };
        let best = (0..7).map(|_| pass()).min().expect("runs");
        println!("  {name:<18} {:>7.0} MB/s", data.len() as f64 / 1e6 / best.as_secs_f64());
    }
}

fn count_records(mut decoder: Decoder, data: &Bytes) -> usize {
    const CHUNK_BYTES: usize = 256 * 1024;
    let (mut rows, mut at) = (0, 0);
    loop {
        match decoder.step().expect("well formed") {
            Step::Record(_) => rows += 1,
            Step::NeedInput if at < data.len() => {
                let end = (at + CHUNK_BYTES).min(data.len());
                drop(decoder.push(data.slice(at..end)));
                at = end;
            }
            Step::NeedInput => decoder.finish(),
            Step::Malformed { .. } => unreachable!("well formed"),
            Step::End => return rows,
        }
    }
}

fn handler(s3: &S3Server, database: &Database) -> RuntimeApi {
    let mut environment = database.environment();
    environment.extend(s3.environment());
    environment.push(("HOLOLOAD_TABLE", "public.book_order".to_owned()));
    RuntimeApi::start(env!("CARGO_BIN_EXE_bootstrap"), environment)
}

/// Invokes, and answers the report and the wall time from event to answer, which comes after the commit.
fn invoke(handler: &RuntimeApi, event: &Value) -> (Value, Duration) {
    let payload = event.to_string();
    let clock = Instant::now();
    let answer = handler.invoke(payload.as_bytes(), DEADLINE_MS).expect_ok();
    let took = clock.elapsed();
    let report = answer["objects"][0].clone();
    assert_eq!(report["status"], "loaded", "{report}");
    (report, took)
}

fn small(s3: &S3Server) {
    let database = postgres::shared().database("bench_small");
    database.run(TABLE);
    let handler = handler(s3, &database);
    let mut times = Vec::new();
    for run in 0..=SMALL_RUNS {
        let stored = s3.put(BUCKET, &format!("small/{run}.csv"), orders(SMALL_ROWS, 1000 + run as u64));
        let (report, took) = invoke(&handler, &stored.event());
        assert_eq!(report["inserted_count"], SMALL_ROWS);
        if run == 0 {
            println!("  first (cold)       {:>7.3} s  {}", took.as_secs_f64(), report["phases"]);
        } else {
            times.push((took, report["phases"].to_string()));
        }
    }
    assert_eq!(database.count("book_order"), i64::try_from(SMALL_ROWS * (SMALL_RUNS + 1)).expect("small"));
    times.sort_unstable();
    let (median, slowest) = (&times[times.len() / 2], &times[times.len() - 1]);
    println!("  median             {:>7.3} s  {}", median.0.as_secs_f64(), median.1);
    println!("  slowest            {:>7.3} s  {}", slowest.0.as_secs_f64(), slowest.1);
}

fn large(s3: &S3Server) {
    let data = orders(LARGE_ROWS, 42);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("orders.csv");
    fs::File::create(&file).and_then(|mut file| file.write_all(&data)).expect("a file");

    let merged = postgres::shared().database("bench_psql");
    merged.run(TABLE);
    let loaded = postgres::shared().database("bench_load");
    loaded.run(TABLE);
    let handler = handler(s3, &loaded);
    let warm = s3.put(BUCKET, "warm.csv", orders(10, 3));
    invoke(&handler, &warm.event());
    loaded.run("TRUNCATE book_order");

    for what in ["new", "again"] {
        settle(&merged);
        let by_psql = psql(&merged, &file.display().to_string());
        settle(&loaded);
        let stored = s3.put(BUCKET, "large.csv", data.clone());
        let cpu = cpu_seconds(handler.pid());
        let (_, took) = invoke(&handler, &stored.event());
        let cpu = cpu_seconds(handler.pid()) - cpu;
        println!(
            "  {what:<6} holoload {:>6.2} s ({:>6.0} rows/s), client CPU {:.2} s per GB, peak memory {} MiB",
            took.as_secs_f64(),
            LARGE_ROWS as f64 / took.as_secs_f64(),
            cpu / (data.len() as f64 / 1e9),
            handler.peak_rss_kib() / 1024,
        );
        match by_psql {
            Some(by_psql) => {
                let ratio = took.as_secs_f64() / by_psql.as_secs_f64();
                println!(
                    "         psql \\copy + merge {:>6.2} s; holoload takes {ratio:.2} of it",
                    by_psql.as_secs_f64()
                );
                assert_eq!(checksum(&loaded), checksum(&merged));
            }
            None => println!("         psql is not installed: nothing to compare with"),
        }
        assert_eq!(loaded.count("book_order"), i64::try_from(LARGE_ROWS).expect("small"));
    }
}

/// What one load leaves for the server to do later must not fall to the next.
fn settle(database: &Database) {
    database.run("VACUUM book_order");
    support::block_on(async {
        let admin = database.admin().await;
        admin.batch_execute("CHECKPOINT").await.expect("a checkpoint");
    });
}

fn checksum(database: &Database) -> Option<String> {
    database.value("SELECT sum(hashtext(t::text)::int8)::text FROM book_order t")
}

/// The hand-written way: copy into a staging table, then one merge. None without psql.
fn psql(database: &Database, file: &str) -> Option<Duration> {
    let script = format!(
        "BEGIN;\nCREATE TEMP TABLE staged (LIKE book_order) ON COMMIT DROP;\n\\copy staged from '{file}' csv\n\
         INSERT INTO book_order SELECT * FROM staged ON CONFLICT (order_id) DO UPDATE SET user_id = excluded.user_id, \
         book_id = excluded.book_id, book_name = excluded.book_name, order_cnt = excluded.order_cnt, \
         order_amt = excluded.order_amt;\nCOMMIT;\n"
    );
    let clock = Instant::now();
    let mut child = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", &database.host, "-p", &database.port.to_string()])
        .args(["-U", &database.user, "-d", &database.name])
        .env("PGPASSWORD", &database.password)
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", &database.ca_path)
        .stdin(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("psql reads");
    assert!(child.wait().expect("psql ends").success(), "psql failed");
    Some(clock.elapsed())
}

/// User and system time of a process so far (Linux; elsewhere 0).
fn cpu_seconds(pid: u32) -> f64 {
    /// `USER_HZ`, 100 on every Linux that Rust supports.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let field = |at: usize| after_name.split_whitespace().nth(at).and_then(|text| text.parse::<f64>().ok());
    (field(11).unwrap_or(0.0) + field(12).unwrap_or(0.0)) / TICKS_PER_SECOND
}
