//! Plays a transcript: the runner is both the mail client and the IMAP server, lastpop stands between. Steps are
//! taken one after the other; what one peer sends in a row goes out as one stream of bytes, cut as the run says.

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::net::{TcpListener, TcpStream};

use socket2::SockRef;

use super::answer::{assemble, goes_along};
use super::parse::Script;
use super::pattern::Pattern;
use super::proxy::Proxy;
use super::step::{Step, What};
use super::verdict::nothing_but_logout;
use super::wire::{Came, DEADLINE, End, Wire, shown};
use super::world::World;

/// RFC 1939 §3 and RFC 2449 §4: a reply line, with its CRLF.
const LONGEST_REPLY: usize = 512;
/// How much of the dialogue a failure repeats.
const TOLD: usize = 16;

/// One connection that lastpop made to the IMAP server.
pub(super) struct Upstream {
    /// `None` once the server closed it, or lastpop was seen to leave.
    pub(super) wire: Option<Wire>,
    /// The transcript's tags and the real ones.
    tags: HashMap<String, String>,
}

/// A transcript being played.
pub(super) struct Run<'a> {
    pub(super) script: &'a Script,
    piece: Option<usize>,
    pub(super) listener: TcpListener,
    proxy: Proxy,
    world: World,
    /// `None` once the client reset the connection.
    pub(super) clients: BTreeMap<usize, Option<Wire>>,
    pub(super) upstreams: Vec<Upstream>,
    /// What was said on connections that are gone.
    pub(super) heard: Vec<u8>,
    told: Vec<String>,
}

/// Plays the transcript once. The error is the whole report.
pub(super) fn run(script: &Script, piece: Option<usize>) -> Result<(), String> {
    let cut =
        piece.map_or_else(|| "sent whole".to_owned(), |size| format!("sent in pieces of {size} octet(s)"));
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    SockRef::from(&listener).set_read_timeout(Some(DEADLINE)).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let world = World::new(script, &piece.map_or_else(|| "whole".to_owned(), |size| size.to_string()))?;
    let proxy = Proxy::start(address, &world, &script.config)?;
    let (clients, upstreams) = (BTreeMap::new(), Vec::new());
    let mut run = Run {
        script,
        piece,
        listener,
        proxy,
        world,
        clients,
        upstreams,
        heard: Vec::new(),
        told: Vec::new(),
    };
    let mut outcome = run.steps();
    let running = run.proxy.is_running();
    let log = run.proxy.stop();
    if outcome.is_ok() {
        outcome = run.afterwards(running, &log);
    }
    outcome.map_err(|problem| {
        let told = run.told.split_off(run.told.len().saturating_sub(TOLD)).join("\n    ");
        format!("{problem}\n  ({cut})\n  the dialogue before:\n    {told}\n  lastpop's stderr:\n{log}")
    })
}

