//! Is everything as a load needs it? Each line says ok, warn or fail, and what to change.
//!
//! A check that fails does not stop the others; what cannot end well without it is skipped and says so. Nothing is
//! written but one empty object at the rejects address, since no other question tells whether rejects can be kept.
//! Every wait is bounded, and so is their sum.

use std::time::Instant;

use futures_util::FutureExt;

use crate::aws::Aws;
use crate::context;
use crate::object::ObjectRef;
use crate::settings::{Environment, PasswordSource};

mod check;
mod clock;
mod cloud;
mod link;
mod rights;
mod said;
mod storage;
mod target;
mod time;

pub use check::{Check, Examination, Status};
use said::Said;
use time::Time;

/// Set where the handler runs in Lambda.
const FUNCTION: &str = "AWS_LAMBDA_FUNCTION_NAME";

/// What is to be looked at.
pub struct Subject<'a> {
    aws: &'a Aws,
    environment: Environment,
    object: Option<ObjectRef>,
    started: Instant,
    /// When the invocation will be cut off.
    deadline: Option<Instant>,
}

impl<'a> Subject<'a> {
    /// This process as it is set up, and an object that it would load.
    pub fn new(aws: &'a Aws, object: Option<ObjectRef>) -> Self {
        let environment = Environment::of_process();
        Self { aws, environment, object, started: Instant::now(), deadline: None }
    }

    /// The same with another environment.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The same inside of an invocation.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    fn is_in_lambda(&self) -> bool {
        self.environment.get(FUNCTION).is_some()
    }

    /// What Lambda gives an invocation: nearly all of it was left when this began.
    fn function_timeout_s(&self) -> Option<u64> {
        let given = self.deadline?.saturating_duration_since(self.started);
        Some(given.as_secs() + u64::from(given.subsec_nanos() > 0))
    }
}

/// Looks at everything.
pub async fn examine(subject: &Subject<'_>) -> Examination {
    let time = Time::until(subject.deadline);
    let reading = context::settings(&subject.environment, Some(subject.aws));
    let read = time.within("read the configuration", "is S3 reached?", reading).boxed().await;
    let said = Said::new(read, subject);
    let account = cloud::identity(subject, &said, &time).boxed().await;
    let (secret, queue, storage) = futures_util::join!(
        cloud::secret(subject, &said, &account, &time).boxed(),
        cloud::queue(subject, &account, &time).boxed(),
        storage::checks(subject, &said, &account, &time).boxed(),
    );
    let link = link::checks(&said, &secret, &time).boxed().await;

    let skews = [("AWS", account.skew_s), ("S3", storage.skew_s), ("the database", link.skew_s)];
    let mut checks = said.checks;
    checks.push(said::environment(subject));
    checks.push(account.check);
    checks.push(secret.check);
    checks.push(queue);
    checks.extend(storage.checks);
    checks.extend(link.checks);
    checks.push(clock::check(&skews));
    Examination { checks }
}

/// Whether the password is kept elsewhere.
fn secret_id(said: &Said) -> Option<&str> {
    match &said.settings.as_ref()?.target.as_ref()?.password {
        PasswordSource::SecretsManager(id) => Some(id),
        PasswordSource::Given(_) | PasswordSource::None => None,
    }
}
