//! What an object's text is packed in, where the settings say it.

use crate::charset::Charset;
use crate::error::Result;
use crate::inflate::Compression;

/// Charset and compression of a route's objects; what is `None` their first bytes tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// The charset.
    pub charset: Option<Charset>,
    /// The compression, or none at all.
    pub compression: Option<Option<Compression>>,
}

impl Packing {
    /// What was said.
    ///
    /// # Errors
    /// `Config` for names that mean nothing.
    pub(super) fn new(charset: &str, compression: &str) -> Result<Self> {
        // Which of the two UTF-16 a file is in its byte-order mark says, or its line ends.
        let is_told = charset.eq_ignore_ascii_case("auto") || charset.eq_ignore_ascii_case("utf-16");
        let known: Vec<&str> =
            ["auto", "none"].into_iter().chain(Compression::ALL.map(Compression::name)).collect();
        super::only(compression, &known, "compression")?;
        let named = Compression::ALL.into_iter().find(|one| one.name() == compression);
        Ok(Self {
            charset: if is_told { None } else { Some(Charset::named(charset)?) },
            compression: if compression == "auto" { None } else { Some(named) },
        })
    }
}
