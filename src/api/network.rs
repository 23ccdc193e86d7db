//! A network of addresses, as people write it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A network such as `192.0.2.0/24`; an address alone means itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a network such as 192.0.2.0/24 or 2001:db8::/32, or an address")]
pub struct BadNetwork;

impl Network {
    /// The network, without what its length cuts off: `192.0.2.7/24` means `192.0.2.0/24`.
    pub fn get(self) -> IpNet {
        self.0
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>()
            .or_else(|_| address())
            .map(|network| Self(network.trunc()))
            .map_err(|_| BadNetwork)
    }
}

impl TryFrom<String> for Network {
    type Error = BadNetwork;

    fn try_from(text: String) -> Result<Self, BadNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number up to 255, without zeros before it.
const OCTET: &str = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

fn version_4() -> String {
    format!(r"^({OCTET}\.){{3}}{OCTET}(/(3[0-2]|[12]?[0-9]))?$")
}

/// RFC 4291 §2.2, without the form that ends like an IPv4 address.
fn version_6() -> String {
    const GROUP: &str = "[0-9A-Fa-f]{1,4}";
    // All eight groups, or fewer of them with `::` behind the last one or before the first.
    let mut forms = vec![
        format!("({GROUP}:){{7}}{GROUP}"),
        format!("({GROUP}:){{1,7}}:"),
        format!(":((:{GROUP}){{1,7}}|:)"),
    ];
    // Or with `::` behind so many groups.
    forms.extend((1..=6).map(|before| format!("({GROUP}:){{{before}}}(:{GROUP}){{1,{}}}", 7 - before)));
    format!("^({})(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?$", forms.join("|"))
}

impl PartialSchema for Network {
    fn schema() -> RefOr<Schema> {
        let version = |name: &str, pattern: String, example: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(format!("An {name} network, or an address, which means itself.")))
                .pattern(Some(pattern))
                .examples([example])
                .build()
        };
        let both = OneOfBuilder::new()
            .item(version("IPv4", version_4(), "192.0.2.0/24"))
            .item(version("IPv6", version_6(), "2001:db8::/32"))
            .description(Some("A network of addresses."))
            .build();
        Schema::OneOf(both).into()
    }
}

impl ToSchema for Network {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses() {
        for (text, network) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            let read: Network = serde_json::from_value(text.into()).expect(text);
            assert_eq!(serde_json::to_value(read).expect("JSON"), network);
        }
        for text in ["", "192.0.2.0/33", "192.0.2", "192.0.2.0/", "example.net", "::/129", "192.0.2.07"] {
            assert_eq!(text.parse::<Network>(), Err(BadNetwork), "{text}");
        }
    }
}
