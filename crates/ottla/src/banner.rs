//! What a broker says when it is ready: where it is, and what to type next. Only to a person; a log gets one line.
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use node::Node;
use node::config::{Config, Profile};

pub fn print(node: &Node, config: &Config) {
    let places: Vec<String> = node.addresses().iter().map(|(name, address)| format!("{name}://{address}")).collect();
    tracing::info!("listening on {}", places.join(", "));
    if let Some(http) = node.http() {
        tracing::info!("metrics on http://{http}/metrics, health on http://{http}/health/ready");
    }
    if config.profile != Profile::Dev {
        return;
    }
    let Some((_, address)) = node.addresses().first() else { return };
    let reached = reached(*address);
    let bootstrap = if reached == "localhost:9092" { String::new() } else { format!(" --bootstrap {reached}") };
    let program = program();
    let data = config.log_dirs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let kept = if config.ephemeral { "removed at the end" } else { "kept" };
    let text = format!(
        "
Ottla is ready on {reached}. Data: {data} ({kept}). Ctrl-C stops it.

  echo 'hello' | {program} produce letters{bootstrap}
  {program} consume letters --offset start{bootstrap}

Any Kafka client works too: bootstrap.servers={reached}

"
    );
    // Nobody may be there to read it.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What a client on this machine writes to reach it.
fn reached(address: SocketAddr) -> String {
    const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    match LOCALHOST.contains(&address.ip()) || address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

/// As it was called, so that the lines above can be typed as they are.
fn program() -> String {
    let name = env::process::arguments().into_iter().next();
    quoted(&name.and_then(|name| name.into_string().ok()).unwrap_or_else(|| "ottla".to_owned()))
}

/// As a shell has to be told it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%".contains(letter);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_misread_is_quoted() {
        assert_eq!(quoted("./target/release/ottla"), "./target/release/ottla");
        assert_eq!(quoted("/my disk/it's/ottla"), "'/my disk/it'\\''s/ottla'");
    }

    #[test]
    fn localhost_is_called_so() {
        assert_eq!(reached(([0, 0, 0, 0], 9092).into()), "localhost:9092");
        assert_eq!(reached(([127, 0, 0, 1], 9092).into()), "localhost:9092");
        assert_eq!(reached(([127, 0, 0, 2], 9092).into()), "127.0.0.2:9092");
    }
}
