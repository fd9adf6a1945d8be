//! `holoload doctor`: is everything as a load needs it?

use clap::Args;

use super::style::{self, Paint};
use super::{Arguments, environment, print, sources};
use crate::aws::Aws;
use crate::doctor::{Examination, Status, Subject, examine};
use crate::error::{Class, Result};
use crate::object::ObjectRef;

#[derive(Args)]
pub(super) struct DoctorArguments {
    /// An object that would be loaded: `s3://bucket/key`, or a local path
    #[arg(value_name = "SOURCE")]
    source: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, said: &DoctorArguments) -> Result<Vec<Class>> {
    let object = said.source.as_deref().map(sources::one).transpose()?;
    let aws = arguments.aws().await;
    if said.json {
        return answer(arguments, &aws, object).await;
    }
    let examination = examined(arguments, &aws, object).await;
    print(&text(&examination))?;
    Ok(examination.classes())
}

/// The answer to the event, printed.
pub(super) async fn answer(
    arguments: &Arguments,
    aws: &Aws,
    object: Option<ObjectRef>,
) -> Result<Vec<Class>> {
    let examination = examined(arguments, aws, object).await;
    print(&format!("{:#}", examination.json()))?;
    Ok(examination.classes())
}

async fn examined(arguments: &Arguments, aws: &Aws, object: Option<ObjectRef>) -> Examination {
    let subject = Subject::new(aws, object).with_environment(environment(arguments));
    examine(&subject).await
}

/// A line for each check, below it what to do, at the end the sum.
fn text(examination: &Examination) -> String {
    let width = |text: fn(&crate::doctor::Check) -> &str| {
        examination.checks.iter().map(|check| text(check).len()).max().unwrap_or(0)
    };
    let (status, name) = (width(|check| check.status.name()), width(|check| check.name));
    let mut lines = Vec::new();
    for check in &examination.checks {
        let line = format!("{:status$}  {:name$}  {}", check.status.name(), check.name, check.found);
        lines.push(style::headline(&line));
        if let Some(hint) = &check.hint {
            lines.push(format!("{:status$}  {:name$}  hint: {hint}", "", ""));
        }
    }
    let counts = [Status::Fail, Status::Warn, Status::Ok, Status::Skipped]
        .map(|status| format!("{} {}", examination.count(status), status.name()));
    let verdict = examination.verdict().name();
    let verdict =
        Paint::of_status(verdict).map_or_else(|| verdict.to_owned(), |paint| style::out(paint, verdict));
    lines.push(format!("\n{verdict}: {}", counts.join(", ")));
    lines.join("\n")
}
