//! `parse:` to the layout of delimited text: what was said must not contradict itself.

use crate::decode::csv::{Delimiter, Dialect, Escape, Marker, RecordEnd, StrayQuotes};
use crate::error::{Error, Result};
use crate::settings::{self, ParseSettings, Trim};

/// The dialect that `parse` describes.
///
/// # Errors
/// `Config` for marks that are no marks, or that could be taken for one another.
pub fn dialect(parse: &ParseSettings) -> Result<Dialect> {
    let quote = optional_byte(&parse.quote, "quote")?;
    let escape = match optional_byte(&parse.escape, "escape")? {
        Some(byte) if Some(byte) != quote => Escape::Byte(byte),
        _ => Escape::Doubled,
    };
    let delimiter = delimiter(parse)?;
    let comment = comment(&parse.comment)?;
    apart(delimiter, quote, escape, comment, parse.escape_unquoted)?;
    if parse.escape_unquoted && (escape == Escape::Doubled || delimiter.byte().is_none()) {
        return Err(Error::config(
            "`escape_unquoted` needs an `escape` that is not the quote, and a `delimiter` of one byte",
        )
        .with_hint("write `escape: '\\'`, or leave `escape_unquoted` out"));
    }
    Ok(Dialect {
        delimiter,
        quote,
        escape,
        skip_lines: parse.skip_lines,
        comment,
        record_end: match parse.record_end {
            settings::RecordEnd::Any => RecordEnd::Any,
            settings::RecordEnd::Lf => RecordEnd::Lf,
            settings::RecordEnd::Crlf => RecordEnd::Crlf,
            settings::RecordEnd::Cr => RecordEnd::Cr,
        },
        stray_quotes: match parse.stray_quotes {
            settings::StrayQuotes::Refuse => StrayQuotes::Refuse,
            settings::StrayQuotes::Accept => StrayQuotes::Accept,
        },
        passes_blanks: parse.trim != Trim::None,
        field_bytes_max: parse.field_bytes_max,
        escapes_unquoted: parse.escape_unquoted,
        keeps_empty_lines: parse.empty_lines == settings::EmptyLines::Record,
        drops_last_delimiter: parse.trailing_delimiter,
    })
}

fn delimiter(parse: &ParseSettings) -> Result<Delimiter> {
    let is_tabbed = parse.format == "tsv";
    let Some(said) = &parse.delimiter else {
        return Ok(Delimiter::from(if is_tabbed { b'\t' } else { b',' }));
    };
    if said == "auto" {
        return Err(Error::config("`delimiter: auto` is not known: a load guesses nothing").with_hint(
            "write the delimiter that `holoload guess` prints, or leave the key out for a comma",
        ));
    }
    let text = said.replace("\\t", "\t");
    if is_tabbed && text != "\t" {
        return Err(Error::config(
            "`format: tsv` has tabs between its fields, but `delimiter` says otherwise",
        )
        .with_hint("write `format: csv`, or leave `delimiter` out"));
    }
    let delimiter = Delimiter::new(text.as_bytes()).filter(|_| !text.contains('\0'));
    delimiter.ok_or_else(|| {
        Error::config("`delimiter` must be 1 to 8 bytes long, none of them NUL").with_hint(
            "write the characters that stand between two fields; a tab may be written `\\t`, and any character \
             as `\"\\x01\"`",
        )
    })
}

fn comment(text: &str) -> Result<Option<Marker>> {
    if text.is_empty() {
        return Ok(None);
    }
    let marker = Marker::new(text.as_bytes());
    marker.map(Some).ok_or_else(|| Error::config("`comment` must be at most 8 bytes long"))
}

/// No mark may be part of another one, or stand where another one is looked for.
fn apart(
    delimiter: Delimiter,
    quote: Option<u8>,
    escape: Escape,
    comment: Option<Marker>,
    escapes_unquoted: bool,
) -> Result<()> {
    let of_lines = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let is_in_delimiter = |byte: u8| delimiter.as_bytes().contains(&byte);
    let is_comment_s = |byte: u8| comment.is_some_and(|marker| marker.as_bytes().first() == Some(&byte));
    let escape = match escape {
        Escape::Byte(byte) if quote.is_some() || escapes_unquoted => Some(byte),
        Escape::Byte(_) | Escape::Doubled => None,
    };
    let clash = if delimiter.as_bytes().iter().any(of_lines) {
        Some(("delimiter", "the line ends"))
    } else if quote.iter().chain(&escape).any(of_lines) {
        Some(("quote` and `escape", "the line ends"))
    } else if comment.is_some_and(|marker| marker.as_bytes().iter().any(of_lines)) {
        Some(("comment", "the line ends"))
    } else if quote.is_some_and(is_in_delimiter) {
        Some(("delimiter", "`quote`"))
    } else if escape.is_some_and(is_in_delimiter) {
        Some(("delimiter", "`escape`"))
    } else if quote.is_some_and(is_comment_s) {
        Some(("comment", "`quote`"))
    } else if comment.is_some_and(|marker| delimiter.starts_with(marker) || marker.starts_with(delimiter)) {
        Some(("comment", "`delimiter`"))
    } else {
        None
    };
    match clash {
        None => Ok(()),
        Some((mark, other)) => Err(Error::config(format!("`{mark}` must differ from {other}")).with_hint(
            "each mark needs characters of its own; `quote: \"\"`, `escape: \"\"` and `comment: \"\"` do without one",
        )),
    }
}

