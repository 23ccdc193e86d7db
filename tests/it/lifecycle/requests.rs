//! The end of the process, for whoever is talking to the API: a request under way is answered as ever, and one that
//! takes too long ends without an answer, and without having changed anything.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::api::ADMIN;
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// An import that has begun, and whose end is still to be sent.
fn begun(proxy: &Proxy) -> TcpStream {
    let mut http = proxy.http();
    let head = format!(
        "POST /api/v1/import?reason=x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    );
    http.write_all(head.as_bytes()).expect("a head");
    let mut go_on = [0; 25];
    http.read_exact(&mut go_on).expect("the body is read from here on");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    http.write_all(&chunk("user,mode\n")).expect("a chunk");
    http
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Everything else has ended: only requests under way keep the process.
fn wait_until_only_requests_are_left(proxy: &Proxy) {
    wait::until("the admin listener is closed", || {
        TcpStream::connect(("127.0.0.1", proxy.endpoints.admin)).is_err().then_some(())
    });
}

#[test]
fn a_request_under_way_finds_the_state_as_long_as_it_takes() {
    let dovecot = Dovecot::start();
    let mut proxy = Proxy::start(&dovecot, Upstream::Plain);
    let mut http = begun(&proxy);
    proxy.signal("TERM");
    wait_until_only_requests_are_left(&proxy);
    http.write_all(&chunk("anna@example.net,notice\n")).expect("a chunk");
    http.write_all(b"0\r\n\r\n").expect("the end");
    let mut answer = String::new();
    http.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""changed":1,"#), "{answer}");
    assert_eq!(proxy.exit_code(), Some(0));
    assert!(!proxy.log().contains("the state store failed"), "{}", proxy.log());
}

#[test]
fn a_request_that_does_not_end_keeps_nobody() {
    let dovecot = Dovecot::start();
    let mut proxy = Proxy::start(&dovecot, Upstream::Plain);
    let mut http = begun(&proxy);
    let mut silent = proxy.http();
    proxy.signal("TERM");
    assert_eq!(proxy.exit_code(), Some(0));
    let mut answer = String::new();
    assert!(http.read_to_string(&mut answer).is_err() || answer.is_empty(), "{answer}");
    assert_eq!(silent.read(&mut [0]).unwrap_or_default(), 0);
    proxy.log_with("take too long are cut off", 1);
    assert!(!proxy.log().contains("the state store failed"), "{}", proxy.log());
}
