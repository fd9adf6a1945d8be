use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

const MINIMAL: &[(&str, &str)] = &[
    ("HOLOLOAD_HOST", "db.example"),
    ("HOLOLOAD_DATABASE", "demo"),
    ("HOLOLOAD_USER", "app"),
    ("HOLOLOAD_PASSWORD", "hunter2"),
    ("HOLOLOAD_TABLE", "public.t"),
];

#[test]
fn one_table_needs_no_file() {
    let settings = Settings::read(None, &environment(MINIMAL)).expect("valid");
    let target = settings.target().expect("named");
    assert_eq!((target.host.as_str(), target.port, target.tls), ("db.example", 5432, TlsMode::VerifyFull));
    assert_eq!(settings.routes.len(), 1);
    assert_eq!(settings.routes[0].write.mode, WriteMode::Upsert);
    assert_eq!(settings.ledger.as_deref(), Some(LEDGER_DEFAULT));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn hologres_listens_on_80() {
    let mut variables = environment(MINIMAL);
    variables.set("HOLOLOAD_HOST", "hgpostcn-x-ap-northeast-1.hologres.aliyuncs.com");
    assert_eq!(Settings::read(None, &variables).expect("valid").target().expect("named").port, 80);
}

#[test]
fn the_login_is_plain_unless_something_else_is_said() {
    let mut variables = environment(MINIMAL);
    let target = |variables: &Environment| Settings::read(None, variables).map(|said| said.target);
    let plain = target(&variables).expect("valid").expect("named");
    assert_eq!((plain.login, plain.region), (LoginMode::Plain, None));
    variables.set("HOLOLOAD_LOGIN", "akv4");
    variables.set("HOLOLOAD_REGION", "ap-northeast-1");
    let akv4 = target(&variables).expect("valid").expect("named");
    assert_eq!((akv4.login, akv4.region.as_deref()), (LoginMode::Akv4, Some("ap-northeast-1")));
    variables.set("HOLOLOAD_LOGIN", "akv5");
    let error = target(&variables).expect_err("no such login");
    assert_eq!(error.hint(), Some("did you mean `akv4`?"));
}

#[test]
fn the_design_s_example_is_read() {
    let yaml = r#"
target:
  host: hgpostcn-xxx-ap-northeast-1.hologres.aliyuncs.com
  port: 80
  database: demo
  user: ${ACCESS_KEY_ID}
  password: ${ACCESS_KEY_SECRET}
  tls: verify-full
  ca: certs/hologres.pem
  timezone: Asia/Tokyo
ledger: public.holoload_ledger
rejects: s3://bob-rejects/holoload/
routes:
  - object: s3://bob-embulk-demo/{original,encryption}-data/**/*.csv
    table: public.book_order
    parse: {format: auto, charset: auto, header: auto, delimiter: ",", quote: "\"", escape: "\"", null_string: "", skip_lines: 0}
    write: {mode: upsert}
    bad_rows: {max: 100, max_percent: 10}
unmatched: ignore
acknowledge_failed: false
"#;
    let variables =
        environment(&[("ACCESS_KEY_ID", "LTAI"), ("ACCESS_KEY_SECRET", "shh"), ("HOLOLOAD_TABLE", "other")]);
    let settings = Settings::read(Some(yaml), &variables).expect("valid");
    assert_eq!(settings.target().expect("named").user, "LTAI");
    assert_eq!(settings.routes[0].table, "public.book_order");
    assert_eq!(settings.warnings, ["HOLOLOAD_TABLE is ignored: the configuration has routes"]);
}

#[test]
fn mistakes_name_the_nearest_word() {
    let cases: &[(&str, &str)] = &[
        ("target: {host: a, database: d, user: u, pasword: x}", "did you mean `password`?"),
        ("targt: {}", "did you mean `target`?"),
        ("routes: [{object: '**', table: t, write: {mode: upsrt}}]", "did you mean `upsert`?"),
        (
            "target: {host: a, database: d, user: u, password: '${NOPE}'}",
            "export NOPE, or write the value in place of ${NOPE}",
        ),
    ];
    for (yaml, hint) in cases {
        let error = Settings::read(Some(yaml), &environment(&[])).expect_err(yaml);
        assert_eq!(error.hint(), Some(*hint), "{yaml}: {error}");
    }
    let error = Settings::read(None, &environment(&[("HOLOLOAD_TABEL", "t")])).expect_err("unknown variable");
    assert_eq!(error.hint(), Some("did you mean HOLOLOAD_TABLE?"));
}

#[test]
fn broken_yaml_shows_no_values() {
    let error = Settings::read(Some("target: {password: hunter2, ]"), &environment(&[])).expect_err("broken");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}
