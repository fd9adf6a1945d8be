//! What `CloudWatch` keeps of a report: numbers by function and table, as one line of JSON in the embedded metric format.
//!
//! The format is that of the `CloudWatch` user guide ("Specification: Embedded metric format"): a log line whose `_aws` says which of
//! its members are metrics, and by which others they are told apart. A metric costs money for each set of dimensions that it
//! has values in, so a document holds what there is to say and no zeros; and never a bucket, a key or anything of a row.

use serde_json::{Map, Value, json};

use crate::report::{Report, Status};

/// Where the metrics are found.
pub const NAMESPACE: &str = "holoload";

/// Longest value of a dimension that `CloudWatch` takes.
const DIMENSION_CHARS_MAX: usize = 1_024;

/// A metric: its name, its unit as `CloudWatch` calls it, and whether it is kept for the function as a whole, too.
type Metric = (&'static str, &'static str, bool);

/// Every metric there is. What alarms need is kept for the function as a whole, which is what an alarm can name.
pub const METRICS: [Metric; 20] = [
    ("loaded_count", "Count", true),
    ("failed_count", "Count", true),
    ("superseded_count", "Count", false),
    ("skipped_count", "Count", false),
    ("gone_count", "Count", false),
    ("continued_count", "Count", false),
    ("row_count", "Count", true),
    ("reject_count", "Count", true),
    ("byte_count", "Bytes", true),
    ("retry_count", "Count", false),
    ("duration_ms", "Milliseconds", false),
    ("lag_ms", "Milliseconds", true),
    ("connect_ms", "Milliseconds", false),
    ("claim_ms", "Milliseconds", false),
    ("open_ms", "Milliseconds", false),
    ("read_ms", "Milliseconds", false),
    ("write_ms", "Milliseconds", false),
    ("finish_ms", "Milliseconds", false),
    ("cold_start_count", "Count", true),
    // One database stands behind a function: by table it would be the same number again.
    ("certificate_days", "Count", true),
];

/// What is not in the report.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The function's name.
    pub function: &'a str,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// This is the first that the process tells.
    pub is_cold: bool,
}

/// The document of one report; none where the object was none of ours.
pub fn of_report(report: &Report, origin: Origin<'_>) -> Option<String> {
    let mut values = values(report)?;
    if origin.is_cold {
        values.push(("cold_start_count", 1));
    }
    Some(document(&values, report.table.as_deref(), origin))
}

/// The document of a process that has nothing else to tell of its first invocation.
pub fn of_start(origin: Origin<'_>) -> String {
    document(&[("cold_start_count", 1)], None, origin)
}

fn values(report: &Report) -> Option<Vec<(&'static str, i64)>> {
    let of = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let ended = match report.status {
        Status::Loaded => "loaded_count",
        Status::Failed => "failed_count",
        Status::Superseded => "superseded_count",
        Status::Skipped => "skipped_count",
        Status::Deleted => "gone_count",
        Status::Continued => "continued_count",
        Status::Ignored | Status::Running => return None,
    };
    let mut values = vec![(ended, 1)];
    // A load that goes on counts from its beginning: its last part has said it all.
    if matches!(report.status, Status::Loaded | Status::Failed) {
        values.extend([
            ("row_count", of(report.row_count)),
            ("reject_count", of(report.reject_count)),
            ("byte_count", of(report.byte_count)),
        ]);
    }
    if matches!(report.status, Status::Loaded | Status::Failed | Status::Continued) {
        let phases = &report.phases;
        values.extend([
            ("duration_ms", of(report.duration_ms)),
            ("connect_ms", of(phases.connect_ms)),
            ("claim_ms", of(phases.claim_ms)),
            ("open_ms", of(phases.open_ms)),
            ("read_ms", of(phases.read_ms)),
            ("write_ms", of(phases.write_ms)),
            ("finish_ms", of(phases.finish_ms)),
        ]);
    }
    if report.retry_count > 0 {
        values.push(("retry_count", i64::from(report.retry_count)));
    }
    // Clocks that disagree are no news of the load.
    values.extend(report.lag_ms.map(|lag| ("lag_ms", lag.max(0))));
    values.extend(report.certificate_days.map(|days| ("certificate_days", days)));
    Some(values)
}

