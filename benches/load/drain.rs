//! Whole mailboxes, read message by message.

use crate::Outcome;
use crate::args::Args;
use crate::clients::Plan;
use crate::imap::Imap;
use crate::pop3::Pop3;
use crate::tally::median;

/// Sessions that retrieve every message, by `--proto pop3` or `imap`.
pub(crate) fn run(args: &Args) -> Outcome<()> {
    let plan = Plan::new(args)?;
    let (port, users, messages, group) = (plan.port, &plan.users, &plan.messages, plan.group);
    let nothing = |_, _| Ok(());
    match plan.proto.as_str() {
        "pop3" => plan.run(nothing, |turn, ()| {
            let mut session = Pop3::login(port, &users.name(turn), &users.password)?;
            let octets = session.drain(messages, group, &mut plan.pace())?;
            session.quit()?;
            Ok(octets)
        }),
        "imap" => plan.run(nothing, |turn, ()| {
            let mut session = Imap::login(port, &users.name(turn), &users.password)?;
            let octets = session.drain(messages, group, &mut plan.pace())?;
            session.logout()?;
            Ok(octets)
        }),
        other => Err(format!("--proto {other} makes no sense").into()),
    }
}

/// One session that retrieves every message: milliseconds to the first octet of a message.
pub(crate) fn first_byte(args: &Args) -> Outcome<()> {
    let plan = Plan::new(args)?;
    let (octets, user, password) = (plan.messages.octets, plan.users.name(0), &plan.users.password);
    let numbers = 1..=plan.messages.count;
    let mut seconds: Vec<f64> = match plan.proto.as_str() {
        "pop3" => {
            let mut session = Pop3::login(plan.port, &user, password)?;
            let seconds =
                numbers.map(|number| session.first_octet(number, octets)).collect::<Outcome<_>>()?;
            session.quit()?;
            seconds
        }
        "imap" => {
            let mut session = Imap::login(plan.port, &user, password)?;
            let seconds =
                numbers.map(|number| session.first_octet(number, octets)).collect::<Outcome<_>>()?;
            session.logout()?;
            seconds
        }
        other => return Err(format!("--proto {other} makes no sense").into()),
    };
    println!("p50_ms={:.3}", median(&mut seconds) * 1e3);
    Ok(())
}
