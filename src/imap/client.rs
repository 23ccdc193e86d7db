//! One connection to an IMAP server: the greeting, one command at a time, and LOGOUT.

use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

use super::ahead::Ahead;
use super::capability::{Capabilities, Capability};
use super::command::{Command, Encoded};
use super::error::Error;
use super::reader::{Event, Reader};
use super::response::{Code, Kind, Response, Status};
use super::tag::Tag;
use crate::config::HostPort;
use crate::net::Connection;
use crate::net::dial::{DialError, Dialer};

/// How long a server may take to greet. One that is slower than this is not going to serve anybody.
const GREETING: Duration = Duration::from_secs(10);

/// Answers to commands that we did not send, before the connection is given up.
const MAX_FOREIGN_TAGS: u32 = 3;

/// A connection that was greeted. It lives as long as one session, and no error leaves it usable except
/// [`Error::No`] and [`Error::Bad`].
#[derive(Debug)]
pub struct Client {
    pub(super) reader: Reader,
    pub(super) capabilities: Capabilities,
    /// Bodies that were asked for before they are wanted, in the order of asking.
    pub(super) ahead: Ahead,
    host: HostPort,
    tag: Tag,
    timeout: Duration,
}

/// How to speak to an upstream after connecting.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Is TLS to be started by STARTTLS?
    pub starttls: bool,
    /// No octet for this long, and the server counts as gone.
    pub response_timeout: Duration,
}

