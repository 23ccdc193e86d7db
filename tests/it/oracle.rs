//! Our IMAP against two other implementations: what we send, imap-codec must read as exactly one command
//! with our values in it; what servers may send, all three must understand alike.

use imap_codec::decode::Decoder;
use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::{AString, IString};
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::flag::{Flag, FlagFetch};
use imap_codec::imap_types::response::{Data, Response as TheirResponse};
use imap_codec::{CommandCodec, ResponseCodec};
use lastpop::imap::command::{Command, Login};
use lastpop::imap::fetch::Fetch;
use lastpop::imap::response::{Response, parse};
use proptest::prelude::*;

/// Anything that may stand in a user name or a password.
fn secret() -> impl Strategy<Value = Vec<u8>> {
    let octet = any::<u8>().prop_filter("no NUL, CR or LF", |octet| !matches!(octet, 0 | b'\r' | b'\n'));
    let nasty = prop::sample::select(b"\"\\{}*%() +~".to_vec());
    prop::collection::vec(prop_oneof![octet, nasty], 1..40)
}

fn octets(string: &AString<'_>) -> Vec<u8> {
    match string {
        AString::Atom(atom) => atom.inner().as_bytes().to_vec(),
        AString::String(IString::Literal(literal)) => literal.data().to_vec(),
        AString::String(IString::Quoted(quoted)) => quoted.inner().as_bytes().to_vec(),
    }
}

proptest! {
    #[test]
    fn a_login_is_one_command_with_these_two_strings(user in secret(), password in secret()) {
        let encoded = Command::Login(Login { user: &user, password: &password }).encode("a1");
        let (rest, command) = CommandCodec::default().decode(&encoded.bytes)
            .map_err(|error| TestCaseError::fail(format!("{}: {error:?}", encoded.bytes.escape_ascii())))?;
        prop_assert!(rest.is_empty());
        let CommandBody::Login { username, password: theirs } = command.body else {
            return Err(TestCaseError::fail("not a LOGIN"));
        };
        prop_assert_eq!(octets(&username), user);
        prop_assert_eq!(octets(theirs.declassify()), password);
    }

    #[test]
    fn fetch_is_read_as_others_read_it(
        uid in 1_u32.., size: u32, sequence in 1_u32.., seen: bool, hidden: bool,
        order in Just(vec![0, 1, 2]).prop_shuffle(), upper: bool,
    ) {
        let flags = match (seen, hidden) {
            (false, false) => "",
            (true, false) => "\\Seen",
            (false, true) => "$POP3Deleted",
            (true, true) => "\\Answered $POP3Deleted \\Seen",
        };
        let items = [format!("UID {uid}"), format!("RFC822.SIZE {size}"), format!("FLAGS ({flags})")];
        let items: Vec<&str> = order.iter().map(|at: &usize| items[*at].as_str()).collect();
        let line = format!("* {sequence} {} ({})\r\n", if upper { "FETCH" } else { "fetch" }, items.join(" "));

        let Ok(Response::Fetch(ours)) = parse(line.trim_end().as_bytes()) else {
            return Err(TestCaseError::fail(line));
        };
        prop_assert_eq!((ours.uid, ours.size), (Some(uid), Some(u64::from(size))));
        let has = |flag: &str| ours.flags.is_some_and(|flags| flags.contains(flag));
        prop_assert_eq!((has("\\Seen"), has("$POP3Deleted")), (seen, hidden));
        prop_assert_eq!(codec(&line), Some((uid, u64::from(size), seen, hidden)));
        prop_assert_eq!(proto(&line), Some((uid, u64::from(size), seen, hidden)));
    }
}

type Row = (u32, u64, bool, bool);

