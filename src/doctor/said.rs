//! The settings, and the process's surroundings.

use std::sync::Arc;

use super::{Check, FUNCTION, Subject};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::object::ObjectRef;
use crate::plan::{Destination, Limits, Planner, Route};
use crate::reject::Place;
use crate::settings::Settings;

/// Tables that are looked at where no object says which one.
const TABLES_MAX: usize = 20;
/// Below this a batch and a record take more than half of the memory.
const MEMORY_MIN_MIB: u64 = 256;
/// What limits are made of here; nothing is loaded.
const MEMORY_MIB: u64 = 1024;

/// What the settings say, as far as they could be understood.
pub(super) struct Said {
    pub(super) settings: Option<Settings>,
    pub(super) ledger: Option<Ledger>,
    pub(super) rejects: Option<Place>,
    /// Of the tables that are meant, one route each.
    pub(super) routes: Vec<Arc<Route>>,
    /// Why there is none.
    pub(super) no_route: &'static str,
    /// What was found.
    pub(super) checks: Vec<Check>,
}

impl Said {
    pub(super) fn new(read: Result<Settings>, subject: &Subject<'_>) -> Self {
        let none = |check| Self {
            settings: None,
            ledger: None,
            rejects: None,
            routes: Vec::new(),
            no_route: "because `settings` failed",
            checks: vec![check, Check::because("route", "settings")],
        };
        let settings = match read.and_then(|settings| settings.target().map(drop).map(|()| settings)) {
            Ok(settings) => settings,
            Err(error) => return none(Check::failed("settings", &error)),
        };
        let ledger = settings.ledger.as_deref().map(Ledger::new).transpose();
        let rejects = settings.rejects.as_deref().map(Place::parse).transpose();
        let planner = Planner::new(&settings, Limits::for_memory(MEMORY_MIB));
        let errors = [ledger.as_ref().err(), rejects.as_ref().err(), planner.as_ref().err()];
        let rejects_at = rejects.as_ref().ok().and_then(Option::as_ref);
        let check = match errors.into_iter().flatten().next() {
            Some(error) => Check::failed("settings", error),
            None => check(&settings, rejects_at, subject.is_in_lambda()),
        };
        let mut checks = vec![check];
        let (routes, no_route) = match planner {
            Ok(planner) => {
                let (routes, check) = routes(&planner, subject.object.as_ref(), rejects_at);
                checks.push(check);
                let is_open = planner.routes().iter().any(|route| !route.has_one_table());
                let open = "because the objects' keys say which: name an object";
                (routes, if is_open { open } else { "because no route says which" })
            }
            Err(_) => {
                checks.push(Check::because("route", "settings"));
                (Vec::new(), "because `settings` failed")
            }
        };
        let (ledger, rejects) = (ledger.ok().flatten(), rejects.ok().flatten());
        Self { settings: Some(settings), ledger, rejects, routes, no_route, checks }
    }

    /// The bucket that is meant: of the object, or of the first route that names one.
    pub(super) fn bucket(&self, object: Option<&ObjectRef>) -> Option<String> {
        if let Some(object) = object {
            return object.is_s3().then(|| object.bucket.clone());
        }
        let mut routes = self.settings.iter().flat_map(|settings| &settings.routes);
        routes.find_map(|route| bucket_of(&route.object))
    }

    /// Whether anything that was said needs AWS.
    pub(super) fn needs_aws(&self, subject: &Subject<'_>) -> bool {
        self.bucket(subject.object.as_ref()).is_some()
            || matches!(self.rejects, Some(Place::S3 { .. }))
            || super::secret_id(self).is_some()
            || subject.is_in_lambda()
            || ["HOLOLOAD_QUEUE", "HOLOLOAD_CONFIG"].iter().any(|name| {
                let value = subject.environment.get(name).unwrap_or_default();
                value.starts_with("s3://") || value.starts_with("arn:")
            })
    }
}

/// `s3://bucket/…`, if no glob stands in the bucket's place.
fn bucket_of(glob: &str) -> Option<String> {
    let (bucket, _) = glob.strip_prefix("s3://")?.split_once('/')?;
    let is_plain = !bucket.is_empty() && !bucket.contains(['*', '?', '{', '[']);
    is_plain.then(|| bucket.to_owned())
}

