//! Fields without a column, kept as one JSON object.

use super::Reason;
use super::convert::Converter;
use crate::decode::Record;

/// The fields, and their names as JSON writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members(Vec<(Vec<u8>, usize)>);

impl Members {
    /// Members of these names, from the fields of these indices.
    pub fn new<'n>(fields: impl IntoIterator<Item = (&'n str, usize)>) -> Self {
        let member = |(name, field): (&str, usize)| {
            let mut text = Vec::with_capacity(name.len() + 3);
            append_string(name.as_bytes(), &mut text);
            text.push(b':');
            (text, field)
        };
        Self(fields.into_iter().map(member).collect())
    }

    /// Appends the object: strings, and null where `rules` say so.
    pub(super) fn append(
        &self,
        record: &Record<'_>,
        rules: &Converter,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        out.push(b'{');
        for (at, (name, field)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            match record.field(*field).and_then(|field| rules.text(field)) {
                None => out.extend_from_slice(b"null"),
                // As in any other column of text; its escape would be refused by `jsonb` alone.
                Some(text) if memchr::memchr(0, text).is_some() => return Err(Reason::NulByte),
                Some(text) => append_string(text, out),
            }
        }
        out.push(b'}');
        Ok(())
    }
}

/// Appends a text as JSON writes it; bytes that are not UTF-8 are left for the check of the whole.
fn append_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        let Some((byte, after)) = from.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            _ => {
                let [high, low] = [byte >> 4, byte & 0xF].map(|digit| HEX.get(usize::from(digit)).copied());
                out.extend_from_slice(br"\u00");
                out.extend(high.into_iter().chain(low));
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back_from_json() {
        let all: String = (1..=0x2FF_u32).filter_map(char::from_u32).collect();
        for text in ["", "a", "\"", "\\", "a\"b\\c\r\n\t\u{1f}", "日本", all.as_str()] {
            let mut json = Vec::new();
            append_string(text.as_bytes(), &mut json);
            assert_eq!(serde_json::from_slice::<String>(&json).expect("JSON"), text);
        }
    }
}