fn document(values: &[(&'static str, i64)], table: Option<&str>, origin: Origin<'_>) -> String {
    let known = |name: &str| METRICS.iter().copied().find(|(one, _, _)| *one == name);
    let told: Vec<Metric> = values.iter().filter_map(|(name, _)| known(name)).collect();
    let of_function: Vec<Metric> = told.iter().copied().filter(|(_, _, of_function)| *of_function).collect();
    let mut directives = Vec::new();
    if !of_function.is_empty() {
        directives.push(directive(&["function"], &of_function));
    }
    let mut document = Map::new();
    document.insert("function".to_owned(), dimension(origin.function).into());
    if let Some(table) = table {
        let of_table: Vec<Metric> =
            told.iter().copied().filter(|(name, _, _)| *name != "certificate_days").collect();
        directives.push(directive(&["function", "table"], &of_table));
        document.insert("table".to_owned(), dimension(table).into());
    }
    for (name, value) in values {
        document.insert((*name).to_owned(), (*value).into());
    }
    let aws = json!({"Timestamp": origin.now_ms, "CloudWatchMetrics": directives});
    document.insert("_aws".to_owned(), aws);
    Value::Object(document).to_string()
}

fn directive(dimensions: &[&str], metrics: &[Metric]) -> Value {
    let metrics: Vec<Value> =
        metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics})
}

