//! What all workloads share: several clients at once for some time, and what they are told.

use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::args::{Args, Users};
use crate::mail;
use crate::processes::Watch;
use crate::tally::Tally;

/// What each mailbox holds.
pub(crate) struct Messages {
    pub(crate) count: usize,
    pub(crate) octets: usize,
}

/// How fast a client reads.
pub(crate) struct Pace {
    begun: Instant,
    octets: usize,
    per_second: Option<f64>,
}

impl Pace {
    pub(crate) fn free() -> Self {
        Self::at(None)
    }

    fn at(per_second: Option<f64>) -> Self {
        Self { begun: Instant::now(), octets: 0, per_second }
    }

    /// After so many octets.
    pub(crate) fn wait(&mut self, octets: usize) {
        self.octets += octets;
        if let Some(per_second) = self.per_second {
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let due = Duration::from_secs_f64(self.octets as f64 / per_second);
            thread::sleep(due.saturating_sub(self.begun.elapsed()));
        }
    }
}

/// What the command line says of a workload.
pub(crate) struct Plan {
    pub(crate) proto: String,
    pub(crate) port: u16,
    pub(crate) users: Users,
    pub(crate) messages: Messages,
    pub(crate) group: usize,
    clients: usize,
    time: Duration,
    sessions: usize,
    slow: Option<f64>,
    processes: Option<u32>,
    memory: bool,
}

impl Plan {
    /// `--proto`, `--port`, `--users`, `--password`, `--messages`, `--size`; `--clients` at once; until
    /// `--seconds` are over or each has had `--sessions`; `--group` messages asked for at once; each reads
    /// `--slow` octets a second; the processes of the session `--watch` are measured, with `--memory yes`
    /// their memory too.
    pub(crate) fn new(args: &Args) -> Outcome<Self> {
        Ok(Self {
            proto: args.need("--proto")?,
            port: args.need("--port")?,
            users: Users::new(args)?,
            messages: Messages {
                count: args.need("--messages")?,
                octets: mail::octets(args.need("--size")?),
            },
            group: args.get("--group")?.unwrap_or(1),
            clients: args.get("--clients")?.unwrap_or(1),
            time: Duration::from_secs_f64(args.get("--seconds")?.unwrap_or(f64::from(u16::MAX))),
            sessions: args.get("--sessions")?.unwrap_or(usize::MAX),
            slow: args.get("--slow")?,
            processes: args.get("--watch")?,
            memory: args.get::<String>("--memory")?.is_some(),
        })
    }

    pub(crate) fn pace(&self) -> Pace {
        Pace::at(self.slow)
    }

    /// Runs sessions until the time is over. `prepare` makes what a client keeps, and is not measured;
    /// `session` is one session of a client: the user's number, and what the client keeps.
    pub(crate) fn run<K: Send>(
        &self,
        prepare: impl Fn(usize, usize) -> Outcome<K>,
        session: impl Fn(usize, &mut K) -> Outcome<usize> + Sync,
    ) -> Outcome<()> {
        // Each client has users of its own, so that no two ask for the same mailbox at once.
        let own = self.users.count / self.clients;
        if own == 0 {
            return Err("there are more clients than users".into());
        }
        let kept: Vec<K> =
            (0..self.clients).map(|client| prepare(client, self.clients)).collect::<Outcome<_>>()?;
        let watch = self.processes.map(|session| Watch::begin(session, self.memory)).transpose()?;
        let begun = Instant::now();
        let deadline = begun + self.time;
        let client = |number: usize, mut kept: K| -> Outcome<Tally> {
            let mut tally = Tally::default();
            for turn in 0..self.sessions {
                let begun = Instant::now();
                let octets = session(number + turn % own * self.clients, &mut kept)?;
                tally.session(begun.elapsed(), octets);
                if Instant::now() >= deadline {
                    break;
                }
            }
            Ok(tally)
        };
        let client = &client;
        let (tallies, elapsed) = thread::scope(|scope| {
            let clients: Vec<_> = kept
                .into_iter()
                .enumerate()
                .map(|(number, kept)| scope.spawn(move || client(number, kept)))
                .collect();
            let ended: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
            (ended, begun.elapsed())
        });
        let used = watch.map(Watch::end).transpose()?;
        let mut sum = Tally::default();
        for tally in tallies {
            sum.add(tally.map_err(|_| "a client panicked")??);
        }
        println!("{}", sum.report(elapsed, used.as_ref()));
        Ok(())
    }
}
