//! `out:`: where the rows go, and how they meet those that are there.

use serde_json::Value;

use super::{Notes, Section, plain};

/// What the output says.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    pub(super) host: Option<String>,
    pub(super) port: Option<u64>,
    pub(super) database: Option<String>,
    pub(super) user: Option<String>,
    pub(super) has_password: bool,
    pub(super) table: Option<String>,
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
        Some(schema) => format!("{schema}.{table}"),
        None => table,
    });
    let mut output = Output {
        host: said.text("host"),
        port: said.number("port"),
        database: said.text("database"),
        user: user(said.text("user"), notes),
        has_password: said.take("password").is_some(),
        table,
        write: mode(said.text("mode"), notes),
    };
    if output.port.is_none() && output.host.is_some() {
        output.port = Some(PORT);
    }
    if output.has_password {
        notes.todo("out.password", "passwords are never copied: set ACCESS_KEY_SECRET, or name a secret of Secrets Manager under `secret`");
    }
    if is_said {
        protection(&mut said, notes);
    }
    keys(&mut said, notes);
    column_options(&mut said, notes);
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
    let ssl = said.take("ssl").is_some_and(|ssl| ssl == Value::Bool(true));
    let was = if ssl {
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

fn column_options(said: &mut Section, notes: &mut Notes) {
    let Some(Value::Object(columns)) = said.take("column_options") else { return };
    for (column, options) in columns {
        let path = format!("out.column_options.{column}");
        let Ok(mut options) = Section::new(&path, Some(options)) else { continue };
        options.drop_all(
            notes,
            &[
                ("type", "because tables are not made while loading: `holoload guess --ddl` prints the statement"),
                ("value_type", "because the table's own type says how a value is sent; uuid, bytea, inet, arrays and the rest need no word"),
                ("timestamp_format", "because times are sent as times, not as text"),
                ("timezone", "because times are sent as moments; use `timezone` of the column for those that have none"),
            ],
        );
        options.end(notes, "a column");
    }
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
            (
                "default_timezone",
                "because times are sent as moments; `target.timezone` reads those that have none",
            ),
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