impl Client {
    /// Connects, takes the greeting, asks for the capabilities, and starts TLS if so configured. Whatever
    /// goes wrong with one address, the next is tried.
    pub async fn connect(dialer: &Dialer, terms: Terms) -> Result<Self, Error> {
        let mut last = Err(Error::Unusable("no address is configured"));
        for host in dialer.hosts() {
            last = Self::connect_to(dialer, host, terms).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn connect_to(dialer: &Dialer, host: &HostPort, terms: Terms) -> Result<Self, Error> {
        let connection = dialer.connect(host).await?;
        let mut client = Self::new(connection, host.clone(), terms.response_timeout);
        client.greeting().await?;
        if terms.starttls {
            client.start_tls(dialer).await?;
        }
        if !client.capabilities.is_imap4() {
            client.ask_capabilities().await?;
        }
        if client.capabilities.is_imap4() {
            Ok(client)
        } else {
            Err(Error::Unusable("it does not speak IMAP4rev1 or IMAP4rev2"))
        }
    }

    fn new(connection: Connection, host: HostPort, timeout: Duration) -> Self {
        Self {
            reader: Reader::new(connection, timeout),
            capabilities: Capabilities::default(),
            host,
            ahead: Ahead::default(),
            tag: Tag::new(),
            timeout,
        }
    }

    /// What the server says it can do, as of now.
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Which of the configured addresses this is.
    pub const fn host(&self) -> &HostPort {
        &self.host
    }

    /// The TLS version, if the connection is encrypted.
    pub fn tls_version(&mut self) -> Option<&'static str> {
        self.reader.connection().tls_version()
    }

    /// Octets received and sent.
    pub fn traffic(&mut self) -> (u64, u64) {
        self.reader.connection().traffic()
    }

    /// Has the server said nothing since the last answer, and is it still there?
    pub fn is_quiet(&mut self) -> bool {
        self.reader.is_quiet()
    }

    /// Says LOGOUT and does not wait for the answer.
    pub async fn logout(&mut self) {
        let command = Command::Logout.encode(self.next_tag());
        // A server that is gone needs no LOGOUT.
        let _ = self.reader.connection().send_secret(&command.bytes, self.timeout).await;
    }

    async fn greeting(&mut self) -> Result<(), Error> {
        let greeting = timeout(GREETING, self.reader.next()).await.map_err(|_| Error::Timeout)??;
        let Event::Response(Response::Status(status)) = greeting else {
            return Err(Error::Protocol("the greeting is none"));
        };
        match status.kind {
            Kind::Ok => {
                if let Some(Code::Capability(all)) = status.code {
                    self.capabilities = all;
                }
                Ok(())
            }
            Kind::Bye => Err(Error::Bye(status.reason())),
            Kind::Preauth => {
                Err(Error::Unusable("it greets with PREAUTH, so nobody's password would be checked"))
            }
            Kind::No | Kind::Bad => Err(Error::Protocol("the greeting is none")),
        }
    }

    /// RFC 3501 §6.2.1. Fails closed: without TLS nothing more is said.
    async fn start_tls(&mut self, dialer: &Dialer) -> Result<(), Error> {
        if self.capabilities.is_imap4() && !self.capabilities.has(Capability::StartTls) {
            return Err(Error::Unusable("it does not offer STARTTLS"));
        }
        self.run(&Command::StartTls, |_| {}).await.map_err(|error| match error {
            Error::No { .. } | Error::Bad { .. } => Error::Unusable("it refuses STARTTLS"),
            error => error,
        })?;
        // Whatever came in the clear behind the answer was put there by somebody in between.
        if self.reader.has_unread() {
            return Err(Error::Protocol("octets follow the answer to STARTTLS"));
        }
        dialer.start_tls(self.reader.connection(), &self.host).await?;
        self.reader.start_over();
        // What was offered in the clear counts for nothing now.
        self.ask_capabilities().await
    }

    pub(super) async fn ask_capabilities(&mut self) -> Result<(), Error> {
        let mut capabilities = Capabilities::default();
        self.run(&Command::Capability, |response| {
            if let Some(all) = offered(response) {
                capabilities = all;
            }
        })
        .await?;
        self.capabilities = capabilities;
        Ok(())
    }

    /// Sends a command and reads up to its end. Every response goes to `each`, the tagged one as well.
    pub(super) async fn run(
        &mut self,
        command: &Command<'_>,
        mut each: impl FnMut(&Response<'_>),
    ) -> Result<(), Error> {
        let tag = self.send(command).await?;
        self.read_to_end(tag, command.label(), &mut each).await
    }

    /// Sends a command; pauses where the server has to ask for more. Gives its tag.
    pub(super) async fn send(&mut self, command: &Command<'_>) -> Result<Tag, Error> {
        self.drop_ahead().await?;
        let tag = self.next_tag();
        let encoded = command.encode(tag);
        let mut sent = 0;
        for pause in encoded.pauses {
            self.reader.connection().send_secret(&encoded.bytes[sent..pause], self.timeout).await?;
            sent = pause;
            self.wait_for_continuation(tag, command.label()).await?;
        }
        self.reader.connection().send_secret(&encoded.bytes[sent..], self.timeout).await?;
        Ok(tag)
    }

    /// Sends commands in one write. None of them may need a pause.
    pub(super) async fn send_together(&mut self, commands: &[Encoded]) -> Result<(), Error> {
        let length = commands.iter().map(|command| command.bytes.len()).sum();
        // Large enough from the start: a buffer that grows leaves an unwiped copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for command in commands {
            bytes.extend_from_slice(&command.bytes);
        }
        Ok(self.reader.connection().send_secret(&bytes, self.timeout).await?)
    }

    /// Reads up to the tagged response; NO and BAD become errors.
    pub(super) async fn read_to_end(
        &mut self,
        tag: Tag,
        command: &'static str,
        each: &mut impl FnMut(&Response<'_>),
    ) -> Result<(), Error> {
        let mut foreign = 0;
        loop {
            let response = match self.reader.next().await? {
                Event::Response(response) => response,
                // If nobody waits for it, the next look skips it.
                Event::Body(follows) => {
                    self.hold(follows).await?;
                    continue;
                }
            };
            if let Response::Tagged(theirs, status) = &response
                && self.ahead.ends(theirs, status)
            {
                continue;
            }
            if let Some(status) = ended(&response, tag, &mut foreign)? {
                each(&response);
                return if status.kind == Kind::Ok { Ok(()) } else { Err(Error::refused(command, &status)) };
            }
            if response == Response::Continue {
                return Err(Error::Protocol("the server asks for more than the command has"));
            }
            each(&response);
        }
    }

    async fn wait_for_continuation(&mut self, tag: Tag, command: &'static str) -> Result<(), Error> {
        let mut foreign = 0;
        loop {
            match self.reader.next().await? {
                Event::Response(Response::Continue) => return Ok(()),
                Event::Response(response) => {
                    if let Some(status) = ended(&response, tag, &mut foreign)? {
                        return Err(Error::refused(command, &status));
                    }
                }
                Event::Body(_) => {}
            }
        }
    }

    pub(super) const fn next_tag(&mut self) -> Tag {
        self.tag = self.tag.next();
        self.tag
    }
}

/// Is this the end of the command with this tag? BYE is the end of everything, and an answer to somebody
/// else's command is never taken for ours.
pub(super) fn ended<'a>(
    response: &Response<'a>,
    tag: Tag,
    foreign: &mut u32,
) -> Result<Option<Status<'a>>, Error> {
    match response {
        Response::Tagged(theirs, status) if tag.is(theirs) => Ok(Some(*status)),
        Response::Tagged(..) => {
            *foreign += 1;
            if *foreign >= MAX_FOREIGN_TAGS {
                Err(Error::Protocol("answers to other commands"))
            } else {
                Ok(None)
            }
        }
        Response::Status(Status { kind: Kind::Bye, .. }) => Err(Error::Bye(bye_reason(response))),
        _ => Ok(None),
    }
}

