//! The simple protocol: one text, any number of statements.

use std::io;

use super::errors::Refusal;
use super::prepare::Action;
use super::rules::{self, Class};
use super::session::{Session, Stop};
use super::sql::{self, Statement};
use super::wire::{Message, take_text};

impl Session {
    pub async fn simple(&mut self, message: Message) -> io::Result<()> {
        // A simple query ends whatever the extended protocol was at.
        self.is_skipping = false;
        let sql = take_text(&mut message.body.clone()).unwrap_or_default();
        self.shared.saw(&sql);
        match self.run_text(&sql).await {
            Ok(()) => {}
            Err(Stop::Refused(refusal)) => self.refuse(&refusal, false).await?,
            Err(Stop::Closed(error)) => return Err(error),
        }
        self.client.push(&Message::ready(self.status));
        Ok(())
    }

    async fn run_text(&mut self, sql: &str) -> Result<(), Stop> {
        let statements = sql::split(sql);
        rules::check_text(sql, &statements, self.shared.options.refuses_undocumented)?;
        if statements.is_empty() {
            self.backend.push(&Message::query(sql));
            return self.relay().await.map(drop);
        }
        let counts = |statement: &&Statement| rules::class(statement) != Class::Setting;
        let has_control = statements.iter().any(|statement| rules::class(statement) == Class::Control);
        // PostgreSQL makes one transaction of several statements; they travel one by one here.
        self.is_wrapped = self.status == b'I' && !has_control && statements.iter().filter(counts).count() > 1;
        let is_wrapped = self.is_wrapped;
        if is_wrapped {
            self.silent("BEGIN").await?;
        }
        let result = self.run_all(&statements).await;
        self.is_wrapped = false;
        if is_wrapped && !matches!(result, Err(Stop::Closed(_))) {
            self.silent(if matches!(result, Ok(true)) { "COMMIT" } else { "ROLLBACK" }).await?;
        }
        result.map(drop)
    }

    /// False when PostgreSQL refused one, which the client then knows already.
    async fn run_all(&mut self, statements: &[Statement]) -> Result<bool, Stop> {
        for statement in statements {
            if !self.run_statement(statement).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn run_statement(&mut self, statement: &Statement) -> Result<bool, Stop> {
        let prepared = self.prepare(statement).await?;
        self.admit(&prepared).await?;
        match &prepared.action {
            Action::Pass { text, .. } => {
                self.tell_query_id();
                self.backend.push(&Message::query(text));
                if !self.relay().await? {
                    return Ok(false);
                }
                self.ran(&prepared).await?;
            }
            ours => self.act(ours).await?,
        }
        if self.shared.faults.is_cut_after(&prepared.sql) {
            return Err(self.cut());
        }
        Ok(true)
    }

    /// Passes on what PostgreSQL answers to a query, without its end; whether it went well.
    async fn relay(&mut self) -> Result<bool, Stop> {
        let mut is_good = true;
        loop {
            let message = self.answer().await?;
            match message.tag {
                b'Z' => {
                    self.status = message.body.first().copied().unwrap_or(b'I');
                    return Ok(is_good);
                }
                // Every COPY of rows was taken out before.
                b'G' => self.backend.push(&Message::new(b'f', vec![0])),
                b'E' => is_good = false,
                _ => {}
            }
            if message.tag != b'G' {
                self.pass_on(message).await?;
            }
        }
    }
}

/// A message that does not belong here.
pub fn protocol_violation(tag: u8) -> Refusal {
    Refusal::new("08P01", format!("unexpected message type 0x{tag:02X}"))
}
