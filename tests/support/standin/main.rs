//! The stand-in of Hologres by hand: a cluster and a proxy of its own until standard input closes.

#[path = "../mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use serde_json::json;
use tokio_postgres::config::SslMode;

use support::block_on;
use support::postgres::{Database, Options as PostgresOptions, Postgres};
use support::standin::{Options, Profile, Standin, statements_of};

const USAGE: &str = "usage: standin [--profile 2.2|3.1|4.1] [--no-extended-copy] [--old-settings] [--database NAME] \
                     [--user NAME] [--password TEXT] [--sql FILE]";

struct Arguments {
    options: Options,
    database: String,
    user: String,
    password: String,
    sql: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(what) => {
            let _ = writeln!(std::io::stderr(), "error: {what}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let cluster = Postgres::start(PostgresOptions::behind_standin());
    let db = cluster.database_of(&arguments.database, &arguments.user, &arguments.password);
    let profile = arguments.options.profile;
    let standin = Standin::start(&db, arguments.options);
    let front = standin.database();
    if let Some(sql) = arguments.sql
        && let Err(what) = block_on(run(&front, &sql))
    {
        let _ = writeln!(std::io::stderr(), "error: {what}");
        return ExitCode::FAILURE;
    }
    let (superuser, superuser_password) = Postgres::superuser();
    let (socket_dir, socket_port) = front.socket();
    let line = json!({
        "host": front.host,
        "port": front.port,
        "database": front.name,
        "user": front.user,
        "password": front.password,
        "ca": front.ca_path,
        "superuser": superuser,
        "superuser_password": superuser_password,
        "profile": profile.release(),
        "server_version": cluster.major_version(),
        "socket_dir": socket_dir,
        "socket_port": socket_port,
    });
    // Whoever does not read it will close standard input.
    let _ = writeln!(std::io::stdout(), "{line}");
    block_on(end());
    ExitCode::SUCCESS
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        options: Options::default(),
        database: "demo".to_owned(),
        user: "loader".to_owned(),
        password: "standin-password".to_owned(),
        sql: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--profile" => {
                let wanted = value()?;
                let known = [Profile::V2_2, Profile::V3_1, Profile::V4_1];
                let found = known.into_iter().find(|profile| profile.release() == wanted);
                arguments.options.profile = found.ok_or_else(|| format!("there is no profile `{wanted}`"))?;
            }
            "--no-extended-copy" => arguments.options.extended_copy = false,
            "--old-settings" => arguments.options.keeps_unknown_settings = false,
            "--database" => arguments.database = value()?,
            "--user" => arguments.user = value()?,
            "--password" => arguments.password = value()?,
            "--sql" => {
                let path = value()?;
                let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
                arguments.sql = Some(text);
            }
            other => return Err(format!("`{other}` is no option")),
        }
    }
    Ok(arguments)
}

/// As the loader would, over TLS.
async fn run(db: &Database, sql: &str) -> Result<(), String> {
    let told = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(refused) => refused.to_string(),
        None => error.to_string(),
    };
    let ca = native_tls::Certificate::from_pem(db.ca_pem.as_bytes()).map_err(|error| error.to_string())?;
    let connector = native_tls::TlsConnector::builder().add_root_certificate(ca).build();
    let tls = postgres_native_tls::MakeTlsConnector::new(connector.map_err(|error| error.to_string())?);
    let mut config = tokio_postgres::Config::new();
    config.host(&db.host).port(db.port).dbname(&db.name).user(&db.user).password(&db.password);
    let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls).await.map_err(told)?;
    tokio::spawn(connection);
    for statement in statements_of(sql) {
        let done = client.batch_execute(&statement).await;
        done.map_err(|error| format!("{}\n{statement}", told(error)))?;
    }
    Ok(())
}

/// Standard input closes, or somebody asks for the end.
async fn end() {
    let (closed, closing) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while std::io::stdin().read(&mut buffer).is_ok_and(|count| count > 0) {}
        // Nobody listens any more when a signal came first.
        let _ = closed.send(());
    });
    let mut terminated =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a signal");
    tokio::select! {
        _ = closing => {}
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
