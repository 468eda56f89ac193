//! Any text as a configuration, through every door: it is taken or every problem is named, and nothing panics.
#[path = "../../../fuzz/mutate.rs"]
mod mutate;

use node::config::{Config, Profile, Sources};

fn as_it_is(_: &mut [u8]) {}

#[test]
fn any_bytes_as_a_configuration() {
    let (mut taken, mut refused) = (0, 0);
    mutate::run("configuration", as_it_is, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<String> = text.lines().take(50).map(str::to_owned).collect();
        let variable = |line: &String| {
            let (key, value) = line.split_once('=')?;
            Some((format!("KAFKA_{}", key.trim().to_uppercase().replace('.', "_")), value.to_owned()))
        };
        let variables: Vec<_> = lines.iter().filter_map(variable).collect();
        for (file, variables, overrides) in [
            (Some(("server.properties", bytes)), &[][..], &[][..]),
            (None, &variables[..], &[][..]),
            (None, &[][..], &lines[..]),
        ] {
            for (profile, strict) in [(Profile::Server, false), (Profile::Dev, true)] {
                let sources = Sources { profile, file, variables, overrides, strict, ephemeral: false };
                match Config::load(&sources) {
                    Ok(_) => taken += 1,
                    Err(errors) => {
                        assert!(!errors.to_string().is_empty());
                        refused += 1;
                    }
                }
            }
        }
    });
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
}