fn check(settings: &Settings, rejects: Option<&Place>, is_in_lambda: bool) -> Check {
    const NAME: &str = "settings";
    if let Some(Err(error)) = rejects.filter(|_| is_in_lambda).map(Place::outlives_function) {
        return Check::failed(NAME, &error);
    }
    let target = settings.target.as_ref();
    let target = target.map(|to| format!("`{}` on {}:{}", to.database, to.host, to.port)).unwrap_or_default();
    let ledger = settings.ledger.as_deref().unwrap_or("off");
    let rejects = settings.rejects.as_deref().unwrap_or("nowhere");
    let found = format!("{target}, ledger {ledger}, rejects {rejects}");
    if settings.warnings.is_empty() {
        return Check::ok(NAME, found);
    }
    let hint = "say it in the configuration's routes, or unset the variable";
    Check::warn(NAME, format!("{found}; {}", settings.warnings.join("; ")), hint)
}

/// The routes that are meant, and what is to be said of them.
fn routes(
    planner: &Planner,
    object: Option<&ObjectRef>,
    rejects: Option<&Place>,
) -> (Vec<Arc<Route>>, Check) {
    const NAME: &str = "route";
    if planner.is_empty() {
        let error = Error::config("no table is named").with_hint("set HOLOLOAD_TABLE, or write `routes:`");
        return (Vec::new(), Check::failed(NAME, &error));
    }
    let Some(object) = object else {
        let mut routes: Vec<Arc<Route>> = Vec::new();
        for route in planner.routes() {
            if route.has_one_table() && !routes.iter().any(|one| one.table == route.table) {
                routes.push(Arc::clone(route));
            }
        }
        let count = routes.len();
        routes.truncate(TABLES_MAX);
        let names: Vec<String> = planner.routes().iter().take(3).map(|route| described(route)).collect();
        let more = planner.routes().len().saturating_sub(names.len());
        let mut found = names.join("; ");
        if more > 0 {
            found.push_str(&format!("; {more} more"));
        }
        if count > TABLES_MAX {
            found.push_str(&format!("; of {count} tables the first {TABLES_MAX} are looked at"));
        }
        return (routes, Check::ok(NAME, found));
    };
    if rejects.is_some_and(|place| place.holds(object)) {
        let hint = "fix a copy of it and put that under a prefix that is loaded";
        return (Vec::new(), Check::warn(NAME, "a reject object of our own is not loaded", hint));
    }
    match planner.destination(object) {
        Ok(Destination::Route(route)) => {
            let check = Check::ok(NAME, described(&route));
            (vec![route], check)
        }
        Ok(Destination::Ignored(reason)) => {
            let hint =
                "add a route whose `object:` matches it, the first that does wins; or set `unmatched: fail`";
            (Vec::new(), Check::warn(NAME, format!("`{object}` is ignored: {reason}"), hint))
        }
        Err(error) => (Vec::new(), Check::failed(NAME, &error)),
    }
}

fn described(route: &Route) -> String {
    format!("`{}` -> {} ({})", route.glob(), route.table, route.mode_name())
}

/// Memory, and what sends requests elsewhere.
pub(super) fn environment(subject: &Subject<'_>) -> Check {
    const NAME: &str = "environment";
    let of = |name| subject.environment.get(name);
    let mut found = format!("holoload {} on {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let memory = of("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|size| size.parse::<u64>().ok());
    if let Some(function) = of(FUNCTION) {
        found.push_str(&format!(", function {function}"));
    }
    if let Some(mib) = memory {
        found.push_str(&format!(", {mib} MiB"));
    }
    let redirected: Vec<&str> = REDIRECTING.iter().copied().filter(|name| of(name).is_some()).collect();
    if !redirected.is_empty() {
        let hint = format!("unset {}, unless this is meant to be a test", redirected.join(", "));
        return Check::warn(NAME, format!("{found}; AWS is replaced by {}", redirected.join(", ")), hint);
    }
    if let Some(mib) = memory.filter(|mib| *mib < MEMORY_MIN_MIB) {
        let hint = format!("give the function {MEMORY_MIN_MIB} MiB or more: memory also buys CPU");
        return Check::warn(NAME, format!("{found}; {mib} MiB are little"), hint);
    }
    Check::ok(NAME, found)
}

/// Variables that send requests to something else than AWS.
const REDIRECTING: &[&str] = &[
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_LAMBDA",
];

#[cfg(test)]
mod tests {
    use super::bucket_of;

    #[test]
    fn buckets_are_taken_from_globs_that_name_one() {
        assert_eq!(bucket_of("s3://in/**/*.csv").as_deref(), Some("in"));
        for glob in ["**", "s3://*/a.csv", "s3://{a,b}/x", "/data/*.csv", "s3://in"] {
            assert_eq!(bucket_of(glob), None, "{glob}");
        }
    }
}
