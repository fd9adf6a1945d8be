//! The door for AWS: the Runtime API, logging, and a context that stays warm.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::tower::Service;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::aws::Aws;
use crate::context::{self, Context};
use crate::error::{Error, Result};
use crate::handler::{Answer, handle, refusal, refuse};
use crate::load::Invocation;
use crate::metrics::{self, Origin};
use crate::plan::Limits;
use crate::reject::Place;
use crate::report::Report;
use crate::settings::Environment;

/// Lambda's smallest memory, where the environment does not say.
const MEMORY_MIB_DEFAULT: u64 = 128;

/// Serves invocations until the process is ended.
///
/// # Errors
/// Of the Runtime API. Settings that cannot work are answered to each invocation, where people see them.
pub async fn run() -> std::result::Result<(), lambda_runtime::Error> {
    start_logging();
    let aws = Aws::from_environment().await;
    let context = match start(&aws).await {
        Ok(context) => Some(context),
        Err(error) => {
            tracing::error!(error = %error, error_class = error.class().name(), hint = error.hint(), "start failed");
            None
        }
    };
    let context = Mutex::new(context);
    let metrics = Metrics::start(&Environment::of_process());
    let (aws, context, metrics) = (&aws, &context, &metrics);
    let service = service_fn(move |event: LambdaEvent<Value>| async move {
        let answer = invoke(aws, context, metrics, event).await;
        metrics.end();
        answer
    });
    Runtime::new(service).layer(lambda_runtime::tower::layer::layer_fn(AnyPayload)).run().await
}

async fn start(aws: &Aws) -> Result<Context> {
    let environment = Environment::of_process();
    environment.metrics()?;
    let settings = context::settings(&environment, Some(aws)).await?;
    let memory_mib = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|size| size.parse().ok());
    let limits = Limits::for_memory(memory_mib.unwrap_or(MEMORY_MIB_DEFAULT));
    let context = Context::start(&settings, Some(aws.clone()), limits).await?;
    context.rejects.as_ref().map_or(Ok(()), Place::outlives_function)?;
    Ok(context)
}

async fn invoke(
    aws: &Aws,
    warm: &Mutex<Option<Context>>,
    metrics: &Metrics,
    event: LambdaEvent<Value>,
) -> std::result::Result<Value, Diagnostic> {
    let (payload, of_lambda) = event.into_parts();
    let tell = |report: &Report| metrics.tell(report);
    let invocation = Invocation {
        deadline: Some(instant(of_lambda.deadline())),
        request_id: Some(&of_lambda.request_id),
        function_arn: Some(&of_lambda.invoked_function_arn),
        progress: None,
        on_report: Some(&tell),
    };
    let mut warm = warm.lock().await;
    if warm.is_none() {
        // What went wrong at the start may have been put right: an unreadable configuration, a missing permission.
        let starting = tokio::time::timeout(invocation.exit_limit(), start(aws));
        let late =
            |_| Err(Error::transient("start: no time is left").with_hint("give the function more time"));
        match starting.await.unwrap_or_else(late) {
            Ok(context) => *warm = Some(context),
            Err(error) => return answer(refuse(aws, &payload, &error, &invocation).await),
        }
    }
    let Some(context) = warm.as_mut() else { return answer(refusal(&Error::bug("keep the context"))) };
    answer(handle(context, &payload, &invocation).await)
}

/// Lines on standard output from which `CloudWatch` makes metrics.
struct Metrics {
    /// None where nobody wants any.
    function: Option<String>,
    /// Nothing has been told yet.
    is_cold: AtomicBool,
}

impl Metrics {
    fn start(environment: &Environment) -> Self {
        let function = environment.get("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("holoload").to_owned();
        let is_wanted = environment.metrics().unwrap_or(true);
        Self { function: is_wanted.then_some(function), is_cold: AtomicBool::new(true) }
    }

    fn tell(&self, report: &Report) {
        let Some(function) = &self.function else { return };
        let is_cold = self.is_cold.load(Ordering::Relaxed);
        if let Some(document) = metrics::of_report(report, origin(function, is_cold)) {
            self.is_cold.store(false, Ordering::Relaxed);
            print(&document);
        }
    }

    /// A first invocation without an object was a cold start all the same.
    fn end(&self) {
        let Some(function) = &self.function else { return };
        if self.is_cold.swap(false, Ordering::Relaxed) {
            print(&metrics::of_start(origin(function, true)));
        }
    }
}

fn origin(function: &str, is_cold: bool) -> Origin<'_> {
    Origin { function, now_ms: jiff::Timestamp::now().as_millisecond(), is_cold }
}

/// In one piece, so that it stays a line of its own among those of the log; a log that is closed is no reason to fail.
fn print(document: &str) {
    drop(std::io::stdout().lock().write_all(format!("{document}\n").as_bytes()));
}

fn answer(answer: Answer) -> std::result::Result<Value, Diagnostic> {
    match answer {
        Answer::Done { body, .. } => Ok(body),
        Answer::Failed { class, message, .. } => {
            Err(Diagnostic { error_type: class.name().to_owned(), error_message: message })
        }
    }
}

fn instant(deadline: SystemTime) -> Instant {
    Instant::now() + deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
}

/// JSON lines unless text is asked for; `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT` as Lambda sets them.
fn start_logging() {
    let of = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let level = of("AWS_LAMBDA_LOG_LEVEL").unwrap_or_else(|| "info".to_owned()).to_lowercase();
    // Lambda says FATAL where tracing has nothing above error.
    let level = if level == "fatal" { "error".to_owned() } else { level };
    // The runtime would log every error answer once more, whole; of a panic our own hook tells.
    let quiet = "lambda_runtime::layers::panic=off";
    let filter = of("RUST_LOG").unwrap_or_else(|| format!("warn,{quiet},holoload={level}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_target(false)
        .with_ansi(false);
    // A second start in one process keeps the first subscriber.
    let started = if of("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("text")) {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    drop(started);
    // The text of a panic may quote a value; its place may not.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// A payload that is not JSON is handed on as a JSON text, so that it is answered like any other unknown one.
struct AnyPayload<S>(S);

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for AnyPayload<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::result::Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        // As the runtime reads it: what merely skips over a text takes half a character for a whole one.
        if serde_json::from_slice::<Value>(&invocation.body).is_err() {
            invocation.body = bytes::Bytes::from_static(b"\"not JSON\"");
        }
        self.0.call(invocation)
    }
}
