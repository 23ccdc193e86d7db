//! The TRANSACTION state (RFC 1939 §5): what each command means, decided without I/O.
//!
//! Leaving it for UPDATE takes a [`QuitPlan`], only [`Transaction::quit`] makes one, and that takes the
//! proof that QUIT was read. So "no QUIT, no delete" is a type and not a condition.

use super::command::{Command, CommandError};
use super::maildrop::{Maildrop, Message, MsgNum, Source};
use super::reply::{Code, Reply};

/// From this many lines on, TOP is treated as a way to download the message: fetchmail sends
/// `TOP n 99999999`, and nobody previews a hundred thousand lines.
pub const TOP_IS_RETR: u64 = 100_000;

/// Commands in a row that failed by the client's own fault before the session is ended (Dovecot's figure).
pub const MAX_BAD_COMMANDS: u32 = 20;

const TOO_MANY: Reply = Reply::err("Too many commands that cannot be carried out: closing.");

/// What part of a message to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// RETR: all of it.
    Whole,
    /// TOP: the header, the blank line, and this many lines of the body.
    Top(u64),
}

impl Portion {
    /// Does a client that got this portion have the message?
    pub const fn is_retrieval(self) -> bool {
        match self {
            Self::Whole => true,
            Self::Top(lines) => lines >= TOP_IS_RETR,
        }
    }
}

/// What a command leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this.
    Reply(Reply),
    /// Send the scan listings of all messages.
    List,
    /// Send the scan listing of one message.
    ListOne(Message),
    /// Send the unique-ids of all messages.
    Uidl,
    /// Send the unique-id of one message.
    UidlOne(Message),
    /// Send the capability list.
    Capa,
    /// Send (part of) a message.
    Send(Message, Portion),
    /// QUIT: hand the proof to [`Transaction::quit`].
    Quit(QuitRead),
    /// Send this and close, without UPDATE.
    Close(Reply),
}

/// The proof that QUIT was read.
#[derive(Debug, PartialEq, Eq)]
pub struct QuitRead(());

/// What UPDATE has to do. It exists only after QUIT.
#[derive(Debug, PartialEq, Eq)]
pub struct QuitPlan {
    /// Ids marked as deleted, ascending.
    pub hide: Vec<u32>,
    /// Their octets.
    pub octets: u64,
    /// Ids delivered whole and not deleted, ascending.
    pub seen: Vec<u32>,
    /// Was the notice marked as deleted?
    pub notice: bool,
}

/// A session in the TRANSACTION state.
#[derive(Debug)]
pub struct Transaction {
    maildrop: Maildrop,
    dele: bool,
    bad_commands: u32,
    /// The message that was found gone last, and how often in a row.
    vanished: Option<(MsgNum, u32)>,
}

impl Transaction {
    /// Begins with this maildrop. `dele` says whether the mail store can keep a deletion mark.
    pub const fn new(maildrop: Maildrop, dele: bool) -> Self {
        Self { maildrop, dele, bad_commands: 0, vanished: None }
    }

    /// The maildrop as it stands.
    pub const fn maildrop(&self) -> &Maildrop {
        &self.maildrop
    }

    /// Decides what a line leads to.
    pub fn handle(&mut self, line: Result<Command<'_>, CommandError>) -> Step {
        match line {
            Ok(command) => {
                let bad = self.bad_commands;
                let step = self.command(command);
                if self.bad_commands == bad {
                    self.bad_commands = 0;
                }
                step
            }
            Err(error) => self.bad(match error {
                CommandError::Unknown => "That command is not known here.",
                CommandError::Syntax => "The arguments of that command are missing or wrong.",
                CommandError::Number => "That is not a message number of this maildrop.",
                CommandError::Control => "A command must not contain NUL or CR.",
            }),
        }
    }

    /// A line was too long to be a command.
    pub fn too_long(&mut self) -> Step {
        self.bad("That line is too long.")
    }

