//! The extended protocol: Parse, Bind, Describe, Execute, Close, Sync. Each message is answered before the next is
//! read, so that it is always known where the conversation stands.

use std::io;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::errors::{Refusal, named as named_error};
use super::partial::has_key_twice;
use super::prepare::{Action, Prepared};
use super::rules;
use super::session::{Session, Stop};
use super::simple::protocol_violation;
use super::sql;
use super::wire::{Message, take_text, terminated};

impl Session {
    pub async fn extended(&mut self, message: Message) -> io::Result<()> {
        if message.tag == b'S' {
            return self.sync().await;
        }
        // COPY data outside of a COPY comes from a client that has not read the error yet.
        if self.is_skipping || matches!(message.tag, b'd' | b'c' | b'f') {
            return Ok(());
        }
        let done = match message.tag {
            b'P' => self.parse(message.body).await,
            b'B' => self.bind(message).await,
            b'D' => self.describe(message).await,
            b'E' => self.execute(message).await,
            b'C' => self.close(message).await,
            b'H' => Ok(self.client.flush().await?),
            tag => Err(protocol_violation(tag).into()),
        };
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Refused(refusal)) => {
                self.is_skipping = true;
                self.refuse(&refusal, true).await
            }
            Err(Stop::Closed(error)) => Err(error),
        }
    }

    async fn sync(&mut self) -> io::Result<()> {
        self.is_skipping = false;
        self.backend.push(&Message::new(b'S', Bytes::new()));
        loop {
            let message = self.answer().await?;
            if message.tag == b'Z' {
                self.status = message.body.first().copied().unwrap_or(b'I');
                if self.status == b'I' {
                    self.portals.clear();
                }
                self.client.push(&message);
                return Ok(());
            }
            self.pass_on(message).await?;
        }
    }

    async fn parse(&mut self, mut body: Bytes) -> Result<(), Stop> {
        let malformed = || Refusal::new("08P01", "invalid message format");
        let name = take_text(&mut body).ok_or_else(malformed)?;
        let sql = take_text(&mut body).ok_or_else(malformed)?;
        self.shared.saw(&sql);
        let statements = sql::split(&sql);
        rules::check_text(&sql, &statements, self.shared.options.refuses_undocumented)?;
        self.prepared.remove(&name);
        let [statement] = statements.as_slice() else {
            return self.pass_parse(&name, &sql, &body).await;
        };
        let prepared = self.prepare(statement).await?;
        match &prepared.action {
            Action::Pass { text, .. } => self.pass_parse(&name, text, &body).await?,
            Action::Copy(_) if !self.shared.options.extended_copy => {
                return Err(Refusal::not_supported("Not support COPY in the extended query protocol").into());
            }
            Action::Keep(_) | Action::Copy(_) => self.client.push(&Message::new(b'1', Bytes::new())),
        }
        if !self.is_skipping {
            self.prepared.insert(name, Arc::new(prepared));
        }
        Ok(())
    }

    async fn pass_parse(&mut self, name: &str, sql: &str, types: &[u8]) -> Result<(), Stop> {
        let mut body = BytesMut::new();
        body.put_slice(&terminated(name));
        body.put_slice(&terminated(sql));
        body.put_slice(types);
        self.exchange(&Message::new(b'P', body), b"1").await.map(drop)
    }

    /// Sends one message and passes on its answer, which ends with one of these tags; which one it was.
    async fn exchange(&mut self, message: &Message, ends: &[u8]) -> Result<u8, Stop> {
        self.backend.push(message);
        self.backend.push(&Message::new(b'H', Bytes::new()));
        loop {
            let message = self.answer().await?;
            let tag = message.tag;
            if tag == b'G' {
                self.backend.push(&Message::new(b'f', vec![0]));
                continue;
            }
            self.pass_on(message).await?;
            if tag == b'E' {
                self.is_skipping = true;
            }
            if tag == b'E' || ends.contains(&tag) {
                return Ok(tag);
            }
        }
    }

    async fn bind(&mut self, message: Message) -> Result<(), Stop> {
        let mut body = message.body.clone();
        let portal = take_text(&mut body).unwrap_or_default();
        let name = take_text(&mut body).unwrap_or_default();
        let prepared = self.prepared.get(&name).cloned();
        self.portals.remove(&portal);
        if prepared.as_ref().is_some_and(|prepared| is_ours(prepared)) {
            self.client.push(&Message::new(b'2', Bytes::new()));
        } else {
            self.exchange(&message, b"2").await?;
        }
        if let Some(prepared) = prepared {
            if prepared.write.is_divisible || !prepared.write.key_places.is_empty() {
                self.bound = message.body;
            }
            self.portals.insert(portal, prepared);
        }
        Ok(())
    }

    async fn describe(&mut self, message: Message) -> Result<(), Stop> {
        let (kind, name) = named(&message);
        let known = if kind == b'S' { self.prepared.get(&name) } else { self.portals.get(&name) };
        if known.is_some_and(|prepared| is_ours(prepared)) {
            if kind == b'S' {
                self.client.push(&Message::new(b't', vec![0, 0]));
            }
            self.client.push(&Message::new(b'n', Bytes::new()));
            return Ok(());
        }
        self.exchange(&message, b"Tn").await.map(drop)
    }

    async fn execute(&mut self, message: Message) -> Result<(), Stop> {
        let portal = take_text(&mut message.body.clone()).unwrap_or_default();
        let Some(prepared) = self.portals.get(&portal).cloned() else {
            return self.exchange(&message, b"CIs").await.map(drop);
        };
        self.admit(&prepared).await?;
        match &prepared.action {
            Action::Pass { .. } => {
                self.tell_query_id();
                if has_key_twice(&self.bound, &prepared.write.key_places) {
                    return Err(Refusal::from(named_error("row_twice")).into());
                }
                if self.exchange(&message, b"CIs").await? == b'E' {
                    let is_of_rows = ["22", "23"].iter().any(|class| self.last_code.starts_with(class));
                    if prepared.write.is_divisible && is_of_rows && self.status == b'I' {
                        let bound = std::mem::take(&mut self.bound);
                        self.write_some(&prepared.sql, &bound).await?;
                    }
                    return Ok(());
                }
                self.ran(&prepared).await?;
            }
            ours => self.act(ours).await?,
        }
        if self.shared.faults.is_cut_after(&prepared.sql) {
            self.backend.push(&Message::new(b'S', Bytes::new()));
            // It is durable before nobody is told.
            let _ = self.drained().await?;
            return Err(self.cut());
        }
        Ok(())
    }

    async fn close(&mut self, message: Message) -> Result<(), Stop> {
        let (kind, name) = named(&message);
        let _ = if kind == b'S' { self.prepared.remove(&name) } else { self.portals.remove(&name) };
        self.exchange(&message, b"3").await.map(drop)
    }
}

/// PostgreSQL never hears of it.
fn is_ours(prepared: &Prepared) -> bool {
    !matches!(prepared.action, Action::Pass { .. })
}

/// What a Describe or a Close is about.
fn named(message: &Message) -> (u8, String) {
    let kind = message.body.first().copied().unwrap_or(b'S');
    let mut name = message.body.slice(message.body.len().min(1)..);
    (kind, take_text(&mut name).unwrap_or_default())
}
