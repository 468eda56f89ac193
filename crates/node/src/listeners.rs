//! From the configuration's listeners to bound sockets, and to what the node says of them to clients.
use std::net::SocketAddr;

use env::{Env, Listener, Listening};

use crate::config::{Config, Endpoint};
use crate::start_error::StartError;

/// Binds every listener at every address that its host has.
pub async fn listen(env: &Env, config: &Config) -> Result<Vec<(String, Box<dyn Listener>)>, StartError> {
    let mut listeners = Vec::new();
    let listening = Listening {
        backlog: config.network.backlog,
        receive_buffer_bytes: config.network.receive_buffer_bytes,
        send_buffer_bytes: config.network.send_buffer_bytes,
    };
    for wanted in &config.listeners {
        let shown = format!("{}://{}:{}", wanted.name, wanted.host.as_deref().unwrap_or(""), wanted.port);
        let failed = |error: std::io::Error| {
            let remedy = match error.kind() {
                std::io::ErrorKind::AddrInUse => "another program uses this port; stop it, or choose another port",
                std::io::ErrorKind::PermissionDenied => "this port is reserved; choose one above 1023",
                _ => "see listeners",
            };
            StartError(format!("cannot listen on {shown}: {error}; {remedy}"))
        };
        let addresses = match &wanted.host {
            Some(host) if host == "localhost" => loopback(env, wanted.port),
            Some(host) => env.net.resolve(host, wanted.port).await.map_err(failed)?,
            None => vec![every_interface(env, wanted.port)],
        };
        for address in addresses {
            let listener = env.net.listen(address, listening).map_err(failed)?;
            listeners.push((wanted.name.clone(), listener));
        }
    }
    Ok(listeners)
}

/// Both, where the machine has both: Node asks for [::1] first, others for 127.0.0.1. A free port is one of both.
fn loopback(env: &Env, port: u16) -> Vec<SocketAddr> {
    let v4 = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
    let has_v6 =
        env.net.listen(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0)), Listening::with_backlog(1)).is_ok();
    if has_v6 && port != 0 { vec![v4, v6] } else { vec![v4] }
}

/// IPv6's wildcard takes IPv4 too, where the machine has IPv6 at all.
fn every_interface(env: &Env, port: u16) -> SocketAddr {
    let v6 = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0));
    match env.net.listen(v6, Listening::with_backlog(1)) {
        Ok(_) => SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)),
        Err(_) => SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port)),
    }
}

pub fn advertised(config: &Config, listeners: &[(String, Box<dyn Listener>)]) -> Vec<metadata::Endpoint> {
    let bound_port = |name: &str| {
        let bound = listeners.iter().find(|(bound, _)| bound == name);
        bound.map_or(0, |(_, listener)| listener.local_address().port())
    };
    let endpoint = |endpoint: &Endpoint| metadata::Endpoint {
        listener: endpoint.name.clone(),
        host: endpoint.host.clone().unwrap_or_else(env::process::host_name),
        port: if endpoint.port == 0 { bound_port(&endpoint.name) } else { endpoint.port },
        security_protocol: 0, // PLAINTEXT
    };
    config.advertised.iter().map(endpoint).collect()
}
