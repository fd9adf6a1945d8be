//! Which rights a load needs on its tables, and which of them the user has.

use crate::database::{Parameter, Session, Type};
use crate::error::{Error, Result};
use crate::plan::{Operation, Route};
use crate::settings::{PartitionRule, WriteMode};
use crate::table::{TableName, quote};

/// What a user may do with a table, and around it.
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
#[derive(Clone, Debug)]
pub(super) struct Rights {
    pub(super) user: String,
    database: String,
    may_use_schema: bool,
    may_create_in_schema: bool,
    may_create_temporary: bool,
    is_owner: bool,
    /// SELECT, INSERT, UPDATE, DELETE.
    on_table: [bool; 4],
}

const WORDS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// Rights on some columns count: which ones a file needs is known with the file.
const TABLE_SQL: &str = "SELECT current_user::text AS user, current_database()::text AS database, \
     has_schema_privilege(n.oid, 'USAGE') AS usage, has_schema_privilege(n.oid, 'CREATE') AS create, \
     has_database_privilege(current_database(), 'TEMP') AS temporary, \
     pg_has_role(c.relowner, 'USAGE') AS owner, \
     has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT') AS s, \
     has_table_privilege(c.oid, 'INSERT') OR has_any_column_privilege(c.oid, 'INSERT') AS i, \
     has_table_privilege(c.oid, 'UPDATE') OR has_any_column_privilege(c.oid, 'UPDATE') AS u, \
     has_table_privilege(c.oid, 'DELETE') AS d \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2";

/// Asks the catalog.
pub(super) async fn on_table(session: &mut Session, table: &TableName) -> Result<Rights> {
    let action = format!("ask for the rights on `{table}`");
    let named: [Parameter<'_>; 2] = [(&table.schema, Type::TEXT), (&table.name, Type::TEXT)];
    let rows = session.query(TABLE_SQL, &named, &action).await?;
    let row = rows.first().ok_or_else(|| Error::transient(action).with_hint("the table has just gone"))?;
    Ok(Rights {
        user: row.get("user"),
        database: row.get("database"),
        may_use_schema: row.get("usage"),
        may_create_in_schema: row.get("create"),
        may_create_temporary: row.get("temporary"),
        is_owner: row.get("owner"),
        on_table: [row.get("s"), row.get("i"), row.get("u"), row.get("d")],
    })
}

/// Whether the user may create tables in a schema; none where there is no such schema.
pub(super) async fn may_create(session: &mut Session, schema: &str) -> Result<Option<(bool, String)>> {
    let sql = "SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE'), current_user::text \
               FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let named: [Parameter<'_>; 1] = [(&schema, Type::TEXT)];
    let rows = session.query(sql, &named, "ask for the rights on the schema").await?;
    Ok(rows.first().map(|row| (row.get(0), row.get(1))))
}

/// The words of what is needed, and the statements that grant what is missing.
pub(super) struct Need {
    pub(super) words: Vec<&'static str>,
    pub(super) missing: Vec<String>,
}

impl Rights {
    /// What loads by this route need on its table.
    pub(super) fn for_route(&self, route: &Route, is_hologres: bool) -> Need {
        let deletes = route.snapshot.is_some() || route.operation.as_ref().is_some_and(Operation::deletes);
        let updates = !matches!(route.mode, WriteMode::Insert | WriteMode::Ignore);
        let needed = [true, true, updates, deletes];
        let mut need = self.of_table(&route.table, needed);
        let create = |need: &mut Need| {
            need.words.push("CREATE in the schema");
            if !self.may_create_in_schema {
                let (schema, user) = (quote(&route.table.schema), quote(&self.user));
                need.missing.push(format!("GRANT CREATE ON SCHEMA {schema} TO {user}"));
            }
        };
        let owner = |need: &mut Need| {
            need.words.push("ownership");
            if !self.is_owner {
                let (table, user) = (route.table.quoted(), quote(&self.user));
                need.missing.push(format!("ALTER TABLE {table} OWNER TO {user}"));
            }
        };
        if route.replaces_table() && is_hologres {
            create(&mut need);
            owner(&mut need);
        } else if route.replaces_table() {
            need.words.push("TEMP");
            if !self.may_create_temporary {
                let (database, user) = (quote(&self.database), quote(&self.user));
                need.missing.push(format!("GRANT TEMP ON DATABASE {database} TO {user}"));
            }
        } else if route.partitions == PartitionRule::Create {
            create(&mut need);
            owner(&mut need);
        }
        need
    }

    /// What every load needs on ledger and fence.
    pub(super) fn for_ledger(&self, table: &TableName) -> Need {
        self.of_table(table, [true, true, true, false])
    }

    fn of_table(&self, table: &TableName, needed: [bool; 4]) -> Need {
        let user = quote(&self.user);
        let words = || WORDS.iter().zip(needed).zip(self.on_table).filter(|((_, needed), _)| *needed);
        let mut missing = Vec::new();
        if !self.may_use_schema {
            missing.push(format!("GRANT USAGE ON SCHEMA {} TO {user}", quote(&table.schema)));
        }
        let lacking: Vec<&str> = words().filter(|(_, has)| !has).map(|((word, _), _)| *word).collect();
        if !lacking.is_empty() {
            missing.push(format!("GRANT {} ON {} TO {user}", lacking.join(", "), table.quoted()));
        }
        Need { words: words().map(|((word, _), _)| *word).collect(), missing }
    }

    /// How the same is granted where Hologres's simple permission models are switched on: there GRANT is refused.
    pub(super) fn simply(&self, schema: &str, need: &Need) -> String {
        let (database, user) = (&self.database, &self.user);
        // Writers create and own nothing.
        let is_owner = need.words.iter().any(|word| !WORDS.contains(word));
        let group = if is_owner { "developer" } else { "writer" };
        format!(
            "under Hologres's simple permission models: CALL spm_grant('{database}_{group}', '{user}'), or CALL \
             slpm_grant('{database}.{schema}.{group}', '{user}')"
        )
    }
}
