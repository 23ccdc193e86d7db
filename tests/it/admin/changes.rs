//! Changes that meet others: what is said, and what is done.

use crate::support::api::ADMIN;
use crate::support::dovecot::Dovecot;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Proxy, Upstream};
use sqlx::{Connection as _, Executor as _, PgConnection};

/// A transaction that has done something already, and that nobody has ended yet.
async fn open(url: &str, statement: &'static str) -> sqlx::Result<PgConnection> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute("BEGIN").await?;
    connection.execute(statement).await?;
    Ok(connection)
}

#[test]
fn who_does_not_get_a_turn_is_told_when_to_come_again() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let url = server.url("admin_turns");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("state.url", &format!("\"{url}\""))], &[]);
    let set = || {
        let body = r#"{"mode": "notice", "reason": "r"}"#;
        proxy.api("PUT", "/api/v1/users/anna@example.net/mode", ADMIN, body)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // As a change of many users does.
    let raise = "UPDATE counters SET value = value + 1 WHERE name = 'generation'";
    let many = runtime.block_on(open(&url, raise)).expect("a change of many users");
    let refused = set();
    let said = refused.problem(503);
    assert!(said.contains("Nothing was changed; try again in a minute."), "{said}");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(proxy.metric("lastpop_store_up"), 1);
    runtime.block_on(many.close()).expect("given up");
    assert_eq!(set().json()["after"]["mode"], "notice");
}
