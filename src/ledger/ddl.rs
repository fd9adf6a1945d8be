//! The statements that make the two tables, and the rights a loader needs.

use super::Ledger;
use crate::database::Dialect;
use crate::table::{TableName, quote};

const LEDGER_COLUMNS: &str = "bucket text NOT NULL, object_key text NOT NULL, version text NOT NULL, table_name text NOT NULL, \
     attempt int4 NOT NULL, version_id text, etag text, sequencer text, status text NOT NULL, reason text, \
     row_count int8, inserted_count int8, updated_count int8, unchanged_count int8, reject_count int8, \
     duplicate_count int8, byte_count int8, write_path text, atomic bool, plan_hash text, request_id text, load_id text, \
     event_time timestamptz, started_at timestamptz, finished_at timestamptz, duration_ms int8, lag_ms int8, \
     phases text, rejects text, error_class text, error_code text, error_message text, hint text, \
     next_offset int8, next_record int8, resume text, \
     PRIMARY KEY (bucket, object_key, version, table_name, attempt)";

fn fence_columns(dialect: Dialect) -> String {
    let collation = if dialect.is_hologres() { "" } else { " COLLATE \"C\"" };
    let default = if dialect.is_hologres() { "" } else { " DEFAULT true" };
    format!(
        "bucket text NOT NULL, object_key text NOT NULL, table_name text NOT NULL, \
         sequencer text{collation}, version_id text, etag text, last_modified_ms int8, \
         is_sequenced bool NOT NULL{default}, claim text{collation}, owner text, lease_until timestamptz, \
         claimed_at timestamptz, loaded_at timestamptz, \
         PRIMARY KEY (bucket, object_key, table_name)"
    )
}

/// Each table and its columns, as they are created.
pub(super) fn definitions(ledger: &Ledger, dialect: Dialect) -> [(&TableName, Vec<String>); 2] {
    let columns = |text: &str| {
        let parts = text.split(", ").take_while(|part| !part.starts_with("PRIMARY KEY"));
        parts.map(str::to_owned).collect()
    };
    [(&ledger.ledger, columns(LEDGER_COLUMNS)), (&ledger.fence, columns(&fence_columns(dialect)))]
}

/// Creates both tables, where they are missing.
pub fn statements(ledger: &Ledger, dialect: Dialect) -> Vec<String> {
    let create_ledger = format!("CREATE TABLE IF NOT EXISTS {} ({LEDGER_COLUMNS})", ledger.ledger.quoted());
    let create_fence =
        format!("CREATE TABLE IF NOT EXISTS {} ({})", ledger.fence.quoted(), fence_columns(dialect));
    if !dialect.is_hologres() {
        return vec![create_ledger, create_fence];
    }
    // Rows of the fence are read and written one at a time by key: that is what row storage is for. Properties are set in
    // the transaction that creates the table (Hologres help, "SET_TABLE_PROPERTY"); the form works in every version.
    let name = ledger.fence.quoted().replace('\'', "''");
    vec![
        create_ledger,
        "BEGIN".to_owned(),
        create_fence,
        format!("CALL set_table_property('{name}', 'orientation', 'row')"),
        "COMMIT".to_owned(),
    ]
}

/// What the loader's user must be allowed.
pub fn grants(ledger: &Ledger, tables: &[TableName], user: &str) -> Vec<String> {
    let user = quote(user);
    let mut schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    schemas.push(&ledger.ledger.schema);
    schemas.sort_unstable();
    schemas.dedup();
    let mut grants: Vec<String> =
        schemas.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {user}", quote(schema))).collect();
    let written = tables.iter().chain([&ledger.ledger, &ledger.fence]);
    grants
        .extend(written.map(|table| format!("GRANT SELECT, INSERT, UPDATE ON {} TO {user}", table.quoted())));
    grants
}
