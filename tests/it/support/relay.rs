//! A relay between lastpop and Dovecot that can stop the moment at which deleted messages are hidden: it holds
//! back `UID STORE`, or breaks the connection instead of passing it on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::wait;

/// What happens to `UID STORE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// It is passed on.
    Pass,
    /// It waits until this is changed.
    Hold,
    /// The connection is broken, and so is every new one.
    Cut,
}

struct State {
    store: Store,
    /// How many commands wait now.
    held: usize,
}

/// Listens on 127.0.0.1 as long as the test runs.
pub(crate) struct Relay {
    /// Where lastpop finds its upstream.
    pub(crate) port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Relay {
    /// Relays to this port of 127.0.0.1.
    pub(crate) fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new((Mutex::new(State { store: Store::Pass, held: 0 }), Condvar::new()));
        let shared = Arc::clone(&state);
        // Ends with the process: a test binary needs no more of it.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.0.lock().expect("the relay's state").store != Store::Cut {
                    relay(client, upstream, &shared);
                }
            }
        });
        Self { port, state }
    }

    /// From now on.
    pub(crate) fn store(&self, store: Store) {
        self.state.0.lock().expect("the relay's state").store = store;
        self.state.1.notify_all();
    }

    /// Waits until a `UID STORE` waits.
    pub(crate) fn wait_until_held(&self) {
        wait::until("lastpop sends UID STORE", || {
            (self.state.0.lock().expect("the relay's state").held > 0).then_some(())
        });
    }
}

fn relay(client: TcpStream, upstream: u16, state: &Arc<(Mutex<State>, Condvar)>) {
    let server = TcpStream::connect(("127.0.0.1", upstream)).expect("connect to Dovecot");
    let (mut down, mut up) = (server.try_clone().expect("a clone"), client.try_clone().expect("a clone"));
    thread::spawn(move || {
        // Either side may leave at any time.
        let _ = std::io::copy(&mut down, &mut up);
        let _ = up.shutdown(Shutdown::Both);
    });
    let state = Arc::clone(state);
    thread::spawn(move || {
        commands(client, &server, &state);
        let _ = server.shutdown(Shutdown::Both);
    });
}

/// lastpop waits for each answer, so what one read gives is one command.
fn commands(mut client: TcpStream, mut server: &TcpStream, state: &(Mutex<State>, Condvar)) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(octets @ 1..) = client.read(&mut buffer) else { return };
        if buffer[..octets].windows(9).any(|window| window == b"UID STORE") {
            let mut state_now = state.0.lock().expect("the relay's state");
            state_now.held += 1;
            state_now =
                state.1.wait_while(state_now, |now| now.store == Store::Hold).expect("the relay's state");
            state_now.held -= 1;
            if state_now.store == Store::Cut {
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
        }
        if server.write_all(&buffer[..octets]).is_err() {
            return;
        }
    }
}
