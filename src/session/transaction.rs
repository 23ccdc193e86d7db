//! The TRANSACTION state, with its waiting: commands in, replies and messages out, until QUIT.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::authorization::capa;
use super::context::{Context, Settings};
use super::count_command;
use super::notice::Notice;
use super::open::Opened;
use super::pop::{Expect, Line, PopStream};
use super::retr::{self, Sent, Wanted};
use super::sequence::Sequence;
use super::summary::{End, Summary};
use super::update::{self, Outcome};
use super::upstream::Upstream;
use crate::family::Trace;
use crate::metrics::Metrics;
use crate::pop3::capa::Capabilities;
use crate::pop3::command::{self, parse};
use crate::pop3::reply::END;
use crate::pop3::{Message, Portion, QuitPlan, Reply, Source, Step, Transaction};
use crate::slots::Slot;
use crate::uidl::Recipe;
use crate::users::UserName;

/// A session that has read QUIT: all that UPDATE needs.
#[derive(Debug)]
pub struct Quit {
    plan: QuitPlan,
    upstream: Upstream,
    notice: Option<Notice>,
    user: UserName,
    marked: MarkedCount,
    ask_quota: bool,
    /// Held until UPDATE is over: it is still one of the user's sessions.
    slot: Slot<UserName>,
}

impl Quit {
    /// The UPDATE state, to its end. The answer to QUIT is told as soon as it is known; what is said upstream
    /// after that is in nobody's way.
    pub async fn update(mut self, settings: &Settings, cx: &Context, tell: oneshot::Sender<Outcome>) {
        let mut outcome = update::update(&mut self.upstream, &self.plan, &settings.maildrop, cx).await;
        if let Some(notice) = self.notice.filter(|_| self.plan.notice) {
            let dismissed = notice.dismiss(&self.user, cx).await;
            outcome.confirmed += usize::from(dismissed);
            outcome.notice = dismissed;
            outcome.failed += usize::from(!dismissed);
        }
        self.marked.settle(outcome);
        drop(self.slot);
        // Nobody listens when the session was ended meanwhile.
        let _ = tell.send(outcome);
        update::leave(self.upstream, &self.user, self.ask_quota, cx).await;
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
    let Opened {
        transaction: mut tx,
        mut upstream,
        recipe,
        notice,
        user,
        slot,
        ask_quota,
        mode: _,
        mailbox: _,
        facts: _,
    } = opened;
    let ids =
        UniqueIds { recipe: &recipe, uidvalidity: upstream.mailbox().uidvalidity, notice: notice.as_ref() };
    let mut marked = MarkedCount::new(Arc::clone(cx));
    let mut sequence = Sequence::default();
    let mut next = None;
    loop {
        let (verb, step) = match next.take() {
            Some(step) => step,
            None => read(pop, &mut tx, settings, &mut summary.trace).await?,
        };
        let begun = Instant::now();
        marked.follow(tx.maildrop().marked());
        summary.marked(tx.maildrop().marked());
        let mut ok = true;
        match step {
            Step::Reply(reply) => {
                ok = reply.is_ok();
                pop.reply(&reply);
            }
            Step::List => list(pop, &tx).await?,
            Step::Uidl => uidl(pop, &tx, &ids).await?,
            Step::ListOne(message) => {
                pop.reply(&Reply::ok(format!("{} {}", message.number(), message.octets())));
            }
            Step::UidlOne(message) => {
                pop.output().extend_from_slice(b"+OK ");
                ids.write(pop, &message);
            }
            Step::Capa => capa(pop, Capabilities { stls: false, login: true }),
            Step::Send(message, portion) => {
                let sent = match (message.source(), &notice) {
                    (Source::Stored(uid), _) => {
                        let next = match portion {
                            Portion::Whole => sequence.follow(&message, tx.maildrop()),
                            Portion::Top(_) => &[],
                        };
                        let wanted = Wanted { message: &message, uid, portion, next };
                        retr::send(pop, &mut upstream, cx, wanted).await
                    }
                    (Source::Notice, Some(notice)) => retr::send_text(pop, notice.text(), portion).await,
                    // The maildrop has a notice only where the session has one.
                    (Source::Notice, None) => Ok(Sent::Vanished),
                };
                summary.sent(message.source(), portion, &sent);
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
                let plan = tx.quit(proof);
                return Ok(Quit { plan, upstream, notice, user, marked, ask_quota, slot });
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
    trace: &mut Trace,
) -> Result<(&'static str, Step), End> {
    let next = match pop.line(Expect::Command, settings.limits.idle_timeout).await? {
        Line::TooLong => ("other", tx.too_long()),
        Line::Text(text) => {
            let parsed = parse(text);
            trace.mailbox_line(text, &parsed);
            (parsed.as_ref().map_or("other", command::label), tx.handle(parsed))
        }
    };
    if pop.has_more() {
        trace.ahead();
    }
    Ok(next)
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
async fn uidl(pop: &mut PopStream, tx: &Transaction, ids: &UniqueIds<'_>) -> Result<(), End> {
    pop.reply(&Reply::ok("Unique-ids follow."));
    pop.connection().body_begins();
    for message in tx.maildrop().messages() {
        ids.write(pop, &message);
        pop.flush_much().await?;
    }
    pop.output().extend_from_slice(END);
    pop.connection().body_ends();
    Ok(())
}

/// What gives every message of this session its unique-id.
struct UniqueIds<'a> {
    recipe: &'a Recipe,
    uidvalidity: u32,
    notice: Option<&'a Notice>,
}

impl UniqueIds<'_> {
    fn write(&self, pop: &mut PopStream, message: &Message) {
        let output = pop.output();
        // Writing to a Vec cannot fail.
        let _ = write!(output, "{} ", message.number());
        match message.source() {
            Source::Stored(uid) => self.recipe.write(uid, self.uidvalidity, output),
            Source::Notice => output.extend_from_slice(self.notice.map_or("", Notice::unique_id).as_bytes()),
        }
        output.extend_from_slice(b"\r\n");
    }
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
