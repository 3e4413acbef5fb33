//! `.centrc`: the INI file of the original, as its library reads it, without the
//! parts that surprise: `%` is a character, and a `;` within a line too.

use std::{collections::BTreeMap, io::ErrorKind, path::PathBuf, time::Duration};

use cent::Config;

type Section = BTreeMap<String, String>;

/// Reads a section; returns the configuration and the generation.
pub(super) fn read(file: &str, section: &str) -> Result<(Config, u8), String> {
    let text = match std::fs::read_to_string(expand(file)) {
        // A file that is not there is an empty one.
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(|error| format!("{file} cannot be read: {error}"))?,
    };
    let all = parse(&text).map_err(|line| format!("{file}, line {line}: no section, no key"))?;
    let missing = || format!("Section {section} not found in {file} configuration file");
    if section == "DEFAULT" {
        return Err(missing());
    }
    let mut values = all.get("DEFAULT").cloned().unwrap_or_default();
    values.extend(all.get(section).ok_or_else(missing)?.clone());
    configure(&values, section)
}

fn configure(values: &Section, section: &str) -> Result<(Config, u8), String> {
    let needed = |name: &str| {
        let value = values.get(name).filter(|value| !value.is_empty());
        value.cloned().ok_or_else(|| format!("No option '{name}' in section: '{section}'"))
    };
    let version = values.get("version").map_or("1", String::as_str);
    let address = needed("address")?;
    // Whoever comes from v1 has a secret there.
    let key = || {
        needed("key")
            .or_else(|_| needed("secret"))
            .map_err(|_| format!("No option 'key' in section: '{section}'"))
    };
    let (config, generation) = match version {
        "0" => (Config::v0(address, needed("project")?, needed("secret")?), 0),
        "1" => (Config::v1(address, needed("secret")?), 1),
        "2" => (Config::v2(address, key()?), 2),
        "3" => (Config::v3(address, key()?), 3),
        "4" => (Config::v4(address, key()?), 4),
        "5" => (Config::v5(address, key()?), 5),
        "6" => (Config::v6(address, key()?), 6),
        other => return Err(format!("option version: {other:?} is not 0 to 6")),
    };
    // As the original: what is no number of seconds is the default.
    let timeout = values.get("timeout").and_then(|text| text.parse().ok());
    Ok(match timeout {
        Some(seconds) => (config.timeout(Duration::from_secs(seconds)), generation),
        None => (config, generation),
    })
}

fn expand(file: &str) -> PathBuf {
    match (file.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => file.into(),
    }
}

/// Sections by their names; names of keys in small letters. Of keys that are
/// there twice the last counts, and a line that is indented more than its key goes
/// on with it. What follows the `]` of a section's name is nothing.
///
/// # Errors
///
/// The number of the first line that is nothing of these.
fn parse(text: &str) -> Result<BTreeMap<String, Section>, usize> {
    let mut all = BTreeMap::<String, Section>::new();
    let (mut section, mut last) = (None, None::<(usize, String)>);
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let values = section.as_ref().and_then(|name| all.get_mut(name));
        let goes_on = last.as_ref().filter(|(of_key, _)| indent > *of_key);
        if let (Some(values), Some((_, key))) = (values, goes_on) {
            if let Some(value) = values.get_mut(key) {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        let name = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((name, _)) = name {
            all.entry(name.to_owned()).or_default();
            (section, last) = (Some(name.to_owned()), None);
            continue;
        }
        let values = section.as_ref().and_then(|name| all.get_mut(name));
        let (Some(values), Some((key, value))) = (values, trimmed.split_once(['=', ':'])) else {
            return Err(number + 1);
        };
        let key = key.trim().to_lowercase();
        values.insert(key.clone(), value.trim().to_owned());
        last = Some((indent, key));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ini_file_is_read_as_the_original_reads_it() {
        let all = parse(
            "# a comment\n[DEFAULT]\ntimeout: 5\n\n[bananas]\nAddress = http://h:8000\n\
             secret = a%b ; c\nsecret = last\nlong = one\n  two\n; another\n\
             [Bananas] ; the other one\n  x=1\n  y=2",
        );
        let all = all.unwrap();
        assert_eq!(all["DEFAULT"]["timeout"], "5");
        assert_eq!(all["bananas"]["address"], "http://h:8000");
        assert_eq!(all["bananas"]["secret"], "last");
        assert_eq!(all["bananas"]["long"], "one\ntwo");
        assert_eq!((all["Bananas"]["x"].as_str(), all["Bananas"]["y"].as_str()), ("1", "2"));
        assert_eq!(parse("[a]\ns = a%b ; c").unwrap()["a"]["s"], "a%b ; c");
        assert_eq!(parse("before = any section"), Err(1));
        assert_eq!(parse("[a]\nx = 1\n[b\n"), Err(3));
    }

    #[test]
    fn what_is_missing_is_told_by_its_name() {
        let section = |pairs: &[(&str, &str)]| -> Section {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let address = ("address", "http://h");
        for (pairs, told) in [
            (vec![], "No option 'address' in section: 's'"),
            (vec![address], "No option 'secret' in section: 's'"),
            (vec![address, ("version", "6")], "No option 'key' in section: 's'"),
            (vec![address, ("version", "0")], "No option 'project' in section: 's'"),
            (vec![address, ("version", "7")], "option version: \"7\" is not 0 to 6"),
        ] {
            assert_eq!(configure(&section(&pairs), "s").unwrap_err(), told);
        }
        for (version, generation) in [("1", 1), ("2", 2), ("6", 6)] {
            let pairs = [address, ("secret", "s"), ("version", version), ("timeout", "soon")];
            assert_eq!(configure(&section(&pairs), "s").unwrap().1, generation);
        }
    }
}