fn codec(line: &str) -> Option<Row> {
    let (_, response) = ResponseCodec::default().decode(line.as_bytes()).ok()?;
    let TheirResponse::Data(Data::Fetch { items, .. }) = response else { return None };
    let mut row = (0, 0, false, false);
    for item in items {
        match item {
            MessageDataItem::Uid(uid) => row.0 = uid.get(),
            MessageDataItem::Rfc822Size(size) => row.1 = u64::from(size),
            MessageDataItem::Flags(flags) => {
                row.2 = flags.contains(&FlagFetch::Flag(Flag::Seen));
                let hidden = Flag::try_from("$POP3Deleted").expect("a flag");
                row.3 = flags.contains(&FlagFetch::Flag(hidden));
            }
            _ => {}
        }
    }
    Some(row)
}

fn proto(line: &str) -> Option<Row> {
    let (_, response) = imap_proto::Response::parse(line.as_bytes()).ok()?;
    let imap_proto::Response::Fetch(_, items) = response else { return None };
    let mut row = (0, 0, false, false);
    for item in items {
        match item {
            imap_proto::AttributeValue::Uid(uid) => row.0 = uid,
            imap_proto::AttributeValue::Rfc822Size(size) => row.1 = u64::from(size),
            imap_proto::AttributeValue::Flags(flags) => {
                row.2 = flags.iter().any(|flag| flag == "\\Seen");
                row.3 = flags.iter().any(|flag| flag == "$POP3Deleted");
            }
            _ => {}
        }
    }
    Some(row)
}

/// Lines of real servers. Where another implementation accepts one, ours must too; where it does not, the
/// line is one of those deviations that ours tolerates on purpose.
#[test]
fn lines_of_real_servers() {
    const LINES: [&str; 12] = [
        "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN] Dovecot (Debian) ready.\r\n",
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n",
        "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags permitted.\r\n",
        "* OK [UIDVALIDITY 1795390692] UIDs valid\r\n",
        "* OK [UIDNEXT 43] Predicted next UID\r\n",
        "* OK [HIGHESTMODSEQ 1] Highest\r\n",
        "a1 OK [READ-WRITE] Select completed (0.001 + 0.000 secs).\r\n",
        "* FLAGS (OIB-Seen-[Gmail]/All Mail \\Seen)\r\n",
        "* 1 FETCH (UID 7 FLAGS (OIB-Seen-[Gmail]/All \\Seen))\r\n",
        "* CAPABILITY IMAP4rev1 UNSELECT \r\n",
        "a1 OK\r\n",
        "* BYE\r\n",
    ];
    for line in LINES {
        let ours = parse(line.trim_end_matches("\r\n").as_bytes());
        assert!(ours.is_ok(), "{line}");
        let others = ResponseCodec::default().decode(line.as_bytes()).is_ok()
            || imap_proto::Response::parse(line.as_bytes()).is_ok();
        println!("{} by the others: {}", if others { "read" } else { "refused" }, line.trim_end());
    }
}

proptest! {
    /// No octets of a server can make the parser panic, and a FETCH that imap-codec reads is a FETCH.
    #[test]
    fn any_octets_have_an_answer(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&octets);
    }

    #[test]
    fn fetch_like_octets_are_read_alike(
        words in prop::collection::vec(prop::sample::select(vec![
            "UID", "7", "0", "(", ")", "FLAGS", "()", "(\\Seen)", "RFC822.SIZE", "300", "BODY[]", "NIL", "\"x\"",
            "MODSEQ", "(12)", "INTERNALDATE", "\"17-Jul-1996 02:44:25 -0700\"", " ",
        ]), 0..9)
    ) {
        let line = format!("* 1 FETCH ({})\r\n", words.join(" "));
        if let Some((uid, size, ..)) = codec(&line) {
            let ours = parse(line.trim_end().as_bytes());
            let Ok(Response::Fetch(Fetch { uid: our_uid, size: our_size, .. })) = ours else {
                return Err(TestCaseError::fail(format!("{line:?} is read by imap-codec, and is {ours:?} here")));
            };
            prop_assert_eq!((our_uid.unwrap_or(0), our_size.unwrap_or(0)), (uid, size));
        }
    }
}
