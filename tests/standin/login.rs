//! Who may come in, and how.

use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, Error, NoTls};

use crate::raw::{Raw, outcome};
use crate::support::standin::{Fault, Options, akv4_password, errors, today};
use crate::world::{World, assert_said, said, world};

async fn log_in(world: &World, user: &str, password: &str) -> Result<tokio_postgres::Client, Error> {
    world.connect(world.config().user(user).password(password)).await
}

#[tokio::test]
async fn both_kinds_of_connection_are_taken() {
    let world = world("login_tls", Options::default(), "");
    assert_eq!(outcome(&Raw::connect(&world).query("SELECT 1")), "SELECT 1");
    let mut config: Config = world.config();
    config.ssl_mode(SslMode::Require);
    assert!(world.connect(&config).await.is_ok());
    config.ssl_mode(SslMode::Disable);
    assert!(config.connect(NoTls).await.is_ok());
    assert_said(log_in(&world, "app", "wrong").await.map(drop), "28P01", "password authentication failed");
}

#[tokio::test]
async fn names_of_users_and_warehouses() {
    let world = world("login_names", Options::default(), "");
    world.standin.create_user("BASIC$loader", "it's@secret");
    let mut config = world.config();
    config.user("BASIC$loader").password("it's@secret").dbname(format!("{}@wh1", world.db.name));
    let client = world.connect(&config).await.expect("logged in");
    let row =
        client.query_one("SELECT current_user::text, current_database()::text", &[]).await.expect("a row");
    assert_eq!(row.get::<_, String>(0), "BASIC$loader");
    assert_eq!(row.get::<_, String>(1), world.db.name);
}

#[tokio::test]
async fn akv4_passwords_are_good_for_a_day() {
    let world = world("login_akv4", Options::default(), "");
    let password = akv4_password("secret", "ap-northeast-1", &today());
    world.standin.create_akv4_user("LTAI1", "secret", "ap-northeast-1", &today());
    assert!(log_in(&world, "akv4$LTAI1", &password).await.is_ok());
    let wrong = log_in(&world, "akv4$LTAI1", "wrong").await;
    assert_said(wrong.map(drop), "28P01", "Cloud authentication failed for access id");
    world.standin.create_akv4_user("LTAI2", "secret", "ap-northeast-1", "20240101");
    assert_said(log_in(&world, "akv4$LTAI2", &password).await.map(drop), "28P01", "Invalid expire_time");
}

/// Computed once with Python's `hmac` module.
#[test]
fn an_akv4_password_is_as_the_vendor_describes_it() {
    let password = akv4_password("secret", "cn-shenzhen", "20240102");
    assert_eq!(password, "0Vfgssbvn6fiuXW2yqV9nH/JKruBpUIN3jyqAcnuv8c=");
}

#[tokio::test]
async fn refusals_at_the_door() {
    let world = world("login_refused", Options::default(), "");
    for (fault, text) in [
        (
            errors::allow_list("203.0.113.9"),
            "Rejected by ip white list.\ndb = demo, usr=loader, ip=203.0.113.9",
        ),
        (
            errors::slots_exhausted(1),
            "remaining connection slots are reserved for non-replication superuser connections",
        ),
        (errors::too_many_clients(1), "sorry, too many clients already"),
        (errors::role_missing(), "role \"loader\" does not exist"),
    ] {
        world.standin.inject(fault);
        let error = world.connect(&world.config()).await.expect_err("refused");
        assert_eq!(said(&error).1, text);
        assert_eq!(error.as_db_error().map(tokio_postgres::error::DbError::severity), Some("FATAL"));
        world.standin.clear_faults();
    }
    world.standin.inject(Fault::RefuseLogin { code: "53300", message: "full".to_owned(), times: 2 });
    for _ in 0..2 {
        assert!(world.connect(&world.config()).await.is_err());
    }
    assert!(world.connect(&world.config()).await.is_ok(), "the third time");
    let options = world.connect(world.config().options("-c statement_timeout=5")).await;
    assert!(said(&options.map(drop).expect_err("refused")).1.contains("invalid command-line argument"));
}

#[tokio::test]
async fn connections_are_counted() {
    let world = world("login_counted", Options { connections_max: Some(1), ..Options::default() }, "");
    let first = world.client().await;
    assert_said(world.connect(&world.config()).await.map(drop), "53300", "too many clients");
    drop(first);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while world.connect(&world.config()).await.is_err() {
        assert!(std::time::Instant::now() < end, "the first still counts");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
