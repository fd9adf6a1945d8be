//! Broken on the way to the database.

use std::net::{Ipv4Addr, TcpListener};

use crate::harness::Run;
use crate::support::certs::{Authority, Leaf};
use crate::support::postgres::{Options, Postgres};
use crate::support::standin::{self, Fault};

use super::clinic::{Clinic, Findings, TABLE};

const AFTER_LOGIN: [&str; 6] = ["version", "connections", "table", "write_path", "privileges", "ledger"];

fn found(run: Run, code: i32) -> Findings {
    let found = Findings::of(&run.run().exits(code));
    // Nothing of S3 depends on any of this.
    found.has("decrypt", "ok", "", "").has("rejects", "ok", "", "");
    found
}

#[test]
fn a_host_without_an_address() {
    let clinic = Clinic::new("no_host");
    found(clinic.doctor().env("HOLOLOAD_HOST", "no-such-host.invalid"), 4)
        .only_fails("dns", "look up `no-such-host.invalid`", "does not resolve: check HOLOLOAD_HOST")
        .skips(&["tcp", "tls", "certificate", "allow_list", "login"], "dns")
        .skips(&AFTER_LOGIN, "dns");
    let private = "hgpostcn-cn-xxx-ap-northeast-1-vpc.hologres.aliyuncs.com";
    // Whether such a name resolves or not: from AWS it leads nowhere.
    let outcome = clinic.doctor().env("HOLOLOAD_HOST", private).run();
    let found = Findings::of(&outcome);
    assert_ne!(found.check("dns")["status"], "ok");
    let hint = found.check("dns")["hint"].as_str().expect("a hint");
    assert!(hint.contains("only the public endpoint is reached from AWS"), "{hint}");
}

#[test]
fn a_port_that_is_closed() {
    let clinic = Clinic::new("no_port");
    // Bound and not listening: refused, and nobody else gets it meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let port = socket.local_addr().expect("an address").port();
    found(clinic.doctor().env("HOLOLOAD_HOST", "127.0.0.1").env("HOLOLOAD_PORT", port.to_string()), 4)
        .only_fails("tcp", "connect to 127.0.0.1:", "check HOLOLOAD_PORT…the security group…NAT gateway")
        .has("dns", "ok", "127.0.0.1", "")
        .skips(&["tls", "login"], "tcp");
}

/// What listens there is no database, and says nothing: nobody waits for it for ever.
#[test]
fn a_port_that_says_nothing() {
    let clinic = Clinic::new("mute_port");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    found(clinic.doctor().env("HOLOLOAD_HOST", "127.0.0.1").env("HOLOLOAD_PORT", port.to_string()), 4)
        .only_fails("tls", "shake hands: no answer within 10000 ms", "is it the database that listens")
        .has("tcp", "ok", "answers", "")
        .skips(&["certificate", "login"], "tls");
}

#[test]
fn a_certificate_of_another_authority() {
    let clinic = Clinic::new("other_ca");
    let other = clinic.file("other.pem", Authority::new("another authority").pem());
    found(clinic.doctor().env("HOLOLOAD_CA", other), 3)
        .only_fails("tls", "certificate verify failed", "set HOLOLOAD_CA to the server's CA certificate")
        .has("certificate", "ok", "CN=localhost…issued by CN=test authority", "")
        .skips(&["allow_list", "login"], "tls");
    found(clinic.doctor().without("HOLOLOAD_CA").env("HOLOLOAD_TLS", "require"), 0).has(
        "tls",
        "warn",
        "not verified",
        "set HOLOLOAD_CA…verify-full",
    );
    let none = clinic.file("none.pem", "no certificate");
    found(clinic.doctor().env("HOLOLOAD_CA", none), 2).only_fails("tls", "read the CA certificate", "PEM");
}

