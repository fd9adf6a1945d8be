//! What becomes of a statement: refused, passed on to PostgreSQL, changed, or answered here.

use super::copy::Copy;
use super::errors::{Refusal, named};
use super::insert::Insert;
use super::rules::{self, Class, Setting};
use super::session::{Session, Stop};
use super::sql::{Statement, Token, literal, quote};

pub enum Action {
    /// PostgreSQL runs this text, and then, unseen, these.
    Pass {
        text: String,
        after: Vec<String>,
    },
    /// A setting of Hologres' own is kept here.
    Keep(Setting),
    Copy(Copy),
}

/// A statement that passed the rules which do not depend on when it runs.
pub struct Prepared {
    pub sql: String,
    pub action: Action,
    pub class: Class,
    pub setting: Option<Setting>,
    pub write: Write,
}

/// What is known of a statement that writes.
#[derive(Default)]
pub struct Write {
    is_fixed: bool,
    /// A Fixed Plan of arrays, of which a part may be written when it fails.
    pub is_divisible: bool,
    /// Which of its arrays hold the key.
    pub key_places: Vec<usize>,
    /// Locked while a transaction of several writes runs.
    pub table: Option<String>,
}

impl Session {
    /// Whether the statement may be, and what becomes of it.
    pub async fn prepare(&mut self, statement: &Statement) -> Result<Prepared, Stop> {
        let (version, is_strict) = (self.shared.version(), self.shared.options.refuses_undocumented);
        rules::check(statement, version, is_strict)?;
        let class = rules::class(statement);
        let mut prepared = Prepared {
            sql: statement.text.clone(),
            action: Action::Pass { text: String::new(), after: Vec::new() },
            class,
            setting: None,
            write: Write::default(),
        };
        let setting = Setting::parse(statement);
        if let Some(copy) = Copy::parse(statement) {
            prepared.action = Action::Copy(copy?);
        } else if let Some(own) = setting.as_ref().filter(|setting| setting.is_own()) {
            prepared.action = Action::Keep(self.own_setting(own)?);
        } else {
            prepared.write = self.check_write(statement, class).await?;
            if self.identity.is_fixed && !prepared.write.is_fixed && !rules::is_lookup(statement) {
                return Err(rules::not_fixed().into());
            }
            let (text, after) = self.translated(statement)?;
            prepared.action = Action::Pass { text, after };
            prepared.setting = setting;
        }
        Ok(prepared)
    }

    fn own_setting(&self, own: &Setting) -> Result<Setting, Refusal> {
        if self.identity.is_fixed {
            return Err(rules::not_fixed());
        }
        if !self.shared.options.keeps_unknown_settings {
            let text = format!("unrecognized configuration parameter \"{}\"", own.name);
            return Err(Refusal::new("42704", text));
        }
        Ok(Setting { is_local: false, ..own.clone() })
    }

    async fn check_write(&mut self, statement: &Statement, class: Class) -> Result<Write, Stop> {
        match class {
            Class::Dml("INSERT") => {
                let Some(insert) = Insert::parse(statement) else { return Ok(Write::default()) };
                let Some(table) = self.table(&insert.table).await? else { return Ok(Write::default()) };
                let is_fixed = insert.check(&table, self.shared.version())?;
                let key_places = insert.key_places(&table, statement);
                let is_divisible = is_fixed && statement.has_word("unnest");
                Ok(Write { is_fixed, is_divisible, key_places, table: Some(table.name) })
            }
            Class::Dml("UPDATE") => {
                let Some((name, columns)) = rules::update_targets(statement) else {
                    return Ok(Write::default());
                };
                let Some(table) = self.table(&name).await? else { return Ok(Write::default()) };
                if columns.iter().any(|column| table.key.contains(column)) {
                    return Err(
                        Refusal::not_supported("Feature not supported: UPDATE with shard keys").into()
                    );
                }
                let is_fixed = statement.has_word("where");
                Ok(Write { is_fixed, table: Some(table.name), ..Write::default() })
            }
            Class::Dml("DELETE") => {
                let Some((name, condition)) = rules::delete_target(statement) else {
                    return Ok(Write::default());
                };
                let Some(table) = self.table(&name).await? else { return Ok(Write::default()) };
                if table.is_parent {
                    return Err(
                        Refusal::not_supported("Feature not supported: delete from parent table").into()
                    );
                }
                let is_unnest = |token: &&Token| token.is_word("unnest");
                if statement.tokens.iter().filter(is_unnest).count() > 1 {
                    return Err(Refusal::from(named("one_set_returning")).into());
                }
                let is_fixed = !table.has_money() && rules::is_by_key(condition, &table.key);
                Ok(Write { is_fixed, table: Some(table.name), ..Write::default() })
            }
            _ => Ok(Write::default()),
        }
    }

    /// The text for PostgreSQL, and what follows it unseen.
    fn translated(&self, statement: &Statement) -> Result<(String, Vec<String>), Stop> {
        if let Some((text, after)) = rules::without_properties(statement)? {
            return Ok((text, after));
        }
        if self.is_on(rules::LIKE_PROPERTIES)
            && let Some(text) = rules::with_properties_of_like(statement)
        {
            return Ok((text, Vec::new()));
        }
        if let Some(text) = rules::without_force(statement, self.shared.version()) {
            return Ok((text, Vec::new()));
        }
        if self.shared.backend_major < 12
            && let Some(text) = rules::with_attgenerated(statement)
        {
            return Ok((text, Vec::new()));
        }
        if statement.starts_with(&["show"])
            && let [_, name] = statement.tokens.as_slice()
            && let Some(value) = self.setting(&name.value)
        {
            return Ok((format!("SELECT {}::text AS {}", literal(value), quote(&name.value)), Vec::new()));
        }
        Ok((statement.text.clone(), Vec::new()))
    }
}
