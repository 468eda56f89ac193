//! What a broker says when it is ready: where it is, and what to type next. Only to a person; a log gets one line.
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
    let port = node.addresses().first().map_or(9092, |(_, address)| address.port());
    let bootstrap = if port == 9092 { String::new() } else { format!(" --bootstrap localhost:{port}") };
    let program = program();
    let data = config.log_dirs.first().map(|path| path.display().to_string()).unwrap_or_default();
    let kept = if config.ephemeral { "removed at the end" } else { "kept" };
    eprintln!(
        "
Ottla is ready on localhost:{port}. Data: {data} ({kept}). Ctrl-C stops it.

  echo 'hello' | {program} produce letters{bootstrap}
  {program} consume letters --offset start{bootstrap}

Any Kafka client works too: bootstrap.servers=localhost:{port}
"
    );
}

/// As it was called, so that the lines above can be typed as they are.
fn program() -> String {
    let name = env::process::arguments().into_iter().next();
    name.and_then(|name| name.into_string().ok()).unwrap_or_else(|| "ottla".to_owned())
}
