//! `holoload invoke`: one event handled as Lambda would.

use serde_json::Value;

use super::{Arguments, MEMORY_MIB, doctor, print, settings_with};
use crate::context::Context;
use crate::error::{Class, Error, Result};
use crate::event::{self, Event};
use crate::handler::{Answer, handle};
use crate::load::Invocation;
use crate::plan::Limits;

/// An event file is a few kilobytes; Lambda takes 6 MB.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

pub(super) async fn run(arguments: &Arguments, path: &std::path::Path) -> Result<Vec<Class>> {
    let payload = read_event(path)?;
    let aws = arguments.aws().await;
    // Settings that cannot work are what it is asked about.
    if let Ok(Event::Doctor(object)) = event::parse(&payload) {
        return doctor::answer(arguments, &aws, object).await;
    }
    let settings = settings_with(arguments, None, &aws).await?;
    let mut context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
    let answer = handle(&mut context, &payload, &Invocation::default()).await;
    context.discard().await;
    match answer {
        Answer::Done { body, classes } => {
            print(&format!("{body:#}"))?;
            Ok(classes)
        }
        Answer::Failed { class, message, classes } => {
            let body = serde_json::json!({"errorType": class.name(), "errorMessage": message});
            print(&format!("{body:#}"))?;
            Ok(classes)
        }
    }
}

fn read_event(path: &std::path::Path) -> Result<Value> {
    let refuse = |source: std::io::Error| {
        Error::config(format!("read the event `{}`", path.display())).with_source(source)
    };
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map_err(refuse)?;
        bytes
    } else {
        std::fs::read(path).map_err(refuse)?
    };
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(Error::config(format!(
            "the event is larger than {EVENT_BYTES_MAX} bytes, more than Lambda takes"
        )));
    }
    // What is not JSON is answered as Lambda's door answers it.
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String("not JSON".to_owned())))
}
