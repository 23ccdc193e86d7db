//! How the API is reached: TCP, TLS, a unix socket, and listeners for metrics alone.

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::support::api::{self, ADMIN, VIEWER};
use crate::support::certificates::Certificates;
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

const SESSIONS: &str = "/api/v1/sessions";

fn tls(proxy: &Proxy, config: Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(config, name).expect("a TLS client"), proxy.http())
}

#[test]
fn over_tls_with_the_certificates_of_pop3() {
    let dovecot = Dovecot::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let other = Certificates::write(directory.path());
    let changes = [("admin.tls", "true"), ("admin.address", "\"0.0.0.0:0\"")];
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let sessions = api::request("GET", SESSIONS, VIEWER, "");
    let with = |config: Arc<ClientConfig>| api::exchange(tls(&proxy, config), &sessions);
    let config = dovecot.certificates.client_config();
    assert_eq!(with(Arc::clone(&config)).status, 200);

    // HTTP/1.1 is all there is; who wants only POP3 gets nothing.
    let mut offering = Arc::unwrap_or_clone(Arc::clone(&config));
    offering.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    assert_eq!(with(Arc::new(offering.clone())).status, 200);
    offering.alpn_protocols = vec![b"pop3".to_vec()];
    let mut refused = tls(&proxy, Arc::new(offering));
    assert!(refused.read(&mut [0]).is_err());
    let mut clear = proxy.http();
    std::io::Write::write_all(&mut clear, sessions.as_bytes()).expect("write");
    let mut answer = Vec::new();
    let _ = clear.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "no answer in the clear");

    // This listener is for other machines: they call it by its name.
    let named = sessions.replace("Host: localhost", "Host: pop3.example.net:9110");
    assert_eq!(api::exchange(tls(&proxy, config), &named).status, 200);

    let files = format!("[{{ chain = \"{}\", key = \"{}\" }}]", other.chain.display(), other.key.display());
    proxy.reload(&[("tls.certificates", &files)]);
    assert_eq!(api::exchange(tls(&proxy, other.client_config()), &sessions).status, 200);
}

#[test]
fn over_a_unix_socket_for_owner_and_group() {
    let dovecot = Dovecot::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("admin.sock");
    // What a process that was killed left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    let address = format!("\"unix:{}\"", path.display());
    let metrics = ("metrics.address", "\"127.0.0.1:0\"");
    let changes = [("admin.address", address.as_str()), metrics];
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let socket = std::fs::symlink_metadata(&path).expect("a socket");
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o660);
    let ask = |token: &str| {
        let http = UnixStream::connect(&path).expect("connect");
        http.set_read_timeout(Some(wait::DEADLINE)).expect("timeout");
        api::exchange(http, &api::request("GET", SESSIONS, token, "").replace("localhost", "anything"))
    };
    assert_eq!(ask(VIEWER).status, 200);
    ask("").problem(401);
    proxy.signal("TERM");
    assert_eq!(proxy.exit_code(), Some(0));
    assert!(!path.exists(), "the socket goes with the process");
}

#[test]
fn metrics_alone_elsewhere() {
    let dovecot = Dovecot::start();
    let changes = [("metrics.address", "\"127.0.0.1:0\""), ("metrics.users_address", "\"127.0.0.1:0\"")];
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let ask = |port: u16, path: &str| {
        let http = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        api::exchange(http, &api::request("GET", path, ADMIN, ""))
    };
    let (metrics, users) = (proxy.endpoints.metrics, proxy.endpoints.metrics_of_users);
    for path in ["/metrics", "/live", "/ready"] {
        assert_eq!(ask(metrics, path).status, 200, "{path}");
    }
    assert_eq!(ask(users, "/ready").status, 200);
    for (port, path) in
        [(metrics, "/metrics/users"), (metrics, SESSIONS), (users, SESSIONS), (users, "/metrics")]
    {
        ask(port, path).problem(404);
    }
}