#[test]
fn a_certificate_past_or_near_its_end_or_for_another_host() {
    let cluster = Postgres::start(Options { leaf: Leaf::days_left(9), ..Options::default() });
    let clinic = Clinic::in_database("expiring", cluster.database("expiring"), TABLE);
    found(clinic.doctor(), 0)
        .has("certificate", "warn", "it ends in 9 days", "renew it (Hologres: console > instance > SSL")
        .has("tls", "ok", "", "")
        .has("login", "ok", "", "");
    cluster.replace_certificate(&cluster.authority().issue(&Leaf::expired()));
    found(clinic.doctor(), 3)
        .has("tls", "fail", "certificate", "the server's certificate has expired: renew it")
        .has("certificate", "fail", "it has expired", "renew it");
    cluster.replace_certificate(&cluster.authority().issue(&Leaf::wrong_host()));
    found(clinic.doctor(), 3)
        .only_fails("tls", "connect to localhost", "the certificate names another host")
        .has("certificate", "ok", "for elsewhere.example", "");
}

#[test]
fn a_server_without_tls() {
    let cluster = Postgres::start(Options { tls: false, ..Options::default() });
    let clinic = Clinic::in_database("no_tls", cluster.database("no_tls"), TABLE);
    found(clinic.doctor().without("HOLOLOAD_TLS"), 3)
        .only_fails("tls", "the server does not support TLS", "on Hologres switch SSL on")
        .skips(&["certificate", "login"], "tls");
    found(clinic.doctor(), 0)
        .has("tls", "warn", "plaintext", "remove HOLOLOAD_TLS=insecure-plaintext")
        .has("certificate", "skipped", "no TLS", "")
        .has("login", "ok", "", "");
}

#[test]
fn a_wrong_password() {
    let clinic = Clinic::new("wrong_password");
    let outcome = clinic.doctor().env("HOLOLOAD_PASSWORD", "not-the-one").run().exits(3);
    assert!(!outcome.stdout.contains("not-the-one"));
    Findings::of(&outcome)
        .only_fails("login", "28P01 (invalid_password)", "check HOLOLOAD_USER and HOLOLOAD_PASSWORD")
        .has("allow_list", "ok", "not refused", "")
        .skips(&AFTER_LOGIN, "login");
    found(clinic.doctor().env("HOLOLOAD_DATABASE", "no_such_database"), 2).only_fails(
        "login",
        "3D000",
        "correct HOLOLOAD_DATABASE",
    );
}

#[test]
fn an_address_that_is_not_allow_listed() {
    let (clinic, standin) = Clinic::hologres("allow_list", standin::Options::default());
    let message = "Rejected by ip white list.\ndb = demo, usr=BASIC$loader, ip=203.0.113.7".to_owned();
    standin.inject(Fault::RefuseLogin { code: "28000", message, times: 1 });
    found(clinic.doctor(), 3)
        .only_fails(
            "allow_list",
            "connect to localhost",
            "Hologres saw 203.0.113.7, which is not on its allow-list: add it in HoloWeb",
        )
        .has("tls", "ok", "", "")
        .skips(&["login"], "allow_list")
        .skips(&AFTER_LOGIN, "allow_list");
    // Let in again, nothing is wrong.
    found(clinic.doctor(), 0).has("login", "ok", "", "");
}

#[test]
fn akv4_that_is_not_known_there() {
    let (clinic, standin) = Clinic::hologres("doctor_akv4", standin::Options::default());
    standin.create_user("LTAI9", "the-secret");
    let doctor = |login: &str| {
        let run = clinic.doctor().env("HOLOLOAD_USER", "LTAI9").env("HOLOLOAD_PASSWORD", "the-secret");
        run.env("HOLOLOAD_LOGIN", login).env("HOLOLOAD_REGION", "ap-northeast-1")
    };
    found(doctor("auto"), 0).has(
        "login",
        "warn",
        "by a plain password: AKv4 was refused",
        "HOLOLOAD_LOGIN=plain",
    );
    found(doctor("akv4"), 3).only_fails(
        "login",
        "connect to localhost",
        "a server too old for AKv4 needs HOLOLOAD_LOGIN=plain",
    );
    found(doctor("akv4").without("HOLOLOAD_REGION"), 2).only_fails(
        "login",
        "does not tell the instance's region",
        "HOLOLOAD_REGION",
    );
}

#[test]
fn a_server_without_a_free_connection() {
    let (clinic, _standin) = Clinic::hologres(
        "full",
        standin::Options { connections_max: Some(0), ..standin::Options::default() },
    );
    found(clinic.doctor(), 4).only_fails("login", "53300", "lower the function's maximum concurrency");
}
