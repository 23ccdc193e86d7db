//! `lastpop wave`: planned sets of mode changes, from their making to their end.

use super::UNCHANGED;
use super::server::{Lastpop, Over};
use crate::support::wait;

/// What stands above waves.
const WAVES: &str = "name\tstate\ttarget\tmembers\tsteps\tfired\tnext_step\tcreated_by\tcreated_at\treason\n";

/// Two steps in a time that nobody sees.
const STEPS: [&str; 4] = ["--step", "2099-12-01 notice", "--step", "2100-02-01 10:00 Europe/Riga imap-only"];

/// Makes a wave with these steps.
fn create(lastpop: &Lastpop, name: &str, whom: &[&str]) -> super::Ended {
    lastpop.because(&[&["wave", "create", name], whom, &STEPS].concat())
}

#[test]
fn a_wave_is_tried_and_made_of_a_domain_a_share_or_a_query() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let tried = create(&lastpop, "tried", &["--domain", "wave.example", "--percent", "50", "--dry-run"]);
    let row = "tried\tdraft\t50 % of wave.example\t\t2\t0\t2099-12-01T00:00:00Z\tan-admin\t";
    assert!(tried.fine(&[]).stdout.starts_with(&format!("{WAVES}{row}")), "{tried:?}");
    assert_eq!(tried.stderr, UNCHANGED);
    lastpop
        .run(&["wave", "show", "tried"])
        .failed(1, &["there is no wave tried; look at the list of waves\n"]);

    let idle = ["--query", "not-seen-for=30,mode=pop3"];
    create(&lastpop, "idle", &idle)
        .fine(&["idle\tdraft\tquery mode=pop3,not-seen-for=30\t\t2\t0\t"])
        .noted("with `lastpop wave preview idle`, then `lastpop wave start idle --reason TEXT`");
    create(&lastpop, "idle", &idle).fine(&["idle\tdraft\t"]);
    for more in [&[][..], &["--dry-run"]] {
        create(&lastpop, "idle", &[&["--domain", "wave.example"], more].concat()).failed(
            1,
            &["there is a wave idle already, with another target or other steps; give the new one another"],
        );
    }
    let table = create(&lastpop, "domain", &["--domain", "wave.example", "--format", "table"]);
    let words: Vec<Vec<&str>> =
        table.fine(&[]).stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words[..3],
        [&["name", "domain"][..], &["state", "draft"], &["target", "domain", "wave.example"]]
    );
    let steps = [&["at", "mode", "fired", "at", "users"][..], &["2099-12-01", "00:00Z", "notice"]];
    assert_eq!(words[words.len() - 3..words.len() - 1], steps);
    assert_eq!(words[words.len() - 1], ["2100-02-01", "08:00Z", "imap-only"]);
    let listed = lastpop.run(&["wave", "list"]);
    listed.fine(&["\nidle\tdraft\t", "\ndomain\tdraft\t"]);
    assert!(listed.stdout.starts_with(WAVES) && !listed.stdout.contains("\ntried\t"), "{listed:?}");
    lastpop.run(&["wave", "list", "--format", "table"]).fine(&["next step", "2099-12-01 00:00Z"]);
    lastpop
        .run(&["audit", "--subject", "idle"])
        .fine(&["\tcreate\twave\tidle\t\tquery mode=pop3,not-seen-for=30\t"]);

    lastpop
        .because(&["wave", "start", "domain"])
        .failed(1, &["nobody is in the wave domain, so there is nothing to start"]);
    let delete = |more: &[&str]| lastpop.because(&[&["wave", "delete", "idle"][..], more].concat());
    assert_eq!(delete(&["--dry-run"]).fine(&[]).stderr, UNCHANGED);
    assert_eq!(delete(&[]).fine(&[]).stderr, "lastpop: the wave idle is deleted\n");
    delete(&[]).failed(1, &["there is no wave idle"]);
    lastpop.because(&["wave", "start", "idle"]).failed(1, &["there is no wave idle"]);
}

