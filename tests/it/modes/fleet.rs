//! Two proxies and one PostgreSQL: what is changed through one is in force on the other.

use jiff::Timestamp;
use lastpop::store::Subject;
use lastpop::users::UserName;

use super::{MESSAGE, PAGE, answered, answered_soon, count, of, quit, set};
use crate::support::desk::Desk;
use crate::support::dovecot::Dovecot;
use crate::support::imap::Imap;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// Two proxies on the database of this name, and a third party that changes rules.
pub(super) fn fleet(
    dovecot: &Dovecot,
    server: &Postgres,
    database: &str,
    more: &[(&str, &str)],
) -> ([Proxy; 2], Desk) {
    fleet_at(dovecot, &server.url(database), more)
}

/// The same with the database at this address.
pub(super) fn fleet_at(dovecot: &Dovecot, url: &str, more: &[(&str, &str)]) -> ([Proxy; 2], Desk) {
    let quoted = format!("\"{url}\"");
    let changes = [&[("state.url", quoted.as_str())], more].concat();
    let proxies = [(); 2].map(|()| Proxy::start_with(dovecot, Upstream::Plain, &changes, &[]));
    (proxies, Desk::open(url))
}

#[test]
fn a_flip_is_in_force_on_every_proxy() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let user = dovecot.user("anna@example.net", "a password");
    let (proxies, desk) = fleet(&dovecot, &server, "fleet_flips", &[]);
    for proxy in &proxies {
        answered(proxy, &user, "+OK");
    }
    let domain = Subject::Domain("example.net".to_owned());
    let now = || Timestamp::now().as_second();
    let flips: [(&str, &dyn Fn(), &str); 6] = [
        ("a user", &|| set(&desk, &of(&user), "imap-only"), "-ERR [SYS/PERM] "),
        ("a user, undone", &|| drop(desk.undo(&of(&user), now())), "+OK"),
        ("a domain", &|| set(&desk, &domain, "imap-only"), "-ERR [SYS/PERM] "),
        ("a domain, undone", &|| drop(desk.undo(&domain, now())), "+OK"),
        ("everyone", &|| set(&desk, &Subject::Everyone, "imap-only"), "-ERR [SYS/PERM] "),
        ("a user's exception", &|| set(&desk, &of(&user), "notice"), "+OK"),
    ];
    for (what, flip, reply) in flips {
        flip();
        let took = proxies.each_ref().map(|proxy| answered_soon(proxy, &user, reply));
        println!("{what}: in force on both proxies {took:?} after it was committed");
    }
    for proxy in &proxies {
        let changes = i64::try_from(flips.len()).expect("a few");
        let known = || (proxy.metric("lastpop_policy_generation") == changes).then_some(());
        wait::until("both proxies know of every change", known);
    }
}

/// Behind a load balancer the next session may be on another proxy, which had listed the notice before.
#[test]
fn a_notice_that_was_deleted_on_one_proxy_is_gone_on_all() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let user = dovecot.user("anna@example.net", "a password");
    dovecot.deliver(&user, [MESSAGE]);
    let notice = ("policy.mode", "\"notice\"");
    let ([one, other], _desk) = fleet(&dovecot, &server, "fleet_notices", &[notice, PAGE]);
    let mut unique_ids = [&one, &other].map(|proxy| {
        let mut session = proxy.login(&user);
        let unique_id = session.command("UIDL 2");
        quit(session);
        unique_id
    });
    assert!(unique_ids[0].contains("{notice}"), "{unique_ids:?}");
    unique_ids.sort();
    assert_eq!(unique_ids[0], unique_ids[1]);
    let mut session = one.login(&user);
    assert!(session.command("DELE 2").starts_with("+OK"));
    quit(session);
    assert_eq!(count(&mut one.login(&user)), 1);
    wait::until("the other proxy knows", || (count(&mut other.login(&user)) == 1).then_some(()));
}

/// It is done once: what the customer deletes afterwards stays hidden, on whichever proxy.
#[test]
fn hidden_mail_is_brought_back_by_one_proxy_and_not_once_more_by_the_other() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let user = dovecot.user("anna@example.net", "a password");
    dovecot.deliver(&user, [MESSAGE; 3]);
    let ([one, other], desk) = fleet(&dovecot, &server, "fleet_unhide", &[]);
    let delete_all = |proxy: &Proxy, messages: usize| {
        let mut session = proxy.login(&user);
        assert_eq!(count(&mut session), messages);
        for number in 1..=messages {
            assert!(session.command(&format!("DELE {number}")).starts_with("+OK"));
        }
        quit(session);
    };
    delete_all(&one, 3);
    assert_eq!(count(&mut other.login(&user)), 0);
    let asked = desk.unhide(&UserName::stored(&user.name), 0, Timestamp::now().as_second()).expect("asked");
    for proxy in [&one, &other] {
        wait::until("it is heard", || (proxy.metric("lastpop_policy_generation") >= asked).then_some(()));
    }
    delete_all(&one, 3);
    // The next change after what was asked is that it was done.
    wait::until("it is heard", || (other.metric("lastpop_policy_generation") > asked).then_some(()));
    assert_eq!(count(&mut other.login(&user)), 0);
    assert!(Imap::open(&dovecot, &user).messages().iter().all(|message| message.has("$POP3Deleted")));
}
