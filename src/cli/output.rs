//! Where what a command writes goes: stdout, or a file that was not there.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{print, text};
use crate::error::{Error, Result};

#[derive(Args)]
pub(super) struct OutputArguments {
    /// Write into this file, which must not be there
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, requires = "output")]
    force: bool,
}

impl OutputArguments {
    /// Text without its last line end.
    pub(super) fn write(&self, what: &str) -> Result<()> {
        let Some(path) = &self.output else { return print(what) };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        if !self.force {
            options.create_new(true);
        }
        let refuse = |source: std::io::Error| {
            let is_there = source.kind() == std::io::ErrorKind::AlreadyExists;
            let error = Error::config(format!("write `{}`", path.display())).with_source(source);
            if is_there { error.with_hint("use --force to write over it, or another name") } else { error }
        };
        let mut file = options.open(path).map_err(refuse)?;
        file.write_all(format!("{what}\n").as_bytes()).map_err(refuse)?;
        text::aside(&format!("wrote {}", path.display()));
        Ok(())
    }
}