    /// Another program has removed the message since the session began. Whoever asks for it again and again
    /// is stopped as one that sends nonsense is; asking for many that are gone is no nonsense.
    pub fn vanished(&mut self, message: &Message) -> Step {
        const GONE: &str = "That message is no longer in the mailbox: another program has removed it.";
        let times = match self.vanished {
            Some((number, times)) if number == message.number() => times + 1,
            _ => 1,
        };
        self.vanished = Some((message.number(), times));
        if times >= MAX_BAD_COMMANDS { Step::Close(TOO_MANY) } else { Step::Reply(Reply::err(GONE)) }
    }

    /// The client has received the whole message.
    pub fn delivered(&mut self, message: &Message) {
        self.maildrop.mark_delivered(message);
    }

    /// Ends the state with what UPDATE has to do.
    pub fn quit(self, _proof: QuitRead) -> QuitPlan {
        QuitPlan {
            hide: self.maildrop.deleted().collect(),
            octets: self.maildrop.deleted_octets(),
            seen: self.maildrop.delivered().collect(),
            notice: self.maildrop.notice_deleted(),
        }
    }

    fn command(&mut self, command: Command<'_>) -> Step {
        match command {
            Command::Stat => {
                let (count, octets) = self.maildrop.stat();
                Step::Reply(Reply::ok(format!("{count} {octets}")))
            }
            Command::List(None) => Step::List,
            Command::Uidl(None) => Step::Uidl,
            Command::List(Some(number)) => self.with(number, |_, message| Step::ListOne(message)),
            Command::Uidl(Some(number)) => self.with(number, |_, message| Step::UidlOne(message)),
            Command::Retr(number) => self.with(number, |_, message| Step::Send(message, Portion::Whole)),
            Command::Top(number, lines) => {
                self.with(number, |_, message| Step::Send(message, Portion::Top(lines)))
            }
            Command::Dele(number) => self.with(number, Self::dele),
            Command::Noop => Step::Reply(Reply::ok("")),
            Command::Rset => {
                self.maildrop.unmark_all();
                Step::Reply(Reply::ok("No message is marked as deleted now."))
            }
            Command::Capa => Step::Capa,
            Command::Quit => Step::Quit(QuitRead(())),
            // RFC 6856 §2 allows UTF8 only before login; both are answered so that no client gives up.
            Command::Utf8 | Command::Lang => Step::Reply(Reply::err("Not supported here.")),
            Command::User(_) | Command::Pass(_) | Command::Auth(_) => self.bad("You are logged in already."),
            Command::Stls => self.bad("STLS is possible only before login."),
        }
    }

    fn dele(&mut self, message: Message) -> Step {
        if !self.dele && message.source() != Source::Notice {
            const NO_MARKS: &str = "This mailbox cannot keep deletion marks, so nothing was deleted.";
            return Step::Reply(Reply::err_code(Code::SysPerm, NO_MARKS));
        }
        self.maildrop.mark_deleted(&message);
        Step::Reply(Reply::ok("The message will be hidden at QUIT."))
    }

    fn with(&mut self, number: MsgNum, then: impl FnOnce(&mut Self, Message) -> Step) -> Step {
        match self.maildrop.message(number) {
            Some(message) => then(self, message),
            None => self.bad("There is no such message."),
        }
    }

