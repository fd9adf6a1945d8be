//! What the object knows of itself, and the encoder that fills columns with it and with the fields of its records.

use crate::error::{Error, Result};
use crate::plan::{Fill, Layout, Metadata, Plan};
use crate::row::{Encoder, Extra, Marks, Members, Reason, Rules, Slot};
use crate::table::Kind;

/// What the object knows of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) content_type: Option<String>,
    pub(super) version: Option<String>,
    pub(super) sequencer: Option<String>,
    pub(super) event_time_ms: Option<i64>,
    pub(super) loaded_at_ms: i64,
}

impl Facts {
    /// What marks a deleted row in its column, and every other row.
    fn deletion(&self, plan: &Plan) -> Option<Extra> {
        let name = plan.route.operation.as_ref()?.soft_delete.as_deref()?;
        let column = plan.table.columns.get(plan.table.column_index(name)?)?;
        if column.kind == Kind::Bool {
            return Some(Extra::Deletion { gone: b"true".to_vec(), there: Some(b"false".to_vec()) });
        }
        instant(self.loaded_at_ms).map(|gone| Extra::Deletion { gone: gone.into_bytes(), there: None })
    }

    fn fill(&self, metadata: Metadata) -> Extra {
        let text = match metadata {
            Metadata::Line => return Extra::Line,
            Metadata::Key => Some(self.key.clone()),
            Metadata::Bucket => Some(self.bucket.clone()),
            Metadata::Version => self.version.clone(),
            Metadata::Sequencer => self.sequencer.clone(),
            Metadata::EventTime => self.event_time_ms.and_then(instant),
            Metadata::LoadedAt => instant(self.loaded_at_ms),
        };
        Extra::Text(text.map(String::into_bytes))
    }
}

fn instant(epoch_ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(epoch_ms).ok().map(|moment| format!("{moment:.3}"))
}

/// What types the records of one object.
///
/// # Errors
/// `Config` for texts of the settings that their columns do not take.
pub(super) fn encoder(plan: &Plan, layout: &Layout, rules: &Rules, facts: &Facts) -> Result<Encoder> {
    let slots = layout.slots.iter().enumerate().filter_map(|(at, slot)| {
        let column = plan.table.columns.get(slot.column)?;
        Some(Slot {
            kind: column.kind,
            // Without a value there is no telling which row is newer.
            not_null: column.not_null || layout.newer_slot == Some(at),
            field: slot.field,
            is_key: at < layout.key_count,
            conversion: conversion_of(plan, &column.name),
        })
    });
    let extras = layout.filled.iter().map(|fill| match fill {
        Fill::Metadata(metadata) => facts.fill(*metadata),
        Fill::Constant(text) | Fill::Captured(text) | Fill::Default(text) => {
            Extra::Text(Some(text.clone().into_bytes()))
        }
        Fill::Extras => Extra::Members(Members::new(layout.extras())),
    });
    let extras = extras.chain(facts.deletion(plan)).collect();
    let encoder = Encoder::new(rules.clone(), slots.collect(), layout.field_count)
        .with_extras(extras)
        .with_conversions(plan.route.conversions.iter().map(|(_, rule)| rule.clone()).collect())
        .with_marks(marks(plan, layout));
    check_constants(plan, layout, &encoder)?;
    Ok(encoder)
}

/// Index of the column's rules, if it has some.
fn conversion_of(plan: &Plan, column: &str) -> Option<u16> {
    let at = plan.route.conversions.iter().position(|(name, _)| name == column)?;
    u16::try_from(at).ok()
}

/// A text of the settings that its column does not take would make every row a bad one.
fn check_constants(plan: &Plan, layout: &Layout, encoder: &Encoder) -> Result<()> {
    let misfit = |slot: Option<&crate::plan::Slot>, word: &str, reason: Reason| {
        let column = slot.and_then(|slot| plan.table.columns.get(slot.column));
        let (name, sql_type) = column.map_or(("", ""), |column| (&column.name, &column.sql_type));
        Error::config(format!("`columns.{name}`: its `{word}` does not fit: {reason}")).with_hint(format!(
            "the column is of type `{sql_type}`; write a text that a file could have there"
        ))
    };
    encoder.check_defaults().map_err(|refusal| {
        misfit(refusal.slot.and_then(|at| layout.slots.get(at)), "default", refusal.reason)
    })?;
    for (index, fill) in layout.filled.iter().enumerate() {
        let word = match fill {
            Fill::Constant(_) => "constant",
            Fill::Captured(_) => "capture",
            Fill::Default(_) => "default",
            Fill::Metadata(_) | Fill::Extras => continue,
        };
        let slot = layout.slots.iter().find(|slot| slot.field == layout.field_count + index);
        encoder.check_extra(index).map_err(|reason| misfit(slot, word, reason))?;
    }
    Ok(())
}

fn marks(plan: &Plan, layout: &Layout) -> Option<Marks> {
    let operation = plan.route.operation.as_ref()?;
    let bytes = |word: &String| word.clone().into_bytes();
    Some(Marks {
        field: layout.op_field?,
        insert: bytes(&operation.insert),
        update: bytes(&operation.update),
        delete: bytes(&operation.delete),
        deletes: operation.deletes(),
    })
}
