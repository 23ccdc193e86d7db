//! `[upstream.master]`: can its file be used, does the upstream take its style, and, for a user who is named, do the
//! credentials open a mailbox in which hidden mail can be shown again? Nothing is changed in it.

use std::time::Duration;

use tokio::time::timeout;

use crate::config::{Config, Style, UpstreamTls, Verify};
use crate::imap::capability::Capability;
use crate::imap::client::Terms;
use crate::imap::{Capabilities, Client, Error, Keyword, Master};
use crate::net::Dialer;
use crate::session::context::SettingsError;
use crate::session::master;
use crate::users::UserName;

/// Longest time for one mailbox: somebody is waiting at a terminal.
const LONGEST: Duration = Duration::from_secs(30);

/// What is checked.
#[derive(Debug)]
pub(super) struct Checked {
    master: Master,
    style: Style,
    keyword: Keyword,
    /// Whose mailbox is opened, if any.
    user: Option<UserName>,
}

/// Reads the file; gives what to say of it.
pub(super) fn of(
    config: &Config,
    user: Option<&str>,
) -> Result<(Option<Checked>, Vec<String>), SettingsError> {
    let Some(section) = &config.upstream.master else {
        let said = user.map(|_| {
            "master: WARNING: there is no [upstream.master], so nobody's mailbox can be opened (--user)."
                .to_owned()
        });
        return Ok((None, said.into_iter().collect()));
    };
    let (master, open_to_everybody) = master::load(section)?;
    let file = section.password_file.display();
    let mut said = vec![format!(
        "master: hidden mail is shown again at once, as {:?}; the password is in {file}.",
        section.user
    )];
    if open_to_everybody {
        said.push(format!(
            "master: WARNING: everybody on this machine can read {file} or change it, and it opens every mailbox: \
            chmod 640."
        ));
    }
    if config.upstream.tls == UpstreamTls::None || config.upstream.verify == Verify::Off {
        said.push(
            "master: WARNING: without TLS, or with upstream.verify = \"off\", whoever is between lastpop and the \
            upstream can read the master password, which opens every mailbox."
                .to_owned(),
        );
    }
    let user = user.map(|user| config.users.canonical(user.as_bytes()));
    if user.is_none() {
        said.push(
            "master: whether the upstream takes it shows only with a mailbox: `lastpop check --user NAME` opens one."
                .to_owned(),
        );
    }
    let keyword = config.maildrop.hide_keyword.clone();
    Ok((Some(Checked { master, style: section.style, keyword, user }), said))
}

impl Checked {
    /// What the capabilities before login say about the style.
    pub(super) fn fits(&self, all: Capabilities) -> Option<&'static str> {
        (self.style == Style::Authzid && !all.has(Capability::AuthPlain)).then_some(
            "master: CANNOT BE USED: it does not offer AUTH=PLAIN, which upstream.master.style = \"authzid\" needs; is \
            \"separator\" what it understands?",
        )
    }

    /// Opens the user's mailbox, if one was named. Gives whether that went well, and what to say of it.
    pub(super) async fn opens(&self, dialer: &Dialer, terms: Terms) -> Option<(bool, String)> {
        let user = self.user.as_ref()?;
        let acting = match self.master.for_user(user.as_str()) {
            Ok(acting) => acting,
            Err(error) => return Some((false, format!("master: CANNOT open {:?}: {error}.", user.as_str()))),
        };
        let work = async {
            let mut client = Client::connect(dialer, terms).await?;
            client.id(&[("name", "lastpop".to_owned())]).await?;
            let mut client = client.act(acting).await?;
            let mailbox = client.select(&self.keyword).await?;
            client.logout().await;
            Ok(mailbox)
        };
        let name = user.as_str();
        Some(match timeout(LONGEST, work).await.unwrap_or(Err(Error::Timeout)) {
            Ok(mailbox) if mailbox.keyword => {
                (true, format!("master: opened the INBOX of {name:?}; hidden mail can be shown again there."))
            }
            Ok(_) => (
                false,
                format!(
                    "master: CANNOT BE USED: opened the INBOX of {name:?}, but may not change the keyword there; does \
                    an access control list give the master user no right to write flags?"
                ),
            ),
            Err(Error::Credentials) => (
                false,
                format!(
                    "master: CANNOT BE USED: the upstream refused to open the mailbox of {name:?}; do name, password, \
                    style and separator fit, and does it know that user? Its log says more."
                ),
            ),
            Err(error) => (false, format!("master: CANNOT open the mailbox of {name:?}: {error}.")),
        })
    }
}
