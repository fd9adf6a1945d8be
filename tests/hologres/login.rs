//! Who logs in, and how.

use crate::harness::Run;
use crate::lab::{Hologres, ORDERS};
use crate::support::standin::today;

const TEXT: &str = "id,name\n1,a\n";
const REGION: &str = "ap-northeast-1";

fn load(hologres: &Hologres, user: &str, password: &str) -> Run {
    let load = hologres.load_with("write: {mode: upsert}", TEXT).argument("--force");
    load.env("HOLOLOAD_USER", user).env("HOLOLOAD_PASSWORD", password)
}

#[test]
fn custom_accounts_and_warehouses_are_passed_through() {
    let hologres = Hologres::new("basic", ORDERS);
    hologres.standin.create_user("BASIC$loader", "pa ss'wo\"rd");
    let database = format!("{}@wh_1", hologres.db.name);
    load(&hologres, "BASIC$loader", "pa ss'wo\"rd").env("HOLOLOAD_DATABASE", database).run().loaded();
    load(&hologres, "BASIC$loader", "wrong").run().failed(3, "connect to localhost", "BASIC$");
    load(&hologres, "BASIC$loader", "wrong").env("HOLOLOAD_LOGIN", "akv4").run().exits(2);
}

#[test]
fn akv4_shows_a_password_of_the_day() {
    let hologres = Hologres::new("akv4", ORDERS);
    hologres.standin.create_akv4_user("LTAI1", "the-secret", REGION, &today());
    let load = |login: &str, secret: &str| {
        load(&hologres, "LTAI1", secret).env("HOLOLOAD_LOGIN", login).env("HOLOLOAD_REGION", REGION)
    };
    load("akv4", "the-secret").run().loaded();
    load("auto", "the-secret").run().loaded();
    load("akv4", "another").run().failed(3, "connect to localhost", "");
    load("plain", "the-secret").run().failed(3, "connect to localhost", "");
    load("akv4", "the-secret").without("HOLOLOAD_REGION").run().refused(2, "region", "HOLOLOAD_REGION");
}

/// A server that does not know AKv4 refuses it; `auto` then logs in as before.
#[test]
fn auto_falls_back_where_akv4_is_not_known() {
    let hologres = Hologres::new("akv4_old", ORDERS);
    hologres.standin.create_user("LTAI2", "the-secret");
    let load =
        load(&hologres, "LTAI2", "the-secret").env("HOLOLOAD_LOGIN", "auto").env("HOLOLOAD_REGION", REGION);
    load.run().loaded();
    assert_eq!(hologres.standin.logins(), 2, "one refused, one accepted");
}

/// The clock is wrong, or the password was made just before midnight: it is made anew.
#[test]
fn a_password_of_another_day_is_told_apart() {
    let hologres = Hologres::new("akv4_stale", ORDERS);
    hologres.standin.create_akv4_user("LTAI3", "the-secret", REGION, "20200101");
    let load =
        load(&hologres, "LTAI3", "the-secret").env("HOLOLOAD_LOGIN", "akv4").env("HOLOLOAD_REGION", REGION);
    load.run().failed(4, "connect to localhost", "clock");
}
