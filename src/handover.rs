//! From one invocation to the next: a load that did not get to the object's end is handed on, through the queue that
//! delivered it or by invoking the function again.

use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::event::continuation;
use crate::load::Invocation;
use crate::object::{ObjectRef, ObjectVersion, Request};
use crate::report::{Report, Resume};

/// How often one load is handed on. Lambda's own guard against functions that invoke themselves is to be off
/// (`RecursiveLoop: Allow`): this stands in for it. Invocations of 15 minutes are ten days by then.
pub const CONTINUE_MAX: u32 = 1_000;

/// Who takes a load on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Whoever receives from this queue (ARN).
    Queue(&'a str),
    /// This function (ARN), invoked asynchronously.
    Function(&'a str),
}

/// Hands on a load that is `continued`. What keeps it from that becomes the report's error: the same delivery then comes
/// again, and goes on where this one stopped.
pub async fn hand_on(
    aws: Option<&Aws>,
    request: &Request,
    next: Next<'_>,
    invocation: &Invocation<'_>,
    report: &mut Report,
) {
    let Some(resume) = report.resume else { return };
    let (Some(aws), read) = (aws, read(report)) else { return };
    let handed_on = async {
        let hop = hop(request, resume)?;
        // Under the key by which the object was found, which may not be the first that the event can be read as.
        let object = ObjectRef { bucket: report.bucket.clone(), key: report.key.clone() };
        let payload = continuation(request, &object, &read, hop, resume.offset).to_string();
        match next {
            Next::Queue(arn) => aws.send_message(arn, payload).await,
            Next::Function(arn) => aws.invoke_function(arn, payload).await,
        }
    };
    let late = |_| {
        Err(Error::transient("hand the load on: no time is left")
            .with_hint("is AWS reached from the function's network?"))
    };
    if let Err(error) = tokio::time::timeout(invocation.exit_limit(), handed_on).await.unwrap_or_else(late) {
        report.error = Some((&error).into());
    }
}

fn read(report: &Report) -> ObjectVersion {
    ObjectVersion {
        version_id: report.version_id.clone(),
        etag: report.etag.clone(),
        ..ObjectVersion::default()
    }
}

/// The number of the next invocation. One that found the settings or the table changed began at the beginning, and may not
/// have come as far as the one before it.
fn hop(request: &Request, resume: Resume) -> Result<u32> {
    if resume.offset <= resume.from {
        return Err(Error::bug(format!("hand the load on: it is still at byte {}", resume.offset))
            .with_hint("please report this with the ledger's lines of the object"));
    }
    let Some(last) = request.continuation else { return Ok(1) };
    if last.hop >= CONTINUE_MAX {
        return Err(Error::config(format!("hand the load on: that was done {CONTINUE_MAX} times"))
            .with_hint("give the function more time or memory, or split the object; loading it again goes on where it is"));
    }
    Ok(last.hop + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Continuation;

    #[test]
    fn loads_are_handed_on_so_often_and_only_further() {
        let after = |hop, offset| Request {
            continuation: Some(Continuation { hop, offset }),
            ..Request::manual(ObjectRef::default())
        };
        let at = |from, offset| Resume { offset, record: 1, from };
        assert_eq!(hop(&Request::manual(ObjectRef::default()), at(0, 5)).ok(), Some(1));
        assert_eq!(hop(&after(7, 5), at(5, 6)).ok(), Some(8));
        assert!(hop(&after(7, 5), at(5, 5)).is_err());
        assert_eq!(hop(&after(7, 5), at(0, 4)).ok(), Some(8), "from the beginning");
        assert_eq!(hop(&after(CONTINUE_MAX - 1, 5), at(5, 6)).ok(), Some(CONTINUE_MAX));
        assert!(hop(&after(CONTINUE_MAX, 5), at(5, 6)).is_err());
    }
}
