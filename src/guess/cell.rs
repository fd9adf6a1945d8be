//! A quick look at one field: what it may be, for the choice of a dialect.

use super::moments;
use super::number::{has_unit, number};

/// What a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    /// Nothing.
    Empty,
    /// A number.
    Number,
    /// A date, a time or both.
    Moment,
    /// A truth value.
    Word,
    /// A UUID, or JSON.
    Structured,
    /// Words.
    Text,
    /// Text with marks in it that look like another dialect's.
    Torn,
}

/// Texts that often stand for NULL.
pub(super) const NULLS: [&str; 15] = [
    "NULL", "null", "Null", "\\N", "#N/A", "NA", "N/A", "n/a", "na", "-", "--", "None", "none", "nil",
    "(null)",
];

pub(super) fn is_null_text(text: &str) -> bool {
    NULLS.contains(&text)
}

pub(super) fn look(bytes: &[u8], is_quoted: bool) -> Look {
    let Ok(text) = std::str::from_utf8(bytes) else { return Look::Text };
    let text = text.trim();
    if text.is_empty() || (!is_quoted && is_null_text(text)) {
        return Look::Empty;
    }
    if number(text).is_some() || has_unit(text) {
        return Look::Number;
    }
    if truth_pair(text).is_some() {
        return Look::Word;
    }
    if is_uuid(text) || (text.starts_with(['{', '[']) && is_json(text)) {
        return Look::Structured;
    }
    if moments::is_moment(text) {
        return Look::Moment;
    }
    let marks = text.bytes().filter(|byte| matches!(byte, b',' | b';' | b'|' | b'\t')).count();
    let is_torn = !is_quoted && (text.starts_with('"') || text.ends_with('"'));
    if is_torn || (!is_quoted && marks > 2) { Look::Torn } else { Look::Text }
}

/// Which pair of truth words a text belongs to, and whether it is the true one.
pub(super) fn truth_pair(text: &str) -> Option<(usize, bool)> {
    TRUTHS.iter().enumerate().find_map(|(pair, (yes, no))| {
        if text.eq_ignore_ascii_case(yes) {
            Some((pair, true))
        } else if text.eq_ignore_ascii_case(no) {
            Some((pair, false))
        } else {
            None
        }
    })
}

/// Pairs of truth words.
pub(super) const TRUTHS: [(&str, &str); 5] =
    [("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"), ("on", "off")];

pub(super) fn is_uuid(text: &str) -> bool {
    let bare = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
    bare.len() == 36
        && bare.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

pub(super) fn is_json(text: &str) -> bool {
    text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
