//! What became of a sweep, for both doors.

use serde_json::{Value, json};

use crate::error::{Class, Error};
use crate::event::Selection;
use crate::object::ObjectRef;

/// An object that a dry run would load.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Which one.
    pub object: ObjectRef,
    /// Where its rows would go.
    pub table: String,
    /// Why.
    pub reason: &'static str,
    /// Bytes.
    pub size: u64,
}

/// What became of a selection.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Objects that were found and are within the times that were asked for.
    pub listed_count: u64,
    /// Of these, those that need not be loaded.
    pub current_count: u64,
    /// Loads that were begun here or handed to the queue, or would be.
    pub chosen_count: u64,
    /// Of these, those that were handed to the queue.
    pub queued_count: u64,
    /// Those still to be loaded.
    pub left_count: u64,
    /// There may be more than were counted.
    pub is_cut_short: bool,
    /// Another invocation goes on with it.
    pub is_handed_on: bool,
    /// Where the same request goes on, if anything is left: as its `start_after`.
    pub next: Option<ObjectRef>,
    /// Objects passed over.
    pub ignored_count: u64,
    /// The first of them, with the reason.
    pub ignored: Vec<(String, String)>,
    /// What a dry run would load, the first of it.
    pub chosen: Vec<Chosen>,
    /// Of every load that failed here.
    pub classes: Vec<Class>,
    /// What ended it early.
    pub failure: Option<Error>,
}

impl Outcome {
    /// What to do about the rest, if there is any.
    pub fn hint(&self) -> Option<&'static str> {
        if self.is_handed_on {
            return Some("the queue goes on with it");
        }
        (self.left_count > 0 || self.is_cut_short).then_some(
            "run the same request again, or from `next` on (`start_after`): what has been loaded is not loaded twice",
        )
    }

    /// For machines.
    pub fn json(&self, dry_run: bool) -> Value {
        let chosen: Vec<Value> = self.chosen.iter().map(|one| {
            json!({"object": one.object.address(), "table": one.table, "reason": one.reason, "size": one.size})
        }).collect();
        json!({
            "listed_count": self.listed_count,
            "current_count": self.current_count,
            "chosen_count": self.chosen_count,
            "queued_count": self.queued_count,
            "left_count": self.left_count,
            "is_cut_short": self.is_cut_short,
            "is_handed_on": self.is_handed_on,
            "next": self.next.as_ref().map(ObjectRef::address),
            "ignored_count": self.ignored_count,
            "dry_run": dry_run,
            "chosen": chosen,
            "hint": self.hint(),
        })
    }

    /// Whether objects that were asked for may be left. Beyond the limit they are left on purpose, whether or not they were
    /// counted to their end.
    pub fn is_unfinished(&self, selection: &Selection) -> bool {
        let is_full = selection.limit.is_some_and(|limit| self.chosen_count >= limit as u64);
        self.is_cut_short && !is_full && !selection.dry_run
    }

    /// The request that goes on where time ran out, if it did, and if that was further than where this one began; how often
    /// that was done before is the caller's to bound.
    pub fn rest(&self, selection: &Selection) -> Option<Selection> {
        let next = self.next.clone().filter(|next| selection.start_after.as_ref() != Some(next))?;
        let is_named = !selection.objects.is_empty();
        if !self.is_cut_short || self.failure.is_some() || selection.dry_run || is_named {
            return None;
        }
        let done = usize::try_from(self.chosen_count).unwrap_or(usize::MAX);
        let limit = selection.limit.map(|limit| limit.saturating_sub(done));
        (limit != Some(0)).then(|| Selection {
            start_after: Some(next),
            hop: selection.hop.saturating_add(1),
            limit,
            ..selection.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message whose sweep is unfinished comes again, and sends the same objects once more.
    #[test]
    fn what_was_left_by_the_limit_is_not_asked_for_again() {
        let of = |limit, dry_run| Selection { limit, dry_run, ..Selection::default() };
        for (chosen_count, is_cut_short, selection, is_unfinished) in [
            (7, true, of(None, false), true),
            (7, true, of(Some(8), false), true),
            (7, true, of(Some(7), false), false),
            (7, true, of(None, true), false),
            (7, false, of(Some(8), false), false),
        ] {
            let outcome = Outcome { chosen_count, is_cut_short, ..Outcome::default() };
            assert_eq!(outcome.is_unfinished(&selection), is_unfinished, "{selection:?}");
        }
    }
}