#[test]
fn a_wave_of_a_list_from_its_making_to_its_end() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@vip.example,pop3\nb@vip.example,imap-only\n");
    let file = lastpop.file("vip.csv", "user\na@vip.example\nb@vip.example\n");
    create(&lastpop, "vip", &["--csv", &file])
        .fine(&["\n2\t2\t0\t0\tfalse\t\n"])
        .noted("`lastpop wave preview vip`");
    let more = lastpop.file("more.csv", "user,mode\nb@vip.example,x\n,x\nc@vip.example,x\n");
    let members = |more: &[&str]| lastpop.because(&[&["wave", "members", "vip"], more].concat());
    let dry = members(&[&more, "--dry-run"]);
    dry.failed(
        1,
        &["line 3: The line names no user.\n", "1 line cannot be used; all others would be taken."],
    );
    assert!(dry.stdout.contains("\n3\t1\t1\t1\ttrue\t\n"), "{dry:?}");
    members(&[&more, "--format", "table"]).failed(1, &["all others were taken. Mend it and send it again"]);

    let preview = lastpop.run(&["wave", "preview", "vip"]);
    let header = "name\tusers\tactive_1\tactive_7\tactive_30\talready\town_setting\tnever_seen\n";
    assert_eq!(preview.fine(&[]).stdout, format!("{header}vip\t3\t0\t0\t0\t1\t1\t3\n"));
    preview.noted("The wave replaces a setting that somebody made for one user alone: 1 user.\n");
    preview.noted("The list names who was never seen over POP3: 3 users; is it spelled right?\n");
    lastpop.run(&["wave", "preview", "vip", "--format", "table"]).fine(&["never seen   3"]);
    lastpop.run(&["wave", "preview", "no-wave"]).failed(1, &["there is no wave no-wave"]);

    let order = |what, more: &[&str]| lastpop.because(&[&["wave", what, "vip"], more].concat());
    order("pause", &[]).failed(1, &["the wave vip is a draft and cannot be paused; start it first\n"]);
    let tried = order("start", &["--dry-run"]);
    assert_eq!(tried.fine(&["\nvip\trunning\tcsv\t3\t2\t0\t"]).stderr, UNCHANGED);
    lastpop.run(&["wave", "show", "vip"]).fine(&["\nvip\tdraft\tcsv\t3\t"]);
    order("start", &["--format", "table"]).fine(&["running", "2099-12-01 00:00Z", "imap-only"]);
    members(&[&more]).failed(1, &["the wave vip has started, and its members are fixed"]);
    order("pause", &["--dry-run"]).fine(&["\nvip\tpaused\t"]);
    assert_eq!(order("pause", &[]).fine(&["\nvip\tpaused\t"]).stderr, "");
    order("start", &[]).failed(1, &["the wave vip is paused and cannot be started; resume it\n"]);
    order("resume", &[]).fine(&["\nvip\trunning\t"]);
    order("delete", &[])
        .failed(1, &["the wave vip is running and cannot be deleted; roll it back, or let it finish"]);
    let json = order("rollback", &["--format", "json", "--dry-run"]).json();
    assert_eq!(
        (&json["state"], &json["restored"], &json["left_alone"]),
        (&"rolled-back".into(), &0.into(), &0.into())
    );
    order("rollback", &[]).fine(&["\nvip\trolled-back\t"]);
    let trail = lastpop.run(&["audit", "--subject", "vip"]);
    let told: Vec<_> = trail.rows().iter().map(|row| [row[2], row[5], row[6]].join("|")).collect();
    let after =
        ["rollback||", "resume||", "pause||", "start||3 users", "members||1 users", "members||2 users"];
    assert_eq!(told, [&after[..], &["create||csv"]].concat());
    order("delete", &["--confirm-redownload"]).failed(2, &["unexpected argument '--confirm-redownload'"]);
    order("delete", &[]).fine(&[]).noted("the wave vip is deleted");
}

