//! host:port, as bootstrap lists and metadata have it.
use std::fmt;
use std::str::FromStr;

/// A place to connect to. The host may be a name, an IPv4 or an IPv6 address.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadAddress {
    pub text: String,
}

impl Address {
    pub fn new(host: impl Into<String>, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    /// `host:port,host:port`, blanks and empty elements aside. At least one.
    pub fn parse_list(text: &str) -> Result<Vec<Address>, BadAddress> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let addresses = parts.map(str::parse).collect::<Result<Vec<Address>, _>>()?;
        if addresses.is_empty() { Err(BadAddress { text: text.to_owned() }) } else { Ok(addresses) }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Address, BadAddress> {
        let bad = || BadAddress { text: text.to_owned() };
        let bare = text.split_once("://").map_or(text, |(_, bare)| bare); // A listener, pasted.
        let (host, port) = bare.rsplit_once(':').ok_or_else(bad)?;
        let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
        if name.is_empty() || (name.contains(':') && name == host) {
            return Err(bad()); // IPv6 wants its brackets.
        }
        Ok(Address::new(name, port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no host:port such as localhost:9092", self.text)
    }
}

impl std::error::Error for BadAddress {}
