//! The URL of a control channel.

use std::net::IpAddr;

use crate::error::Error;

const PATH: &str = "/v1/session";

fn bad_url(how: &str) -> Error {
    let reason = "the URL must look like ws://127.0.0.1:7860 or wss://host";
    let how = if how.is_empty() { String::new() } else { format!(", {how}") };
    Error::invalid(format!("{reason}{how}"))
}

/// A URL in its parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Url {
    /// True for `wss`.
    pub(crate) encrypted: bool,
    /// As it is written, IPv6 without brackets.
    pub(crate) host: String,
    /// That of the scheme unless it is named.
    pub(crate) port: u16,
    /// Whole, as it goes on the wire.
    pub(crate) text: String,
    /// Host and port as they were written.
    pub(crate) authority: String,
}

impl Url {
    /// The control channel's URL for what a person typed.
    ///
    /// `http` becomes `ws`. A path is where the server is mounted, `/v1/session` is added to it
    /// unless it ends so.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: no ws, wss, http or https URL.
    pub(crate) fn parse(typed: &str) -> Result<Self, Error> {
        if typed.chars().any(|char| char.is_control() || char.is_whitespace()) {
            return Err(bad_url("without spaces and control characters"));
        }
        let (scheme, rest) = typed.split_once("://").unwrap_or(("ws", typed));
        let encrypted = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(bad_url("")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(at);
        if authority.contains('@') {
            return Err(bad_url("without a user name: pass a token"));
        }
        let (host, port) = host_and_port(authority)?;
        let (path, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
        let mounted = path.trim_end_matches('/').trim_end_matches(PATH);
        let scheme = if encrypted { "wss" } else { "ws" };
        Ok(Self {
            encrypted,
            host,
            port: port.unwrap_or(if encrypted { 443 } else { 80 }),
            text: format!("{scheme}://{authority}{mounted}{PATH}{query}"),
            authority: authority.to_owned(),
        })
    }

    /// Names the server: scheme, host and port.
    pub(crate) fn server(&self) -> String {
        let scheme = if self.encrypted { "wss" } else { "ws" };
        format!("{scheme}://{}:{}", self.host.to_ascii_lowercase(), self.port)
    }

    /// True when it names this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let address: Option<IpAddr> = self.host.parse().ok();
        address.map_or_else(|| self.host.eq_ignore_ascii_case("localhost"), |it| it.is_loopback())
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), Error> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| bad_url(""))?;
            host.parse::<IpAddr>().map_err(|_| bad_url(""))?;
            (host, port.strip_prefix(':').or((port.is_empty()).then_some("")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let port = match port.ok_or_else(|| bad_url(""))? {
        "" => None,
        digits => match digits.parse() {
            Ok(port) if port != 0 => Some(port),
            _ => return Err(bad_url("")),
        },
    };
    let named = !host.is_empty() && !host.contains([':', '<', '>', '\\', '^', '|', '%']);
    if !named && !authority.starts_with('[') {
        return Err(bad_url(""));
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_url_is_what_a_person_means() {
        for (typed, meant) in [
            ("ws://127.0.0.1:7860", "ws://127.0.0.1:7860/v1/session"),
            ("127.0.0.1:7860", "ws://127.0.0.1:7860/v1/session"),
            ("https://host/", "wss://host/v1/session"),
            ("http://host/voice", "ws://host/voice/v1/session"),
            ("WSS://host/voice/v1/session?a=b#c", "wss://host/voice/v1/session?a=b"),
            ("ws://[::1]:80", "ws://[::1]:80/v1/session"),
        ] {
            assert_eq!(Url::parse(typed).unwrap().text, meant);
        }
        let url = Url::parse("wss://[::1]").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("::1", 443));
    }

    #[test]
    fn a_url_that_cannot_be_meant_is_a_usage_error() {
        for typed in [
            "",
            "ftp://host",
            "ws://",
            "ws://h:0",
            "ws://h:x",
            "ws://a b",
            "ws://me@host",
            "ws://[::1",
        ] {
            assert!(Url::parse(typed).is_err(), "{typed}");
        }
    }
}