#[test]
fn a_step_that_has_come_is_carried_out_and_taken_back() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@moved.example,pop3\nb@moved.example,notice\nc@moved.example,pop3\n");
    let wave = ["wave", "create", "moved", "--domain", "moved.example", "--step", "2020-01-01 imap-only"];
    lastpop.because(&wave).fine(&[]);
    lastpop.because(&["wave", "start", "moved"]).fine(&["\nmoved\t", "\tdomain moved.example\t3\t1\t"]);
    wait::until("the step is carried out", || {
        lastpop.run(&["wave", "show", "moved"]).stdout.contains("\nmoved\tfinished\t").then_some(())
    });
    lastpop.run(&["wave", "show", "moved"]).fine(&["\nmoved\tfinished\tdomain moved.example\t3\t1\t1\t\t"]);
    lastpop.run(&["user", "list", "--domain", "moved.example", "--mode", "pop3"]).fine(&[]);
    let history = lastpop.run(&["user", "history", "a@moved.example", "--limit", "1"]);
    history.fine(&["\twave moved\twave\tuser\ta@moved.example\tpop3\timap-only\tticket 4711\t"]);
    lastpop.because(&["user", "set", "c@moved.example", "brownout"]).fine(&[]);
    let rollback = |more: &[&str]| lastpop.because(&[&["wave", "rollback", "moved"][..], more].concat());
    let would = "lastpop: members who would get back what they had: 2; whom somebody has set since, and who would stay \
        so: 1\n";
    assert_eq!(rollback(&["--dry-run"]).fine(&[]).stderr, format!("{would}{UNCHANGED}"));
    let done = rollback(&["--format", "table"]);
    done.fine(&["rolled-back", "2020-01-01 00:00Z"]);
    let said =
        "lastpop: members who have again what they had: 2; whom somebody has set since, and who stay so: 1\n";
    assert_eq!(done.stderr, said);
    let modes = lastpop.run(&["user", "list", "--domain", "moved.example"]);
    assert_eq!(modes.rows().iter().map(|row| row[2]).collect::<Vec<_>>(), ["pop3", "notice", "brownout"]);
}

#[test]
fn what_is_no_wave() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let wrong = |words: &[&str], code, said: &str| {
        lastpop.because(&[&["wave"], words].concat()).failed(code, &[said]);
    };
    let step = ["--step", "2099-12-01 notice"];
    let create = |more: &[&'static str]| [&["create", "wrong"][..], more, &step].concat();
    wrong(&create(&["--domain", "x", "--query", "mode=pop3"]), 2, "cannot be used with");
    wrong(&create(&[]), 2, "<--csv <FILE>|--domain <DOMAIN>|--query <NAME=VALUE>>");
    wrong(&create(&["--query", "mode=imap"]), 2, "`imap` is no mode");
    wrong(
        &create(&["--query", "seen=1"]),
        2,
        "expected not-seen-for=, seen-within=, family=, domain= or mode=",
    );
    wrong(&create(&["--domain", "x", "--percent", "101"]), 2, "'101' for '--percent <PERCENT>'");
    wrong(
        &create(&["--domain", "x", "--step", "2100-12-01 imap-only"]),
        2,
        "each step of a wave is later than the one",
    );
    wrong(&["create", "Wrong Name", "--domain", "x", step[0], step[1]], 2, "small letters");
    wrong(&["create", "wrong", "--domain", "x", "--step", "notice"], 2, "expected a date and a mode");
    wrong(&["create", "wrong", "--domain", "x", "--step", "soon notice"], 2, "expected a moment such as");
    wrong(&["create", "wrong", "--domain", "x", "--step", "2099-12-01 imap"], 2, "it stands behind the date");
    // A wave without its list is of no use.
    wrong(&create(&["--csv", "/nonexistent.csv"]), 1, "/nonexistent.csv: No such file");
    lastpop.run(&["wave", "show", "wrong"]).failed(1, &["there is no wave wrong"]);
    wrong(&create(&["--domain", "x"])[..], 0, "lastpop wave preview wrong");
    wrong(
        &["members", "wrong", "/dev/null"],
        1,
        "the members of the wave wrong are worked out when it starts",
    );
    wrong(&["members", "never-made", "/dev/null"], 1, "there is no wave never-made");
    assert_eq!(lastpop.run(&["audit", "--subject", "never-made"]).rows().len(), 0);
}
