//! `in:`: which objects are read, and with what credentials.

use serde_json::Value;

use super::parser::{self, Parser};
use super::{Notes, Section};
use crate::error::Result;

/// What the input says.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    /// The glob over objects.
    pub(super) object: String,
    /// Compressions that decoders name.
    pub(super) compression: Option<&'static str>,
    pub(super) parser: Parser,
}

const RETRIES: &str =
    "because retries are bounded here and told apart: what may go away is tried again, what cannot is not";
const LEDGER: &str =
    "because the ledger knows what was loaded, by version; nothing is missed that comes late";

pub(super) fn read(mut input: Section, notes: &mut Notes) -> Result<Input> {
    let kind = input.text("type");
    let object = match kind.as_deref() {
        Some("s3") => of_s3(&mut input, notes),
        Some("file") | None => of_files(&mut input, notes),
        Some(other) => {
            notes.todo("in.type", format!("`{other}` cannot be read here: put the data into S3 or a file, and name it under `object`"));
            "**".to_owned()
        }
    };
    let compression = decoders(input.take("decoders"), notes);
    let parser = parser::read(input.section("parser")?, notes);
    input.end(notes, &format!("the input `{}`", kind.unwrap_or_else(|| "file".to_owned())));
    Ok(Input { object, compression, parser })
}

fn of_s3(input: &mut Section, notes: &mut Notes) -> String {
    let bucket = input.text("bucket").unwrap_or_else(|| {
        notes.todo("in.bucket", "is missing: name the bucket under `object`");
        "BUCKET".to_owned()
    });
    let path = input.text("path");
    let prefix = input.text("path_prefix");
    let object = match (path, prefix) {
        (Some(path), prefix) => {
            if prefix.is_some() {
                notes.drop("in.path_prefix", "because `path` names one object and wins, as in Embulk");
            }
            format!("s3://{bucket}/{}", literal(&path))
        }
        (None, prefix) => {
            let prefix = prefix.unwrap_or_default();
            let suffix = input.text("path_match_pattern").and_then(|pattern| suffix(&pattern, notes));
            under(&format!("s3://{bucket}/"), prefix.trim_start_matches('/'), suffix.as_deref())
        }
    };
    input.take("path_match_pattern");
    credentials(input, notes);
    if input.take("endpoint").is_some() {
        notes.drop("in.endpoint", "because endpoints are the environment's: AWS_ENDPOINT_URL_S3 for stores other than S3, AWS_REGION for S3");
    }
    if input.take("region").is_some() {
        notes.drop("in.region", "use AWS_REGION or a profile");
    }
    if input.take("http_proxy").is_some() {
        notes.drop("in.http_proxy", "use HTTPS_PROXY and NO_PROXY, which may hold a password");
    }
    input.drop_all(
        notes,
        &[
            ("total_file_count_limit", "use `holoload reprocess --limit`"),
            ("min_task_size", "because each object is a load of its own"),
            ("last_path", LEDGER),
            ("incremental", LEDGER),
            ("use_modified_time", LEDGER),
            ("last_modified_time", "use `holoload reprocess --since`"),
            (
                "skip_glacier_objects",
                "because an archived object fails with what to do about it, and the others load",
            ),
            ("maximum_retries", RETRIES),
            ("initial_retry_interval_millis", RETRIES),
            ("maximum_retry_interval_millis", RETRIES),
        ],
    );
    object
}

fn credentials(input: &mut Section, notes: &mut Notes) {
    let method = input.text("auth_method");
    let has_keys = ["access_key_id", "secret_access_key", "session_token"]
        .map(|name| input.take(name).is_some())
        .contains(&true);
    if has_keys {
        notes.todo(
            "in.access_key_id, in.secret_access_key, in.session_token",
            "keys of AWS are never copied: give the function a role; elsewhere use a profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        );
    }
    if let Some(method) = method {
        let text = match method.as_str() {
            "basic" | "env" | "session" => {
                "use AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
            }
            "profile" => "use --profile NAME or AWS_PROFILE",
            "instance" | "default" => "because that is what happens without a word",
            "assume_role" => "use a profile with `role_arn` and `source_profile`",
            "anonymous" => "because requests are always signed: use credentials that may read the bucket",
            _ => "use what AWS tools read: environment, profile, role",
        };
        notes.drop("in.auth_method", text);
    }
    let role = "use a profile with `role_arn`";
    input.drop_all(
        notes,
        &[
            ("profile_file", "use AWS_SHARED_CREDENTIALS_FILE"),
            ("profile_name", "use --profile NAME or AWS_PROFILE"),
            ("account_id", role),
            ("role_name", role),
            ("external_id", role),
            ("duration_in_seconds", role),
            ("session_name", role),
            ("arn_partition", role),
        ],
    );
}

fn of_files(input: &mut Section, notes: &mut Notes) -> String {
    input.drop_all(
        notes,
        &[
            ("last_path", LEDGER),
            ("follow_symlinks", "because a glob does not follow links to folders; name the folder itself"),
        ],
    );
    let Some(prefix) = input.text("path_prefix") else {
        notes.todo(
            "in.path_prefix",
            "is missing: `object` takes everything until you name a bucket or a folder",
        );
        return "**".to_owned();
    };
    let prefix = prefix.trim_start_matches("./");
    if prefix.starts_with('/') {
        return under("", prefix, None);
    }
    under("**/", prefix, None)
}

/// Everything whose name begins so, in the folder and below it.
fn under(head: &str, prefix: &str, suffix: Option<&str>) -> String {
    let prefix = literal(prefix);
    let suffix = suffix.map(literal);
    match suffix {
        None if prefix.is_empty() || prefix.ends_with('/') => format!("{head}{prefix}**"),
        None => format!("{head}{{{prefix}*,{prefix}*/**}}"),
        Some(suffix) if prefix.is_empty() || prefix.ends_with('/') => format!("{head}{prefix}**/*{suffix}"),
        Some(suffix) => format!("{head}{{{prefix}*{suffix},{prefix}*/**/*{suffix}}}"),
    }
}

/// A name in which no sign is a glob's.
fn literal(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '*' | '?' | '[' | ']' | '{' | '}' | '!' => text.extend(['[', letter, ']']),
            other => text.push(other),
        }
    }
    text
}

/// What names must end in, where the regular expression says just that.
fn suffix(pattern: &str, notes: &mut Notes) -> Option<String> {
    if pattern == ".*" || pattern.is_empty() {
        return None;
    }
    let rest = pattern.trim_start_matches('^').trim_start_matches(".*");
    let plain = rest.strip_suffix('$').map(|rest| rest.replace("\\.", "\u{1}"));
    let is_plain = |text: &String| {
        !text.contains(['.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '\\', '^', '$', '/'])
    };
    match plain.filter(is_plain) {
        Some(text) => Some(text.replace('\u{1}', ".")),
        None => {
            notes.drop(
                "in.path_match_pattern",
                "because objects are chosen by globs: write `*`, `**/` and `{a,b}` into `object`",
            );
            None
        }
    }
}

fn decoders(said: Option<Value>, notes: &mut Notes) -> Option<&'static str> {
    let Some(Value::Array(decoders)) = said else { return None };
    let mut found = None;
    for decoder in &decoders {
        match decoder.get("type").and_then(Value::as_str).unwrap_or_default() {
            "gzip" => found = Some("gzip"),
            "bzip2" => found = Some("bzip2"),
            "zstd" => found = Some("zstd"),
            other => notes.drop(
                "in.decoders",
                format!("`{other}`, because gzip, zstd and bzip2 are known, by their first bytes: unpack it before"),
            ),
        }
    }
    found
}
