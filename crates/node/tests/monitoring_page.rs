//! `docs/monitoring.md` is what the tables say. OTTLA_UPDATE=1 writes it anew.
use std::fs;
use std::path::Path;

#[test]
fn monitoring_page_says_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring.md");
    let page = node::metrics::monitoring_page();
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/monitoring.md is stale; OTTLA_UPDATE=1 cargo test -p node --test monitoring_page");
}
