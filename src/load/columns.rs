//! Columns of a Parquet file on their way into rows.

use super::intake::Intake;
use super::reader::packed_whole;
use crate::decode::parquet::{Bounds, Footer, ParquetDecoder, Wanted};
use crate::decode::{Decoder, Format};
use crate::error::{Error, Result};
use crate::inflate::Compression;

impl Intake<'_> {
    /// Goes on with the columns that the table takes.
    ///
    /// # Errors
    /// `Config` for columns that do not fit the table.
    pub(super) fn open_footer(&mut self, footer: Footer) -> Result<()> {
        let names: Vec<String> = footer.columns().into_iter().map(|column| column.name).collect();
        let picked = self.plan.by_columns(&names, |path| footer.column(path).is_some())?;
        let wanted: Vec<Wanted> = picked
            .columns
            .into_iter()
            .map(|column| Wanted { path: column.path, is_text: column.is_text })
            .collect();
        let bounds = Bounds {
            record_bytes_max: self.limits.record_bytes_max,
            pages_bytes_max: self.limits.pages_bytes_max,
        };
        let decoder = ParquetDecoder::new(footer, &wanted, bounds)?.resumed(self.row_count);
        self.take_layout(picked.layout)?;
        self.rejects.set_format(Format::Parquet);
        self.reader.read_columns(Decoder::Parquet(Box::new(decoder)));
        Ok(())
    }

    /// The error for an object that does not end as it should; what is compressed as a whole does not.
    pub(super) fn why_no_footer(&self, error: Error) -> Error {
        let name = self.facts.key.to_ascii_lowercase();
        let ends = [".gz", ".gzip", ".zst", ".zstd", ".bz2", ".bzip2"];
        let is_said = self.plan.route.packing.compression.flatten().is_some();
        if is_said || ends.iter().any(|end| name.ends_with(end)) {
            let by_name = Compression::ALL.into_iter().find(|one| name.ends_with(one.name()));
            return packed_whole(by_name).with_source(error);
        }
        error
    }
}
