//! One session from accept to close: AUTHORIZATION → TRANSACTION → UPDATE (RFC 1939 §3).
//!
//! Each state is a function, and each hands the next a value that only it can make: there is no maildrop
//! before login and no [`QuitPlan`](crate::pop3::QuitPlan) before QUIT. This is the only place where POP3
//! and IMAP meet. Read on in [`authorization`], [`open`], [`transaction`], [`retr`], [`update`].

pub mod answer;
pub mod authorization;
pub mod context;
pub mod enter;
pub mod habits;
pub mod maildrops;
pub mod master;
pub mod notice;
pub mod open;
mod patience;
pub mod pop;
pub mod reserve;
pub mod retr;
mod sequence;
pub mod server;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod transaction;
pub mod unhide;
pub mod update;
pub mod upstream;
pub mod verdict;
pub mod verified;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use context::Context;
use context::Settings;
use pop::PopStream;
use summary::{End, Summary};
use tokio::sync::oneshot;
use transaction::Quit;

use crate::net::Connection;
use crate::pop3::Reply;
use crate::pop3::authorization::Rules;
use crate::slots::Slot;

/// A connection as the listener hands it over.
#[derive(Debug)]
pub struct Arrival {
    /// The byte stream.
    pub connection: Connection,
    /// The client.
    pub peer: SocketAddr,
    /// Where it connected to.
    pub local: SocketAddr,
    /// The listener's label.
    pub listener: String,
    /// Does TLS begin with the first octet?
    pub implicit_tls: bool,
    /// What this listener allows.
    pub rules: Rules,
    /// Counts among its address's connections until it is logged in.
    pub slot: Option<Slot<IpAddr>>,
}

/// Serves one connection.
pub async fn serve(mut arrival: Arrival, cx: Arc<Context>) {
    let settings = cx.settings.load_full();
    let connection = std::mem::replace(&mut arrival.connection, Connection::ended());
    let mut summary = Summary::new(&arrival, Arc::clone(&cx));
    let kick = summary.kick.clone();
    let mut pop = PopStream::new(connection);
    let end = {
        let states = async {
            if arrival.implicit_tls {
                implicit_tls(&mut pop, &arrival, &cx).await?;
            }
            // 1. AUTHORIZATION makes the maildrop.
            let opened =
                authorization::authorization(&mut pop, &mut arrival, &settings, &cx, &mut summary).await?;
            arrival.slot = None;
            // 2. TRANSACTION marks messages in it, and makes a plan when it reads QUIT.
            transaction::transaction(&mut pop, opened, &settings, &cx, &mut summary).await
        };
        tokio::select! {
            end = states => end,
            () = cx.closing.cancelled() => Err(End::Shutdown),
            () = kick.cancelled() => Err(End::Kicked),
        }
    };
    // 3. UPDATE carries the plan out.
    let end = match end {
        Ok(quit) => {
            pop.reply(&finish(quit, settings, &cx, &mut summary).await);
            // A slow line may still have much to take before the reply; a lost one misses only that.
            let _ = pop.flush().await;
            End::Quit
        }
        Err(end) => end,
    };
    let (received, sent) = pop.connection().traffic();
    match end {
        End::Quit | End::Shutdown | End::Kicked | End::BadCommands | End::Refused => pop.close().await,
        // A silent client is told nothing (RFC 1939 §3), and one that is gone cannot be.
        End::Dropped | End::Timeout => drop(pop),
        End::UpstreamLost => pop.reset(),
    }
    cx.metrics.clients.received.inc_by(received);
    cx.metrics.clients.sent.inc_by(sent);
    summary.ended(end);
}

/// The answer to QUIT. UPDATE is out of reach of a shutdown, and a task of its own, so that not even the end of
/// this one stops it.
async fn finish(quit: Quit, settings: Arc<Settings>, cx: &Arc<Context>, summary: &mut Summary) -> Reply {
    let (tell, told) = oneshot::channel();
    let cx_of_update = Arc::clone(cx);
    cx.updates.spawn(async move { quit.update(&settings, &cx_of_update, tell).await });
    match told.await {
        Ok(outcome) => {
            summary.updated(outcome);
            if outcome.failed == 0 { Reply::ok("Goodbye.") } else { answer::NOT_ALL }
        }
        // A panic in UPDATE: nothing is known, so nothing is claimed.
        Err(_) => answer::NOT_ALL,
    }
}

async fn implicit_tls(pop: &mut PopStream, arrival: &Arrival, cx: &Context) -> Result<(), End> {
    let Some(acceptor) = &cx.acceptor else { return Err(End::Refused) };
    let result = pop.accept_tls(acceptor).await;
    count_handshake(cx, &arrival.listener, &result, pop.connection().tls_version());
    result.map_err(|_| End::Refused)
}

fn count_handshake(cx: &Context, listener: &str, result: &io::Result<()>, version: Option<&'static str>) {
    let label = match result {
        Ok(()) => version.unwrap_or("TLSv1.3"),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => "timeout",
        Err(_) => "failed",
    };
    cx.metrics.clients.tls_handshakes.with_label_values(&[listener, label]).inc();
}

fn count_command(cx: &Context, verb: &str, ok: bool) {
    cx.metrics.sessions.commands.with_label_values(&[verb, if ok { "ok" } else { "err" }]).inc();
}
