//! The command lines and configuration files of five real POP3 clients.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::Run;
use crate::support::pop3::Transport;

/// A script that delivers its standard input under the next number.
fn deliver(home: &Path, out: &Path) -> PathBuf {
    let script = home.join("deliver.sh");
    let out = out.display();
    let text = format!("n=$(ls '{out}' | wc -l)\nexec cat > '{out}'/$(printf %05d $n)\n");
    std::fs::write(&script, text).expect("deliver.sh");
    script
}

/// poplib and its arguments.
pub(crate) fn poplib(run: &Run<'_>, out: &Path) -> Command {
    let mut command = Command::new("python3");
    command
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/clients/fetch_with_poplib.py")])
        .arg(match run.transport {
            Transport::Plain => "plain",
            Transport::Starttls => "starttls",
            Transport::Implicit => "implicit",
        })
        .arg(run.port.to_string())
        .arg(run.authority)
        .args([&run.user.name, &run.user.password])
        .arg(if run.delete { "delete" } else { "keep" })
        .args([run.home.join("seen").as_path(), out]);
    command
}

/// curl and its arguments.
pub(crate) fn curl(run: &Run<'_>, out: &Path) -> Command {
    let scheme = if run.transport == Transport::Implicit { "pop3s" } else { "pop3" };
    let url = format!("{scheme}://localhost:{}/[1-{}]", run.port, run.count);
    let user = format!("{}:{}", run.user.name, run.user.password);
    let mut command = Command::new("curl");
    // Options hold up to --next.
    let common = |command: &mut Command| {
        command.args(["--silent", "--show-error", "--fail-early", "--user", &user, &url]);
        command.arg("--cacert").arg(run.authority);
        if run.transport == Transport::Starttls {
            command.arg("--ssl-reqd");
        }
    };
    common(&mut command);
    command.arg("--output").arg(out.join("#1"));
    if run.delete {
        command.arg("--next");
        common(&mut command);
        // --head says that the answer is one line.
        command.args(["--head", "--request", "DELE", "--output", "/dev/null"]);
    }
    command
}

/// fetchmail and its arguments.
pub(crate) fn fetchmail(run: &Run<'_>, out: &Path) -> Command {
    let authority = run.authority.display();
    let tls = match run.transport {
        Transport::Plain => "sslproto \"\"".to_owned(),
        Transport::Starttls => format!("sslproto \"auto\" sslcertck sslcertfile \"{authority}\""),
        Transport::Implicit => format!("ssl sslcertck sslcertfile \"{authority}\""),
    };
    // `invisible`: no Received line of its own.
    let text = format!(
        "set invisible
poll localhost service {} protocol pop3 uidl
  user \"{}\" password \"{}\" {tls}
  {} no rewrite pass8bits no mimedecode
  mda \"/bin/sh {}\"
",
        run.port,
        run.user.name,
        run.user.password,
        if run.delete { "no keep" } else { "keep" },
        deliver(run.home, out).display()
    );
    let file = run.home.join("fetchmailrc");
    std::fs::write(&file, text).expect("fetchmailrc");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("chmod");
    let mut command = Command::new("fetchmail");
    command.arg("--nodetach").arg("-f").arg(file);
    command.arg("-i").arg(run.home.join("seen")).arg("--pidfile").arg(run.home.join("pid"));
    command
}

/// getmail and its arguments.
pub(crate) fn getmail(run: &Run<'_>, out: &Path) -> Command {
    let kind =
        if run.transport == Transport::Implicit { "SimplePOP3SSLRetriever" } else { "SimplePOP3Retriever" };
    let mut text = format!(
        "[retriever]
type = {kind}
server = localhost
port = {}
username = {}
password = {}
",
        run.port, run.user.name, run.user.password
    );
    if run.transport == Transport::Implicit {
        writeln!(text, "ca_certs = {}", run.authority.display()).expect("a string takes all");
    }
    write!(
        text,
        "[destination]
type = MDA_external
path = /bin/sh
arguments = (\"{}\",)
allow_root_commands = true
[options]
read_all = false
delete = {}
delivered_to = false
received = false
",
        deliver(run.home, out).display(),
        run.delete
    )
    .expect("a string takes all");
    std::fs::write(run.home.join("getmailrc"), text).expect("getmailrc");
    let mut command = Command::new("getmail");
    command.arg("--getmaildir").arg(run.home).args(["--rcfile", "getmailrc"]);
    command
}

/// mpop and its arguments.
pub(crate) fn mpop(run: &Run<'_>, out: &Path) -> Command {
    let (tls, starttls) = match run.transport {
        Transport::Plain => ("off", "off"),
        Transport::Starttls => ("on", "on"),
        Transport::Implicit => ("on", "off"),
    };
    let mut command = Command::new("mpop");
    command.args(["--host=localhost", "--received-header=off", "--auth=user", "--only-new=on"]);
    command.arg(format!("--port={}", run.port));
    command.arg(format!("--user={}", run.user.name));
    command.arg(format!("--passwordeval=printf '%s\\n' '{}'", run.user.password));
    command.args([format!("--tls={tls}"), format!("--tls-starttls={starttls}")]);
    if tls == "on" {
        command.arg(format!("--tls-trust-file={}", run.authority.display()));
    }
    command.arg(if run.delete { "--keep=off" } else { "--keep=on" });
    command.arg(format!("--uidls-file={}", run.home.join("seen").display()));
    command.arg(format!("--delivery=mda,/bin/sh {}", deliver(run.home, out).display()));
    command
}
