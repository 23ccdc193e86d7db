//! The AUTHORIZATION state, with its waiting: from the greeting to a maildrop.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::context::{Context, Settings};
use super::enter::Early;
use super::open::{Opened, is_welcome, open};
use super::pop::{Expect, Line, PopStream};
use super::summary::{End, Summary};
use super::upstream::Origin;
use super::{Arrival, answer, count_command, count_handshake};
use crate::family::Trace;
use crate::pop3::capa::Capabilities;
use crate::pop3::command::{self, parse};
use crate::pop3::reply::END;
use crate::pop3::{AuthStep, Authorization, Mechanism, Reply};

/// How long a connection may stay without a login, not counting what the upstream takes. Octets do not
/// prolong it, or a trickle of them would hold a connection for ever (nginx and Stalwart: 60 s as well).
const LOGIN: Duration = Duration::from_mins(1);

/// Greets, and goes on until somebody is logged in.
pub async fn authorization(
    pop: &mut PopStream,
    arrival: &mut Arrival,
    settings: &Arc<Settings>,
    cx: &Arc<Context>,
    summary: &mut Summary,
) -> Result<Opened, End> {
    let encrypted = pop.connection().tls_version().is_some();
    let mut state = Authorization::new(arrival.rules, encrypted);
    let mut deadline = Instant::now() + LOGIN;
    let mut next = Some(AuthStep::Reply(Reply::ok("lastpop ready.")));
    let mut early = Early::default();
    loop {
        let step = match next.take() {
            Some(step) => step,
            None => read(pop, &mut state, deadline, cx, &mut summary.trace).await?,
        };
        if state.named().is_some_and(|user| is_welcome(user, settings, cx)) {
            early.begin(settings, cx);
        }
        match step {
            AuthStep::Reply(reply) => pop.reply(&reply),
            AuthStep::Close(reply) => {
                pop.reply(&reply);
                return Err(if reply.is_ok() { End::Quit } else { End::Refused });
            }
            AuthStep::Challenge(text) => pop.output().extend_from_slice(format!("+ {text}\r\n").as_bytes()),
            AuthStep::Mechanisms => mechanisms(pop, state.login_possible()),
            AuthStep::Capa => {
                capa(pop, Capabilities { stls: state.stls_possible(), login: state.login_possible() });
            }
            AuthStep::Stls => {
                start_tls(pop, arrival, cx).await?;
                state.tls_started();
                summary.trace.tls_started();
            }
            AuthStep::Login(credentials, method) => {
                let begun = Instant::now();
                let user = credentials.user().escape_ascii().to_string();
                let origin =
                    Origin { peer: arrival.peer, local: arrival.local, session: summary.session.clone() };
                let opened = open(credentials, origin, std::mem::take(&mut early), settings, cx).await;
                deadline += begun.elapsed();
                cx.metrics.clients.login_duration.observe(begun.elapsed().as_secs_f64());
                let refused = match opened {
                    Ok(opened) => {
                        cx.metrics.clients.plaintext_logins.inc_by(u64::from(!state.encrypted()));
                        summary.logged_in(user, method, pop.connection().tls_version(), &opened);
                        pop.reply(&Reply::ok("Logged in."));
                        return Ok(opened);
                    }
                    Err(refused) => refused,
                };
                summary.login_failed(&user, method, &refused);
                next = Some(match answer::to_login(&refused) {
                    Some(reply) => AuthStep::Reply(reply),
                    None => state.refused(),
                });
            }
        }
    }
}

/// The next step: what the client's next line leads to.
async fn read(
    pop: &mut PopStream,
    state: &mut Authorization,
    deadline: Instant,
    cx: &Context,
    trace: &mut Trace,
) -> Result<AuthStep, End> {
    let expect = if state.in_exchange() { Expect::Response } else { Expect::Command };
    // Around all of it, sending included: neither a flood nor a trickle prolongs it.
    if Instant::now() >= deadline {
        return Err(End::Timeout);
    }
    let line = tokio::select! {
        biased;
        () = cx.draining.cancelled() => None,
        line = timeout_at(deadline, pop.line(expect, LOGIN)) => Some(line.map_err(|_| End::Timeout)??),
    };
    let (verb, step) = match line {
        None => {
            pop.reply(&answer::RESTARTING);
            return Err(End::Shutdown);
        }
        Some(Line::TooLong) => ("other", state.too_long()),
        Some(Line::Text(text)) if expect == Expect::Response => ("AUTH", state.respond(text)),
        Some(Line::Text(text)) => {
            let parsed = parse(text);
            trace.login_line(text, &parsed);
            (parsed.as_ref().map_or("other", command::label), state.handle(parsed))
        }
    };
    let ok = !matches!(&step, AuthStep::Reply(reply) | AuthStep::Close(reply) if !reply.is_ok());
    count_command(cx, verb, ok);
    Ok(step)
}

fn mechanisms(pop: &mut PopStream, possible: bool) {
    pop.reply(&Reply::ok("Mechanisms follow."));
    for name in Mechanism::NAMES.iter().filter(|_| possible) {
        pop.output().extend_from_slice(name.as_bytes());
        pop.output().extend_from_slice(b"\r\n");
    }
    pop.output().extend_from_slice(END);
}

/// The capability list, in either state.
pub fn capa(pop: &mut PopStream, capabilities: Capabilities) {
    pop.reply(&Reply::ok("Capabilities follow."));
    capabilities.encode(pop.output());
    pop.output().extend_from_slice(END);
}

/// STLS (RFC 2595 §4). What came behind it in the clear was put there by somebody in between, so the
/// connection ends without an answer to it.
async fn start_tls(pop: &mut PopStream, arrival: &Arrival, cx: &Context) -> Result<(), End> {
    let Some(acceptor) = cx.acceptor.as_ref().filter(|_| !pop.has_more()) else { return Err(End::Refused) };
    pop.reply(&Reply::ok("Begin TLS now."));
    pop.flush().await?;
    let result = pop.accept_tls(acceptor).await;
    count_handshake(cx, &arrival.listener, &result, pop.connection().tls_version());
    result.map_err(|_| End::Refused)
}
