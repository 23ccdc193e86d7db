//! The life of the process as a service manager and an operator see it: the start here, the end in `drain` and for
//! the API in `requests`, new settings in `reload`.

mod drain;
mod reload;
mod requests;

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;

use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream, lastpop};
use crate::support::wait;

/// A socket such as systemd makes, and its name for the environment.
struct Notify {
    socket: UnixDatagram,
    name: String,
    _directory: tempfile::TempDir,
}

impl Notify {
    fn bind() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a datagram socket");
        socket.set_read_timeout(Some(wait::DEADLINE)).expect("timeout");
        Self { socket, name: path.display().to_string(), _directory: directory }
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let octets = self.socket.recv(&mut buffer).expect("a notification");
        String::from_utf8_lossy(&buffer[..octets]).trim_end().to_owned()
    }
}

/// Whoever reads READY may connect at once, to everything.
#[test]
fn ready_is_said_when_every_port_answers() {
    let dovecot = Dovecot::start();
    for _ in 0..5 {
        let proxy = Proxy::start(&dovecot, Upstream::Plain);
        let all = proxy.endpoints;
        for port in [all.plain, all.starttls, all.implicit, all.admin] {
            TcpStream::connect(("127.0.0.1", port)).expect("a port that was announced");
        }
        assert_eq!(proxy.get("/ready"), (200, "ready\n".to_owned()));
    }
}

#[test]
fn the_service_manager_is_told() {
    let dovecot = Dovecot::start();
    let notify = Notify::bind();
    let mut proxy =
        Proxy::start_with(&dovecot, Upstream::Plain, &[], &[("NOTIFY_SOCKET", notify.name.as_str())]);
    assert_eq!(notify.next(), "READY=1");
    proxy.hangup();
    let reloading = notify.next();
    assert!(reloading.lines().any(|line| line == "RELOADING=1"), "{reloading}");
    assert_eq!(notify.next(), "READY=1");
    proxy.signal("TERM");
    assert_eq!(notify.next(), "STOPPING=1");
    assert_eq!(proxy.exit_code(), Some(0));
}

/// The last thing to be bound is the admin listener. As long as that fails, nobody hears of READY.
#[test]
fn what_cannot_be_bound_is_never_ready() {
    let notify = Notify::bind();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("lastpop.toml");
    let text = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = \"none\"\nplaintext = \"always\"\n\
         [upstream]\naddress = \"127.0.0.1:1\"\ntls = \"none\"\n\
         [state]\nurl = \"sqlite://{}/state.db\"\n\
         [admin]\naddress = \"{}\"\n",
        directory.path().display(),
        taken.local_addr().expect("its address")
    );
    std::fs::write(&file, text).expect("lastpop.toml");
    let output = lastpop()
        .args(["serve", "--config"])
        .arg(&file)
        .env("NOTIFY_SOCKET", &notify.name)
        .output()
        .expect("start lastpop through setpriv; install the Debian package util-linux");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    notify.socket.set_nonblocking(true).expect("non-blocking");
    let said = notify.socket.recv(&mut [0; 1]).expect_err("nobody is ready");
    assert_eq!(said.kind(), std::io::ErrorKind::WouldBlock);
}