/// `CloudWatch` takes ASCII alone; other letters of a table's name are percent-encoded.
fn dimension(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte == b' ' || byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text.truncate(DIMENSION_CHARS_MAX);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::object::{ObjectRef, Request};

    const ORIGIN: Origin<'_> = Origin { function: "loads", now_ms: 1_772_357_415_123, is_cold: false };

    fn report(status: Status) -> Report {
        let object = ObjectRef { bucket: "secret-bucket".to_owned(), key: "secret-key.csv".to_owned() };
        let mut report = Report::new(&Request::manual(object), jiff::Timestamp::UNIX_EPOCH);
        report.status = status;
        report.table = Some("public.orders".to_owned());
        (report.row_count, report.reject_count, report.byte_count) = (20_000, 3, 697_000);
        report.phases.write_ms = 40;
        report.duration_ms = 55;
        report
    }

    fn of(report: &Report) -> Value {
        serde_json::from_str(&of_report(report, ORIGIN).expect("a document")).expect("JSON")
    }

    /// Names of a directive's metrics by its dimensions; each has its value at the root, a number.
    fn told(document: &Value) -> Vec<(String, Vec<String>)> {
        let directives = document["_aws"]["CloudWatchMetrics"].as_array().expect("directives").iter();
        let told = directives.map(|directive| {
            assert_eq!(directive["Namespace"], "holoload");
            let sets = directive["Dimensions"].as_array().expect("sets");
            assert_eq!(sets.len(), 1);
            let set: Vec<&str> =
                sets[0].as_array().expect("names").iter().filter_map(Value::as_str).collect();
            assert!(set.iter().all(|name| document[name].is_string()), "{document:#}");
            let metrics = directive["Metrics"].as_array().expect("metrics").iter().map(|metric| {
                let name = metric["Name"].as_str().expect("a name");
                assert!(document[name].is_i64() && metric["Unit"].is_string(), "{document:#}");
                name.to_owned()
            });
            (set.join(" "), metrics.collect())
        });
        told.collect()
    }

    #[test]
    fn each_status_says_what_there_is_to_say() {
        let counts = "row_count reject_count byte_count";
        let times = "duration_ms connect_ms claim_ms open_ms read_ms write_ms finish_ms";
        for (status, of_function, of_table) in [
            (Status::Loaded, format!("loaded_count {counts}"), format!("loaded_count {counts} {times}")),
            (Status::Failed, format!("failed_count {counts}"), format!("failed_count {counts} {times}")),
            (Status::Continued, String::new(), format!("continued_count {times}")),
            (Status::Superseded, String::new(), "superseded_count".to_owned()),
            (Status::Skipped, String::new(), "skipped_count".to_owned()),
            (Status::Deleted, String::new(), "gone_count".to_owned()),
        ] {
            let document = of(&report(status));
            let told: Vec<String> = told(&document)
                .into_iter()
                .map(|(set, names)| format!("{set}: {}", names.join(" ")))
                .collect();
            let of_function = Some(of_function).filter(|names| !names.is_empty());
            let mut expected: Vec<String> =
                of_function.map(|names| format!("function: {names}")).into_iter().collect();
            expected.push(format!("function table: {of_table}"));
            assert_eq!(told, expected, "{status:?}");
        }
        for status in [Status::Ignored, Status::Running] {
            assert_eq!(of_report(&report(status), ORIGIN), None);
        }
    }

    /// What `docs/configuration.md` says they cost.
    #[test]
    fn there_are_as_many_as_are_paid_for() {
        assert_eq!(METRICS.iter().filter(|(_, _, of_function)| *of_function).count(), 8);
        assert_eq!(METRICS.len() - 1, 19, "all but the certificate's, by table");
    }

    #[test]
    fn values_are_the_report_s() {
        let mut said = report(Status::Loaded);
        (said.lag_ms, said.retry_count, said.certificate_days) = (Some(-5), 2, Some(29));
        let document = of(&said);
        for (name, value) in [
            ("function", Value::from("loads")),
            ("table", "public.orders".into()),
            ("row_count", 20_000.into()),
            ("reject_count", 3.into()),
            ("byte_count", 697_000.into()),
            ("write_ms", 40.into()),
            ("duration_ms", 55.into()),
            ("lag_ms", 0.into()),
            ("retry_count", 2.into()),
            ("certificate_days", 29.into()),
        ] {
            assert_eq!(document[name], value, "{name}");
        }
        assert_eq!(document["_aws"]["Timestamp"], 1_772_357_415_123_i64);
        let told = told(&document);
        assert!(told[0].1.iter().any(|name| name == "certificate_days"));
        assert!(!told[1].1.iter().any(|name| name == "certificate_days"), "not by table");
    }

    #[test]
    fn a_failure_without_a_table_is_one_of_the_function() {
        let mut failed = report(Status::Failed);
        failed.table = None;
        failed.fail(&Error::config("no route matches"));
        let document = of(&failed);
        assert_eq!(told(&document).len(), 1);
        assert_eq!((&document["failed_count"], &document["table"]), (&1.into(), &Value::Null));
    }

    #[test]
    fn a_cold_start_is_told_once_and_alone_if_need_be() {
        let cold = Origin { is_cold: true, ..ORIGIN };
        let document: Value =
            serde_json::from_str(&of_report(&report(Status::Skipped), cold).expect("a document"))
                .expect("JSON");
        let told_of = told(&document);
        assert_eq!(told_of[0], ("function".to_owned(), vec!["cold_start_count".to_owned()]));
        assert_eq!(document["cold_start_count"], 1);
        let alone: Value = serde_json::from_str(&of_start(cold)).expect("JSON");
        assert_eq!(told(&alone), [("function".to_owned(), vec!["cold_start_count".to_owned()])]);
    }

    #[test]
    fn names_are_ascii_and_nothing_tells_of_the_object() {
        let mut said = report(Status::Loaded);
        said.table = Some("public.\"注文 1\"".to_owned());
        let text = of_report(&said, ORIGIN).expect("a document");
        assert!(!text.contains("secret") && !text.contains('\n'), "{text}");
        assert_eq!(of(&said)["table"], "public.\"%E6%B3%A8%E6%96%87 1\"");
        said.table = Some("t".repeat(5_000));
        assert_eq!(of(&said)["table"].as_str().map(str::len), Some(DIMENSION_CHARS_MAX));
    }
}
