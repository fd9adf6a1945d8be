//! `out:`: where the rows go, and how they meet those that are there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Notes, Section, plain};

/// What the output says.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    pub(super) host: Option<String>,
    pub(super) port: Option<u64>,
    pub(super) database: Option<String>,
    pub(super) user: Option<String>,
    /// A variable, never what it holds.
    pub(super) password: Option<String>,
    pub(super) table: Option<String>,
    /// In which zone moments were written into columns without one, unless a column says another.
    pub(super) timezone: String,
    /// The same of single columns.
    pub(super) timezones: BTreeMap<String, String>,
    /// `write:` as YAML text.
    pub(super) write: Option<&'static str>,
}

/// The port of PostgreSQL, which Embulk takes where none is said.
const PORT: u64 = 5432;

pub(super) fn read(mut said: Section, notes: &mut Notes) -> Output {
    let kind = said.text("type");
    if let Some(other) = kind.as_deref().filter(|kind| !matches!(*kind, "postgresql" | "redshift")) {
        notes.todo("out.type", format!("`{other}` is no database of ours: Hologres and PostgreSQL are"));
    }
    let is_said = !said.members.is_empty();
    let schema = said.text("schema");
    let table = said.text("table").map(|table| match &schema {
        Some(schema) => format!("{}.{}", identifier(schema), identifier(&table)),
        None => identifier(&table),
    });
    let mut output = Output {
        host: said.text("host"),
        port: said.number("port"),
        database: said.text("database"),
        user: user(said.text("user"), notes),
        password: password(said.take("password"), notes),
        table,
        timezone: said.text("default_timezone").unwrap_or_else(|| "UTC".to_owned()),
        timezones: BTreeMap::new(),
        write: mode(said.text("mode"), notes),
    };
    if output.port.is_none() && output.host.is_some() {
        output.port = Some(PORT);
    }
    if is_said {
        protection(&mut said, notes);
    }
    keys(&mut said, notes);
    output.timezones = column_options(&mut said, notes);
    rest(&mut said, notes);
    said.end(notes, &format!("the output `{}`", kind.unwrap_or_else(|| "postgresql".to_owned())));
    output
}

/// An AccessKey ID is no secret, but half of one.
fn user(user: Option<String>, notes: &mut Notes) -> Option<String> {
    let user = user?;
    if user.starts_with("LTAI") || user.starts_with("STS.") {
        notes.todo("out.user", "is an AccessKey ID and was not copied: set ACCESS_KEY_ID");
        return Some("${ACCESS_KEY_ID}".to_owned());
    }
    Some(user)
}

/// A password that is a variable stays one; any other is not copied.
fn password(said: Option<Value>, notes: &mut Notes) -> Option<String> {
    let said = said?;
    let name = said.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
    if let Some(name) = name.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
        return Some(format!("${{{name}}}"));
    }
    notes.todo("out.password", "passwords are never copied: set ACCESS_KEY_SECRET, or name a secret of Secrets Manager under `secret`");
    Some("${ACCESS_KEY_SECRET}".to_owned())
}

/// A name as Embulk took it: as it is written, capitals, dots and blanks included.
fn identifier(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_lowercase() || c == '_')
        && name.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn mode(mode: Option<String>, notes: &mut Notes) -> Option<&'static str> {
    let mode = mode?;
    Some(match mode.as_str() {
        "insert" => {
            notes.differs("out.mode: insert", "one transaction on PostgreSQL, no tables in between; a version that is loaded is not loaded again");
            "{mode: insert}"
        }
        "insert_direct" => {
            notes.differs(
                "out.mode: insert_direct",
                "Embulk left a part of the rows after a failure, and a second run failed on them or doubled them. Here a load is one transaction, or goes on where \
                 it was (Hologres). If the table has a primary key, `mode: upsert` makes repeated rows harmless",
            );
            "{mode: insert}"
        }
        "truncate_insert" => {
            notes.differs(
                "out.mode: truncate_insert",
                "rows that stay the same are not touched, and whoever reads sees the old rows until the end",
            );
            "{mode: snapshot, scope: table}"
        }
        "replace" => {
            notes.differs(
                "out.mode: replace",
                "the table stays, with its primary key, NOT NULL, defaults and properties, which Embulk lost",
            );
            "{mode: snapshot, scope: table}"
        }
        "merge" | "merge_direct" => {
            notes.differs(
                "out.mode: merge",
                "of rows with one key in a file the last one wins; in Embulk it was the first, by chance",
            );
            "{mode: upsert}"
        }
        other => {
            notes.drop(
                "out.mode",
                format!(
                    "`{other}`, because there is no such mode: upsert, ignore, replace, insert, snapshot"
                ),
            );
            return None;
        }
    })
}