fn optional_byte(text: &str, name: &str) -> Result<Option<u8>> {
    match text.as_bytes() {
        [] => Ok(None),
        [b'\\', b't'] => Ok(Some(b'\t')),
        [byte] if byte.is_ascii() && *byte != 0 => Ok(Some(*byte)),
        _ => Err(Error::config(format!("`{name}` must be one ASCII character (a tab may be written `\\t`)"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNQUOTED_NEEDS: &str =
        "`escape_unquoted` needs an `escape` that is not the quote, and a `delimiter` of one byte";

    fn said(change: impl FnOnce(&mut ParseSettings)) -> ParseSettings {
        let mut parse = ParseSettings::default();
        change(&mut parse);
        parse
    }

    fn delimiter_of(format: &str, delimiter: Option<&str>) -> Result<Vec<u8>> {
        let parse = said(|parse| {
            format.clone_into(&mut parse.format);
            parse.delimiter = delimiter.map(str::to_owned);
        });
        dialect(&parse).map(|dialect| dialect.delimiter.as_bytes().to_vec())
    }

    #[test]
    fn what_is_not_said_is_a_comma_or_a_tab() {
        assert_eq!(dialect(&ParseSettings::default()).expect("valid"), Dialect::default());
        assert_eq!(delimiter_of("auto", None).expect("valid"), b",");
        assert_eq!(delimiter_of("tsv", None).expect("valid"), b"\t");
        assert_eq!(delimiter_of("tsv", Some("\\t")).expect("valid"), b"\t");
        assert_eq!(delimiter_of("csv", Some("|\\t|")).expect("valid"), b"|\t|");
        assert_eq!(delimiter_of("csv", Some("、")).expect("valid"), "、".as_bytes());
    }

    #[test]
    fn delimiters_that_are_none_are_refused_with_a_way_out() {
        for (format, delimiter) in [
            ("csv", "auto"),
            ("csv", ""),
            ("csv", "123456789"),
            ("csv", "\0"),
            ("tsv", ","),
            ("csv", "\n"),
            ("csv", "a\""),
        ] {
            let error = delimiter_of(format, Some(delimiter)).expect_err(delimiter);
            assert!(error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn marks_that_could_be_taken_for_one_another_are_refused() {
        type Change = fn(&mut ParseSettings);
        let cases: [(&str, Change); 11] = [
            ("`delimiter` must differ from the line ends", |parse| parse.delimiter = Some("a\r".to_owned())),
            ("`quote` and `escape` must differ from the line ends", |parse| parse.quote = "\n".to_owned()),
            ("`comment` must differ from the line ends", |parse| parse.comment = "#\n".to_owned()),
            ("`delimiter` must differ from `quote`", |parse| parse.delimiter = Some("\"".to_owned())),
            ("`delimiter` must differ from `escape`", |parse| {
                parse.delimiter = Some("\\|".to_owned());
                parse.escape = "\\".to_owned();
            }),
            ("`delimiter` must differ from `escape`", |parse| {
                parse.quote = String::new();
                parse.delimiter = Some("\\".to_owned());
                parse.escape = "\\".to_owned();
                parse.escape_unquoted = true;
            }),
            (UNQUOTED_NEEDS, |parse| parse.escape_unquoted = true),
            (UNQUOTED_NEEDS, |parse| {
                parse.escape_unquoted = true;
                parse.escape = "\\".to_owned();
                parse.delimiter = Some("||".to_owned());
            }),
            ("`comment` must differ from `quote`", |parse| parse.comment = "\"#".to_owned()),
            ("`comment` must differ from `delimiter`", |parse| parse.comment = ",,".to_owned()),
            ("`quote` must be one ASCII character (a tab may be written `\\t`)", |parse| {
                parse.quote = "”".to_owned();
            }),
        ];
        for (message, change) in cases {
            let error = dialect(&said(change)).expect_err(message);
            assert_eq!(error.to_string(), message);
        }
        // Where nothing quotes, nothing escapes.
        let without = said(|parse| {
            parse.quote = String::new();
            parse.escape = "\\".to_owned();
            parse.delimiter = Some("\\".to_owned());
        });
        assert!(dialect(&without).is_ok());
    }
}
