//! The proxy that the environment names, for whoever asks.

use super::Proxy;
use crate::error::Error;

impl Proxy {
    /// Returns the proxy that the environment has for `host` and `port`: by
    /// `https_proxy` if `secure`, else by `http_proxy`, unless `no_proxy` names
    /// the host. Names in capitals count too, where the small ones are not set;
    /// `HTTP_PROXY` not, where `REQUEST_METHOD` is set, for there it may come
    /// from a request.
    ///
    /// A value is `host:port` or `http://user:password@host:port`, with the
    /// credentials percent-encoded, and the port 80 if there is none. `no_proxy`
    /// is a list with commas: `*` for all, names, which stand for all names
    /// below them too, and addresses, each with a port or without.
    ///
    /// Nothing in this crate reads the environment unless it is asked to.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the variable, without its value, which may hold
    /// a password, if it cannot be used.
    pub fn from_env(host: &str, port: u16, secure: bool) -> Result<Option<Self>, Error> {
        from_vars(|name| std::env::var(name).ok(), host, port, secure)
    }
}

fn from_vars(
    var: impl Fn(&str) -> Option<String>,
    host: &str,
    port: u16,
    secure: bool,
) -> Result<Option<Proxy>, Error> {
    let names: &[&str] = match secure {
        true => &["https_proxy", "HTTPS_PROXY"],
        false if var("REQUEST_METHOD").is_some() => &["http_proxy"],
        false => &["http_proxy", "HTTP_PROXY"],
    };
    let set = |name: &str| var(name).filter(|value| !value.is_empty());
    let Some((name, value)) = names.iter().find_map(|name| Some((name, set(name)?))) else {
        return Ok(None);
    };
    let except = ["no_proxy", "NO_PROXY"].into_iter().find_map(set);
    if except.is_some_and(|list| is_excepted(&list, host, port)) {
        return Ok(None);
    }
    parse(&value)
        .map(Some)
        .map_err(|reason| Error::Config(format!("the variable {name} is no proxy: {reason}")))
}

fn parse(value: &str) -> Result<Proxy, &'static str> {
    let rest = match value.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return Err("only http:// is known"),
        None => value,
    };
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (credentials, authority) = match rest.rsplit_once('@') {
        Some((credentials, authority)) => (Some(credentials), authority),
        None => (None, rest),
    };
    let (host, port) = split_port(authority).ok_or("its port is not a number")?;
    if host.is_empty() {
        return Err("it names no host");
    }
    let proxy = Proxy::new(host, port.unwrap_or(80));
    let Some(credentials) = credentials else { return Ok(proxy) };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    match (decode(user), decode(password)) {
        (Some(user), Some(password)) => Ok(proxy.basic(&user, &password)),
        _ => Err("its credentials are not percent-encoded UTF-8"),
    }
}

/// Takes `host`, `host:port`, `[v6]` or `[v6]:port` apart; a bare IPv6 address
/// has no port.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None if authority.matches(':').count() > 1 => (authority, ""),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port.parse().ok().filter(|port| *port > 0)?))),
        None => rest.is_empty().then_some((host, None)),
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(plain).ok()
}

fn is_excepted(list: &str, host: &str, port: u16) -> bool {
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let Some((name, only)) = split_port(entry) else { return false };
        let name = name.trim_start_matches("*.").trim_start_matches('.');
        let below = || {
            let split = host.len().checked_sub(name.len() + 1)?;
            let (label, parent) = (host.get(..=split)?, host.get(split + 1..)?);
            Some(label.ends_with('.') && parent.eq_ignore_ascii_case(name))
        };
        let named = name.eq_ignore_ascii_case(host) || below().unwrap_or(false);
        entry == "*" || (named && only.is_none_or(|only| only == port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(vars: &[(&str, &str)], host: &str, secure: bool) -> Result<Option<Proxy>, Error> {
        let var = |name: &str| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        from_vars(var, host, 8080, secure)
    }

    #[test]
    fn the_variable_for_the_scheme_is_taken_and_the_small_one_first() {
        let vars = [("http_proxy", "a:1"), ("HTTP_PROXY", "b:2"), ("HTTPS_PROXY", "http://c:3/")];
        assert_eq!(chosen(&vars, "x", false).unwrap(), Some(Proxy::new("a", 1)));
        assert_eq!(chosen(&vars, "x", true).unwrap(), Some(Proxy::new("c", 3)));
        assert_eq!(chosen(&vars[1..], "x", false).unwrap(), Some(Proxy::new("b", 2)));
        let empty = [("http_proxy", ""), ("HTTP_PROXY", "b:2")];
        assert_eq!(chosen(&empty, "x", false).unwrap(), Some(Proxy::new("b", 2)));
        let cgi = [("HTTP_PROXY", "b:2"), ("REQUEST_METHOD", "GET")];
        assert_eq!(chosen(&cgi, "x", false).unwrap(), None);
        assert_eq!(chosen(&[], "x", true).unwrap(), None);
    }

    #[test]
    fn a_value_is_taken_apart_or_refused_without_being_shown() {
        for (value, proxy) in [
            ("proxy.example", Proxy::new("proxy.example", 80)),
            ("HTTP://[::1]:3128", Proxy::new("::1", 3128)),
            ("::1", Proxy::new("::1", 80)),
            ("http://u:p%40:%C3%A9@h:9/x", Proxy::new("h", 9).basic("u", "p@:é")),
            ("u@h", Proxy::new("h", 80).basic("u", "")),
        ] {
            assert_eq!(chosen(&[("https_proxy", value)], "x", true).unwrap(), Some(proxy));
        }
        for value in
            ["https://h", "socks5://h", "h:0", "h:x", "http://", "[::1", "u:%zz@h", "u:%ff@h"]
        {
            let error = chosen(&[("https_proxy", value)], "x", true).unwrap_err();
            let told = error.to_string();
            assert!(matches!(error, Error::Config(_)) && told.contains("https_proxy"));
            assert!(!told.contains(value), "{told}");
        }
    }

    #[test]
    fn hosts_may_be_excepted() {
        let direct = |list, host| {
            chosen(&[("http_proxy", "p:1"), ("no_proxy", list)], host, false).unwrap().is_none()
        };
        for (list, host) in [
            ("*", "anything"),
            ("a, rtm.example", "rtm.example"),
            ("example", "rtm.example"),
            (".example", "rtm.EXAMPLE"),
            ("*.example", "rtm.example"),
            ("rtm.example:8080", "rtm.example"),
            ("127.0.0.1,::1", "::1"),
            ("[::1]:8080", "::1"),
        ] {
            assert!(direct(list, host), "{list} {host}");
        }
        for (list, host) in [
            ("", "rtm.example"),
            ("xample", "rtm.example"),
            ("rtm.example", "example"),
            ("rtm.example:9", "rtm.example"),
            ("127.0.0.1", "127.0.0.10"),
            ("é", "aé.b"),
            (",:,", "x"),
        ] {
            assert!(!direct(list, host), "{list} {host}");
        }
    }
}
