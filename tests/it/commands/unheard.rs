//! Commands whose output goes nowhere: into a pipe that nobody reads, or onto a device that is full. The first is no
//! failure, because whoever left has seen enough; the second must not look well. Neither is a panic.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::Stdio;

use super::server::{Lastpop, Over};
use super::{Ended, WHY};
use crate::support::api::ADMIN;
use crate::support::proxy::lastpop;
use crate::support::wait;

/// Where the output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    /// Nobody reads.
    Closed,
    /// There is no space left.
    Full,
}

impl Out {
    fn stdio(self) -> Stdio {
        match self {
            Self::Closed => std::io::pipe().expect("a pipe").1.into(),
            Self::Full => File::options().write(true).open("/dev/full").expect("/dev/full").into(),
        }
    }

    /// Runs a command with this output.
    fn run(self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let mut said = tempfile::tempfile().expect("a temporary file");
        let mut child = lastpop()
            .args(arguments)
            .env("LASTPOP_TOKEN", ADMIN)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(self.stdio())
            .stderr(said.try_clone().expect("a clone"))
            .spawn()
            .expect("start lastpop through setpriv; install the Debian package util-linux");
        let status = wait::until("the command ends", || child.try_wait().expect("wait for lastpop"));
        let mut stderr = String::new();
        said.rewind().and_then(|()| said.read_to_string(&mut stderr)).expect("text");
        let ended = Ended { code: status.code(), stdout: String::new(), stderr };
        assert!(!ended.stderr.contains("panicked"), "{arguments:?}: {ended:?}");
        ended
    }

    /// Runs it, and expects what such an output should come to.
    fn expect(self, arguments: &[&str], environment: &[(&str, &str)]) {
        let ended = self.run(arguments, environment);
        match self {
            Self::Closed => assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}"),
            Self::Full => {
                ended.failed(1, &["lastpop: cannot write the output: No space left on device"]);
            }
        }
    }
}

#[test]
fn what_nobody_reads_is_no_failure_and_what_cannot_be_written_is() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let config = lastpop.proxy().file().display().to_string();
    lastpop.because(&["domain", "set", "unheard.example", "notice"]).fine(&[]);
    for (out, name) in [(Out::Closed, "closed"), (Out::Full, "full")] {
        out.expect(&["user", "list", "--url", &lastpop.url], &[]);
        out.expect(&["user", "export", "--url", &lastpop.url], &[]);
        out.expect(&["check", "--config", &config], &[]);
        out.expect(&["completions", "bash"], &[]);
        let backup = lastpop.path(&format!("{name}.db"));
        out.expect(&["state", "backup", &backup, "--config", &config], &[]);
        let empty = format!("sqlite://{}", lastpop.path(&format!("{name}-restored.db")));
        let restore = ["state", "restore", &backup, "--config", &config];
        out.expect(&restore, &[("LASTPOP_STATE__URL", &empty)]);
        // It was done, whether anybody has heard of it or not.
        let again = out.run(&restore, &[("LASTPOP_STATE__URL", &empty)]);
        again.failed(1, &["nothing was copied: the state holds "]);
    }
}

/// It is printed once: if nobody has seen it, its name must not be taken by it.
#[test]
fn a_token_that_nobody_has_seen_is_none() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let file = lastpop.file("unseen.tokens", "# for tests\n");
    let create = ["token", "create", "--name", "unseen", "--role", "viewer", "--file", &file];
    for out in [Out::Closed, Out::Full] {
        out.run(&create, &[]).failed(
            1,
            &[
                "lastpop: the token unseen was made but could not be printed (",
                "so it was revoked again; give it somewhere to go and make it once more\n",
            ],
        );
        assert_eq!(std::fs::read_to_string(&file).expect("the token file"), "# for tests\n");
    }
    assert_eq!(super::run(&create, &[], "").fine(&["lp_"]).stdout.len(), 47);
    super::run(&["token", "revoke", "unseen", "--file", &file], &[], "").fine(&[]);
    let set = ["user", "set", "a@unheard.example", "notice", WHY[0], WHY[1], "--url", &lastpop.url];
    Out::Full.run(&set, &[]).failed(1, &["what was asked for may be done all the same"]);
    lastpop.run(&["user", "explain", "a@unheard.example"]).fine(&["\tnotice\tuser\t"]);
}
