//! A relay that makes an upstream distant: every octet comes later, and no octet waits for another. Setting up
//! a connection takes no time, other than over a network. It notes what each connection moved, so that the cost
//! of a session can be read off.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::args::Args;

/// Octets that are read at once.
const CHUNK: usize = 64 << 10;

/// Chunks on their way in one direction: 256 MiB, more than any link of this delay would hold.
const ON_THE_WAY: usize = 4096;

/// Direction changes that are noted one by one.
const NOTED: usize = 40;

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    ToServer,
    ToClient,
}

/// What one connection moved: the octets of each burst, in turn.
#[derive(Default)]
struct Bursts(Vec<(Option<Direction>, usize)>);

impl Bursts {
    fn add(&mut self, direction: Direction, octets: usize) {
        match self.0.last_mut() {
            Some((last, sum)) if *last == Some(direction) => *sum += octets,
            _ => self.0.push((Some(direction), octets)),
        }
    }

    fn octets(&self, direction: Direction) -> usize {
        self.0.iter().filter(|(which, _)| *which == Some(direction)).map(|(_, octets)| octets).sum()
    }

    /// A round trip is an answer to something that was sent.
    fn report(&self) -> String {
        let to_client = self.0.iter().skip(1).filter(|(which, _)| *which == Some(Direction::ToClient));
        let mut line = format!(
            "to_server={} to_client={} round_trips={} bursts=",
            self.octets(Direction::ToServer),
            self.octets(Direction::ToClient),
            to_client.count()
        );
        for (direction, octets) in self.0.iter().take(NOTED) {
            let sign = if *direction == Some(Direction::ToServer) { '>' } else { '<' };
            // Writing to a String cannot fail.
            let _ = write!(line, "{sign}{octets}");
        }
        line
    }
}

/// Listens on `--listen PORT`, passes to `--to PORT`, `--delay-ms` later, and appends a line to `--log FILE`
/// when a connection has ended. Says READY.
pub(crate) fn run(args: &Args) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", args.need("--listen")?))?;
    let to: u16 = args.need("--to")?;
    let delay = Duration::from_secs_f64(args.need::<f64>("--delay-ms")? / 1e3);
    let log = File::options().create(true).append(true).open(args.need::<PathBuf>("--log")?)?;
    let log = Arc::new(log);
    println!("READY");
    for client in listener.incoming() {
        let client = client?;
        let log = Arc::clone(&log);
        thread::spawn(move || {
            if let Err(error) = connection(&client, to, delay, &log) {
                eprintln!("relay: {error}");
            }
        });
    }
    Ok(())
}

fn connection(client: &TcpStream, to: u16, delay: Duration, log: &File) -> Outcome<()> {
    let server = TcpStream::connect(("127.0.0.1", to))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let bursts = Mutex::new(Bursts::default());
    thread::scope(|scope| {
        for (from, to, direction) in
            [(client, &server, Direction::ToServer), (&server, client, Direction::ToClient)]
        {
            let (sender, receiver) = sync_channel(ON_THE_WAY);
            let bursts = &bursts;
            scope.spawn(move || take(from, direction, bursts, &sender));
            scope.spawn(move || give(to, delay, &receiver));
        }
    });
    let line = bursts.into_inner().map_err(|_| "a thread panicked")?.report();
    let mut log = log;
    Ok(log.write_all(format!("{line}\n").as_bytes())?)
}

/// Reads to the end. That one side has gone is told to the other by the end of what it is given.
fn take(
    mut from: &TcpStream,
    direction: Direction,
    bursts: &Mutex<Bursts>,
    sender: &SyncSender<(Instant, Vec<u8>)>,
) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if let Ok(mut bursts) = bursts.lock() {
            bursts.add(direction, count);
        }
        if sender.send((Instant::now(), chunk[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn give(mut to: &TcpStream, delay: Duration, receiver: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((came, chunk)) = receiver.recv() {
        thread::sleep(delay.saturating_sub(came.elapsed()));
        if to.write_all(&chunk).is_err() {
            // Whoever still sends to it learns that nobody takes it.
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
