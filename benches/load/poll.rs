//! The poll: what mail programs do every few minutes, with many users in turn.

use crate::Outcome;
use crate::args::Args;
use crate::clients::Plan;
use crate::imap::Imap;
use crate::pop3::Pop3;

/// `--proto pop3`, `imap` (a new session each time) or `imap-kept` (sessions that stay).
pub(crate) fn run(args: &Args) -> Outcome<()> {
    let plan = Plan::new(args)?;
    let (port, users, messages) = (plan.port, &plan.users, &plan.messages);
    let nothing = |_, _| Ok(());
    match plan.proto.as_str() {
        "pop3" => plan.run(nothing, |turn, ()| {
            let mut session = Pop3::login(port, &users.name(turn), &users.password)?;
            session.poll(messages)?;
            session.quit()?;
            Ok(0)
        }),
        "imap" => plan.run(nothing, |turn, ()| {
            Imap::poll(port, &users.name(turn), &users.password, messages)?;
            Ok(0)
        }),
        "imap-kept" => {
            let open = |client, step| {
                let turns = (client..users.count).step_by(step);
                turns.map(|turn| Imap::login(port, &users.name(turn), &users.password)).collect()
            };
            plan.run(open, |_, kept: &mut Vec<Imap>| {
                // The one that rested longest.
                let session = kept.first_mut().ok_or("there are more clients than users")?;
                session.poll_again(messages)?;
                kept.rotate_left(1);
                Ok(0)
            })
        }
        other => Err(format!("--proto {other} makes no sense").into()),
    }
}
