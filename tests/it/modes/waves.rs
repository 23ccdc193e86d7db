//! A wave before two proxies and one PostgreSQL: customers notice each step on both, and one of them carried it out.

use jiff::Timestamp;
use lastpop::policy::Mode;
use lastpop::users::UserName;

use super::fleet::fleet;
use super::{answered, answered_soon};
use crate::support::dovecot::Dovecot;
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::wait;

#[test]
fn steps_of_a_wave_are_in_force_on_every_proxy_and_carried_out_once() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let users = ["anna@example.net", "bob@example.net"].map(|name| dovecot.user(name, "a password"));
    let (proxies, desk) = fleet(&dovecot, &server, "fleet_waves", &[]);
    for proxy in &proxies {
        for user in &users {
            answered(proxy, user, "+OK");
        }
    }
    let names = users.each_ref().map(|user| UserName::stored(&user.name));
    let now = Timestamp::now().as_second();
    desk.wave("first", &names, &[(now - 60, Mode::Notice), (now + 2, Mode::ImapOnly)], now);
    for proxy in &proxies {
        for user in &users {
            answered_soon(proxy, user, "-ERR [SYS/PERM] ");
        }
    }
    for mode in ["notice", "imap-only"] {
        let label = format!("mode=\"{mode}\"");
        let fired =
            proxies.each_ref().map(|proxy| proxy.metric_with("lastpop_wave_steps_fired_total", &label));
        let moved =
            proxies.each_ref().map(|proxy| proxy.metric_with("lastpop_wave_step_users_total", &label));
        assert_eq!((fired.iter().sum::<i64>(), moved.iter().sum::<i64>()), (1, 2), "{mode} {fired:?}");
    }
    let told = |proxy: &Proxy| {
        proxy.get("/metrics").1.contains("lastpop_wave_steps{state=\"fired\",wave=\"first\"} 2\n")
    };
    wait::until("it is shown", || proxies.iter().all(told).then_some(()));
    let logs: String = proxies.iter().map(Proxy::log).collect();
    assert_eq!(logs.matches("a step of a wave was carried out").count(), 2, "{logs}");
}
