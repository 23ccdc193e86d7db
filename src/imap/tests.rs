//! What a client asks of INBOX and what it makes of the answers, against a server that keeps to a script.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use super::client::Terms;
use super::command::{Command, Login, Section};
use super::snapshot::Listed;
use super::unhide::Unhidden;
use super::{Client, Error, Keyword, Quota};
use crate::config::HostPort;
use crate::net::Dialer;

/// A command without its tag, and the answer, in which TAG stands for the tag.
type Exchange = (&'static str, &'static str);

/// Runs `work` with a client whose server offers `capabilities`, expects these commands and no other, and
/// closes the connection after the last.
async fn with_server<T>(
    capabilities: &str,
    script: &[Exchange],
    work: impl AsyncFnOnce(&mut Client) -> T,
) -> T {
    let (peer, mut connections) = mpsc::channel(1);
    let server = async {
        let mut server = BufReader::new(connections.recv().await.expect("a connection"));
        let greeting = format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] hi\r\n");
        server.write_all(greeting.as_bytes()).await.expect("a reader");
        for (command, answer) in script {
            let mut line = String::new();
            server.read_line(&mut line).await.expect("a line");
            let (tag, said) = line.trim_end().split_once(' ').expect("a tag");
            assert_eq!(said, *command);
            server.write_all(answer.replace("TAG", tag).as_bytes()).await.expect("a reader");
        }
        server.shutdown().await.expect("shut down");
        let mut rest = String::new();
        server.read_to_string(&mut rest).await.expect("text");
        assert_eq!(rest, "");
    };
    let client = async {
        let host = HostPort { host: "memory".to_owned(), port: 143 };
        let terms = Terms { starttls: false, response_timeout: Duration::from_secs(5) };
        let mut client = Client::connect(&Dialer::Memory { host, peer }, terms).await.expect("a client");
        work(&mut client).await
    };
    tokio::join!(client, server).0
}

async fn quota(answer: &'static str) -> Result<Option<Quota>, Error> {
    with_server("QUOTA", &[("GETQUOTAROOT INBOX", answer)], async |client| client.quota().await).await
}

#[tokio::test(start_paused = true)]
async fn the_quota_of_the_root_that_is_full_first() {
    let told = |used: u64, limit: u64| Some(Quota { used: used * 1024, limit: limit * 1024 });
    for (answer, expected) in [
        ("* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE 10 512)\r\nTAG OK\r\n", told(10, 512)),
        ("* QUOTA a (STORAGE 1 9)\r\n* QUOTA b (MESSAGE 5 5 STORAGE 7 9)\r\nTAG OK\r\n", told(7, 9)),
        ("* QUOTA {6}\r\nb\r\n (\" (STORAGE 7 9)\r\n* QUOTA a (STORAGE 1 9)\r\nTAG OK\r\n", told(7, 9)),
        ("* QUOTAROOT INBOX {6}\r\nb\r\n (\" \"\"\r\n* 5 EXISTS\r\nTAG OK\r\n", None),
        ("* QUOTA \"User quota\" ()\r\nTAG OK\r\n", None),
        ("* QUOTA \"\" (STORAGE 10 512)\r\nTAG NO not now\r\n", None),
        ("TAG BAD what\r\n", None),
    ] {
        assert_eq!(quota(answer).await.expect("an answer"), expected, "{answer}");
    }
    assert!(matches!(quota("* QUOTA \"\" (STORAGE 10 512)\r\n").await, Err(Error::Closed)));
    let unasked = with_server("QUOTAX", &[], async |client| client.quota().await).await;
    assert_eq!(unasked.expect("no answer is needed"), None);
}

/// Of UIDs 3 to 8 all but 5 are hidden. Gives what came of it, and the UIDs that are hidden then.
async fn unhide(since: Option<i64>, script: &[Exchange]) -> (Result<Unhidden, Error>, Vec<u32>) {
    let mut listing: Vec<Listed> = (3..=8).map(|uid| Listed { uid, octets: 10, hidden: uid != 5 }).collect();
    let keyword = Keyword::parse("$POP3Deleted").expect("an atom");
    let work = async |client: &mut Client| client.unhide(&mut listing, since, &keyword).await;
    let result = with_server("", script, work).await;
    (result, listing.iter().filter(|row| row.hidden).map(|row| row.uid).collect())
}

const STORE: &str = "UID STORE 3:4,6:8 -FLAGS ($POP3Deleted)";
const DATES: &str = "UID FETCH 3:4,6:8 (UID INTERNALDATE)";

