//! Who is at the other end: every certificate fault is refused, and plaintext is spoken on demand alone.

use crate::harness::{Lab, Run, counts};
use crate::support::certs::{Authority, Leaf};
use crate::support::postgres::{Authentication, Options, Postgres};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";
const ROWS: &str = "id,name\n1,a\n";
const NOT_TRUSTED: &str = "the certificate is not signed by a CA that is trusted here: set HOLOLOAD_CA";

/// The laboratory, and a load of one row that may be told more.
fn lab(name: &str, cluster: &Postgres) -> Lab {
    Lab::in_database(name, cluster.database(name), TABLE)
}

fn load(lab: &Lab) -> Run {
    lab.load(&lab.file("input.csv", ROWS))
}

#[test]
fn only_the_given_ca_is_trusted() {
    let lab = Lab::new("ca", TABLE);
    let other = lab.file("other.pem", Authority::new("another authority").pem());
    let roots = lab.file("roots.pem", &lab.db.ca_pem);
    load(&lab).env("HOLOLOAD_CA", other.as_str()).run().failed(3, "connect to localhost", NOT_TRUSTED);
    // The system's roots would have let it pass: they stand for a certificate of a public authority.
    load(&lab).without("HOLOLOAD_CA").env("SSL_CERT_FILE", roots.as_str()).run().loaded();
    lab.db.run("TRUNCATE t");
    for mode in ["verify-full", "verify-ca", "require"] {
        let run = load(&lab).env("HOLOLOAD_TLS", mode).env("HOLOLOAD_CA", other.as_str());
        run.env("SSL_CERT_FILE", roots.as_str()).run().failed(3, "certificate verify failed", NOT_TRUSTED);
    }
    // Without a CA, and with no system root that signed it.
    let run = load(&lab).without("HOLOLOAD_CA").env("SSL_CERT_FILE", other);
    run.run().failed(3, "certificate verify failed", NOT_TRUSTED);
    lab.assert_untouched("t");
}

#[test]
fn a_ca_may_be_pem_text_and_hold_several_certificates() {
    let lab = Lab::new("ca_text", TABLE);
    let both = format!("# bundle\n{}{}", Authority::new("another authority").pem(), lab.db.ca_pem);
    load(&lab).env("HOLOLOAD_CA", both.as_str()).run().loaded();
    load(&lab).env("HOLOLOAD_CA", lab.db.ca_pem.replace('\n', "\\n")).run().exits(0);
    load(&lab).env("HOLOLOAD_CA", lab.file("both.pem", both)).run().exits(0);
}

#[test]
fn a_ca_that_is_none_is_refused() {
    let lab = Lab::new("ca_none", TABLE);
    for (name, bytes) in [
        ("empty.pem", ""),
        ("text.pem", "not a certificate\n"),
        ("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB"),
    ] {
        let path = lab.file(name, bytes);
        load(&lab).env("HOLOLOAD_CA", path).run().failed(
            2,
            "read the CA certificate",
            "HOLOLOAD_CA (`target.ca`) must be PEM text",
        );
    }
    let folder = lab.folder().display().to_string();
    load(&lab).env("HOLOLOAD_CA", folder).run().refused(
        2,
        "read the CA certificate",
        "must be PEM text or the path",
    );
    lab.assert_untouched("t");
}

#[test]
fn verify_ca_needs_a_ca() {
    let lab = Lab::new("verify_ca", TABLE);
    load(&lab).env("HOLOLOAD_TLS", "verify-ca").without("HOLOLOAD_CA").run().failed(
        2,
        "`tls: verify-ca` needs a CA, or any public certificate would pass",
        "set HOLOLOAD_CA",
    );
    lab.assert_untouched("t");
}

#[test]
fn a_certificate_past_its_time_is_refused() {
    let cluster = Postgres::start(Options { leaf: Leaf::expired(), ..Options::default() });
    let lab = lab("expired", &cluster);
    for mode in ["verify-full", "verify-ca"] {
        load(&lab).env("HOLOLOAD_TLS", mode).run().failed(
            3,
            "certificate",
            "the server's certificate has expired: renew it",
        );
    }
    lab.assert_untouched("t");
    cluster.replace_certificate(&cluster.authority().issue(&Leaf::not_yet_valid()));
    load(&lab).run().failed(3, "certificate", "not valid yet: check the clocks");
    lab.assert_untouched("t");
    cluster.replace_certificate(&cluster.authority().issue(&Leaf::days_left(3)));
    let report = load(&lab).run().loaded();
    assert_eq!(
        report["warnings"],
        serde_json::json!(["the database's certificate ends in 3 days: renew it before connections fail"])
    );
}

#[test]
fn a_certificate_for_another_host_is_refused_unless_hosts_are_not_compared() {
    let cluster = Postgres::start(Options { leaf: Leaf::wrong_host(), ..Options::default() });
    let lab = lab("wrong_host", &cluster);
    load(&lab).run().failed(
        3,
        "connect to localhost",
        "the certificate names another host: connect by the name it names",
    );
    load(&lab).env("HOLOLOAD_HOST", "127.0.0.1").run().failed(
        3,
        "connect to 127.0.0.1",
        "the certificate names another host",
    );
    lab.assert_untouched("t");
    let report = load(&lab).env("HOLOLOAD_TLS", "verify-ca").run().loaded();
    assert_eq!(counts(&report), [1, 1, 0, 0, 0, 0]);
    load(&lab).env("HOLOLOAD_TLS", "require").run().exits(0);
    load(&lab).env("HOLOLOAD_TLS", "require").without("HOLOLOAD_CA").run().exits(0);
}

#[test]
fn a_server_without_tls_is_refused_unless_plaintext_is_asked_for() {
    let cluster = Postgres::start(Options { tls: false, ..Options::default() });
    let lab = lab("no_tls", &cluster);
    for mode in ["verify-full", "require"] {
        load(&lab).env("HOLOLOAD_TLS", mode).run().failed(
            3,
            "server does not support TLS",
            "the server speaks no TLS: on Hologres switch SSL on",
        );
    }
    load(&lab).without("HOLOLOAD_TLS").run().failed(
        3,
        "server does not support TLS",
        "HOLOLOAD_TLS=insecure-plaintext",
    );
    lab.assert_untouched("t");
    let report = load(&lab).env("HOLOLOAD_TLS", "insecure-plaintext").run().loaded();
    assert_eq!(counts(&report), [1, 1, 0, 0, 0, 0]);
}

#[test]
fn plaintext_to_a_server_that_wants_tls_says_so() {
    let lab = Lab::new("tls_only", TABLE);
    let report = load(&lab).env("HOLOLOAD_TLS", "insecure-plaintext").run().failed(
        3,
        "connect to localhost…28000",
        "encrypted connections only",
    );
    assert_eq!(report["error"]["code"], "28000");
    lab.assert_untouched("t");
}

#[test]
fn an_md5_login_works_over_tls() {
    let cluster = Postgres::start(Options { authentication: Authentication::Md5, ..Options::default() });
    let lab = lab("md5", &cluster);
    load(&lab).run().loaded();
    load(&lab).env("HOLOLOAD_PASSWORD", "wrong").run().failed(3, "28P01", "HOLOLOAD_PASSWORD");
}
