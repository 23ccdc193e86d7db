//! Accepting connections: bounded in number and by address, each a task of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::config::{Listen, ListenTls, Plaintext};
use crate::net::{self, Connection, Transport};
use crate::pop3::authorization::Rules;
use crate::session::{self, Arrival, Context};
use crate::slots::Slots;

/// Connections that the kernel holds for us until they are accepted.
const BACKLOG: i32 = 4_096;

/// After an error of accept (no descriptors left, most likely) nothing is accepted for this long, so that
/// the loop does not spin; sessions that end meanwhile free what is missing.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener that is bound.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub listener: TcpListener,
    /// Its section of the configuration.
    pub listen: Listen,
    /// Its address as bound, which is its label in metrics.
    pub label: String,
}

/// Binds. An IPv6 wildcard takes IPv4 as well.
pub fn bind(listen: &Listen) -> std::io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(listen.address), Type::STREAM, Some(Protocol::TCP))?;
    if listen.address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    net::dial::tune(&socket)?;
    socket.bind(&listen.address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let label = listener.local_addr()?.to_string();
    Ok(Bound { listener, listen: listen.clone(), label })
}

/// What limits connections, shared by all listeners.
#[derive(Debug, Clone)]
pub struct Gate {
    sessions: Arc<Semaphore>,
    addresses: Slots<IpAddr>,
}

impl Gate {
    /// Lets so many connections in at once.
    pub fn new(sessions: u32) -> Self {
        Self { sessions: Arc::new(Semaphore::new(sessions as usize)), addresses: Slots::default() }
    }
}

/// Accepts until shutdown begins; then the socket is closed. Sessions are tracked by `tasks`.
pub async fn run(bound: Bound, plaintext: Plaintext, gate: Gate, cx: Arc<Context>, tasks: TaskTracker) {
    let Bound { listener, listen, label } = bound;
    loop {
        let accepted = tokio::select! {
            biased;
            () = cx.draining.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(%error, listener = label, "cannot accept a connection; is the limit of open files too low?");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        cx.metrics.clients.accepted.with_label_values(&[&label]).inc();
        if let Err(reason) = admit(tcp, peer, &listen, plaintext, &label, &gate, &cx, &tasks) {
            cx.metrics.clients.rejected.with_label_values(&[label.as_str(), reason]).inc();
        }
    }
}

/// Starts a session, or says why not. Who is turned away is told in plain text, where that is spoken.
#[allow(clippy::too_many_arguments, reason = "each is another thing, and there is one caller")]
fn admit(
    tcp: TcpStream,
    peer: SocketAddr,
    listen: &Listen,
    plaintext: Plaintext,
    label: &str,
    gate: &Gate,
    cx: &Arc<Context>,
    tasks: &TaskTracker,
) -> Result<(), &'static str> {
    let settings = cx.settings.load();
    let peer = net::canonical(peer);
    let implicit_tls = listen.tls == ListenTls::Implicit;
    let Ok(permit) = Arc::clone(&gate.sessions).try_acquire_owned() else {
        refuse(&tcp, implicit_tls);
        return Err("max_total");
    };
    let limits = &settings.limits;
    let exempt = limits.exempt_networks.iter().any(|network| network.contains(&peer.ip()));
    let slot = gate.addresses.enter(net::limit_key(peer.ip()), limits.connections_per_address);
    if slot.is_none() && !exempt {
        refuse(&tcp, implicit_tls);
        return Err("max_per_address");
    }
    // Fails only when the peer is gone already.
    let Ok(local) = tcp.local_addr() else { return Err("gone") };
    let arrival = Arrival {
        connection: Connection::new(Transport::Tcp(tcp), net::connection::COMMANDS),
        peer,
        local: net::canonical(local),
        listener: label.to_owned(),
        implicit_tls,
        rules: Rules {
            stls: listen.tls == ListenTls::StartTls,
            plaintext: listen.plaintext.unwrap_or(plaintext) == Plaintext::Always,
            login_failures: settings.limits.login_failures,
        },
        slot,
    };
    tasks.spawn(watched(arrival, permit, Arc::clone(cx)));
    Ok(())
}

/// A session that panics hurts no other, and is counted.
async fn watched(arrival: Arrival, permit: OwnedSemaphorePermit, cx: Arc<Context>) {
    let label = arrival.listener.clone();
    cx.metrics.clients.active.with_label_values(&[&label]).inc();
    let session = tokio::spawn(session::serve(arrival, Arc::clone(&cx)));
    if session.await.is_err_and(|error| error.is_panic()) {
        cx.metrics.process.panics.inc();
        cx.metrics.sessions.ended.with_label_values(&["panic"]).inc();
    }
    cx.metrics.clients.active.with_label_values(&[&label]).dec();
    drop(permit);
}

/// The octets of a refusal fit every socket's empty buffer, so this does not wait.
fn refuse(tcp: &TcpStream, implicit_tls: bool) {
    if !implicit_tls {
        let mut line = Vec::new();
        session::answer::BUSY.encode(&mut line);
        // Told or not, the connection ends here.
        let _ = tcp.try_write(&line);
    }
}
