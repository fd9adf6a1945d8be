//! When a name in a file is the name of a column.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::settings::HeaderMatch;

/// The form in which two names are the same if they are taken for the same.
///
/// Relaxed: NFKC (so that width and compatibility forms do not matter), no case, no blanks around, one blank for many.
pub(super) fn fold(name: &str, rule: HeaderMatch) -> Cow<'_, str> {
    match rule {
        HeaderMatch::Exact => Cow::Borrowed(name),
        HeaderMatch::Relaxed => Cow::Owned(relaxed(name)),
    }
}

fn relaxed(name: &str) -> String {
    // Upper case first: `ß` and `SS`, and all forms of sigma, come to the same.
    let folded = normal(name).to_uppercase().to_lowercase();
    let folded = normal(&folded);
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn normal(text: &str) -> String {
    match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        _ => text.nfkc().collect(),
    }
}

/// A name as messages show it: whole lines of data may stand where names are expected.
pub(super) fn shown(name: &str) -> String {
    const CHARS_MAX: usize = 64;
    name.chars().take(CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// Several of them, and how many more there are.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    const NAMES_MAX: usize = 20;
    let mut text = names
        .iter()
        .take(NAMES_MAX)
        .map(|name| format!("`{}`", shown(name.as_ref())))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > NAMES_MAX {
        text.push_str(&format!(" and {} more", names.len() - NAMES_MAX));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_together_that_look_alike() {
        for (left, right) in [
            ("Order_ID", "order_id"),
            ("ｏｒｄｅｒ＿ｉｄ", "order_id"),
            ("注文ＩＤ", "注文id"),
            ("ﾃﾞｰﾀ", "データ"),
            ("  Order\u{3000} Id\t", "order id"),
            ("STRASSE", "straße"),
            ("ΟΔΟΣ", "οδος"),
            ("Cafe\u{301}", "café"),
            ("①", "1"),
        ] {
            assert_eq!(fold(left, HeaderMatch::Relaxed), fold(right, HeaderMatch::Relaxed), "{left} {right}");
            assert_ne!(fold(left, HeaderMatch::Exact), fold(right, HeaderMatch::Exact), "{left} {right}");
        }
        for (left, right) in [("order_id", "orderid"), ("order id", "order_id"), ("か", "が"), ("ハ", "は")]
        {
            assert_ne!(fold(left, HeaderMatch::Relaxed), fold(right, HeaderMatch::Relaxed), "{left} {right}");
        }
    }
}
