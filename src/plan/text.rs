//! Which format a route's objects are in, as far as it is said.

use super::dialect::dialect;
use crate::decode::Format;
use crate::decode::csv::Dialect;
use crate::error::{Error, Result};
use crate::settings::ParseSettings;

/// What was said; `auto` says nothing.
///
/// # Errors
/// `Config` for words that are no format, and for options that the format has no use for.
pub(super) fn format(parse: &ParseSettings) -> Result<Option<Format>> {
    let known: Vec<&str> = ["auto"].into_iter().chain(Format::ALL.map(Format::name)).collect();
    super::only(&parse.format, &known, "format")?;
    let format = Format::named(&parse.format);
    if !parse.root.is_empty() && format.is_some_and(|format| format != Format::Json) {
        return Err(Error::config(format!(
            "`root: {}` does not go with `format: {}`",
            parse.root, parse.format
        ))
        .with_hint("only a JSON document has a root: `format: json`"));
    }
    let is_text = format.is_none_or(|format| matches!(format, Format::Csv | Format::Tsv));
    let option = [("skip_lines", parse.skip_lines > 0), ("comment", !parse.comment.is_empty())];
    if let Some((name, _)) = option.iter().find(|(_, is_said)| *is_said && !is_text) {
        return Err(Error::config(format!("`{name}` does not go with `format: {}`", parse.format))
            .with_hint(format!("`{name}` is about lines of delimited text: leave it out")));
    }
    Ok(format)
}

/// The dialect of objects whose name or content type says that tabs stand between fields. What was said of the
/// delimiter counts for more.
pub(super) fn tabbed(parse: &ParseSettings) -> Result<Dialect> {
    if parse.delimiter.is_some() {
        return dialect(parse);
    }
    // A mark that is a tab itself may be right for the route's other objects.
    let tabbed = dialect(&ParseSettings { format: "tsv".to_owned(), ..parse.clone() });
    tabbed.or_else(|_| dialect(parse))
}
