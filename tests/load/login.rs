//! Who logs in how: accounts as Hologres names them, the password of the day, and how often a refused login is tried.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::harness::{Lab, Run};
use crate::support::akv4;
use crate::support::postgres::{Authentication, Options, Postgres};
use crate::support::wait_until;

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";
const SECRET: &str = "0123456789abcdefghijABCDEFGHIJ";
const REGION: &str = "ap-northeast-1";
/// A refusal is in the log within milliseconds.
const LOG_TIMEOUT: Duration = Duration::from_secs(10);

/// Clusters that check passwords each way and say who came in.
fn clusters() -> impl Iterator<Item = Postgres> {
    let settings = || vec![("log_connections".to_owned(), "on".to_owned())];
    [Authentication::Md5, Authentication::Scram].into_iter().map(move |authentication| {
        Postgres::start(Options { authentication, settings: settings(), ..Options::default() })
    })
}

/// A login that may do what the user `app` may.
fn role(cluster: &Postgres, name: &str, password: &str) {
    cluster.query(&format!("CREATE ROLE \"{name}\" LOGIN IN ROLE app PASSWORD '{password}'"));
}

/// Loads so many files, of which each but the last fails for its content: the next one needs a new connection.
fn load(lab: &Lab, user: &str, password: &str, file_count: usize) -> Run {
    let text = |at: usize| if at + 1 == file_count { "id,name\n1,a\n" } else { "id,name\nx,a\n" };
    let files: Vec<String> = (0..file_count).map(|at| lab.file(&format!("{at}.csv"), text(at))).collect();
    let mut arguments = vec!["load", "--json"];
    arguments.extend(files.iter().map(String::as_str));
    let run = lab.holoload(&arguments).env("HOLOLOAD_LEDGER", "off").env("HOLOLOAD_REGION", REGION);
    run.env("HOLOLOAD_USER", user).env("HOLOLOAD_PASSWORD", password)
}

/// Lines of the server's log with the text, once there are at least so many.
#[track_caller]
fn log_count(cluster: &Postgres, text: &str, wanted: usize) -> usize {
    let count = || cluster.log_text().lines().filter(|line| line.contains(text)).count();
    assert!(wait_until(LOG_TIMEOUT, || count() >= wanted), "{text}:\n{}", cluster.log_text());
    count()
}

fn refusals(cluster: &Postgres, user: &str, wanted: usize) -> usize {
    log_count(cluster, &format!("FATAL:  password authentication failed for user \"{user}\""), wanted)
}

#[test]
fn accounts_log_in_as_hologres_names_them() {
    for cluster in clusters() {
        let lab = Lab::in_database("names", cluster.database("names"), TABLE);
        role(&cluster, "BASIC$bob", "b0b");
        role(&cluster, "akv4$LTAItoday", &akv4::password(SECRET, REGION, 0));
        for login in ["plain", "auto"] {
            load(&lab, "BASIC$bob", "b0b", 1).env("HOLOLOAD_LOGIN", login).run().loaded();
            load(&lab, "akv4$LTAItoday", SECRET, 1).env("HOLOLOAD_LOGIN", login).run().loaded();
        }
        load(&lab, "LTAItoday", SECRET, 1).env("HOLOLOAD_LOGIN", "akv4").run().loaded();
        load(&lab, "LTAItoday", SECRET, 1).env("HOLOLOAD_LOGIN", "auto").run().loaded();
        assert!(!cluster.log_text().contains("FATAL:  password"), "{}", cluster.log_text());
    }
}

#[test]
fn a_wrong_secret_is_shown_once() {
    for cluster in clusters() {
        let lab = Lab::in_database("wrong", cluster.database("wrong"), TABLE);
        role(&cluster, "akv4$LTAIwrong", &akv4::password(SECRET, REGION, 0));
        let wrong = load(&lab, "LTAIwrong", "another-secret", 1).env("HOLOLOAD_LOGIN", "akv4").run();
        let report = wrong.failed(3, "28P01", "AccessKey ID and AccessKey Secret…`ap-northeast-1`…clock");
        assert!(!report.to_string().contains("another-secret"), "{report}");
        assert_eq!(refusals(&cluster, "akv4$LTAIwrong", 1), 1);
        // Neither yesterday's password nor that of another region lets anybody in.
        role(&cluster, "akv4$LTAIold", &akv4::password(SECRET, REGION, -2));
        load(&lab, "akv4$LTAIold", SECRET, 1).run().failed(3, "28P01", "clock is right");
        let elsewhere = load(&lab, "LTAIwrong", SECRET, 1).env("HOLOLOAD_REGION", "cn-hangzhou");
        elsewhere.env("HOLOLOAD_LOGIN", "akv4").run().failed(3, "28P01", "`cn-hangzhou` (HOLOLOAD_REGION)");
        lab.assert_untouched("t");
    }
}

