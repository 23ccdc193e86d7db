//! The TRANSACTION state, with its waiting: commands in, replies and messages out, until QUIT.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use super::authorization::capa;
use super::context::{Context, Settings};
use super::count_command;
use super::open::Opened;
use super::pop::{Expect, Line, PopStream};
use super::retr::{self, Sent};
use super::summary::{End, Summary};
use super::update::{self, Outcome};
use super::upstream::Upstream;
use crate::metrics::Metrics;
use crate::pop3::capa::Capabilities;
use crate::pop3::command::{self, parse};
use crate::pop3::reply::END;
use crate::pop3::{Message, QuitPlan, Reply, Step, Transaction};
use crate::slots::Slot;
use crate::uidl::Recipe;
use crate::users::UserName;

/// A session that has read QUIT: all that UPDATE needs.
#[derive(Debug)]
pub struct Quit {
    plan: QuitPlan,
    upstream: Upstream,
    marked: MarkedCount,
    /// Held until UPDATE is over: it is still one of the user's sessions.
    _slot: Slot<UserName>,
}

impl Quit {
    /// The UPDATE state.
    pub async fn update(self, settings: &Settings, cx: &Context) -> Outcome {
        let outcome = update::update(self.upstream, self.plan, &settings.maildrop, cx).await;
        self.marked.settle(outcome);
        outcome
    }
}

/// Serves commands until QUIT. Every other end gives no plan, so nothing is hidden (RFC 1939 §6).
pub async fn transaction(
    pop: &mut PopStream,
    opened: Opened,
    settings: &Settings,
    cx: &Arc<Context>,
    summary: &mut Summary,
) -> Result<Quit, End> {
    let Opened { transaction: mut tx, mut upstream, recipe, slot, hidden: _ } = opened;
    let mut marked = MarkedCount::new(Arc::clone(cx));
    let mut next = None;
    loop {
        let (verb, step) = match next.take() {
            Some(step) => step,
            None => read(pop, &mut tx, settings).await?,
        };
        let begun = Instant::now();
        marked.follow(tx.maildrop().marked());
        let mut ok = true;
        match step {
            Step::Reply(reply) => {
                ok = reply.is_ok();
                pop.reply(&reply);
            }
            Step::List => list(pop, &tx).await?,
            Step::Uidl => uidl(pop, &tx, &recipe, upstream.mailbox().uidvalidity).await?,
            Step::ListOne(message) => {
                pop.reply(&Reply::ok(format!("{} {}", message.number(), message.octets())));
            }
            Step::UidlOne(message) => {
                pop.output().extend_from_slice(b"+OK ");
                unique_id(pop, &message, &recipe, upstream.mailbox().uidvalidity);
            }
            Step::Capa => capa(pop, Capabilities { stls: false, login: true }),
            Step::Send(message, portion) => {
                let sent = retr::send(pop, &mut upstream, cx, &message, portion).await;
                summary.sent(portion, &sent);
                match sent? {
                    Sent::Complete { .. } if portion.is_retrieval() => tx.delivered(&message),
                    Sent::Complete { .. } => {}
                    Sent::Refused => ok = false,
                    Sent::Vanished => {
                        next = Some((verb, tx.vanished(&message)));
                        continue;
                    }
                }
            }
            Step::Quit(proof) => {
                count_command(cx, verb, true);
                return Ok(Quit { plan: tx.quit(proof), upstream, marked, _slot: slot });
            }
            Step::Close(reply) => {
                pop.reply(&reply);
                count_command(cx, verb, false);
                return Err(End::BadCommands);
            }
        }
        count_command(cx, verb, ok);
        cx.metrics
            .sessions
            .command_duration
            .with_label_values(&[verb])
            .observe(begun.elapsed().as_secs_f64());
        pop.flush_much().await?;
    }
}

/// The next step, and the verb that led to it.
async fn read(
    pop: &mut PopStream,
    tx: &mut Transaction,
    settings: &Settings,
) -> Result<(&'static str, Step), End> {
    Ok(match pop.line(Expect::Command, settings.limits.idle_timeout).await? {
        Line::TooLong => ("other", tx.too_long()),
        Line::Text(text) => {
            let parsed = parse(text);
            (parsed.as_ref().map_or("other", command::label), tx.handle(parsed))
        }
    })
}

/// The scan listings (RFC 1939 §5). Sent in pieces: a large maildrop's listing has megabytes.
async fn list(pop: &mut PopStream, tx: &Transaction) -> Result<(), End> {
    let (count, octets) = tx.maildrop().stat();
    pop.reply(&Reply::ok(format!("{count} messages ({octets} octets)")));
    pop.connection().body_begins();
    for message in tx.maildrop().messages() {
        // Writing to a Vec cannot fail.
        let _ = write!(pop.output(), "{} {}\r\n", message.number(), message.octets());
        pop.flush_much().await?;
    }
    pop.output().extend_from_slice(END);
    pop.connection().body_ends();
    Ok(())
}

/// The unique-id listing (RFC 1939 §7).
async fn uidl(pop: &mut PopStream, tx: &Transaction, recipe: &Recipe, uidvalidity: u32) -> Result<(), End> {
    pop.reply(&Reply::ok("Unique-ids follow."));
    pop.connection().body_begins();
    for message in tx.maildrop().messages() {
        unique_id(pop, &message, recipe, uidvalidity);
        pop.flush_much().await?;
    }
    pop.output().extend_from_slice(END);
    pop.connection().body_ends();
    Ok(())
}

fn unique_id(pop: &mut PopStream, message: &Message, recipe: &Recipe, uidvalidity: u32) {
    let output = pop.output();
    let _ = write!(output, "{} ", message.number());
    recipe.write(message.id(), uidvalidity, output);
    output.extend_from_slice(b"\r\n");
}

/// Keeps the books on marked messages: marked = confirmed + failed + discarded + pending, whatever happens
/// to the session.
#[derive(Debug)]
struct MarkedCount {
    pending: usize,
    cx: Arc<Context>,
}

impl MarkedCount {
    const fn new(cx: Arc<Context>) -> Self {
        Self { pending: 0, cx }
    }

    fn metrics(&self) -> &Metrics {
        &self.cx.metrics
    }

    /// The session has so many marks now.
    fn follow(&mut self, marked: usize) {
        if marked > self.pending {
            let more = marked - self.pending;
            self.metrics().sessions.marked.inc_by(more as u64);
            self.metrics().sessions.marked_pending.add(count(more));
            self.pending = marked;
        }
        self.count("discarded", self.pending - marked);
    }

    fn settle(mut self, outcome: Outcome) {
        self.count("confirmed", outcome.confirmed);
        self.count("failed", outcome.failed);
    }

    fn count(&mut self, result: &str, messages: usize) {
        self.metrics().sessions.marked_results.with_label_values(&[result]).inc_by(messages as u64);
        self.metrics().sessions.marked_pending.sub(count(messages));
        self.pending = self.pending.saturating_sub(messages);
    }
}

impl Drop for MarkedCount {
    fn drop(&mut self) {
        self.count("discarded", self.pending);
    }
}

fn count(messages: usize) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}
