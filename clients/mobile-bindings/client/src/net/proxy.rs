//! An HTTP proxy on the way to the server: which one, and the tunnel through it (RFC 9110 §9.3.6).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use voxwire_core::wire::ErrorCode;

use crate::core::Url;
use crate::error::Error;
use crate::options::Proxy;

/// The longest answer to CONNECT that is read, bytes.
const MAX_ANSWER_BYTES: usize = 16_384;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A proxy that a connection goes through. It has no `Debug`: a password may be in it.
#[derive(Eq, PartialEq)]
pub(crate) struct Via {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For `Proxy-Authorization`; empty = none.
    authorization: String,
}

/// The proxy on the way to `url`; `None` = there is none. This machine is reached without, and what
/// `no_proxy` names. `variable` reads the environment.
///
/// # Errors
///
/// The URL of the proxy cannot be used.
pub(crate) fn proxy_for(
    url: &Url,
    proxy: &Proxy,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Via>, Error> {
    let set = |name: &str| {
        let found = variable(name).or_else(|| variable(&name.to_ascii_uppercase()));
        found.filter(|value| !value.is_empty())
    };
    let named = match proxy {
        Proxy::None => None,
        Proxy::At(url) => Some(url.clone()),
        Proxy::System if url.is_loopback() => None,
        Proxy::System if set("no_proxy").is_some_and(|spared| is_spared(url, &spared)) => None,
        Proxy::System if url.encrypted => ["wss_proxy", "https_proxy"].into_iter().find_map(set),
        Proxy::System => ["ws_proxy", "https_proxy", "http_proxy"].into_iter().find_map(set),
    };
    named.map(|named| Via::parse(&named)).transpose()
}

/// True when `no_proxy` names the host, a domain that it is in, or everything.
fn is_spared(url: &Url, spared: &str) -> bool {
    let host = url.host.to_ascii_lowercase();
    let whole = format!("{host}:{}", url.port);
    let names = |name: &str| {
        let name = name.trim().trim_start_matches('.').to_ascii_lowercase();
        let inner = |it: &str| !name.is_empty() && it.strip_suffix(&name).is_some_and(is_domain);
        name == "*" || inner(&host) || inner(&whole)
    };
    spared.split(',').any(names)
}

/// Of a name without its end: there is nothing before it, or a whole label.
fn is_domain(before: &str) -> bool {
    before.is_empty() || before.ends_with('.')
}

impl Via {
    fn parse(named: &str) -> Result<Self, Error> {
        let bad = || Error::new(ErrorCode::Unreachable, "the proxy's URL cannot be used");
        let rest = match named.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => {
                let reason = format!("a proxy of kind {scheme} cannot be used, only http");
                return Err(Error::new(ErrorCode::Unsupported, reason));
            }
            None => named,
        };
        let rest = rest.trim_end_matches('/');
        let (credentials, authority) = rest.rsplit_once('@').unwrap_or(("", rest));
        let url = Url::named(&format!("ws://{authority}")).ok_or_else(bad)?;
        let authorization = match credentials.split_once(':') {
            _ if credentials.is_empty() => String::new(),
            None => return Err(bad()),
            Some((user, password)) => {
                let plain = [decoded(user).ok_or_else(bad)?, decoded(password).ok_or_else(bad)?];
                format!("Basic {}", base64(&plain.join(&b':')))
            }
        };
        Ok(Self { host: url.host, port: url.port, authorization })
    }

    /// Opens a tunnel to the server through a connection to the proxy.
    ///
    /// # Errors
    ///
    /// The proxy does not open one.
    pub(crate) async fn tunnel(&self, stream: &mut TcpStream, url: &Url) -> Result<(), Error> {
        let (host, port) = (&url.host, url.port);
        let is_wide = host.contains(':');
        let target = if is_wide { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut asked = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if !self.authorization.is_empty() {
            asked += "Proxy-Authorization: ";
            asked += &self.authorization;
            asked += "\r\n";
        }
        asked += "\r\n";
        stream.write_all(asked.as_bytes()).await.map_err(|_| closed(url))?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let read = stream.read_buf(&mut answer).await.unwrap_or(0);
            if read == 0 || answer.len() > MAX_ANSWER_BYTES {
                return Err(closed(url));
            }
        }
        let opened = answer.starts_with(b"HTTP/1.") && answer.get(8..11) == Some(&b" 20"[..]);
        if opened { Ok(()) } else { Err(closed(url)) }
    }
}

/// There is no way through the proxy.
pub(crate) fn closed(url: &Url) -> Error {
    let reason = format!("the proxy on the way to {} did not open a connection", url.authority);
    Error::new(ErrorCode::Unreachable, reason).retryable().reconnect()
}

/// The bytes of a text with `%2B` and the like in it.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    Some(plain)
}

fn base64(data: &[u8]) -> String {
    let mut text = String::new();
    for chunk in data.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| (bits << 8) | usize::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = BASE64[(bits >> (18 - 6 * at)) & 63];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Proxy, Url, Via, base64, proxy_for};

    fn found(url: &str, environment: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let set = environment.iter().find(|(known, _)| *known == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        let via = proxy_for(&Url::parse(url).unwrap(), &Proxy::System, variable).ok().unwrap();
        via.map(|via| format!("{}:{}", via.host, via.port))
    }

    #[test]
    fn the_environment_says_which_proxy_is_on_the_way() {
        let both = [("HTTPS_PROXY", "http://a:1"), ("http_proxy", "b:2")];
        assert_eq!(found("wss://host", &both).as_deref(), Some("a:1"));
        assert_eq!(found("ws://host", &both).as_deref(), Some("a:1"));
        assert_eq!(found("ws://host", &both[1..]).as_deref(), Some("b:2"));
        assert_eq!(found("wss://host", &both[1..]), None);
        let small = [("https_proxy", "http://c/"), ("HTTPS_PROXY", "http://a:1")];
        assert_eq!(found("wss://host", &small).as_deref(), Some("c:80"));
        for near in ["wss://localhost", "wss://127.0.0.1", "wss://[::1]"] {
            assert_eq!(found(near, &both), None, "{near}");
        }
    }

    #[test]
    fn what_no_proxy_names_is_reached_without() {
        for (spared, is_near) in [
            ("*", true),
            ("a.example, host.example", true),
            (".example", true),
            ("HOST.example:443", true),
            ("host.example:444", false),
            ("ost.example", false),
            ("", false),
            (",", false),
        ] {
            let environment = [("https_proxy", "http://a:1"), ("no_proxy", spared)];
            assert_eq!(found("wss://host.example", &environment).is_none(), is_near, "{spared}");
        }
    }

    #[test]
    fn a_proxy_is_named_with_what_it_lets_one_through_for() {
        let via = Via::parse("http://me%40here:pass%3Aword@[::1]:3128/").ok().unwrap();
        assert_eq!((via.host.as_str(), via.port), ("::1", 3128));
        assert_eq!(via.authorization, format!("Basic {}", base64(b"me@here:pass:word")));
        for named in ["socks5://a:1", "https://a:1", "http://me@a:1", "http://", "http://a:x"] {
            assert!(Via::parse(named).is_err(), "{named}");
        }
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (data, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(data.as_bytes()), text);
        }
    }
}
