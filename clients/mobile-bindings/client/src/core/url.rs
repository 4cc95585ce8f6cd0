//! The URL of a control channel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Error;

const PATH: &str = "/v1/session";

/// No server is taken at its word that names a longer URL, characters.
const MAX_NAMED_CHARS: usize = 2048;

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

    /// The URL that a server has named, which is dialled as it stands; `None` = it is no WebSocket
    /// URL in ASCII, or has a user name or a fragment, or a host that is neither name nor address.
    pub(crate) fn named(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let encrypted = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            _ => return None,
        };
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let printable = tail.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let (host, digits) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match digits.strip_prefix(':') {
            None => digits.is_empty().then_some(if encrypted { 443 } else { 80 }),
            Some(port) if !port.bytes().all(|byte| byte.is_ascii_digit()) => None,
            Some(port) => port.parse().ok().filter(|port| *port != 0),
        };
        let usable = if authority.starts_with('[') {
            host.parse::<Ipv6Addr>().is_ok()
        } else {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            !host.is_empty() && host.bytes().all(word) && Host::of(host) != Host::Neither
        };
        let port = port.filter(|_| printable && usable && text.len() <= MAX_NAMED_CHARS)?;
        let (host, authority) = (host.to_owned(), authority.to_owned());
        Some(Self { encrypted, host, port, text: text.to_owned(), authority })
    }

    /// As HTTP has it: the scheme in small letters.
    pub(crate) fn request(&self) -> String {
        let (_, rest) = self.text.split_once("://").unwrap_or_default();
        format!("{}://{rest}", if self.encrypted { "wss" } else { "ws" })
    }

    /// Names the server: scheme, host and port.
    pub(crate) fn server(&self) -> String {
        let scheme = if self.encrypted { "wss" } else { "ws" };
        format!("{scheme}://{}:{}", self.host.to_ascii_lowercase(), self.port)
    }

    /// True when it names this machine, however its host is written.
    pub(crate) fn is_loopback(&self) -> bool {
        match Host::of(&self.host) {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => address.is_loopback() || address.is_unspecified(),
            Host::Neither => false,
        }
    }
}

/// What a host is, in any form that a resolver takes: `127.1`, `0x7f000001`, a dot at the end.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Host {
    /// In small letters.
    Name(String),
    /// IPv4 where IPv6 only wraps it.
    Address(IpAddr),
    /// Such as `256.0.0.1`.
    Neither,
}

impl Host {
    fn of(host: &str) -> Self {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if host.contains(':') {
            let wide = host.parse::<Ipv6Addr>();
            return wide.map_or(Self::Neither, |wide| {
                Self::Address(wide.to_ipv4_mapped().map_or(IpAddr::V6(wide), IpAddr::V4))
            });
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        let digits = last.strip_prefix("0x").unwrap_or(last);
        let hex = last.len() != digits.len();
        let is_number = digits.chars().all(|char| char.is_digit(if hex { 16 } else { 10 }));
        if !is_number || last.is_empty() {
            return Self::Name(host);
        }
        ipv4_of(&host).map_or(Self::Neither, |address| Self::Address(IpAddr::V4(address)))
    }
}

/// The address of one to four numbers, decimal, octal or hexadecimal; the last one fills what is
/// left (`inet_aton`).
fn ipv4_of(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = host.split('.').map(number_of).collect::<Option<_>>()?;
    let (last, front) = parts.split_last().filter(|(_, front)| front.len() < 4)?;
    let left_bits = 32 - 8 * front.len();
    let fits = front.iter().all(|part| *part < 256) && *last < 1 << left_bits;
    let high = front.iter().fold(0, |high: u64, part| (high << 8) | (part & 255));
    u32::try_from((high << left_bits) | last).ok().filter(|_| fits).map(Ipv4Addr::from)
}

/// A number in small letters.
fn number_of(text: &str) -> Option<u64> {
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let are_digits = !digits.is_empty() && digits.chars().all(|char| char.is_digit(radix));
    are_digits.then(|| u64::from_str_radix(digits, radix).ok())?
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
    fn a_url_that_a_server_has_named_is_dialled_as_it_stands() {
        let url = Url::named("WSS://B.example./moved?tenant=7").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("B.example.", 443));
        assert_eq!(url.text, "WSS://B.example./moved?tenant=7");
        assert_eq!(url.request(), "wss://B.example./moved?tenant=7");
        assert_eq!(Url::named("ws://[::1]:80").unwrap().host, "::1");
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