#[test]
fn auto_falls_back_once_and_remembers_it() {
    for cluster in clusters() {
        let lab = Lab::in_database("auto", cluster.database("auto"), TABLE);
        role(&cluster, "LTAIplain", SECRET);
        let outcome = load(&lab, "LTAIplain", SECRET, 3).env("HOLOLOAD_LOGIN", "auto").run().exits(1);
        assert_eq!(outcome.json()["objects"][2]["status"], "loaded", "{outcome:?}");
        assert_eq!(log_count(&cluster, "connection authorized: user=LTAIplain", 3), 3);
        assert_eq!(refusals(&cluster, "akv4$LTAIplain", 1), 1);

        // Both ways are refused: each was tried once, and from then on the plain one alone.
        let outcome = load(&lab, "LTAIplain", "wrong", 2).env("HOLOLOAD_LOGIN", "auto").run().exits(3);
        assert_eq!(outcome.json()["objects"][1]["error"]["class"], "Access", "{outcome:?}");
        assert_eq!(refusals(&cluster, "LTAIplain", 2), 2);
        assert_eq!(refusals(&cluster, "akv4$LTAIplain", 2), 2);
    }
}

#[test]
fn a_login_that_cannot_work_is_refused_before_anything_is_read() {
    let lab = Lab::new("login_settings", TABLE);
    let akv4 = |user: &str| load(&lab, user, SECRET, 1).env("HOLOLOAD_LOGIN", "akv4");
    akv4("LTAI").without("HOLOLOAD_REGION").run().refused(
        2,
        "`localhost` does not tell the instance's region",
        "set `target.region` (HOLOLOAD_REGION)",
    );
    akv4("BASIC$bob").run().refused(2, "log in as `BASIC$bob` by AKv4", "`BASIC$` accounts");
    akv4("LTAI").without("HOLOLOAD_PASSWORD").run().refused(2, "password missing", "HOLOLOAD_SECRET");
    load(&lab, "LTAI", SECRET, 1).env("HOLOLOAD_LOGIN", "akv5").run().refused(
        2,
        "akv5",
        "did you mean `akv4`?",
    );
}

/// A gateway that answers every start-up with the same refusal; answers its port and counts the connections.
fn refusing_gateway(code: &str, text: &str) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicU32::new(0));
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0");
    let length = u32::try_from(fields.len() + 4).expect("short");
    let answer = [b"E", length.to_be_bytes().as_slice(), fields.as_bytes()].concat();
    let counted = Arc::clone(&count);
    // The thread ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            counted.fetch_add(1, Ordering::Relaxed);
            // A start-up packet is shorter than this, and comes in one piece over loopback.
            let mut start_up = [0; 1024];
            if stream.read(&mut start_up).is_ok_and(|length| length > 0) {
                let _ = stream.write_all(&answer);
            }
        }
    });
    (port, count)
}

#[test]
fn the_door_s_refusals_are_told_apart_by_their_text() {
    let lab = Lab::new("gateway", TABLE);
    let at = |port: u16| {
        let run = load(&lab, "LTAI", SECRET, 1).env("HOLOLOAD_PORT", port.to_string());
        run.env("HOLOLOAD_TLS", "insecure-plaintext").env("HOLOLOAD_LOGIN", "auto").run()
    };
    // Its SQLSTATE is not documented.
    for code in ["28000", "XX000", "P0001"] {
        let text = "Rejected by ip white list.\ndb = demo, usr=LTAI, ip=203.0.113.7";
        let (port, count) = refusing_gateway(code, text);
        at(port).failed(
            3,
            code,
            "Hologres saw 203.0.113.7, which is not on its allow-list: add it in HoloWeb",
        );
        assert_eq!(count.load(Ordering::Relaxed), 1, "neither tried again nor fallen back");
    }
    // Made anew, and shown again: midnight (UTC) has passed in between.
    let (port, count) = refusing_gateway("28P01", "Invalid expire_time");
    at(port).failed(4, "28P01", "clock right");
    assert_eq!(count.load(Ordering::Relaxed), 4);
    let (port, count) = refusing_gateway("XX000", "Cloud authentication failed for access id \"LTAI\"");
    at(port).failed(3, "XX000", "AccessKey ID and AccessKey Secret");
    assert_eq!(count.load(Ordering::Relaxed), 2, "AKv4, then plain");
}