fn protection(said: &mut Section, notes: &mut Notes) {
    let was = if said.is_true("ssl") {
        "true: Embulk encrypted, and never verified the certificate"
    } else {
        "false: Embulk sent password and rows in the clear"
    };
    notes.differs(
        "out.ssl",
        format!("{was}. Here TLS is required and the certificate verified (`tls: verify-full`, `ca:`); a server without TLS takes `tls: insecure-plaintext`"),
    );
    let Some(Value::Object(options)) = said.take("options") else { return };
    for (name, value) in &options {
        let text = match name.as_str() {
            "sslmode" => format!(
                "`{}`, use `tls: verify-full`, `verify-ca` or `require`",
                plain(value).unwrap_or_default()
            ),
            "sslrootcert" => "use `ca:`".to_owned(),
            _ => "because it is a property of the JDBC driver".to_owned(),
        };
        notes.drop(&format!("out.options.{name}"), text);
    }
}

fn keys(said: &mut Section, notes: &mut Notes) {
    if let Some(keys) = said.take("merge_keys") {
        let names: Vec<String> = keys.as_array().into_iter().flatten().filter_map(plain).collect();
        notes.drop(
            "out.merge_keys",
            format!("because the table's primary key decides: make it ({})", names.join(", ")),
        );
    }
    if said.take("merge_rule").is_some() {
        notes.drop(
            "out.merge_rule",
            "because a row that is there becomes what the file says; use `newer_by: column` to keep the newer one, a trigger or a view for sums",
        );
    }
}

/// Answers the zones of columns that have one of their own.
fn column_options(said: &mut Section, notes: &mut Notes) -> BTreeMap<String, String> {
    let mut zones = BTreeMap::new();
    let Some(Value::Object(columns)) = said.take("column_options") else { return zones };
    for (column, options) in columns {
        let path = format!("out.column_options.{column}");
        let Ok(mut options) = Section::new(&path, Some(options)) else { continue };
        if let Some(zone) = options.text("timezone") {
            zones.insert(column, zone);
        }
        options.drop_all(
            notes,
            &[
                ("type", "because tables are not made while loading: `holoload guess --ddl` prints the statement"),
                ("value_type", "because the table's own type says how a value is sent; uuid, bytea, inet, arrays and the rest need no word"),
                ("timestamp_format", "because times are sent as times, not as text"),
            ],
        );
        options.end(notes, "a column");
    }
    zones
}

fn rest(said: &mut Section, notes: &mut Notes) {
    let retries =
        "because it had no effect in Embulk on PostgreSQL; retries are bounded here and go by the error";
    let ddl = "because tables are not made while loading: `holoload guess --ddl` prints the statement";
    let before = "because nothing runs beside the rows: run it by itself, or use `mode: snapshot` where it emptied the table";
    said.drop_all(
        notes,
        &[
            ("driver_path", "because there is no JDBC driver"),
            ("driver_class", "because there is no JDBC driver"),
            ("temp_schema", "because there are no tables in between"),
            ("batch_size", "because batches are bounded by memory"),
            ("retry_limit", retries),
            ("retry_wait", retries),
            ("max_retry_wait", retries),
            ("transaction_isolation", "because rows are locked by their keys"),
            ("role_name", "use a user with just the rights it needs: `holoload setup` prints them"),
            ("create_table_constraint", ddl),
            ("create_table_option", ddl),
            ("before_load", before),
            ("after_load", "because nothing runs beside the rows: run it by itself, after `holoload load`"),
            ("connect_timeout", "because waits are bounded here"),
            ("socket_timeout", "because waits are bounded here"),
        ],
    );
}
