//! A database behind the stand-in, and a client that is none of the loader's.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Error};

use crate::support::postgres::{self, Database};
use crate::support::standin::{Options, Profile, Standin};

/// What most tests write into.
pub const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text, amount numeric(10, 2))";

pub struct World {
    pub standin: Standin,
    pub db: Database,
}

/// `sql` runs as the owner, past the stand-in, once what Hologres has is there.
pub fn world(name: &str, options: Options, sql: &str) -> World {
    let db = postgres::shared_hologres().database(name);
    let standin = Standin::start(&db, options);
    if !sql.is_empty() {
        db.run(sql);
    }
    World { db: standin.database(), standin }
}

pub fn profile(profile: Profile) -> Options {
    Options { profile, ..Options::default() }
}

impl World {
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host(&self.db.host)
            .port(self.db.port)
            .dbname(&self.db.name)
            .user(&self.db.user)
            .password(&self.db.password)
            .ssl_mode(SslMode::Require)
            .connect_timeout(Duration::from_secs(10));
        config
    }

    pub async fn client(&self) -> Client {
        self.connect(&self.config()).await.expect("the client connects")
    }

    pub async fn connect(&self, config: &Config) -> Result<Client, Error> {
        let (client, connection) = config.connect(self.tls()).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub fn tls(&self) -> postgres_native_tls::MakeTlsConnector {
        let ca = native_tls::Certificate::from_pem(self.db.ca_pem.as_bytes()).expect("a CA");
        let connector = native_tls::TlsConnector::builder().add_root_certificate(ca).build().expect("TLS");
        postgres_native_tls::MakeTlsConnector::new(connector)
    }

    /// `a|b|NULL` for each row.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let value = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
        let row = |row: Vec<Option<String>>| row.into_iter().map(value).collect::<Vec<_>>().join("|");
        self.db.query(sql).into_iter().map(row).collect()
    }
}

/// SQLSTATE and text of the server's error.
#[track_caller]
pub fn said(error: &Error) -> (String, String) {
    let refused = error.as_db_error().unwrap_or_else(|| panic!("no server's error: {error:?}"));
    (refused.code().code().to_owned(), refused.message().to_owned())
}

/// The error has this SQLSTATE and contains this text.
#[track_caller]
pub fn assert_said<T>(result: Result<T, Error>, code: &str, text: &str) {
    let Err(error) = result else { panic!("`{text}` was to be refused") };
    let (found, message) = said(&error);
    assert!(found == code && message.contains(text), "{found}: {message}, not {code}: {text}");
}

/// COPY through the extended protocol; answers the rows of the command tag.
pub async fn copy(client: &Client, sql: &str, data: impl Into<Bytes>) -> Result<u64, Error> {
    let sink = client.copy_in::<_, Bytes>(sql).await?;
    tokio::pin!(sink);
    sink.send(data.into()).await?;
    sink.finish().await
}

/// Binary COPY data of `(int8, text)` rows, without a trailer, as the vendor's client sends it.
pub fn binary(rows: &[(i64, &str)]) -> Vec<u8> {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for (id, name) in rows {
        data.extend_from_slice(&2_i16.to_be_bytes());
        data.extend_from_slice(&8_i32.to_be_bytes());
        data.extend_from_slice(&id.to_be_bytes());
        data.extend_from_slice(&i32::try_from(name.len()).expect("short").to_be_bytes());
        data.extend_from_slice(name.as_bytes());
    }
    data
}
