//! Rows as the server sends them, undecoded.

use tokio_postgres::types::{FromSql, Type};

use super::policy::{self, Failure};
use super::statement::{Encoded, Fields};
use super::{Session, SystemTime};

/// A value in its wire form.
struct Wire<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Wire<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The values of one row; none is NULL.
pub type WireRow = Vec<Option<Vec<u8>>>;

impl Session {
    /// Runs `sql` (prepared once for each session) with values bound as they are encoded.
    pub async fn look_up(&mut self, sql: &str, fields: &Fields<'_>) -> Result<Vec<WireRow>, Failure> {
        let values: Vec<Encoded<'_>> = fields.values();
        if !self.statements.contains_key(sql) {
            self.prepare(sql, &fields.parameter_types()).await?;
        }
        let statement = self.prepare(sql, &[]).await?;
        let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            values.iter().map(|one| one as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
        let rows = self.client.query(&statement, &parameters).await;
        self.used_at = SystemTime::now();
        self.is_spoiled |= rows.is_err();
        let rows = rows.map_err(|source| policy::failure("look rows up by their keys", source))?;
        let values = |row: &tokio_postgres::Row| {
            (0..row.len()).map(|at| row.get::<_, Option<Wire<'_>>>(at).map(|wire| wire.0.to_vec())).collect()
        };
        Ok(rows.iter().map(values).collect())
    }
}
