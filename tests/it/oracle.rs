//! Our IMAP against two other implementations: what we send, imap-codec must read as exactly one command
//! with our values in it; what servers may send, all three must understand alike.

use imap_codec::decode::Decoder;
use imap_codec::imap_types::IntoStatic;
use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::{AString, IString};
use imap_codec::imap_types::extensions::quota::Resource;
use imap_codec::imap_types::fetch::{MacroOrMessageDataItemNames, MessageDataItem, MessageDataItemName};
use imap_codec::imap_types::flag::{Flag, FlagFetch};
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::{Data, Response as TheirResponse};
use imap_codec::{CommandCodec, ResponseCodec};
use lastpop::imap::Quota;
use lastpop::imap::command::{Command, Login};
use lastpop::imap::fetch::Fetch;
use lastpop::imap::response::{Response, parse};
use lastpop::imap::set::UidSet;
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

#[test]
fn what_else_is_asked_is_one_command() {
    let commands = [Command::QuotaRoot, Command::FetchDates(&UidSet::one(&7))];
    let bodies = commands.map(|command| {
        let bytes = command.encode("a1").bytes;
        let (rest, command) = CommandCodec::default().decode(&bytes).expect("a command");
        assert!(rest.is_empty());
        command.body.into_static()
    });
    let [CommandBody::GetQuotaRoot { mailbox }, CommandBody::Fetch { macro_or_item_names, uid: true, .. }] =
        bodies
    else {
        panic!("{bodies:?}")
    };
    assert_eq!(mailbox, Mailbox::Inbox);
    assert_eq!(
        macro_or_item_names,
        MacroOrMessageDataItemNames::MessageDataItemNames(vec![
            MessageDataItemName::Uid,
            MessageDataItemName::InternalDate
        ])
    );
}

/// What a QUOTA response says: the pairs of STORAGE.
type Storage = Vec<(u64, u64)>;

fn codec_quota(line: &str) -> Option<Storage> {
    let (_, response) = ResponseCodec::default().decode(line.as_bytes()).ok()?;
    let TheirResponse::Data(Data::Quota { quotas, .. }) = response else { return None };
    let storage = quotas.into_iter().filter(|quota| quota.resource == Resource::Storage);
    Some(storage.map(|quota| (quota.usage, quota.limit)).collect())
}

fn proto_quota(line: &str) -> Option<Storage> {
    let (_, response) = imap_proto::Response::parse(line.as_bytes()).ok()?;
    let imap_proto::Response::Quota(quota) = response else { return None };
    // The type of the name is not public.
    let storage = quota.resources.iter().filter(|quota| format!("{:?}", quota.name) == "Storage");
    Some(storage.map(|quota| (quota.usage, quota.limit)).collect())
}

/// The one that is full first.
fn tightest(storage: &Storage) -> Option<Quota> {
    let octets = |units: u64| units.saturating_mul(1024);
    let limits = storage.iter().filter(|(_, limit)| *limit > 0);
    let quotas = limits.map(|(used, limit)| Quota { used: octets(*used), limit: octets(*limit) });
    quotas.reduce(Quota::tighter)
}

proptest! {
    #[test]
    fn quota_is_read_as_others_read_it(
        root in prop::sample::select(vec![
            "\"\"", "\"User quota\"", "\"a \\\"(b\\\\\"", "user.anna", "#user/anna", "{0}\r\n", "{6}\r\na) (\"b", "INBOX",
        ]),
        resources in prop::collection::vec((
            prop::sample::select(vec!["STORAGE", "MESSAGE", "MAILBOX", "X-FOO", "storage"]),
            prop_oneof![0_u64..5, any::<u32>().prop_map(u64::from), any::<u64>()],
            prop_oneof![0_u64..5, any::<u32>().prop_map(u64::from), any::<u64>()],
        ), 0..4),
    ) {
        let resources: Vec<String> =
            resources.iter().map(|(name, used, limit)| format!("{name} {used} {limit}")).collect();
        let line = format!("* QUOTA {root} ({})\r\n", resources.join(" "));
        let ours = match parse(line.trim_end().as_bytes()) {
            Ok(Response::Quota(quota)) => Some(quota),
            Ok(Response::Other) => None,
            other => return Err(TestCaseError::fail(format!("{line:?} is {other:?}"))),
        };
        // imap-codec takes no empty list.
        let theirs = proto_quota(&line).or_else(|| codec_quota(&line));
        prop_assert!(theirs.is_some(), "nobody else reads {line:?}");
        for theirs in [codec_quota(&line), proto_quota(&line)].into_iter().flatten() {
            prop_assert_eq!(ours, tightest(&theirs), "{}", line);
        }
    }

    #[test]
    fn a_date_is_read_as_others_read_it(seconds in -62_000_000_000_i64..250_000_000_000, east in -839_i32..840) {
        let zone = jiff::tz::Offset::from_seconds(east * 60).expect("an offset").to_time_zone();
        let moment = jiff::Timestamp::from_second(seconds).expect("a moment").to_zoned(zone);
        let line = format!("* 1 FETCH (UID 7 INTERNALDATE \"{}\")\r\n", moment.strftime("%e-%b-%Y %H:%M:%S %z"));
        let Ok(Response::Fetch(ours)) = parse(line.trim_end().as_bytes()) else {
            return Err(TestCaseError::fail(line));
        };
        prop_assert_eq!(ours.date, Some(seconds));
        let (_, theirs) = ResponseCodec::default().decode(line.as_bytes()).expect("a FETCH");
        let TheirResponse::Data(Data::Fetch { items, .. }) = theirs else { panic!("{theirs:?}") };
        let theirs = items.into_iter().find_map(|item| match item {
            MessageDataItem::InternalDate(date) => Some(date.as_ref().timestamp()),
            _ => None,
        });
        prop_assert_eq!(theirs, Some(seconds));
    }
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
