//! Connections that are made before anybody logs in, and that the upstream ends before they are used: nobody notices.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::dovecot::Dovecot;
use crate::support::pop3::Transport;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// A way to Dovecot on which all connections can be ended at once.
struct Road {
    port: u16,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Road {
    fn to(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&connections);
        // Ends with the process: a test binary needs no more of it.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", upstream)).expect("connect to Dovecot");
                all.lock().expect("the connections").push(client.try_clone().expect("a clone"));
                pass(client.try_clone().expect("a clone"), server.try_clone().expect("a clone"));
                pass(server, client);
            }
        });
        Self { port, connections }
    }

    /// Ends them all, and says how many have been made.
    fn end(&self) -> usize {
        let connections = self.connections.lock().expect("the connections");
        // One that was ended already is as good.
        connections.iter().for_each(|connection| drop(connection.shutdown(Shutdown::Both)));
        connections.len()
    }

    fn made(&self) -> usize {
        self.connections.lock().expect("the connections").len()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // Either side may leave at any time.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_connection_that_ended_before_its_time_is_made_again() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("early", "a password");
    dovecot.deliver(&user, [b"Subject: one\r\n\r\n1\r\n".as_slice()]);
    let road = Road::to(dovecot.ports.imap);
    let address = format!("\"127.0.0.1:{}\"", road.port);
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("upstream.address", &address)], &[]);
    let ready = || {
        // Those of the reserve, greeted, and no other.
        wait::until("a connection waits for somebody", || {
            (proxy.metric("lastpop_upstream_connections_active") >= 1).then_some(())
        });
    };
    let mut lost = 0;
    for after_user in [false, true, false, true] {
        assert!(proxy.login(&user).command("QUIT").starts_with("+OK"));
        proxy.wait_until_left();
        ready();
        let mut pop3 = proxy.connect(Transport::Plain);
        if after_user {
            // The reserve's newest is this session's from here on.
            assert!(pop3.command(&format!("USER {}", user.name)).starts_with("+OK"));
            lost = road.end();
        } else {
            lost = road.end();
            assert!(pop3.command(&format!("USER {}", user.name)).starts_with("+OK"));
        }
        let reply = pop3.command(&format!("PASS {}", user.password));
        assert!(reply.starts_with("+OK"), "after USER: {after_user}: {reply}");
        assert!(road.made() > lost, "this session has a connection that was ended");
        assert!(pop3.command("STAT").starts_with("+OK 1 "));
        assert!(pop3.command("QUIT").starts_with("+OK"));
    }
    assert!(lost > 0);
    let log = proxy.log();
    assert!(!log.contains("in lock-step"), "the flight was sent to a server that had gone:\n{log}");
}
