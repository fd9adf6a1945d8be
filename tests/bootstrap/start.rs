//! Settings that cannot work are answered, to each invocation, and may be put right while the handler lives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::http::HttpStub;
use crate::support::akv4;
use crate::support::runtime_api::RuntimeApi;
use crate::world::{BOOTSTRAP, Failure, World, failure, orders, report};

/// Two refusals by the same process, then the last of them.
#[track_caller]
fn refused(handler: &RuntimeApi, event: &serde_json::Value) -> Failure {
    let pid = handler.pid();
    let first = failure(handler.invoke_json(event));
    let second = failure(handler.invoke_json(event));
    assert_eq!((&first.error_type, &first.line), (&second.error_type, &second.line));
    assert!(handler.is_running() && handler.pid() == pid, "no crash loop");
    assert!(handler.log_text().contains("start failed"));
    second
}

/// Variables, and what the answer's line says of them and advises.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

#[test]
fn settings_that_cannot_work_are_answered_each_time() {
    let world = World::new("settings");
    let stored = world.put("a.csv", orders([1], "a"));
    let inside = format!("s3://{}/in/rejects/", world.bucket);
    let routed = format!("routes: [{{object: 's3://{}/in/**/*.csv', table: orders}}]", world.bucket);
    let cases: [Case<'_>; 8] = [
        (&[("HOLOLOAD_HOST", "")], "`target.host` is missing", "HOLOLOAD_HOST"),
        (&[("HOLOLOAD_TABEL", "orders")], "HOLOLOAD_TABEL is not known", "HOLOLOAD_TABLE"),
        (&[("HOLOLOAD_PORT", "many")], "`port` must be a number", ""),
        (&[("HOLOLOAD_TIMEZONE", "Asia/Tokio")], "`Asia/Tokio` is not known", "Asia/Tokyo"),
        (&[("HOLOLOAD_CONFIG", "routes: [{object: '**', tabel: t}]")], "unknown field `tabel`", "`table`"),
        (&[("HOLOLOAD_CONFIG", "/no/such/file.yaml")], "read the configuration `/no/such/file.yaml`", "path"),
        (
            &[("HOLOLOAD_REJECTS", "/tmp/rejects")],
            "the rejects directory `/tmp/rejects` would vanish",
            "s3://bucket/prefix/",
        ),
        (
            &[("HOLOLOAD_REJECTS", &inside), ("HOLOLOAD_CONFIG", &routed), ("HOLOLOAD_TABLE", "")],
            "is matched by a route",
            "another bucket or a prefix",
        ),
    ];
    for (extra, line, hint) in cases {
        let failed = refused(&world.handler_with(extra), &stored.event());
        assert_eq!(failed.error_type, "Config", "{failed:?}");
        assert!(failed.line.contains(line), "{failed:?}");
        assert!(failed.line.contains(hint), "{failed:?}");
    }
    assert!(world.rows().is_empty());
}

#[test]
fn a_configuration_that_appears_is_taken() {
    let world = World::new("settings_appear");
    let stored = world.put("a.csv", orders([1], "a"));
    let address = format!("s3://{}/config/holoload.yaml", world.bucket);
    let handler = world.handler_with(&[("HOLOLOAD_CONFIG", &address), ("HOLOLOAD_TABLE", "")]);
    let failed = refused(&handler, &stored.event());
    assert_eq!(failed.error_type, "Config", "{failed:?}");
    assert!(failed.line.contains("read the configuration") && failed.line.contains("config/holoload.yaml"));
    world.put("config/holoload.yaml", "routes: [{object: 's3://**', table: orders}]\n");
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
}

/// A login of its own, since roles are the whole cluster's: may do what the database's owner may.
fn role(world: &World, password: &str) -> String {
    let role = format!("loader_{}", world.database.name);
    world.database.query(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{password}'; GRANT ALL ON SCHEMA public TO {role}; GRANT ALL ON orders TO {role}"
    ));
    role
}

/// Every session of the role ends, as after a failover.
fn end_sessions(world: &World, role: &str) {
    world
        .database
        .query(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"));
}

fn with_secret(world: &World, endpoint: &str) -> RuntimeApi {
    with_secret_and(world, endpoint, &[])
}

fn with_secret_and(world: &World, endpoint: &str, extra: &[(&str, &str)]) -> RuntimeApi {
    let environment = world.environment().into_iter();
    let environment = environment.filter(|(name, _)| name != "HOLOLOAD_PASSWORD" && name != "HOLOLOAD_USER");
    let arn = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:holoload-AbCdEf";
    let secret = [("HOLOLOAD_SECRET", arn), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint)];
    let secret = secret.iter().chain(extra).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    RuntimeApi::start(BOOTSTRAP, environment.chain(secret))
}

