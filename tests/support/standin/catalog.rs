//! Tables as the catalog knows them, read over a connection that the client does not see.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use super::errors::Refusal;
use super::sql::quote_table;
use crate::support::postgres::Database;

/// Types that a Fixed Plan takes; `time` and `timetz` came with V2.2, the oldest profile.
const FIXED_TYPES: &[&str] = &[
    "bool",
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "bpchar",
    "varchar",
    "bytea",
    "json",
    "jsonb",
    "text",
    "timestamptz",
    "date",
    "timestamp",
    "numeric",
    "roaringbitmap",
    "time",
    "timetz",
    "_bool",
    "_int2",
    "_int4",
    "_int8",
    "_float4",
    "_float8",
    "_bpchar",
    "_varchar",
    "_text",
];

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// As in `pg_type.typname`.
    pub type_name: String,
    pub has_default: bool,
}

impl Column {
    pub fn is_fixed_type(&self) -> bool {
        FIXED_TYPES.contains(&self.type_name.as_str())
    }
}

#[derive(Clone, Debug)]
pub struct Table {
    /// Quoted, with its schema.
    pub name: String,
    pub is_parent: bool,
    pub columns: Vec<Column>,
    pub key: Vec<String>,
    pub key_name: String,
    pub is_lockable: bool,
}

impl Table {
    pub fn has_money(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.type_name.as_str(), "money" | "_money"))
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// The columns that a write names, or all of them.
    pub fn named<'a>(&'a self, names: Option<&[String]>) -> Result<Vec<&'a Column>, Refusal> {
        let Some(names) = names else { return Ok(self.columns.iter().collect()) };
        let find = |name: &String| {
            self.column(name).ok_or_else(|| {
                let table = self.name.rsplit('.').next().unwrap_or_default();
                Refusal::new("42703", format!("column \"{name}\" of relation {table} does not exist"))
            })
        };
        names.iter().map(find).collect()
    }
}

const TABLE_SQL: &str = "SELECT n.nspname::text, c.relname::text, c.relkind::text, a.attname::text, t.typname::text, \
     a.atthasdef OR a.attidentity <> '', array_position(i.indkey::int2[], a.attnum), k.relname::text, \
     has_table_privilege(c.oid, 'UPDATE') \
     FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     JOIN pg_type t ON t.oid = a.atttypid \
     LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
     LEFT JOIN pg_class k ON k.oid = i.indexrelid \
     WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p') ORDER BY a.attnum";

/// A session of the same user beside the client's own: it reads the catalog, and a fixed copy writes over it.
pub struct Side {
    pub client: Client,
    applied: BTreeMap<String, String>,
}

impl Side {
    pub async fn open(database: &Database, user: &str, name: &str) -> Result<Self, Refusal> {
        let (socket_dir, port) = database.socket();
        let mut config = tokio_postgres::Config::new();
        config.host_path(socket_dir).port(port).user(user).dbname(name).application_name("standin");
        let (client, connection) = config.connect(NoTls).await.map_err(|error| refusal(&error))?;
        tokio::spawn(connection);
        Ok(Self { client, applied: BTreeMap::new() })
    }

    /// Follows the settings of the client's session.
    pub async fn apply(&mut self, settings: &BTreeMap<String, String>) -> Result<(), Refusal> {
        for (name, statement) in settings {
            if self.applied.get(name) != Some(statement) {
                self.run(statement).await?;
                self.applied.insert(name.clone(), statement.clone());
            }
        }
        Ok(())
    }

    pub async fn run(&self, sql: &str) -> Result<(), Refusal> {
        self.client.batch_execute(sql).await.map_err(|error| refusal(&error))
    }

    /// `None` when there is no such table.
    pub async fn table(&self, parts: &[String]) -> Result<Option<Table>, Refusal> {
        let name = quote_table(parts);
        let rows = self.client.query_typed(TABLE_SQL, &[(&name, Type::TEXT)]).await;
        let rows = rows.map_err(|error| refusal(&error))?;
        let Some(first) = rows.first() else { return Ok(None) };
        let columns = rows.iter().map(|row| Column {
            name: row.get(3),
            type_name: row.get(4),
            has_default: row.get(5),
        });
        let mut key: Vec<(i32, String)> =
            rows.iter().filter_map(|row| Some((row.get::<_, Option<i32>>(6)?, row.get(3)))).collect();
        key.sort();
        Ok(Some(Table {
            name: quote_table(&[first.get(0), first.get(1)]),
            is_parent: first.get::<_, String>(2) == "p",
            columns: columns.collect(),
            key: key.into_iter().map(|(_, name)| name).collect(),
            key_name: first.get::<_, Option<String>>(7).unwrap_or_default(),
            is_lockable: first.get(8),
        }))
    }

    /// Zero for none.
    pub async fn statement_timeout_ms(&self) -> Result<u64, Refusal> {
        let sql = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'";
        let rows = self.client.query_typed(sql, &[]).await.map_err(|error| refusal(&error))?;
        Ok(rows.first().and_then(|row| row.get::<_, String>(0).parse().ok()).unwrap_or(0))
    }
}

/// SQLSTATE and text of a server's error, and nothing of where it happened.
pub fn refusal(error: &tokio_postgres::Error) -> Refusal {
    match error.as_db_error() {
        Some(refused) => rewritten(Refusal::new(refused.code().code(), refused.message())),
        None => Refusal::new("08006", "This connection has been closed."),
    }
}

/// What Hologres says where PostgreSQL says something else.
pub fn rewritten(refusal: Refusal) -> Refusal {
    if refusal.code == "23514" && refusal.message.starts_with("no partition of relation") {
        return Refusal::new("XX000", "The specified partition does not exist");
    }
    if refusal.code == "21000" && refusal.message.contains("affect row a second time") {
        return Refusal::new("23505", "Update row with Key (...)=(...) multiple times");
    }
    refusal
}
