//! What an intake needs next, from wherever it is in the object: the next chunk, or the part that a columnar file names.

#[cfg(feature = "parquet")]
use std::ops::Range;

use super::intake::Intake;
use crate::aws::Aws;
use crate::decode::Format;
use crate::error::Result;
use crate::object::body::ObjectBody;
use crate::object::{ObjectRef, ObjectVersion};
use crate::plan::Route;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Whatever comes next.
    Chunk,
    /// The end of the file, which says what is in it.
    Footer,
    /// These bytes.
    #[cfg(feature = "parquet")]
    Part(Range<u64>),
}

/// Opens an object as its format is read, as far as that is known: from a byte on, or from its end.
pub(super) async fn open(
    aws: Option<&Aws>,
    object: &ObjectRef,
    version: &ObjectVersion,
    route: &Route,
    from: u64,
) -> Result<ObjectBody> {
    if from == 0
        && cfg!(feature = "parquet")
        && Format::before(route.format, &object.key, None) == Some(Format::Parquet)
    {
        return ObjectBody::open_in_parts(aws, object, version, TAIL_BYTES).await;
    }
    ObjectBody::open_at(aws, object, version, from).await
}

/// Reads what is due, and gives it.
pub(super) async fn bring(body: &mut ObjectBody, intake: &mut Intake<'_>) -> Result<()> {
    match intake.due() {
        Due::Chunk => match body.next().await? {
            Some(chunk) => intake.push(chunk),
            None => intake.finish(),
        },
        #[cfg(feature = "parquet")]
        Due::Part(range) => {
            let bytes = body.part(range).await?;
            intake.push(bytes)
        }
        Due::Footer => read_footer(body, intake).await,
    }
}

#[cfg(feature = "parquet")]
use crate::decode::parquet::TAIL_BYTES;
#[cfg(not(feature = "parquet"))]
const TAIL_BYTES: u64 = 0;

#[cfg(not(feature = "parquet"))]
fn read_footer(_: &mut ObjectBody, _: &mut Intake<'_>) -> impl Future<Output = Result<()>> {
    std::future::ready(Err(super::reader::no_parquet()))
}

#[cfg(feature = "parquet")]
async fn read_footer(body: &mut ObjectBody, intake: &mut Intake<'_>) -> Result<()> {
    use crate::decode::parquet::{Footer, Tail};
    use crate::error::Error;

    // Of standard input the size is not known: it is refused when a part of it is read.
    let size = body.version.size.unwrap_or(0);
    let tail = body.part(size.saturating_sub(TAIL_BYTES)..size).await?;
    // Parsed it takes several times its bytes.
    let bytes_max = intake.limits.record_bytes_max as u64;
    let footer =
        match Footer::read_within(size, &tail, bytes_max).map_err(|error| intake.why_no_footer(error))? {
            Tail::Footer(footer) => footer,
            Tail::Wants(range) => {
                let tail = body.part(range).await?;
                match Footer::read_within(size, &tail, bytes_max)? {
                    Tail::Footer(footer) => footer,
                    Tail::Wants(_) => return Err(Error::bug("read a Parquet file's footer")),
                }
            }
        };
    intake.open_footer(footer)
}
