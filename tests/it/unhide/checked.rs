//! `lastpop check` and master credentials: as far as it can tell without a user, and all the way with one.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use super::{ACL, MESSAGE, SECRET, World};
use crate::support::proxy::{Proxy, lastpop};

/// Runs `check` with the configuration of this lastpop; gives the exit code and all that it said.
fn check(proxy: &Proxy, user: Option<&str>) -> (Option<i32>, String) {
    let user = user.map(|user| ["--user", user]);
    let output = lastpop()
        .args(["check", "--config"])
        .arg(proxy.file())
        .args(user.into_iter().flatten())
        .output()
        .expect("start lastpop");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!said.contains(SECRET), "{said}");
    (output.status.code(), said)
}

#[track_caller]
fn says(said: &(Option<i32>, String), code: i32, texts: &[&str]) {
    assert_eq!(said.0, Some(code), "{}", said.1);
    for text in texts {
        assert!(said.1.contains(text), "no {text:?} in {}", said.1);
    }
}

#[test]
fn what_check_says_of_master_credentials() {
    let world = World::new("");
    world.dovecot.deliver(&world.anna, [MESSAGE]);
    let mode = |mode| std::fs::set_permissions(world.file(), PermissionsExt::from_mode(mode)).expect("chmod");
    mode(0o640);
    for style in ["separator", "authzid"] {
        let proxy = world.proxy("lastpop", style, &[]);
        world.delete(&proxy, &[1]);
        // 1. Without a user nobody logs in.
        let before = world.dovecot.log().matches("client in: AUTH").count();
        let said = check(&proxy, None);
        says(&said, 0, &["as \"lastpop\"", "`lastpop check --user NAME` opens one", "WARNING: without TLS"]);
        assert!(!said.1.contains("everybody on this machine"), "{}", said.1);
        assert_eq!(world.dovecot.log().matches("client in: AUTH").count(), before);
        // 2. With one, and nothing is changed.
        let opened = "opened the INBOX of \"anna@example.net\"; hidden mail can be shown again there.";
        says(&check(&proxy, Some("Anna@Example.net")), 0, &[opened]);
        assert_eq!(world.hidden().len(), 1);
        says(
            &check(&proxy, Some("nobody@example.net")),
            1,
            &["master: CANNOT open the mailbox of \"nobody@"],
        );
        // 3. Files that are kept badly, or are not there.
        mode(0o644);
        says(&check(&proxy, None), 0, &["WARNING: everybody on this machine can read ", "chmod 640"]);
        world.knows("wrong");
        mode(0o640);
        says(&check(&proxy, Some("anna@example.net")), 1, &["CANNOT BE USED: the upstream refused to open"]);
        world.knows("");
        says(
            &check(&proxy, None),
            78,
            &["the master password is empty", "see upstream.master.password_file"],
        );
        std::fs::remove_file(world.file()).expect("removed");
        says(&check(&proxy, None), 78, &["/master: cannot be read: No such file"]);
        world.knows(SECRET);
        mode(0o640);
        // Dovecot counts UIDs on, and the next round deletes the same message.
        assert_eq!(super::order(&proxy, None)["done"], true);
    }
    let odd = check(&world.proxy("lastpop", "separator", &[]), Some("anna*bob"));
    says(&odd, 1, &["CANNOT open \"anna*bob\": the user's name has the separator '*' in it"]);
    let none = Proxy::start(&world.dovecot, crate::support::proxy::Upstream::Plain);
    says(&check(&none, None), 0, &["the configuration is valid"]);
    says(&check(&none, Some("anna@example.net")), 1, &["there is no [upstream.master]"]);
}

#[test]
fn rights_that_the_upstream_does_not_give() {
    let world = World::new(ACL);
    world.dovecot.write("acls", "* user=lastpop lr\n");
    let proxy = world.proxy("lastpop", "separator", &[]);
    says(&check(&proxy, Some("anna@example.net")), 1, &["may not change the keyword there"]);
}

#[test]
fn a_style_that_the_upstream_does_not_offer() {
    let world = World::new("");
    let old = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("\"{}\"", old.local_addr().expect("its address"));
    thread::spawn(move || {
        // As long as the test runs.
        for mut client in old.incoming().map_while(Result::ok) {
            let greeted = client.write_all(b"* OK [CAPABILITY IMAP4rev1] hi\r\n");
            let _ = greeted.and_then(|()| client.read_to_end(&mut Vec::new()));
        }
    });
    let needs = "it does not offer AUTH=PLAIN, which upstream.master.style = \"authzid\" needs";
    let proxy = world.proxy("lastpop", "authzid", &[("upstream.address", &address)]);
    says(&check(&proxy, None), 1, &[needs]);
    let proxy = world.proxy("lastpop", "separator", &[("upstream.address", &address)]);
    says(&check(&proxy, None), 0, &["it takes user names and passwords"]);
}