#[test]
fn user_and_password_come_from_the_secret_and_follow_its_rotation() {
    let world = World::new("secret");
    let role = role(&world, "before");
    let password = Arc::new(Mutex::new("before".to_owned()));
    let (held, user) = (Arc::clone(&password), role.clone());
    let manager = HttpStub::start(move |operation, _| {
        assert_eq!(operation, "GetSecretValue");
        let secret = json!({"username": user, "password": *held.lock().expect("no panic")});
        (200, json!({"ARN": "arn", "Name": "holoload", "SecretString": secret.to_string()}))
    });
    let handler = with_secret(&world, &manager.endpoint());
    let first = world.put("a.csv", orders([1], "a"));
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "loaded");
    assert_eq!(manager.calls().len(), 1, "read once");

    // Not asked again for ten seconds after it was read.
    thread::sleep(Duration::from_millis(10_500));
    world.database.query(&format!("ALTER ROLE {role} PASSWORD 'after'"));
    "after".clone_into(&mut password.lock().expect("no panic"));
    end_sessions(&world, &role);
    let second = world.put("b.csv", orders([2], "b"));
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    assert_eq!(manager.calls().len(), 2, "and once more");
    let log = handler.log_text();
    assert!(!log.contains("before") && !log.contains("after"), "{log}");
}

/// The password of the day is made from whatever the secret holds by then.
#[test]
fn an_akv4_login_follows_the_rotation_of_its_secret() {
    let world = World::new("secret_akv4");
    let key_id = format!("LTAI{}", world.database.name);
    let of_day = |secret: &str| akv4::password(secret, "ap-northeast-1", 0);
    world.database.query(&format!(
        "CREATE ROLE \"akv4${key_id}\" LOGIN IN ROLE app PASSWORD '{}'",
        of_day("secret before")
    ));
    let secret = Arc::new(Mutex::new("secret before"));
    let (held, user) = (Arc::clone(&secret), key_id.clone());
    let manager = HttpStub::start(move |_, _| {
        let secret = json!({"username": user, "password": *held.lock().expect("no panic")});
        (200, json!({"ARN": "arn", "Name": "holoload", "SecretString": secret.to_string()}))
    });
    let login =
        [("HOLOLOAD_LOGIN", "akv4"), ("HOLOLOAD_REGION", "ap-northeast-1"), ("HOLOLOAD_LEDGER", "off")];
    let handler = with_secret_and(&world, &manager.endpoint(), &login);
    let first = world.put("a.csv", orders([1], "a"));
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "loaded");

    // Not asked again within a second of the last time.
    thread::sleep(Duration::from_millis(1_100));
    let role = format!("akv4${key_id}");
    world.database.query(&format!("ALTER ROLE \"{role}\" PASSWORD '{}'", of_day("secret after")));
    *secret.lock().expect("no panic") = "secret after";
    end_sessions(&world, &role);
    let second = world.put("b.csv", orders([2], "b"));
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    assert_eq!(manager.calls().len(), 2);
    let refusals = crate::support::postgres::shared().log_text();
    let refusals =
        refusals.lines().filter(|line| line.contains("FATAL:  password") && line.contains(&role)).count();
    assert_eq!(refusals, 1);
    let log = handler.log_text();
    assert!(!log.contains("secret before") && !log.contains("secret after"), "{log}");
}

/// With a wrong password the login is refused and the server not asked again and again, which locks accounts.
#[test]
fn a_wrong_password_is_refused_once() {
    let world = World::new("secret_wrong");
    let role = role(&world, "right");
    let (user, failing) = (role.clone(), json!("wrong"));
    let manager = HttpStub::start(move |_, _| {
        let secret = json!({"username": user, "password": failing});
        (200, json!({"ARN": "arn", "Name": "holoload", "SecretString": secret.to_string()}))
    });
    let handler = with_secret(&world, &manager.endpoint());
    let stored = world.put("a.csv", orders([1], "a"));
    let failed = failure(handler.invoke_json(&stored.event()));
    assert_eq!(failed.error_type, "Access");
    let error = &failed.answer["objects"][0]["error"];
    assert_eq!(error["code"], "28P01");
    assert!(!failed.line.contains("wrong"), "{failed:?}");
    let refusals = crate::support::postgres::shared().log_text();
    let refusals = refusals.lines().filter(|line| line.contains("FATAL") && line.contains(&role)).count();
    assert_eq!(refusals, 1);
}

#[test]
fn a_secret_that_becomes_readable_is_read() {
    let world = World::new("secret_denied");
    let role = role(&world, "pass");
    let is_allowed = Arc::new(AtomicBool::new(false));
    let (allowed, user) = (Arc::clone(&is_allowed), role);
    let manager = HttpStub::start(move |_, _| {
        if !allowed.load(Ordering::Relaxed) {
            let message = "User is not authorized to perform: secretsmanager:GetSecretValue on resource: arn";
            return (400, json!({"__type": "AccessDeniedException", "Message": message}));
        }
        let secret = json!({"username": user, "password": "pass"});
        (200, json!({"ARN": "arn", "Name": "holoload", "SecretString": secret.to_string()}))
    });
    let handler = with_secret(&world, &manager.endpoint());
    let stored = world.put("a.csv", orders([1], "a"));
    let failed = refused(&handler, &stored.event());
    assert_eq!(failed.error_type, "Access", "{failed:?}");
    assert!(failed.line.contains("secretsmanager:GetSecretValue"), "{failed:?}");
    is_allowed.store(true, Ordering::Relaxed);
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
}
