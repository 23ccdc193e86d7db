//! Answers that no lastpop should give, but that a command may meet: each ends in one sentence, and none is
//! taken for success.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Ended, WHY, run};
use crate::support::certificates::Certificates;

const TOKEN: &str = "lp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Answers each connection with the next of these texts, the last again and again. Counts connections.
fn answers(texts: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let at = counted.fetch_add(1, Ordering::SeqCst).min(texts.len() - 1);
            let reader = BufReader::new(client.try_clone().expect("a clone"));
            let _ = reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            // Whoever has left needs no answer.
            let _ = client.write_all(texts[at].as_bytes());
            let _ = client.shutdown(Shutdown::Write);
        }
    });
    (url, count)
}

fn command(url: &str, arguments: &[&str]) -> Ended {
    run(&[arguments, &["--url", url]].concat(), &[("LASTPOP_TOKEN", TOKEN)], "")
}

fn list(texts: &'static [&'static str]) -> Ended {
    command(&answers(texts).0, &["user", "list"])
}

#[test]
fn what_is_not_lastpop() {
    list(&["SSH-2.0-OpenSSH_9.2\r\n"]).failed(69, &["does not speak HTTP"]);
    list(&["HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n<html"]).failed(1, &["not as lastpop does"]);
    list(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"x\": 17}"]).failed(1, &["cannot be understood"]);
    list(&["HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"])
        .failed(1, &["answered 302 Found"]);
}

#[test]
fn a_problem_is_one_sentence() {
    let ended = list(&["HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n\r\n\
        {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"instance\":\"req-7\",\
        \"detail\":\"The state store cannot be reached\\u001b[31m.\"}"]);
    ended.failed(1, &["The state store cannot be reached\\u{1b}[31m (its log knows this request as req-7)"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[test]
fn a_connection_that_is_cut() {
    list(&[""]).failed(69, &["lost the connection"]);
    list(&["HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"users\":["])
        .failed(69, &["lost the connection"]);
    let (url, _) = answers(&[""]);
    let ended = command(&url, &["user", "set", "a@x", "pop3", WHY[0], WHY[1]]);
    // Not as when nobody is there: a script that tries again would change it a second time.
    ended.failed(1, &["lost the connection", "may have been carried out: look with `lastpop audit` before"]);
    let (url, _) = answers(&["HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"subject\":"]);
    let undo = ["user", "undo", "a@x", "b@x", WHY[0], WHY[1]];
    command(&url, &undo)
        .failed(1, &["0 of 2 were done; this stopped the others:\n", "may have been carried out"]);
}

#[test]
fn half_an_export_never_looks_whole() {
    let (url, _) = answers(&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nuser,mode\na@x,po"]);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("users.csv");
    command(&url, &["user", "export", "--output", &path.display().to_string()])
        .failed(69, &["lost the connection"]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left");
    command(&url, &["user", "export"]).failed(69, &["lost the connection"]);
}

#[test]
fn too_many_requests_are_sent_again() {
    let (url, count) = answers(&[
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"users\":[],\"next\":null}",
    ]);
    command(&url, &["user", "list"]).fine(&["user\tdomain"]);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

/// Names from outside may hold anything: they must not move the cursor, nor add columns.
#[test]
fn names_cannot_play_with_the_terminal() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\n\r\n{\"sessions\":[{\"session\":\"s\",\
        \"user\":\"a\\tb\\u001b[2J\\n\",\"address\":\"192.0.2.1\",\"tls\":null,\
        \"since\":\"2026-12-01T10:00:00Z\",\"mode\":\"pop3\",\"messages\":1,\"octets\":2048,\"deleted\":0}],\
        \"total\":1,\"next\":null}";
    let (url, _) = answers(&[ANSWER]);
    let row = "s\ta\\tb\\u{1b}[2J\\n\t192.0.2.1\t\t2026-12-01T10:00:00Z\tpop3\t1\t2048\t0\n";
    command(&url, &["who"]).fine(&[row]);
    let table = command(&url, &["who", "--format", "table"]);
    table.fine(&["a\\tb\\u{1b}[2J\\n", "2.0 KiB"]);
    assert!(!table.stdout.contains('\u{1b}'), "{table:?}");
    let json = command(&url, &["who", "--format", "json"]).json();
    assert_eq!(json[0]["user"], "a\tb\u{1b}[2J\n");
}

#[test]
fn a_token_in_the_clear_is_warned_of() {
    let ended = command("http://pop.invalid:9110", &["user", "list"]);
    ended.failed(69, &["WARNING: the token crosses the network in the clear", "cannot reach lastpop"]);
}

/// Whoever reads only the first lines has seen enough.
#[test]
fn a_reader_that_leaves_is_no_failure() {
    let (url, _) = answers(&["HTTP/1.1 200 OK\r\n\r\n{\"users\":[],\"next\":null}"]);
    let binary = env!("CARGO_BIN_EXE_lastpop");
    let script =
        format!("set -o pipefail; LASTPOP_TOKEN={TOKEN} '{binary}' user list --url {url} | exec true");
    let status = std::process::Command::new("bash").args(["-c", &script]).status().expect("bash");
    assert!(status.success(), "{status}");
}

/// Answers over TLS, as `localhost` and 127.0.0.1.
fn over_tls(certificates: &Certificates, text: &'static str) -> u16 {
    let chain =
        CertificateDer::pem_file_iter(&certificates.chain).expect("a file").map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&certificates.key).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut reader = BufReader::new(StreamOwned::new(connection, client));
            let read =
                reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            // Whoever did not like the certificate asks nothing.
            if read > 0 {
                let mut client = reader.into_inner();
                let _ = client.write_all(text.as_bytes());
                client.conn.send_close_notify();
                let _ = client.flush();
            }
        }
    });
    port
}

#[test]
fn over_tls_only_a_certificate_that_is_trusted_and_has_the_name() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let certificates = Certificates::write(folder.path());
    let port = over_tls(&certificates, "HTTP/1.1 200 OK\r\n\r\n{\"users\":[],\"next\":null}");
    let list = |host: &str, more: &[&str]| {
        command(&format!("https://{host}:{port}"), &[&["user", "list"][..], more].concat())
    };
    let authority = certificates.authority.display().to_string();
    let other = certificates.other_authority.display().to_string();
    for host in ["localhost", "127.0.0.1"] {
        let ended = list(host, &["--ca-file", &authority]);
        assert_eq!(ended.fine(&["user\tdomain"]).stderr, "");
    }
    list("localhost", &[]).failed(69, &["--ca-file"]);
    list("localhost", &["--ca-file", &other]).failed(69, &["--ca-file"]);
    list("127.0.0.2", &["--ca-file", &authority]).failed(69, &["name the host as its certificate does"]);
    list("localhost", &["--ca-file", "/nonexistent.pem"]).failed(1, &["/nonexistent.pem"]);
    command(&format!("http://127.0.0.1:{port}"), &["user", "list"]).failed(69, &["is it http or https?"]);
}
