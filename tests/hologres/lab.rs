//! A database behind a stand-in for Hologres, and the loader in front of it.

use std::ops::Deref;

use serde_json::Value;

use crate::harness::{Lab, Run};
use crate::support::postgres;
use crate::support::s3::{BucketOptions, S3Server};
use crate::support::standin::{Options, Profile, Standin};
use crate::world::World;

pub(crate) const PROFILES: [Profile; 3] = [Profile::V2_2, Profile::V3_1, Profile::V4_1];

/// What every column type that a Fixed Plan takes looks like in a table.
pub(crate) const ORDERS: &str =
    "CREATE TABLE t (id int8 PRIMARY KEY, name text, amount numeric(10,2), at timestamptz, flag bool)";

/// A lab whose database is reached through a stand-in alone. Whatever its tests look up goes straight to PostgreSQL.
pub(crate) struct Hologres {
    pub(crate) lab: Lab,
    pub(crate) standin: Standin,
}

impl Deref for Hologres {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Hologres {
    pub(crate) fn new(name: &str, sql: &str) -> Self {
        Self::with(name, sql, Options::default())
    }

    pub(crate) fn of(profile: Profile, extended_copy: bool, name: &str, sql: &str) -> Self {
        Self::with(name, sql, Options { profile, extended_copy, ..Options::default() })
    }

    pub(crate) fn with(name: &str, sql: &str, options: Options) -> Self {
        let database = postgres::shared_hologres().database(name);
        let standin = Standin::start(&database, options);
        let lab = Lab::in_database(name, standin.database(), sql);
        Self { lab, standin }
    }

    /// `load --json` of a file with these rows, under a `write:` and further lines of a route.
    pub(crate) fn load_with(&self, write: &str, text: impl AsRef<[u8]>) -> Run {
        let config = format!("rejects: {}\nroutes: [{{object: '**', table: t, {write}}}]", self.rejects());
        let config = self.file("config.yml", config);
        let file = self.file("input.csv", text);
        self.load(&file).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
    }

    pub(crate) fn rejects(&self) -> String {
        self.folder().join("rejects").display().to_string()
    }

    /// Everything that was put into the reject files.
    pub(crate) fn reject_texts(&self) -> String {
        let mut names: Vec<_> = walk(&self.folder().join("rejects"));
        names.sort();
        names.iter().map(|path| std::fs::read_to_string(path).expect("a reject file")).collect()
    }

    /// Texts of statements that match none of what Hologres takes.
    pub(crate) fn assert_nothing_forbidden(&self) {
        let mut in_transaction = false;
        for sql in self.standin.statements() {
            let upper = sql.to_uppercase();
            assert!(sql.len() <= 102_400, "{} bytes of SQL", sql.len());
            for word in ["TEMP ", "TEMPORARY", "MERGE ", "RETURNING", "SAVEPOINT", "DISTINCT FROM"] {
                assert!(!upper.contains(word), "{word}: {sql}");
            }
            let writes_rows = upper.contains("INSERT INTO")
                || ["COPY", "DELETE"].iter().any(|word| upper.starts_with(word));
            assert!(!(in_transaction && writes_rows), "rows inside a transaction: {sql}");
            in_transaction |= upper.starts_with("BEGIN") && !upper.contains("COMMIT");
            in_transaction &= !(upper.starts_with("COMMIT") || upper.starts_with("ROLLBACK"));
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

/// A world of handlers in front of a stand-in.
pub(crate) fn world(name: &str, options: Options) -> (World, Standin) {
    let database = postgres::shared_hologres().database(name);
    let standin = Standin::start(&database, options);
    let database = standin.database();
    database.run("CREATE TABLE orders (id int8 PRIMARY KEY, name text NOT NULL, amount numeric(12,2))");
    let bucket = format!("{}-hologres", name.replace('_', "-"));
    let s3 = S3Server::start();
    s3.create_bucket(&bucket, BucketOptions { versioning: true, ..BucketOptions::default() });
    (World { database, s3, bucket }, standin)
}

/// The path that a report names, and whether it is atomic.
#[track_caller]
pub(crate) fn path(report: &Value) -> (&str, bool) {
    let name = report["write_path"].as_str().unwrap_or_else(|| panic!("no path: {report:#}"));
    (name, report["atomic"].as_bool().expect("a truth"))
}
