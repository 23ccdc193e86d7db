//! Where lastpop is, with which token, and what commands say when it is not there or does not let them.

use std::path::PathBuf;

use super::server::{Lastpop, Over};
use super::{WHY, run};
use crate::support::api::{ADMIN, EXPIRED, OPERATOR, UNKNOWN, VIEWER};

#[test]
fn what_changes_something_wants_a_reason() {
    for arguments in [
        &["user", "set", "a@x", "pop3"][..],
        &["user", "undo", "a@x"],
        &["user", "unhide", "a@x"],
        &["user", "import", "-"],
        &["domain", "set", "x", "pop3"],
        &["domain", "undo", "x"],
        &["wave", "create", "w", "--domain", "x", "--step", "2099-12-01 notice"],
        &["wave", "members", "w", "-"],
        &["wave", "start", "w"],
        &["wave", "pause", "w"],
        &["wave", "resume", "w"],
        &["wave", "rollback", "w"],
        &["wave", "delete", "w"],
        &["kick", "--user", "a@x"],
        &["drain"],
    ] {
        run(arguments, &[], "").failed(2, &["--reason <TEXT>"]);
        run(&[arguments, &["--reason", "  "]].concat(), &[], "").failed(2, &["a reason is needed"]);
    }
}

/// What lastpop says that a token lacks, and what the command says to make, is the same role.
#[test]
fn tokens_and_roles() {
    let lastpop = Lastpop::shared(Over::Tcp);
    for (role, arguments) in [
        ("operator", &["user", "set", "a@roles.example", "pop3"][..]),
        ("operator", &["user", "undo", "a@roles.example"]),
        ("operator", &["user", "unhide", "a@roles.example"]),
        ("operator", &["kick", "--user", "a@roles.example"]),
        ("admin", &["user", "undo", "--batch", "1"]),
        ("admin", &["user", "import", "-"]),
        ("admin", &["domain", "set", "roles.example", "pop3"]),
        ("admin", &["domain", "undo", "roles.example"]),
        ("admin", &["wave", "create", "roles", "--domain", "x", "--step", "2099-12-01 notice"]),
        ("admin", &["wave", "members", "roles", "-"]),
        ("admin", &["wave", "start", "roles"]),
        ("admin", &["wave", "pause", "roles"]),
        ("admin", &["wave", "resume", "roles"]),
        ("admin", &["wave", "rollback", "roles"]),
        ("admin", &["wave", "delete", "roles"]),
        ("admin", &["drain"]),
    ] {
        let (token, name, has) = if role == "admin" {
            (OPERATOR, "an-operator", "operator")
        } else {
            (VIEWER, "a-viewer", "viewer")
        };
        let refused = lastpop.with_token(token, &[arguments, &WHY, &["--dry-run"]].concat());
        assert_eq!(
            refused.failed(1, &[]).stderr,
            format!(
                "lastpop: the token from LASTPOP_TOKEN may not do this (The token {name} has the role {has}; this needs \
                 the role {role}). Use another token, or make one with `lastpop token create --name NAME --role \
                 {role}` on lastpop's machine\n"
            )
        );
    }
    for arguments in [
        &["user", "list", "--domain", "roles.example"][..],
        &["user", "history", "a@roles.example"],
        &["user", "export", "--domain", "roles.example"],
        &["domain", "list"],
        &["domain", "show", "roles.example"],
        &["wave", "list"],
        &["who"],
        &["audit", "--subject", "a@roles.example"],
        &["summary"],
    ] {
        lastpop.with_token(VIEWER, arguments).fine(&[]);
    }
}

#[test]
fn a_wrong_token_or_none() {
    let lastpop = Lastpop::shared(Over::Tcp);
    for (arguments, role) in
        [(&["wave", "list"][..], "viewer"), (&["drain", "--dry-run", WHY[0], WHY[1]], "admin")]
    {
        let said = format!(
            "lastpop: lastpop at {} (from --url) does not take the token from LASTPOP_TOKEN (This token is unknown here; \
             it may have been revoked. Make another). `lastpop token create --name NAME --role {role}` makes one on its \
             machine; keep it in ~/.config/lastpop/token or in a file that --token-file names\n",
            lastpop.url
        );
        assert_eq!(lastpop.with_token(UNKNOWN, arguments).failed(1, &[]).stderr, said);
    }
    lastpop.with_token(EXPIRED, &["who"]).failed(1, &["(The token expired has expired; make another with"]);
    lastpop
        .with_token("", &["who"])
        .failed(1, &["there is no token: LASTPOP_TOKEN is not set", "/.config/lastpop/token"]);
    lastpop.with_token("a-password", &["who"]).failed(1, &["LASTPOP_TOKEN holds no token: expected \"lp_\""]);
    let named = run(&["who", "--url", &lastpop.url, "--token-file", "/nonexistent"], &[], "");
    named.failed(
        1,
        &["the token file /nonexistent cannot be read: No such file", "name another with --token-file"],
    );
}

