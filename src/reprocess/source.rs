//! Where the objects of a sweep come from: a bucket's listing, the ledger's failures, or whoever asks names them.

use crate::aws::Aws;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::event::Selection;
use crate::ledger::{Failure, Window, failures};
use crate::object::ObjectRef;

/// An object that may have to be loaded.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) object: ObjectRef,
    /// Of the newest version, where a listing shows it.
    pub(super) etag: Option<String>,
    pub(super) size: u64,
    pub(super) last_modified_ms: Option<i64>,
    /// Tables that its last load into failed, where the ledger said so.
    pub(super) failed_tables: Vec<String>,
}

impl Found {
    fn named(object: ObjectRef) -> Self {
        Self { object, etag: None, size: 0, last_modified_ms: None, failed_tables: Vec::new() }
    }

    fn failed(failure: Failure) -> Self {
        Self { size: failure.byte_count, failed_tables: failure.tables, ..Self::named(failure.object) }
    }
}

/// Pages of objects, in the order of their names.
pub(super) struct Source<'a> {
    selection: &'a Selection,
    /// Where the listing goes on.
    token: Option<String>,
    /// The last object that was found.
    last: Option<ObjectRef>,
    pub(super) is_at_end: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(selection: &'a Selection) -> Self {
        Self { selection, token: None, last: selection.start_after.clone(), is_at_end: false }
    }

    pub(super) async fn page(&mut self, context: &mut Context) -> Result<Vec<Found>> {
        if self.selection.is_of_ledger() {
            return self.failures(context).await;
        }
        if !self.selection.objects.is_empty() {
            self.is_at_end = true;
            return Ok(self.selection.objects.iter().cloned().map(Found::named).collect());
        }
        let aws = context.aws.as_ref().ok_or_else(|| Error::bug("list objects without a client"))?;
        self.listed(aws).await
    }

    async fn listed(&mut self, aws: &Aws) -> Result<Vec<Found>> {
        let Selection { bucket, prefix, start_after, .. } = self.selection;
        let start_after = start_after.as_ref().map(|object| object.key.clone());
        let page = aws.list_after(bucket, prefix, start_after, self.token.take()).await?;
        self.is_at_end = page.next.is_none();
        self.token = page.next;
        let found = page.objects.into_iter().map(|listed| Found {
            etag: listed.etag,
            size: listed.size,
            last_modified_ms: listed.last_modified_ms,
            ..Found::named(ObjectRef { bucket: bucket.clone(), key: listed.key })
        });
        Ok(found.collect())
    }

    async fn failures(&mut self, context: &mut Context) -> Result<Vec<Found>> {
        let Some(ledger) = context.ledger.clone() else { return Ok(Vec::new()) };
        let window =
            Window { from_ms: self.selection.modified_after_ms, to_ms: self.selection.modified_before_ms };
        let session = context.bare_session().await?;
        let (found, is_last) = match failures(&ledger, session, window, self.last.as_ref()).await {
            // No ledger yet: nothing has failed.
            Err(error) if error.code() == Some("42P01") => (Vec::new(), true),
            found => found?,
        };
        self.is_at_end = is_last;
        self.last = found.last().map(|failure| failure.object.clone());
        Ok(found.into_iter().map(Found::failed).collect())
    }
}