const fn bye_reason(response: &Response<'_>) -> Option<super::response::Reason> {
    match response {
        Response::Status(status) => status.reason(),
        _ => None,
    }
}

/// The capabilities that a response brings, wherever they stand in it (RFC 3501 §7.2.1).
pub(super) const fn offered(response: &Response<'_>) -> Option<Capabilities> {
    match response {
        Response::Capability(all)
        | Response::Tagged(_, Status { code: Some(Code::Capability(all)), .. })
        | Response::Status(Status { code: Some(Code::Capability(all)), .. }) => Some(*all),
        _ => None,
    }
}

impl From<DialError> for Error {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Connect(host, source) => Self::Connect { address: host.to_string(), source },
            DialError::Tls(host, source) => Self::Tls { address: host.to_string(), source },
            DialError::Timeout(host) => Self::ConnectTimeout { address: host.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::sync::mpsc;

    use super::*;

    /// Connects to a server that says each of these after a line of ours; the first is its greeting. Gives
    /// what came of it and the verbs that the server was sent.
    async fn connect(starttls: bool, says: &'static [&'static str]) -> (Result<Client, Error>, Vec<String>) {
        let (sender, mut receiver) = mpsc::channel::<tokio::io::DuplexStream>(1);
        let server = async move {
            let mut server = BufReader::new(receiver.recv().await.expect("a connection"));
            let mut verbs = Vec::new();
            for text in says {
                let mut line = String::new();
                if !text.starts_with("* ") || !verbs.is_empty() {
                    server.read_line(&mut line).await.expect("a line");
                }
                let (tag, rest) = line.trim_end().split_once(' ').unwrap_or_default();
                verbs.push(rest.to_owned());
                server.write_all(text.replace("TAG", tag).as_bytes()).await.expect("a reader");
            }
            server.into_inner().shutdown().await.expect("shut down");
            verbs.remove(0);
            verbs
        };
        let host = HostPort { host: "memory".to_owned(), port: 143 };
        let dialer = Dialer::Memory { host, peer: sender };
        let terms = Terms { starttls, response_timeout: Duration::from_secs(5) };
        tokio::join!(async { Client::connect(&dialer, terms).await }, server)
    }

    #[tokio::test(start_paused = true)]
    async fn capabilities_come_with_the_greeting_or_are_asked_for() {
        let (client, verbs) = connect(false, &["* OK [CAPABILITY IMAP4rev2 ID] hi\r\n"]).await;
        assert!(client.is_ok_and(|client| client.capabilities().has(Capability::Id)) && verbs.is_empty());
        let (client, verbs) = connect(false, &["* OK hi\r\n", "* CAPABILITY IMAP4rev1\r\nTAG OK\r\n"]).await;
        assert!(client.is_ok() && verbs == ["CAPABILITY"]);
        let (client, _) = connect(false, &["* OK hi\r\n", "* CAPABILITY POP9\r\nTAG OK\r\n"]).await;
        assert!(matches!(client, Err(Error::Unusable(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_that_is_not_ok_ends_it() {
        let (client, verbs) = connect(false, &["* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n"]).await;
        assert!(matches!(client, Err(Error::Unusable(_))) && verbs.is_empty());
        let (client, _) = connect(false, &["* BYE [UNAVAILABLE] later\r\n"]).await;
        assert!(matches!(client, Err(Error::Bye(Some(super::super::response::Reason::Temporary)))));
        let (client, _) = connect(false, &["* 1 EXISTS\r\n"]).await;
        assert!(matches!(client, Err(Error::Protocol(_))));
        let (client, _) = connect(false, &["* OK"]).await;
        assert!(matches!(client, Err(Error::Closed)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_starttls_nothing_more_is_said() {
        let (client, verbs) = connect(true, &["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"]).await;
        assert!(matches!(client, Err(Error::Unusable(_))) && verbs.is_empty());
        for answer in ["TAG NO no\r\n", "TAG BAD no\r\n"] {
            let says: &'static [&'static str] =
                Vec::leak(vec!["* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n", answer]);
            let (client, verbs) = connect(true, says).await;
            assert!(matches!(client, Err(Error::Unusable(_))) && verbs == ["STARTTLS"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn octets_behind_the_answer_to_starttls_are_an_attack() {
        let (client, verbs) = connect(
            true,
            &[
                "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n",
                "TAG OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
            ],
        )
        .await;
        assert!(matches!(client, Err(Error::Protocol(_))) && verbs == ["STARTTLS"]);
    }
}