impl Run<'_> {
    fn steps(&mut self) -> Result<(), String> {
        let steps = &self.script.steps;
        let mut index = 0;
        while let Some(step) = steps.get(index) {
            let batch =
                steps[index..].iter().take_while(|next| goes_along(&step.what, &next.what)).count().max(1);
            self.step(&steps[index..index + batch])
                .map_err(|problem| format!("{}\n    {problem}", step.place))?;
            index += batch;
        }
        self.farewell().map_err(|problem| format!("after the last step: {problem}"))
    }

    /// Takes a step, or several sending ones that go out together.
    fn step(&mut self, steps: &[Step]) -> Result<(), String> {
        match &steps[0].what {
            What::ClientSends { client, .. } => {
                let mut bytes = Vec::new();
                for step in steps {
                    if let What::ClientSends { bytes: more, .. } = &step.what {
                        bytes.extend_from_slice(more);
                    }
                }
                self.tell("client sends", &bytes);
                self.client(*client)?.send(bytes);
            }
            What::ClientCloses { client } => self.client(*client)?.close(),
            What::ClientResets { client } => {
                let wire = self.clients.get_mut(client).and_then(Option::take).ok_or("no such connection")?;
                self.heard.extend(wire.reset());
            }
            What::Reply { client, pattern } => self.reply(*client, pattern)?,
            What::ReplyBytes { client, bytes } => {
                let came =
                    self.client(*client)?.octets(bytes.len()).map_err(|came| unlike(&shown(bytes), &came))?;
                self.tell("lastpop replies", &came);
                if came != *bytes {
                    return Err(format!("expected: {}\n    came:     {}", shown(bytes), shown(&came)));
                }
            }
            What::ReplyLines { client, with, without } => self.reply_lines(*client, with, without)?,
            What::ProxyCloses { client } => self.end_of(*client, Some(End::Closed))?,
            What::ProxyResets { client } => self.end_of(*client, Some(End::Reset))?,
            What::ProxyEnds { client } => self.end_of(*client, None)?,
            What::Connects => self.accept()?,
            What::Command { upstream, tag, pattern } => self.command(*upstream, tag, pattern)?,
            What::CommandBytes { upstream, bytes } => {
                let came = self
                    .upstream(*upstream)?
                    .0
                    .octets(bytes.len())
                    .map_err(|came| unlike(&shown(bytes), &came))?;
                self.tell("lastpop asks", &came);
                if came != *bytes {
                    return Err(format!("expected: {}\n    came:     {}", shown(bytes), shown(&came)));
                }
            }
            What::UpstreamIsLeft { upstream } => {
                let (bytes, _) = self
                    .upstream(*upstream)?
                    .0
                    .until_end()
                    .map_err(|came| unlike("the connection's end", &came))?;
                nothing_but_logout(&bytes)?;
                self.forget(*upstream);
            }
            What::Answer { upstream, .. } | What::AnswerBytes { upstream, .. } => {
                let (wire, tags) = self.upstream(*upstream)?;
                let bytes = assemble(steps, tags)?;
                let told = shown(&bytes);
                wire.send(bytes);
                self.told.push(format!("server sends: {told}"));
            }
            What::ServerCloses { upstream } => {
                self.upstream(*upstream)?;
                self.forget(*upstream);
            }
            What::ServerResets { upstream } => {
                self.upstream(*upstream)?;
                self.forget(*upstream).map(Wire::reset);
            }
            What::Does(deed) => {
                if let Some(generation) = self.world.does(deed)? {
                    self.proxy.follows(generation);
                }
            }
        }
        Ok(())
    }

    /// The client's connection, made when it is mentioned and there is none.
    fn client(&mut self, number: usize) -> Result<&mut Wire, String> {
        let wire = match self.clients.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let stream = TcpStream::connect_timeout(&self.proxy.pop3(), DEADLINE)
                    .map_err(|error| format!("connecting: {error}"))?;
                new.insert(Some(Wire::new(stream, self.piece)))
            }
        };
        wire.as_mut().ok_or_else(|| "this client is gone".to_owned())
    }

    /// The numbered upstream connection, else the newest.
    fn upstream(
        &mut self,
        number: Option<usize>,
    ) -> Result<(&mut Wire, &mut HashMap<String, String>), String> {
        let index = number.unwrap_or(self.upstreams.len()).checked_sub(1);
        let upstream = index.and_then(|index| self.upstreams.get_mut(index));
        let upstream = upstream.ok_or("no such upstream connection; write > [connects] first")?;
        let wire = upstream.wire.as_mut().ok_or("this upstream connection is gone")?;
        Ok((wire, &mut upstream.tags))
    }

    /// The connection has been dealt with; dropping it closes it.
    fn forget(&mut self, number: Option<usize>) -> Option<Wire> {
        let index = number.unwrap_or(self.upstreams.len()).checked_sub(1)?;
        self.upstreams.get_mut(index)?.wire.take()
    }

    fn accept(&mut self) -> Result<(), String> {
        let (stream, _) = self.listener.accept().map_err(|error| {
            format!("lastpop did not connect upstream within {} s: {error}", DEADLINE.as_secs())
        })?;
        self.told.push(format!("lastpop connects upstream, number {}", self.upstreams.len() + 1));
        self.upstreams.push(Upstream { wire: Some(Wire::new(stream, self.piece)), tags: HashMap::new() });
        Ok(())
    }

    fn reply(&mut self, client: usize, pattern: &Pattern) -> Result<(), String> {
        let line = self.client(client)?.line().map_err(|came| unlike(&pattern.to_string(), &came))?;
        self.tell("lastpop replies", &line);
        let text =
            line.strip_suffix(b"\r\n").ok_or_else(|| format!("a line without CRLF: {}", shown(&line)))?;
        if !pattern.fits(text) {
            return Err(format!("expected {pattern}\n    came     {}", shown(&line)));
        }
        let is_plain = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if pattern.is_status() && (line.len() > LONGEST_REPLY || !is_plain) {
            return Err(format!(
                "a reply must be ASCII of at most {LONGEST_REPLY} octets, came {}",
                shown(&line)
            ));
        }
        Ok(())
    }

    /// A list that ends with a lone dot, in any order.
    fn reply_lines(&mut self, client: usize, with: &[String], without: &[String]) -> Result<(), String> {
        let mut lines = Vec::new();
        loop {
            let line = self.client(client)?.line().map_err(|came| unlike("lines, then a dot", &came))?;
            self.tell("lastpop replies", &line);
            if line == b".\r\n" {
                break;
            }
            lines.push(line.strip_suffix(b"\r\n").unwrap_or(&line).to_vec());
        }
        let listed = |text: &String| lines.iter().any(|line| Pattern::Status(text.clone()).fits(line));
        if let Some(text) = with.iter().find(|text| !listed(text)) {
            return Err(format!("not listed: {text}"));
        }
        without.iter().find(|text| listed(text)).map_or(Ok(()), |text| Err(format!("listed: {text}")))
    }

    /// The proxy ends the client's connection: after nothing more, or by a reset in the middle of a message.
    fn end_of(&mut self, client: usize, wanted: Option<End>) -> Result<(), String> {
        let name = wanted.map_or("the connection's end", End::words);
        let (bytes, end) = self.client(client)?.until_end().map_err(|came| unlike(name, &came))?;
        self.told.push(format!("lastpop: {} then {}", shown(&bytes), end.words()));
        let in_words = || format!("expected {name}\n    came     {} then {}", shown(&bytes), end.words());
        if wanted.is_some_and(|wanted| wanted != end) {
            return Err(in_words());
        }
        if let Some(Some(wire)) = self.clients.remove(&client) {
            self.heard.extend_from_slice(wire.received());
        }
        if wanted == Some(End::Reset) {
            let mut lines = bytes.split(|byte| *byte == b'\n');
            let is_ending = lines.any(|line| line == b".\r" || line.starts_with(b"-ERR"));
            return if is_ending {
                Err(format!("a cut message was ended: {}", shown(&bytes)))
            } else {
                Ok(())
            };
        }
        if bytes.is_empty() { Ok(()) } else { Err(in_words()) }
    }

    fn command(&mut self, number: Option<usize>, tag: &str, pattern: &Pattern) -> Result<(), String> {
        let line = self.upstream(number)?.0.line().map_err(|came| unlike(&pattern.to_string(), &came))?;
        self.tell("lastpop asks", &line);
        let text =
            line.strip_suffix(b"\r\n").ok_or_else(|| format!("a line without CRLF: {}", shown(&line)))?;
        let space =
            text.iter().position(|byte| *byte == b' ').ok_or_else(|| format!("no tag: {}", shown(&line)))?;
        let (real, command) = (String::from_utf8_lossy(&text[..space]).into_owned(), &text[space + 1..]);
        if !pattern.fits(command) {
            return Err(format!("expected the command {pattern}\n    came     {}", shown(&line)));
        }
        let tags = self.upstream(number)?.1;
        if tags.values().any(|used| *used == real) {
            return Err(format!("the tag {real} was used before (RFC 3501 §2.2.1)"));
        }
        tags.insert(tag.to_owned(), real);
        Ok(())
    }

    fn tell(&mut self, who: &str, bytes: &[u8]) {
        self.told.push(format!("{who}: {}", shown(bytes)));
    }
}

fn unlike(expected: &str, came: &Came) -> String {
    format!("expected {expected}\n    came     {came}")
}
