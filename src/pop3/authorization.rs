//! The AUTHORIZATION state (RFC 1939 §4, RFC 2595 §4, RFC 5034): from the greeting to a name and a
//! password, decided without I/O.
//!
//! Whether the pair is right is not known here: [`AuthStep::Login`] hands it out, and the caller says
//! with [`Authorization::refused`] that it was not.

use super::command::{Command, CommandError};
use super::reply::{Code, Reply};
use super::sasl::{Credentials, Exchange, Mechanism, Progress};

/// Commands that failed by the client's own fault before the connection is ended. Few, because before
/// login a browser or a scanner is likelier than a mail client (Dovecot's figure).
pub const MAX_BAD_COMMANDS: u32 = 3;

/// What a command leads to.
#[derive(Debug)]
pub enum AuthStep {
    /// Send this.
    Reply(Reply),
    /// Send the capability list.
    Capa,
    /// Send the list of mechanisms (`AUTH` alone, as old Outlooks ask).
    Mechanisms,
    /// Send `+OK`, drop every octet that was received already, and do the TLS handshake.
    Stls,
    /// Send `+ ` and this; the client's next line goes to [`Authorization::respond`].
    Challenge(&'static str),
    /// Try these upstream.
    Login(Credentials, Method),
    /// Send this and close.
    Close(Reply),
}

/// How the client gave its password; a label in metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// USER and PASS.
    UserPass,
    /// AUTH PLAIN.
    Plain,
    /// AUTH LOGIN.
    Login,
}

impl Method {
    /// The label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UserPass => "userpass",
            Self::Plain => "plain",
            Self::Login => "login",
        }
    }

    /// Every method.
    pub const ALL: [Self; 3] = [Self::UserPass, Self::Plain, Self::Login];
}

/// What this connection allows.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// May STLS be used on this listener?
    pub stls: bool,
    /// May a password be sent without TLS?
    pub plaintext: bool,
    /// Refused logins before the connection is closed; at least 1.
    pub login_failures: u32,
}

/// A connection in the AUTHORIZATION state.
#[derive(Debug)]
pub struct Authorization {
    rules: Rules,
    tls: bool,
    user: Option<Vec<u8>>,
    exchange: Option<(Exchange, Method)>,
    bad_commands: u32,
    failures: u32,
}

const REFUSED: Reply = Reply::err_code(Code::Auth, "The user name or the password is wrong.");

impl Authorization {
    /// Begins. `tls` says whether the connection is encrypted already.
    pub const fn new(rules: Rules, tls: bool) -> Self {
        Self { rules, tls, user: None, exchange: None, bad_commands: 0, failures: 0 }
    }

    /// Is the connection encrypted?
    pub const fn encrypted(&self) -> bool {
        self.tls
    }

    /// Is STLS possible now?
    pub const fn stls_possible(&self) -> bool {
        self.rules.stls && !self.tls
    }

    /// May a password be sent now?
    pub const fn login_possible(&self) -> bool {
        self.tls || self.rules.plaintext
    }

    /// Is the next line a response to a challenge, and not a command?
    pub const fn in_exchange(&self) -> bool {
        self.exchange.is_some()
    }

    /// The user whom USER has named, and whose password is likely to follow.
    pub fn named(&self) -> Option<&[u8]> {
        self.user.as_deref()
    }

    /// Decides what a line leads to.
    pub fn handle(&mut self, line: Result<Command<'_>, CommandError>) -> AuthStep {
        match line {
            Ok(command) => self.command(command),
            Err(CommandError::Unknown) => self.bad("That command is not known here."),
            Err(CommandError::Syntax | CommandError::Number) => {
                self.bad("The arguments of that command are missing or wrong.")
            }
            Err(CommandError::Control) => self.bad("A command must not contain NUL or CR."),
        }
    }

    /// A line was too long to be a command or a response.
    pub fn too_long(&mut self) -> AuthStep {
        self.exchange = None;
        self.bad("That line is too long.")
    }

    /// The client's answer to a challenge. Without an exchange it is a command that nobody knows.
    pub fn respond(&mut self, line: &[u8]) -> AuthStep {
        match self.exchange.take() {
            Some((exchange, method)) => self.progress(exchange.respond(line), method),
            None => self.bad("That command is not known here."),
        }
    }

    /// The upstream refused the credentials.
    pub fn refused(&mut self) -> AuthStep {
        self.failures += 1;
        if self.failures >= self.rules.login_failures {
            return AuthStep::Close(REFUSED);
        }
        AuthStep::Reply(REFUSED)
    }

    /// TLS is up after STLS: all that was said before it is forgotten (RFC 2595 §4), the counts of
    /// failures are not.
    pub fn tls_started(&mut self) {
        self.tls = true;
        self.user = None;
        self.exchange = None;
    }

