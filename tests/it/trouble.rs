//! Trouble around lastpop that no customer may notice: an upstream address that turns everybody away, a log
//! whose reader is gone or does not read.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream, lastpop};

#[test]
fn an_address_that_says_bye_is_passed_over() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("anna", "secret");
    let busy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addresses = format!(
        "[\"127.0.0.1:{}\", \"127.0.0.1:{}\"]",
        busy.local_addr().expect("its address").port(),
        dovecot.ports.imap
    );
    let turned_away = std::thread::spawn(move || {
        let (mut connection, _) = busy.accept().expect("a connection");
        connection.write_all(b"* BYE [UNAVAILABLE] too many connections\r\n").expect("written");
    });
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("upstream.address", &addresses)], &[]);
    let mut pop3 = proxy.login(&user);
    assert!(pop3.command("STAT").starts_with("+OK"));
    turned_away.join().expect("the first address was tried");
}

/// Logs in and out at the first listener of a lastpop whose stderr nobody reads.
fn sessions_without_a_log(stderr_is_closed: bool, sessions: usize) {
    let dovecot = Dovecot::start();
    let user = dovecot.user("anna", "secret");
    let configured = Proxy::start(&dovecot, Upstream::Plain);
    let mut command = lastpop();
    command.args(["serve", "--config"]).arg(configured.file());
    // The same file but for the state, which only one of the two can have.
    let state = configured.file().with_file_name("other.db");
    command.env("LASTPOP_STATE__URL", format!("sqlite://{}", state.display()));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("lastpop");
    let stderr = child.stderr.take().filter(|_| !stderr_is_closed);
    let mut lines =
        BufReader::new(child.stdout.take().expect("stdout")).lines().map(|line| line.expect("a line"));
    let first = lines.next().expect("a listener");
    lines.find(|line| line == "READY").expect("READY");
    let address = first.split(' ').nth(2).expect("an address").to_owned();
    for _ in 0..sessions {
        let tcp = TcpStream::connect(&address).expect("a connection");
        let login = format!("USER {}\r\nPASS {}\r\nQUIT\r\n", user.name, user.password);
        (&tcp).write_all(login.as_bytes()).expect("written");
        let replies: Vec<String> = BufReader::new(tcp).lines().map(|line| line.expect("a line")).collect();
        assert!(replies.len() == 4 && replies.iter().all(|line| line.starts_with("+OK")), "{replies:?}");
    }
    child.kill().expect("still running");
    child.wait().expect("its end");
    drop(stderr);
}

#[test]
fn a_log_whose_reader_is_gone_ends_no_session() {
    sessions_without_a_log(true, 20);
}

#[test]
fn a_log_that_is_not_read_stops_no_session() {
    // Two lines of more than 200 octets each: more than a pipe's 64 KiB.
    sessions_without_a_log(false, 200);
}
