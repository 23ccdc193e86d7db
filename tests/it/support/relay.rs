//! A relay between lastpop and what is behind it that can stop the moment that counts: of Dovecot, when deleted
//! messages are hidden (`UID STORE`), of PostgreSQL, when a transaction is kept (`COMMIT`). It holds that back, or breaks
//! the connection instead of passing it on, or instead of passing the answer on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::wait;

/// What happens to the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// It is passed on.
    Pass,
    /// It waits until this is changed.
    Hold,
    /// The connection is broken, and so is every new one.
    Cut,
    /// After so many it is passed on once more, and the connection is broken before the answer.
    Lose(usize),
}

struct State {
    store: Store,
    /// How many commands wait now.
    held: usize,
}

/// Listens on 127.0.0.1 as long as the test runs.
pub(crate) struct Relay {
    /// Where lastpop finds what is behind.
    pub(crate) port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Relay {
    /// Relays to the Dovecot on this port of 127.0.0.1.
    pub(crate) fn start(upstream: u16) -> Self {
        Self::stopping(b"UID STORE", upstream)
    }

    /// Relays to the PostgreSQL on this port.
    pub(crate) fn to_postgres(port: u16) -> Self {
        Self::stopping(b"COMMIT", port)
    }

    fn stopping(command: &'static [u8], upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new((Mutex::new(State { store: Store::Pass, held: 0 }), Condvar::new()));
        let shared = Arc::clone(&state);
        // Ends with the process: a test binary needs no more of it.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.0.lock().expect("the relay's state").store != Store::Cut {
                    relay(client, upstream, command, &shared);
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

fn relay(client: TcpStream, upstream: u16, command: &'static [u8], state: &Arc<(Mutex<State>, Condvar)>) {
    let server = TcpStream::connect(("127.0.0.1", upstream)).expect("connect to what is behind");
    let (mut down, mut up) = (server.try_clone().expect("a clone"), client.try_clone().expect("a clone"));
    thread::spawn(move || {
        // Either side may leave at any time.
        let _ = std::io::copy(&mut down, &mut up);
        let _ = up.shutdown(Shutdown::Both);
    });
    let state = Arc::clone(state);
    thread::spawn(move || {
        commands(client, &server, command, &state);
        let _ = server.shutdown(Shutdown::Both);
    });
}

/// lastpop waits for each answer, so what one read gives is one command.
fn commands(mut client: TcpStream, mut server: &TcpStream, command: &[u8], state: &(Mutex<State>, Condvar)) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(octets @ 1..) = client.read(&mut buffer) else { return };
        if buffer[..octets].windows(command.len()).any(|window| window == command) {
            let mut state_now = state.0.lock().expect("the relay's state");
            state_now.held += 1;
            state_now =
                state.1.wait_while(state_now, |now| now.store == Store::Hold).expect("the relay's state");
            state_now.held -= 1;
            if state_now.store == Store::Cut {
                let _ = client.shutdown(Shutdown::Both);
                return;
            }
            match &mut state_now.store {
                Store::Lose(0) => {
                    state_now.store = Store::Pass;
                    let _ = client.shutdown(Shutdown::Both);
                }
                Store::Lose(more) => *more -= 1,
                Store::Pass | Store::Hold | Store::Cut => {}
            }
        }
        if server.write_all(&buffer[..octets]).is_err() {
            return;
        }
    }
}
