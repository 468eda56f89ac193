//! Where the broker listens and what it tells clients of it: `listeners`, `advertised.listeners`, the map of protocols,
//! and Kafka's rules between them (`SocketServerConfigs.listenerListToEndPoints`, `KafkaConfig.validateValues`). Resolves
//! no name and binds nothing.
use super::problem::Problem;
use super::settings::Settings;

/// A socket to listen on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// Upper case, as Kafka has it.
    pub name: String,
    /// `None` is every interface.
    pub host: Option<String>,
    /// 0 takes a free one.
    pub port: u16,
    pub protocol: SecurityProtocol,
}

/// What clients are told about a listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    pub name: String,
    /// `None` is the name of this machine.
    pub host: Option<String>,
    /// 0 is the port that the listener got.
    pub port: u16,
}

/// What is spoken on a listener. The others of Kafka's are not served yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SecurityProtocol {
    Plaintext,
}

/// All that the keys of listeners mean together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Listeners {
    pub listeners: Vec<Listener>,
    pub advertised: Vec<Endpoint>,
    pub inter_broker: String,
    pub notes: Vec<String>,
}

const PROTOCOLS: &[&str] = &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

impl Listeners {
    pub fn of(settings: &Settings) -> Result<Listeners, Problem> {
        let controllers: Vec<String> =
            settings.list("controller.listener.names").into_iter().map(str::to_uppercase).collect();
        let is_controller = |endpoint: &Endpoint| controllers.contains(&endpoint.name);
        let protocols = protocols(settings)?;

        let mut bound = endpoints(settings, "listeners")?;
        let mut advertised = endpoints(settings, "advertised.listeners")?;
        if !settings.is_written("listeners") && !advertised.is_empty() {
            // As Kafka's images do: who says only what is advertised listens on these ports, everywhere.
            bound = advertised.iter().map(|endpoint| Endpoint { host: None, ..endpoint.clone() }).collect();
        }
        check_bound(settings, &bound)?;
        bound.retain(|endpoint| !is_controller(endpoint));
        advertised.retain(|endpoint| !is_controller(endpoint));
        if bound.is_empty() {
            return Err(Problem {
                subject: settings.subject("listeners"),
                rule: "has no listener for clients: all are of the controller".to_owned(),
                remedy: "add one such as PLAINTEXT://:9092".to_owned(),
            });
        }
        let listeners = bound
            .iter()
            .map(|endpoint| {
                let protocol = protocol_of(settings, &protocols, &endpoint.name)?;
                let Endpoint { name, host, port } = endpoint.clone();
                Ok(Listener { name, host: host.filter(|host| !is_every_interface(host)), port, protocol })
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        let advertised = match advertised.is_empty() {
            true => listeners
                .iter()
                .map(|Listener { name, host, port, .. }| Endpoint {
                    name: name.clone(),
                    host: host.clone(),
                    port: *port,
                })
                .collect(),
            false => check_advertised(settings, &listeners, advertised)?,
        };
        let inter_broker = inter_broker(settings, &advertised)?;
        let notes = listeners.iter().filter(|listener| listener.host.is_none()).map(bind_note).collect();
        Ok(Listeners { listeners, advertised, inter_broker, notes })
    }
}

fn bind_note(listener: &Listener) -> String {
    let Listener { name, port, .. } = listener;
    format!(
        "listener {name} binds all interfaces: whoever reaches port {port} of this machine may do everything; \
         {name}://127.0.0.1:{port} would bind one"
    )
}

/// `NAME:PROTOCOL` pairs, names in upper case.
fn protocols(settings: &Settings) -> Result<Vec<(String, String)>, Problem> {
    let key = "listener.security.protocol.map";
    let wrong = |rule: String, remedy: String| Problem { subject: settings.subject(key), rule, remedy };
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in settings.list(key) {
        let Some((name, protocol)) = pair.trim().rsplit_once(':') else {
            let rule = format!("must be pairs of listener and protocol, and {pair} is none");
            return Err(wrong(rule, format!("write {pair}:PLAINTEXT")));
        };
        let (name, protocol) = (name.trim().to_uppercase(), protocol.trim().to_uppercase());
        if !PROTOCOLS.contains(&protocol.as_str()) {
            let rule = format!("must map to {}, and {protocol} is none of them", PROTOCOLS.join(", "));
            return Err(wrong(rule, format!("write {name}:PLAINTEXT")));
        }
        pairs.retain(|(earlier, _)| *earlier != name); // As a map in Java: the last one counts.
        pairs.push((name, protocol));
    }
    Ok(pairs)
}

fn protocol_of(settings: &Settings, protocols: &[(String, String)], name: &str) -> Result<SecurityProtocol, Problem> {
    let protocol = protocols.iter().find(|(listener, _)| listener == name).map(|(_, protocol)| protocol.as_str());
    match protocol {
        Some("PLAINTEXT") => Ok(SecurityProtocol::Plaintext),
        Some(other) => Err(Problem {
            subject: settings.subject("listeners"),
            rule: format!("has the listener {name}, which speaks {other}, and Ottla serves only PLAINTEXT yet"),
            remedy: "take it out, or let a proxy speak TLS in front of Ottla".to_owned(),
        }),
        None => Err(Problem {
            subject: settings.subject("listeners"),
            rule: format!("has the listener {name}, for which no protocol is defined"),
            remedy: format!("add {name}:PLAINTEXT to listener.security.protocol.map"),
        }),
    }
}

fn endpoints(settings: &Settings, key: &'static str) -> Result<Vec<Endpoint>, Problem> {
    settings
        .list(key)
        .into_iter()
        .map(|text| {
            endpoint(text).ok_or_else(|| Problem {
                subject: settings.subject(key),
                rule: format!("must be listeners of the form NAME://host:port, and {text} is none"),
                remedy: "write PLAINTEXT://localhost:9092, or PLAINTEXT://:9092 for all interfaces".to_owned(),
            })
        })
        .collect()
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (name, address) = text.trim().split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || "-%._:".contains(letter);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if name.is_empty() || !bare.chars().all(is_host) {
        return None;
    }
    let host = (!bare.is_empty()).then(|| bare.to_owned());
    Some(Endpoint { name: name.to_uppercase(), host, port: port.parse().ok()? })
}

fn check_bound(settings: &Settings, bound: &[Endpoint]) -> Result<(), Problem> {
    let wrong = |rule: String, remedy: &str| {
        Err(Problem { subject: settings.subject("listeners"), rule, remedy: remedy.to_owned() })
    };
    for (index, endpoint) in bound.iter().enumerate() {
        let Endpoint { name, port, host } = endpoint;
        for earlier in &bound[..index] {
            if earlier.name == *name {
                return wrong(format!("must not name the listener {name} twice"), "give each its own name");
            }
            if earlier.port == *port && *port != 0 && !is_pair_of_families(&earlier.host, host) {
                return wrong(format!("must not use port {port} twice"), "give each listener its own port");
            }
        }
    }
    Ok(())
}

/// One port may serve an IPv4 and an IPv6 address (KIP-797).
fn is_pair_of_families(left: &Option<String>, right: &Option<String>) -> bool {
    let family = |host: &Option<String>| {
        let address = host.as_ref()?.parse::<std::net::IpAddr>().ok()?;
        Some(address.is_ipv6())
    };
    matches!((family(left), family(right)), (Some(left), Some(right)) if left != right)
}

fn is_every_interface(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified())
}

fn check_advertised(
    settings: &Settings,
    listeners: &[Listener],
    advertised: Vec<Endpoint>,
) -> Result<Vec<Endpoint>, Problem> {
    let wrong =
        |rule: String, remedy: String| Err(Problem { subject: settings.subject("advertised.listeners"), rule, remedy });
    for (index, Endpoint { name, host, port }) in advertised.iter().enumerate() {
        if advertised[..index].iter().any(|earlier| earlier.name == *name) {
            return wrong(format!("must not name the listener {name} twice"), "name it once".to_owned());
        }
        if !listeners.iter().any(|listener| listener.name == *name) {
            let names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
            let rule = format!("must name listeners of `listeners` ({}), and {name} is none of them", names.join(", "));
            return wrong(rule, format!("add {name}://:{port} to listeners"));
        }
        if let Some(host) = host.as_ref().filter(|host| is_every_interface(host)) {
            let rule = format!("must not advertise {host}, to which no client can connect");
            return wrong(rule, "write the name or address of this machine as its clients know it".to_owned());
        }
    }
    Ok(advertised)
}

fn inter_broker(settings: &Settings, advertised: &[Endpoint]) -> Result<String, Problem> {
    let key = "inter.broker.listener.name";
    let written = settings.text(key).filter(|name| !name.is_empty()).map(str::to_uppercase);
    if written.is_some() && settings.is_written("security.inter.broker.protocol") {
        return Err(Problem {
            subject: settings.subject(key),
            rule: "must not be set together with security.inter.broker.protocol".to_owned(),
            remedy: "take the latter out".to_owned(),
        });
    }
    match (written, advertised) {
        (None, [only]) => Ok(only.name.clone()), // Kafka insists on the name even then.
        (written, _) => {
            let name = written.unwrap_or_else(|| "PLAINTEXT".to_owned());
            let names: Vec<&str> = advertised.iter().map(|endpoint| endpoint.name.as_str()).collect();
            if names.contains(&name.as_str()) {
                return Ok(name);
            }
            Err(Problem {
                subject: settings.subject(key),
                rule: format!("must be one of the advertised listeners, and {name} is not"),
                remedy: format!("set it to {}", names.join(" or ")),
            })
        }
    }
}