#[tokio::test(start_paused = true)]
async fn messages_come_back_when_the_echo_shows_it_or_the_flags_do() {
    let echo = "* 1 FETCH (UID 3 FLAGS (\\Seen))\r\n* 2 FETCH (UID 4 MODSEQ (7))\r\n\
        * 3 FETCH (UID 5 FLAGS ())\r\n* 4 FETCH (UID 6 FLAGS ($pop3deleted))\r\n\
        * 5 FETCH (FLAGS ($POP3Deleted) UID 7)\r\n* 5 FETCH (FLAGS (\\Seen) UID 7)\r\n* 5 FETCH (UID 7)\r\n\
        * 6 FETCH (FLAGS ())\r\nTAG OK done\r\n";
    // 4 was shown without its flags, as 7 was in the end, 6 with the keyword, 8 without its UID.
    let told = "* 2 FETCH (UID 4 FLAGS ())\r\n* 4 FETCH (UID 6 FLAGS ($POP3Deleted))\r\nTAG OK done\r\n";
    let (result, hidden) = unhide(None, &[(STORE, echo), ("UID FETCH 4,6,8 (UID FLAGS)", told)]).await;
    assert_eq!(result.expect("an answer"), Unhidden { shown: 3, failed: 1 });
    // 8 is gone: neither shown nor failed, and never listed.
    assert_eq!(hidden, [6, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_tagged_ok_proves_nothing() {
    let told = "* 1 FETCH (UID 3 FLAGS ($POP3Deleted))\r\n* 2 FETCH (UID 4)\r\nTAG OK\r\n";
    let (result, hidden) =
        unhide(None, &[(STORE, "TAG OK\r\n"), ("UID FETCH 3:4,6:8 (UID FLAGS)", told)]).await;
    assert_eq!(result.expect("an answer"), Unhidden { shown: 0, failed: 2 });
    assert_eq!(hidden, [3, 4, 6, 7, 8]);
}

#[tokio::test(start_paused = true)]
async fn since_a_date() {
    let dates = "* 1 FETCH (UID 3 INTERNALDATE \"31-Oct-2026 23:59:59 +0000\")\r\n\
        * 2 FETCH (INTERNALDATE \" 1-Nov-2026 02:00:00 +0200\" UID 4)\r\n\
        * 3 FETCH (UID 6 INTERNALDATE NIL)\r\n\
        * 4 FETCH (UID 7 INTERNALDATE \"01-Dec-2026 00:00:00 +0000\")\r\nTAG OK\r\n";
    let echo = "* 2 FETCH (UID 4 FLAGS ())\r\n* 4 FETCH (UID 7 FLAGS ())\r\nTAG OK\r\n";
    // 2026-11-01T00:00:00Z
    let (result, hidden) =
        unhide(Some(1_793_491_200), &[(DATES, dates), ("UID STORE 4,7 -FLAGS ($POP3Deleted)", echo)]).await;
    assert_eq!(result.expect("an answer"), Unhidden { shown: 2, failed: 1 });
    assert_eq!(hidden, [3, 6, 8]);
    let (result, hidden) = unhide(Some(i64::MAX), &[(DATES, dates)]).await;
    assert_eq!(result.expect("an answer"), Unhidden { shown: 0, failed: 1 });
    assert_eq!(hidden, [3, 4, 6, 7, 8]);
}

#[tokio::test(start_paused = true)]
async fn nothing_hidden_asks_nothing() {
    let keyword = Keyword::parse("$POP3Deleted").expect("an atom");
    let mut listing = [Listed { uid: 3, octets: 10, hidden: false }];
    for since in [None, Some(0)] {
        let work = async |client: &mut Client| client.unhide(&mut listing, since, &keyword).await;
        assert_eq!(with_server("", &[], work).await.expect("no answer is needed"), Unhidden::default());
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_and_lost_connections_are_errors() {
    let (result, hidden) = unhide(None, &[(STORE, "TAG NO read-only\r\n")]).await;
    assert!(matches!(result, Err(Error::No { command: "STORE", .. })) && hidden.len() == 5);
    let (result, _) = unhide(Some(0), &[(DATES, "TAG BAD what\r\n")]).await;
    assert!(matches!(result, Err(Error::Bad { command: "FETCH" })));
    let (result, hidden) = unhide(None, &[(STORE, "* 1 FETCH (UID 3 FLAGS ())\r\n")]).await;
    assert!(matches!(result, Err(Error::Closed)));
    // The next login asks again.
    assert_eq!(hidden, [3, 4, 6, 7, 8]);
}

#[test]
fn login_is_always_one_command() {
    let table: &[(&[u8], &[u8], &str)] = &[
        (b"anna", b"p w*%(){}", "a LOGIN \"anna\" \"p w*%(){}\"\r\n"),
        (b"an\"na", b"p\\w", "a LOGIN {5}\r\nan\"na {3}\r\np\\w\r\n"),
        (b"anna", b"\xc4\x81", "a LOGIN \"anna\" {2}\r\n\u{101}\r\n"),
    ];
    for (user, password, expected) in table {
        let encoded = Command::Login(Login { user, password }).encode("a");
        assert_eq!(encoded.bytes.as_slice(), expected.as_bytes());
        for pause in &encoded.pauses {
            assert!(encoded.bytes[..*pause].ends_with(b"}\r\n"));
        }
    }
    let login = Login { user: b"anna", password: b"p\"\\" };
    let plain = |initial| {
        let command = Command::AuthenticatePlain(login, initial).encode("a");
        String::from_utf8(command.bytes.to_vec()).expect("ASCII")
    };
    assert_eq!(plain(true), "a AUTHENTICATE PLAIN AGFubmEAcCJc\r\n");
    assert_eq!(plain(false), "a AUTHENTICATE PLAIN\r\nAGFubmEAcCJc\r\n");
}

#[test]
fn a_password_is_never_printed() {
    let login = Login { user: b"anna", password: b"tops3cret" };
    assert!(!format!("{:?}", Command::Login(login)).contains("tops3cret"));
}

/// A server that answers all that it was asked before it says that any of it is over, as Dovecot does.
#[tokio::test(start_paused = true)]
async fn bodies_that_come_before_they_are_wanted_are_held() {
    let (peer, mut connections) = mpsc::channel(1);
    let server = async {
        let mut server = BufReader::new(connections.recv().await.expect("a connection"));
        server.write_all(b"* OK [CAPABILITY IMAP4rev1] hi\r\n").await.expect("a reader");
        let mut said = Vec::new();
        for asked in [1, 4, 1, 1] {
            let (mut bodies, mut ends) = (String::new(), String::new());
            for _ in 0..asked {
                let mut line = String::new();
                server.read_line(&mut line).await.expect("a line");
                let words: Vec<&str> = line.split_whitespace().collect();
                let (tag, uid) = (words[0], words[3]);
                match uid {
                    // It is gone, and another one does not say which it is before its body.
                    "4" => {}
                    "5" => bodies += "* 5 FETCH (BODY[] {1}\r\n5 UID 5)\r\n",
                    _ => write!(bodies, "* {uid} FETCH (UID {uid} BODY[] {{4}}\r\n<{uid}>\n)\r\n")
                        .expect("room"),
                }
                write!(ends, "{tag} OK\r\n").expect("room");
                said.push(uid.to_owned());
            }
            server.write_all(format!("{bodies}{ends}").as_bytes()).await.expect("a reader");
        }
        said
    };
    let client = async {
        let host = HostPort { host: "memory".to_owned(), port: 143 };
        let terms = Terms { starttls: false, response_timeout: Duration::from_secs(5) };
        let mut client = Client::connect(&Dialer::Memory { host, peer }, terms).await.expect("a client");
        let mut bodies = Vec::new();
        for (uid, next) in [(1, &[][..]), (2, &[3, 4, 5]), (3, &[]), (4, &[]), (5, &[])] {
            let Some(mut body) = client.body(uid, Section::Whole, next).await.expect("an answer") else {
                bodies.push(None);
                continue;
            };
            let mut octets = Vec::new();
            while let Some(chunk) = client.chunk(&mut body).await.expect("a chunk") {
                octets.extend_from_slice(chunk);
            }
            client.body_end(body).await.expect("its end");
            bodies.push(Some(String::from_utf8(octets).expect("text")));
        }
        bodies
    };
    let (bodies, said) = tokio::join!(client, server);
    let there = |text: &str| Some(text.to_owned());
    assert_eq!(bodies, [there("<1>\n"), there("<2>\n"), there("<3>\n"), None, there("5")]);
    // Those that came to nothing are asked for once more when they are wanted.
    assert_eq!(said, ["1", "2", "3", "4", "5", "4", "5"]);
}