    fn command(&mut self, command: Command<'_>) -> AuthStep {
        match command {
            Command::User(_) | Command::Pass(_) | Command::Auth(Some(_)) if !self.login_possible() => {
                const TLS_FIRST: &str = "Passwords are taken only over TLS here: switch your mail program's \
                    POP3 encryption to SSL/TLS or STARTTLS.";
                AuthStep::Reply(Reply::err_code(Code::SysPerm, TLS_FIRST))
            }
            Command::User(name) => {
                self.user = Some(name.to_vec());
                AuthStep::Reply(Reply::ok("Send the password."))
            }
            Command::Pass(password) => match self.user.take() {
                Some(user) => match Credentials::new(&user, password) {
                    Some(credentials) => AuthStep::Login(credentials, Method::UserPass),
                    None => self.refused(),
                },
                None => self.bad("Send USER first."),
            },
            Command::Auth(None) => AuthStep::Mechanisms,
            Command::Auth(Some((name, initial))) => match Mechanism::parse(name) {
                Some(mechanism) => {
                    let method = match mechanism {
                        Mechanism::Plain => Method::Plain,
                        Mechanism::Login => Method::Login,
                    };
                    self.progress(Exchange::start(mechanism, initial), method)
                }
                None => self.bad("That authentication mechanism is not offered."),
            },
            Command::Stls if self.tls => self.bad("The connection is encrypted already."),
            Command::Stls if !self.rules.stls => self.bad("STLS is not offered here."),
            Command::Stls => AuthStep::Stls,
            Command::Capa => AuthStep::Capa,
            Command::Quit => AuthStep::Close(Reply::ok("Goodbye.")),
            Command::Utf8 | Command::Lang => AuthStep::Reply(Reply::err("Not supported here.")),
            Command::Noop
            | Command::Rset
            | Command::Stat
            | Command::List(_)
            | Command::Uidl(_)
            | Command::Retr(_)
            | Command::Dele(_)
            | Command::Top(..) => self.bad("Log in first."),
        }
    }

    fn progress(&mut self, progress: Progress, method: Method) -> AuthStep {
        match progress {
            Progress::Challenge(exchange, text) => {
                self.exchange = Some((exchange, method));
                AuthStep::Challenge(text)
            }
            Progress::Done(credentials) => AuthStep::Login(credentials, method),
            Progress::Cancelled => AuthStep::Reply(Reply::err("The login was cancelled.")),
            Progress::Malformed => self.bad("That is not the response that the mechanism asks for."),
            Progress::Unusable => self.refused(),
        }
    }

    fn bad(&mut self, text: &'static str) -> AuthStep {
        self.bad_commands += 1;
        if self.bad_commands >= MAX_BAD_COMMANDS {
            return AuthStep::Close(Reply::err("Too many commands that cannot be carried out: closing."));
        }
        AuthStep::Reply(Reply::err(text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::parse;
    use super::*;

    const RULES: Rules = Rules { stls: true, plaintext: false, login_failures: 3 };

    fn line(auth: &mut Authorization, line: &str) -> AuthStep {
        auth.handle(parse(line.as_bytes()))
    }

    fn is_err(step: &AuthStep) -> bool {
        matches!(step, AuthStep::Reply(reply) if !reply.is_ok())
    }

    #[test]
    fn a_name_is_refused_before_its_password_is_sent_in_the_clear() {
        let mut auth = Authorization::new(RULES, false);
        for command in ["USER anna", "PASS x", "AUTH PLAIN", "AUTH PLAIN AGEAYg=="] {
            assert!(is_err(&line(&mut auth, command)), "{command}");
        }
        assert!(matches!(line(&mut auth, "STLS"), AuthStep::Stls));
        auth.tls_started();
        assert!(matches!(line(&mut auth, "USER anna"), AuthStep::Reply(reply) if reply.is_ok()));
        assert!(matches!(line(&mut auth, "PASS x"), AuthStep::Login(..)));
    }

    #[test]
    fn a_name_from_before_tls_is_forgotten_and_bad_commands_are_not() {
        let mut auth = Authorization::new(Rules { plaintext: true, ..RULES }, false);
        line(&mut auth, "USER anna");
        line(&mut auth, "FOO");
        auth.tls_started();
        assert!(is_err(&line(&mut auth, "PASS x")));
        assert!(matches!(line(&mut auth, "FOO"), AuthStep::Close(_)));
    }

    #[test]
    fn pass_needs_user_each_time() {
        let mut auth = Authorization::new(RULES, true);
        assert!(is_err(&line(&mut auth, "PASS x")));
        line(&mut auth, "USER anna");
        assert!(
            matches!(line(&mut auth, "PASS a b"), AuthStep::Login(c, Method::UserPass) if c.password() == b"a b")
        );
        assert!(is_err(&auth.refused()));
        assert!(is_err(&line(&mut auth, "PASS x")));
    }

    #[test]
    fn the_last_failure_closes_even_when_the_password_was_empty() {
        let mut auth = Authorization::new(RULES, true);
        auth.refused();
        auth.refused();
        line(&mut auth, "USER anna");
        assert!(matches!(line(&mut auth, "PASS"), AuthStep::Close(_)));
    }

    #[test]
    fn auth_with_and_without_initial_response() {
        let mut auth = Authorization::new(RULES, true);
        assert!(matches!(line(&mut auth, "AUTH"), AuthStep::Mechanisms));
        assert!(matches!(line(&mut auth, "AUTH PLAIN AGEAYg=="), AuthStep::Login(_, Method::Plain)));
        assert!(matches!(line(&mut auth, "AUTH LOGIN"), AuthStep::Challenge("VXNlcm5hbWU6")));
        assert!(auth.in_exchange());
        assert!(is_err(&auth.respond(b"*")));
        assert!(!auth.in_exchange());
        assert!(is_err(&line(&mut auth, "AUTH CRAM-MD5")));
    }

    #[test]
    fn nothing_of_a_mailbox_is_reachable_before_login() {
        for command in ["STAT", "LIST", "UIDL", "RETR 1", "DELE 1", "TOP 1 1", "RSET", "NOOP"] {
            assert!(is_err(&line(&mut Authorization::new(RULES, true), command)), "{command}");
        }
    }

    #[test]
    fn stls_once_and_only_where_it_is_offered() {
        assert!(is_err(&line(&mut Authorization::new(RULES, true), "STLS")));
        assert!(is_err(&line(&mut Authorization::new(Rules { stls: false, ..RULES }, false), "STLS")));
    }
}
