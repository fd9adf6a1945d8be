//! The environment variables, and how they lie over the file.

use serde_json::{Map, Value, json};

use super::Variables;
use crate::error::{Error, Result, nearest};

/// Every variable that holoload reads, and the place in the file it stands for.
pub const VARIABLES: &[(&str, &str)] = &[
    ("HOLOLOAD_CONFIG", ""),
    ("HOLOLOAD_HOST", "target.host"),
    ("HOLOLOAD_PORT", "target.port"),
    ("HOLOLOAD_DATABASE", "target.database"),
    ("HOLOLOAD_USER", "target.user"),
    ("HOLOLOAD_PASSWORD", "target.password"),
    ("HOLOLOAD_SECRET", "target.secret"),
    ("HOLOLOAD_LOGIN", "target.login"),
    ("HOLOLOAD_REGION", "target.region"),
    ("HOLOLOAD_TLS", "target.tls"),
    ("HOLOLOAD_CA", "target.ca"),
    ("HOLOLOAD_TIMEZONE", "target.timezone"),
    ("HOLOLOAD_LEDGER", "ledger"),
    ("HOLOLOAD_REJECTS", "rejects"),
    ("HOLOLOAD_QUEUE", ""),
    ("HOLOLOAD_TABLE", "routes.table"),
    ("HOLOLOAD_WRITE_MODE", "routes.write.mode"),
    ("HOLOLOAD_BAD_ROWS_MAX", "routes.bad_rows.max"),
    ("HOLOLOAD_BAD_ROWS_MAX_PERCENT", "routes.bad_rows.max_percent"),
    ("HOLOLOAD_QUEUE", ""),
    ("HOLOLOAD_METRICS", ""),
    ("HOLOLOAD_S3_STYLE", ""),
];

/// The one route of a configuration that has none takes every object.
const ROUTE_OF_ALL: &str = "**";

/// A copy of the environment.
#[derive(Clone, Default)]
pub struct Environment(Variables);

impl Environment {
    /// A copy of the process's environment.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// An environment made of these variables.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The value of `name`; empty counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether Lambda's door prints metrics.
    ///
    /// # Errors
    /// `Config` for a word that is neither `on` nor `off`.
    pub fn metrics(&self) -> Result<bool> {
        match self.get("HOLOLOAD_METRICS") {
            None | Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(other) => {
                Err(Error::config(format!("HOLOLOAD_METRICS must be `on` or `off`, not `{other}`"))
                    .with_hint("`off` prints no metrics; without it they are printed"))
            }
        }
    }

    /// Refuses a style of S3 addresses that there is not.
    pub(super) fn check_s3_style(&self) -> Result<()> {
        match self.get("HOLOLOAD_S3_STYLE") {
            None | Some("path" | "virtual") => Ok(()),
            Some(other) => {
                Err(Error::config(format!("HOLOLOAD_S3_STYLE must be `path` or `virtual`, not `{other}`"))
                    .with_hint(
                        "`path`: https://host/bucket/key (MinIO); `virtual`: https://bucket.host/key (OSS)",
                    ))
            }
        }
    }

    /// ARN of the queue that takes what is too much for one invocation.
    ///
    /// # Errors
    /// `Config` for what is no ARN of such a queue.
    pub fn queue(&self) -> Result<Option<String>> {
        let Some(arn) = self.get("HOLOLOAD_QUEUE") else { return Ok(None) };
        let refuse = |hint: &str| {
            Err(Error::config(format!("HOLOLOAD_QUEUE (`--queue`) cannot be `{arn}`")).with_hint(hint))
        };
        let parts: Vec<&str> = arn.split(':').collect();
        if !matches!(parts[..], ["arn", _, "sqs", region, account, name] if ![region, account, name].contains(&""))
        {
            return refuse("write the queue's ARN: `arn:aws:sqs:region:account:name`");
        }
        if arn.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo") {
            return refuse("the function's queue is a standard one: S3 sends nothing to FIFO queues");
        }
        Ok(Some(arn.to_owned()))
    }

    /// Sets one variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn lay_over(&self, said: &mut Map<String, Value>, warnings: &mut Vec<String>) -> Result<()> {
        self.refuse_unknown()?;
        let has_routes =
            said.get("routes").is_some_and(|routes| routes.as_array().is_some_and(|all| !all.is_empty()));
        let mut route = Map::new();
        for (name, place) in VARIABLES {
            let Some(value) = self.get(name) else { continue };
            match place.split_once('.') {
                None if place.is_empty() => {}
                None => drop(said.insert((*place).to_owned(), value.into())),
                Some(("target", member)) => set_target(said, member, value),
                Some((_, _)) if has_routes => {
                    warnings.push(format!("{name} is ignored: the configuration has routes"));
                }
                Some((_, member)) => set_route(&mut route, name, member, value)?,
            }
        }
        if !has_routes && route.contains_key("table") {
            route.insert("object".to_owned(), ROUTE_OF_ALL.into());
            said.insert("routes".to_owned(), json!([route]));
        } else if let Some(member) = route.keys().next() {
            return Err(Error::config(format!("`{member}` is set by the environment, but no table is"))
                .with_hint("set HOLOLOAD_TABLE as well, or write routes in HOLOLOAD_CONFIG"));
        }
        Ok(())
    }

    fn refuse_unknown(&self) -> Result<()> {
        let known = || VARIABLES.iter().map(|(name, _)| *name);
        for name in self.0.keys() {
            let ours = name.starts_with("HOLOLOAD_") && !name.starts_with("HOLOLOAD_TEST_");
            if ours && !known().any(|one| one == name) {
                let hint = match nearest(name, known()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
                };
                return Err(
                    Error::config(format!("the environment variable {name} is not known")).with_hint(hint)
                );
            }
        }
        Ok(())
    }
}

fn set_target(said: &mut Map<String, Value>, member: &str, value: &str) {
    let target = said.entry("target").or_insert_with(|| json!({}));
    if let Some(target) = target.as_object_mut() {
        // The one that is set in the environment replaces the other one of the file.
        match member {
            "password" => drop(target.remove("secret")),
            "secret" => drop(target.remove("password")),
            _ => {}
        }
        target.insert(member.to_owned(), value.into());
    }
}

fn set_route(route: &mut Map<String, Value>, name: &str, member: &str, value: &str) -> Result<()> {
    match member.split_once('.') {
        None => drop(route.insert(member.to_owned(), value.into())),
        Some((group, inner)) => {
            let value = if group == "bad_rows" { number(name, value)? } else { value.into() };
            let group = route.entry(group).or_insert_with(|| json!({}));
            if let Some(group) = group.as_object_mut() {
                group.insert(inner.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn number(name: &str, text: &str) -> Result<Value> {
    let whole = text.parse::<u64>().ok().map(Value::from);
    let number =
        whole.or_else(|| text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from));
    number.ok_or_else(|| Error::config(format!("{name} must be a number")))
}
