//! `docs/configuration.md` is what the tables say. OTTLA_UPDATE=1 writes it anew.
use std::fs;
use std::path::Path;

#[test]
fn configuration_page_says_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = node::config::configuration_page();
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let difference = page.lines().zip(written.lines()).position(|(made, written)| made != written);
    assert!(
        written == page,
        "docs/configuration.md is stale from line {} on; OTTLA_UPDATE=1 cargo test -p node --test configuration_page",
        difference.map_or(written.lines().count().min(page.lines().count()) + 1, |index| index + 1)
    );
}
