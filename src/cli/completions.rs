//! `holoload completions`: what a shell needs to know.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Arguments, print};
use crate::error::{Class, Result};

#[derive(Args)]
pub(super) struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(said: &CompletionsArguments) -> Result<Vec<Class>> {
    let mut script = Vec::new();
    generate(said.shell, &mut Arguments::command(), "holoload", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Vec::new())
}
