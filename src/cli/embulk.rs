//! `holoload import-embulk`: an Embulk file as a configuration of ours.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::style::{self, Paint};
use super::{Arguments, output, print, text};
use crate::embulk::{Note, NoteKind, import};
use crate::error::{Class, Error, Result};

/// A configuration is a page or two.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Args)]
pub(super) struct ImportArguments {
    /// The Embulk file, `-` for standard input
    #[arg(value_name = "FILE.yml")]
    file: PathBuf,
    #[command(flatten)]
    output: output::OutputArguments,
    /// Print JSON: the configuration and the notes
    #[arg(long)]
    json: bool,
}

pub(super) fn run(_: &Arguments, said: &ImportArguments) -> Result<Vec<Class>> {
    let imported = import(&read(&said.file)?)?;
    if said.json {
        let notes: Vec<_> = imported.notes.iter().map(Note::json).collect();
        print(&format!("{:#}", json!({"yaml": imported.yaml, "notes": notes})))?;
        return Ok(Vec::new());
    }
    said.output.write(imported.yaml.trim_end())?;
    for note in &imported.notes {
        let paint = if note.kind == NoteKind::ToDo { Paint::Warn } else { Paint::Faint };
        let line = note.line();
        let rest = line.strip_prefix(note.kind.name()).unwrap_or(&line);
        text::aside(&format!("{}{rest}", style::err(paint, note.kind.name())));
    }
    Ok(Vec::new())
}

fn read(file: &std::path::Path) -> Result<String> {
    let refuse =
        |source| Error::config(format!("read the Embulk file `{}`", file.display())).with_source(source);
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
    };
    read.map_err(refuse)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::config(format!("read the Embulk file: it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}