const CONFIGURATION: &str = "[[listen]]
address = \"127.0.0.1:0\"
tls = \"none\"
plaintext = \"always\"
[upstream]
address = \"127.0.0.1:1\"
[admin]
address = \"ADDRESS\"
";

#[test]
fn the_configuration_says_where_lastpop_is() {
    let (tcp, unix) = (Lastpop::shared(Over::Tcp), Lastpop::shared(Over::Unix));
    let address = tcp.url.strip_prefix("http://").expect("TCP");
    let configuration = |address: &str| tcp.file("lastpop.toml", &CONFIGURATION.replace("ADDRESS", address));
    let token = tcp.file("token", &format!("{ADMIN}\n"));
    let who = |file: &str| run(&["who", "--config", file, "--token-file", &token], &[], "");
    who(&configuration(address)).fine(&["session\tuser"]);
    who(&configuration(&unix.url)).fine(&["session\tuser"]);
    let by_environment = [("LASTPOP_CONFIG", configuration(address)), ("LASTPOP_TOKEN", ADMIN.to_owned())];
    run(&["who"], &by_environment.each_ref().map(|(name, value)| (*name, value.as_str())), "")
        .fine(&["session\tuser"]);
    who("/nonexistent.toml").failed(
        78,
        &["(os error 2); name the configuration with --config; or say where lastpop is with --url\n"],
    );
    who(&configuration("nonsense")).failed(78, &["admin.address"]);
}

#[test]
fn lastpop_is_not_there() {
    let lastpop = Lastpop::shared(Over::Unix);
    let token = lastpop.file("token", ADMIN);
    let run = |more: &[&str]| run(&[&["user", "list", "--token-file", &token], more].concat(), &[], "");
    let closed = lastpop.file("lastpop.toml", &CONFIGURATION.replace("ADDRESS", "127.0.0.1:1"));
    let said = format!(
        "lastpop: cannot reach lastpop at http://127.0.0.1:1 (admin.address in {closed}): Connection refused (os error \
         111); is it running? If it listens elsewhere, say where with --url\n"
    );
    assert_eq!(run(&["--config", &closed]).failed(69, &[]).stderr, said);
    // What was named wins over what is configured.
    let moved = run(&["--config", &closed, "--url", "unix:/nonexistent"]);
    moved.failed(
        69,
        &["cannot reach lastpop at unix:/nonexistent (from --url): No such file", "is it running?"],
    );
    // Another port of the same lastpop, and the wrong scheme.
    let tcp = Lastpop::shared(Over::Tcp);
    let pop3 = format!("http://127.0.0.1:{}", tcp.proxy().endpoints.plain);
    run(&["--url", &pop3]).failed(69, &["is the address right, and is it http or https?"]);
    run(&["--url", &tcp.url.replace("http", "https")]).failed(69, &["is it http rather than https?"]);
    run(&["--url", "127.0.0.1:1"]).failed(2, &["expected http://HOST:PORT, https://HOST:PORT or unix:/PATH"]);
    let left = lastpop.path("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("a socket"));
    run(&["--url", &format!("unix:{left}")])
        .failed(69, &["left.sock (from --url): Connection refused", "is it running?"]);
}

/// The token of somebody who keeps it at home.
#[test]
fn a_token_is_found_at_home() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let folder = PathBuf::from(lastpop.path("config/lastpop"));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("token"), format!("{ADMIN}\n")).expect("a token");
    let home = lastpop.path("config");
    run(&["who", "--url", &lastpop.url], &[("XDG_CONFIG_HOME", &home)], "").fine(&["session\tuser"]);
}

/// Over a unix socket as over TCP: what lastpop refuses is told.
#[test]
fn a_unix_socket_asks_for_a_token_as_well() {
    let lastpop = Lastpop::shared(Over::Unix);
    lastpop.with_token(UNKNOWN, &["who"]).failed(1, &["lastpop at unix:/", "This token is unknown here"]);
    lastpop
        .with_token(VIEWER, &["domain", "set", "x", "pop3", WHY[0], WHY[1]])
        .failed(1, &["this needs the role admin"]);
    assert_eq!(lastpop.run(&["who"]).fine(&["session\tuser"]).stderr, "");
}
