//! A million rows over a streamed copy, in memory that does not grow with them.

use std::io::Write as _;
use std::process::Stdio;

use crate::lab::Hologres;

const ROWS: u32 = 1_000_000;
/// Batches, the message being sent, the TLS buffer, and the process itself: a fraction of the rows' size.
const MEMORY_MAX_KIB: u64 = 96 * 1024;

#[test]
fn a_million_rows_stream_through_in_constant_memory() {
    let sql = "CREATE TABLE t (id int8 PRIMARY KEY, name text, amount numeric(12,2), at timestamptz)";
    let hologres = Hologres::new("volume", sql);
    let path = hologres.file("rows.csv", "");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    file.write_all(b"id,name,amount,at\n").expect("written");
    for id in 0..ROWS {
        writeln!(file, "{id},a name of some length {id},{id}.25,2024-01-01T00:00:{:02}Z", id % 60)
            .expect("written");
    }
    drop(file);
    let mut command = hologres.load(&path).command();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("holoload starts");
    let status = format!("/proc/{}/status", child.id());
    let watching = std::thread::spawn(move || {
        let mut peak_kib = 0;
        while let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(kib) = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()) else {
                break;
            };
            peak_kib = kib;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        peak_kib
    });
    let output = child.wait_with_output().expect("holoload ends");
    let peak_kib: u64 = watching.join().expect("a reading");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let report = &answer["objects"][0];
    assert_eq!(
        (&report["status"], &report["write_path"]),
        (&"loaded".into(), &"fixed_copy".into()),
        "{report:#}"
    );
    let sums = hologres.rows("SELECT count(*), sum(id), sum(amount) FROM t");
    assert_eq!(sums, ["1000000|499999500000|499999750000.00"]);
    println!("{ROWS} rows: {} ms, peak {peak_kib} KiB", report["duration_ms"]);
    assert!(peak_kib < MEMORY_MAX_KIB || peak_kib == 0, "{peak_kib} KiB");
}
