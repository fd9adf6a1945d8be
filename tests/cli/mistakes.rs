//! What people get wrong, and whether they are told what to do; what is said where nobody wants to hear more than results.

use crate::COMMANDS;
use crate::harness::{Lab, Run, assert_contains};

#[test]
fn names_of_files_are_looked_up() {
    let lab = Lab::new("mistaken_files", "CREATE TABLE t (id int8 PRIMARY KEY)");
    lab.file("orders.csv", "id\n1\n");
    lab.file("orders.csv.gz", "id\n1\n");
    let path = |name: &str| lab.folder().join(name).display().to_string();
    let guess = |name: &str| Run::new(&["guess", &path(name)]).run();
    guess("order.csv").refused(1, "open `", "did you mean `orders.csv`?");
    guess("orders.cvs").refused(1, "open `", "did you mean `orders.csv`?");
    guess("zzz").refused(1, "open `", "holds no such file");
    guess("none/orders.csv").refused(1, "open `", "there is no folder `");
    Run::new(&["guess", &lab.folder().display().to_string()]).run().refused(
        1,
        "it is a directory",
        "with `/` behind",
    );
    lab.load(&path("order.csv")).run().failed(1, "open `", "did you mean `orders.csv`?");
}

#[test]
fn what_is_no_text_is_not_guessed() {
    let lab = Lab::new("mistaken_formats", "");
    let noise: Vec<u8> = (0..4_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    for (name, bytes, message, hint) in [
        ("a.csv", noise.as_slice(), "the object is no text", "--charset"),
        ("b.csv", b"%PDF-1.7\n1 0 obj\n", "the object is a PDF", "csv, tsv"),
        ("c.csv", b"<html><body>\n", "the object is an HTML page", "csv, tsv"),
        (
            "d.xlsx",
            b"PK\x03\x04\x14\x00\x06\x00",
            "a zip archive, as .xlsx files are",
            "save a spreadsheet as CSV",
        ),
    ] {
        let path = lab.file(name, bytes);
        Run::new(&["guess", &path]).run().refused(1, "guess what", hint);
        assert_contains(&Run::new(&["guess", &path]).run().stderr, message);
    }
}

#[test]
fn tables_are_suggested_as_they_are_to_be_written() {
    let lab = Lab::new(
        "mistaken_tables",
        "CREATE TABLE \"Orders\" (id int8 PRIMARY KEY); CREATE VIEW v AS SELECT 1 AS id",
    );
    let path = lab.file("a.csv", "id\n1\n");
    let load = |table: &str| lab.holoload(&["load", "--json", &path, "--table", table]).run();
    load("Orders").failed(2, "there is no table `public.orders`", "did you mean `public.\"Orders\"`?");
    load("public.\"Orders\"").loaded();
    load("v").failed(2, "is not a table that takes rows", "not a view");
    load("d.public.t").refused(2, "read the table name", "without the database");
    lab.holoload(&["history", "--status", "lodaed"]).run().exits(2);
}

#[test]
fn a_host_is_a_name() {
    let load = |host: &str| {
        Run::new(&["load", "a.csv", "--table", "t"])
            .env("HOLOLOAD_HOST", host)
            .env("HOLOLOAD_DATABASE", "d")
            .env("HOLOLOAD_USER", "u")
            .run()
    };
    let url = load("postgres://u:s3cret@db.example:6543/d");
    assert!(!url.stderr.contains("s3cret"), "{}", url.stderr);
    url.refused(2, "not a URL", "HOLOLOAD_PORT");
    load("db.example:6543").refused(2, "not `db.example:6543`", "HOLOLOAD_PORT=6543");
}

#[test]
fn a_region_that_is_not_set_is_said_at_once() {
    let lab = Lab::new("no_region", "CREATE TABLE t (id int8 PRIMARY KEY)");
    let load = lab
        .holoload(&["load", "--json", "s3://bucket/a.csv"])
        .without("AWS_REGION")
        .without("AWS_DEFAULT_REGION");
    let load = load.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_EC2_METADATA_DISABLED", "true").run();
    assert!(!load.stderr.contains("trying again"), "{}", load.stderr);
    load.failed(2, "no AWS region is set", "set AWS_REGION");
}

#[test]
fn quiet_is_quiet() {
    let lab = Lab::new("quiet", "CREATE TABLE t (id int8 PRIMARY KEY)");
    let path = lab.file("empty.csv", "");
    let yaml = lab.folder().join("holoload.yaml").display().to_string();
    assert_contains(&Run::new(&["guess", &path]).run().exits(0).stderr, "note: the file is empty");
    for arguments in [
        vec!["guess", &path, "-o", &yaml, "--quiet"],
        vec!["preview", &path, "-q", "--guess"],
        vec!["setup", "--apply", "-q"],
    ] {
        assert_eq!(lab.holoload(&arguments).run().exits(0).stderr, "", "{arguments:?}");
    }
    Run::new(&["guess", &path, "-o", &yaml, "-q"]).run().refused(2, "write `", "--force");
}

#[test]
fn every_help_fits_a_terminal() {
    for command in COMMANDS {
        let help = Run::new(&[command, "--help"]).env("COLUMNS", "200").run().exits(0).stdout;
        let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{command}: {long:#?}");
        assert_contains(&help, "Example");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let binary = env!("CARGO_BIN_EXE_holoload");
    let output = std::process::Command::new("bash")
        .args(["-c", "set -o pipefail; \"$0\" completions bash | head -1", binary])
        .output()
        .expect("bash");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn bash_takes_the_completions() {
    let binary = env!("CARGO_BIN_EXE_holoload");
    let script = "source <(\"$0\" completions bash); complete -p holoload; COMP_WORDS=(holoload pre); COMP_CWORD=1; \
         _holoload holoload pre holoload; echo \"${COMPREPLY[@]}\"";
    let output = std::process::Command::new("bash").args(["-c", script, binary]).output().expect("bash");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_contains(&shown, "-F _holoload…holoload\npreview\n");
}

#[test]
fn who_has_set_up_psql_needs_no_other_address() {
    let lab = Lab::new("psql_address", "CREATE TABLE t (id int8 PRIMARY KEY)");
    let path = lab.file("a.csv", "id\n1\n");
    let known = lab.holoload(&[]).command();
    let known: std::collections::BTreeMap<String, String> = known
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())))
        .collect();
    let load = |path: &str| {
        let mut run = Run::new(&["load", "--json", path, "--table", "t"]);
        for (theirs, ours) in [
            ("PGHOST", "HOLOLOAD_HOST"),
            ("PGPORT", "HOLOLOAD_PORT"),
            ("PGDATABASE", "HOLOLOAD_DATABASE"),
            ("PGUSER", "HOLOLOAD_USER"),
            ("PGPASSWORD", "HOLOLOAD_PASSWORD"),
            ("PGSSLROOTCERT", "HOLOLOAD_CA"),
        ] {
            run = run.env(theirs, known.get(ours).cloned().unwrap_or_default());
        }
        run
    };
    load(&path).run().loaded();
    // What is said to the loader wins, and a configuration is taken as it is.
    load(&path).env("HOLOLOAD_HOST", "a/b").run().refused(2, "not a URL", "HOLOLOAD_HOST");
    load(&path).env("HOLOLOAD_CONFIG", "routes: []\n").run().refused(2, "", "");
}