    fn bad(&mut self, text: &'static str) -> Step {
        self.bad_commands += 1;
        if self.bad_commands >= MAX_BAD_COMMANDS {
            return Step::Close(TOO_MANY);
        }
        Step::Reply(Reply::err(text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::parse;
    use super::*;

    fn three() -> Transaction {
        Transaction::new(Maildrop::new([(11, 100), (12, 200), (15, 300)]), true)
    }

    fn line(tx: &mut Transaction, line: &str) -> Step {
        tx.handle(parse(line.as_bytes()))
    }

    fn is_err(step: &Step) -> bool {
        matches!(step, Step::Reply(reply) if !reply.is_ok())
    }

    #[test]
    fn stat_follows_the_marks() {
        let mut tx = three();
        assert_eq!(line(&mut tx, "STAT"), Step::Reply(Reply::ok("3 600")));
        line(&mut tx, "DELE 2");
        assert_eq!(line(&mut tx, "STAT"), Step::Reply(Reply::ok("2 400")));
        line(&mut tx, "RSET");
        assert_eq!(line(&mut tx, "STAT"), Step::Reply(Reply::ok("3 600")));
    }

    #[test]
    fn a_deleted_message_is_out_of_reach() {
        let mut tx = three();
        line(&mut tx, "DELE 2");
        for command in ["LIST 2", "UIDL 2", "RETR 2", "TOP 2 1", "DELE 2", "RETR 4", "RETR 0"] {
            assert!(is_err(&line(&mut tx, command)), "{command}");
        }
        assert!(
            matches!(line(&mut tx, "RETR 3"), Step::Send(message, Portion::Whole) if message.source() == Source::Stored(15))
        );
    }

    #[test]
    fn quit_carries_marks_and_deliveries() {
        let mut tx = three();
        let Step::Send(first, _) = line(&mut tx, "RETR 1") else { panic!("RETR 1 is possible") };
        tx.delivered(&first);
        line(&mut tx, "DELE 3");
        let Step::Quit(proof) = line(&mut tx, "QUIT") else { panic!("QUIT is always possible") };
        assert_eq!(tx.quit(proof), QuitPlan { hide: vec![15], octets: 300, seen: vec![11], notice: false });
    }

    #[test]
    fn commands_of_the_other_state_are_refused() {
        for command in ["USER a", "PASS a", "AUTH PLAIN", "STLS", "UTF8", "LANG"] {
            assert!(is_err(&line(&mut three(), command)), "{command}");
        }
    }

    #[test]
    fn nonsense_ends_the_session_without_update() {
        let mut tx = three();
        line(&mut tx, "DELE 1");
        for _ in 1..MAX_BAD_COMMANDS {
            assert!(is_err(&line(&mut tx, "FOO")));
        }
        assert!(matches!(line(&mut tx, "FOO"), Step::Close(_)));
    }

    #[test]
    fn one_good_command_makes_up_for_bad_ones() {
        let mut tx = three();
        for _ in 0..3 * MAX_BAD_COMMANDS {
            assert!(is_err(&line(&mut tx, "RETR 9")));
            assert!(!is_err(&line(&mut tx, "NOOP")));
        }
    }

    #[test]
    fn only_asking_for_the_same_vanished_message_again_is_bad() {
        let mut tx = three();
        let messages: Vec<Message> = tx.maildrop().messages().collect();
        for _ in 0..MAX_BAD_COMMANDS {
            assert!(messages.iter().all(|message| is_err(&tx.vanished(message))));
        }
        for _ in 1..MAX_BAD_COMMANDS {
            assert!(matches!(line(&mut tx, "RETR 1"), Step::Send(..)));
            assert!(is_err(&tx.vanished(&messages[0])));
        }
        assert!(matches!(tx.vanished(&messages[0]), Step::Close(_)));
    }

    #[test]
    fn without_marks_dele_says_so_and_marks_nothing() {
        let mut tx = Transaction::new(Maildrop::new([(1, 1)]), false);
        assert!(is_err(&line(&mut tx, "DELE 1")));
        assert_eq!(line(&mut tx, "STAT"), Step::Reply(Reply::ok("1 1")));
    }

    #[test]
    fn fetchmails_top_counts_as_a_retrieval() {
        assert!(Portion::Whole.is_retrieval());
        assert!(Portion::Top(99_999_999).is_retrieval());
        assert!(!Portion::Top(20).is_retrieval());
    }
}
