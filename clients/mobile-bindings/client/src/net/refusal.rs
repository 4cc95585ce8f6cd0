//! The one table from what a dial brings to our errors.

use serde_json::Value;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::Response;
use voxwire_core::wire::{ErrorCode, SUBPROTOCOL};

use crate::core::Url;
use crate::error::Error;

const MAX_REASON_CHARS: usize = 300;

/// A server that asks for more is taken to ask for this, seconds.
const MAX_ADVISED_S: u32 = 86_400;

/// Nothing answers there.
pub(crate) fn unreachable(url: &Url) -> Error {
    let reason = format!("nothing answers at {}: is the server running?", url.authority);
    Error::new(ErrorCode::Unreachable, reason).retryable().reconnect()
}

/// No name server knows the host.
pub(crate) fn unknown_host(url: &Url) -> Error {
    let reason = format!("the name {} was not found", url.host);
    Error::new(ErrorCode::Unreachable, reason).retryable().reconnect()
}

/// It ended the connection and said nothing: what was asked was lost on the way, or something in
/// front of the server lets nothing through.
fn hung_up(url: &Url) -> Error {
    let reason = format!("{} hung up before it answered", url.authority);
    Error::new(ErrorCode::Unreachable, reason).retryable().reconnect()
}

/// It takes too long.
pub(crate) fn late(url: &Url) -> Error {
    let reason = format!("{} did not answer in time", url.authority);
    Error::new(ErrorCode::Timeout, reason).retryable()
}

/// Why an upgrade failed.
pub(crate) fn refusal(error: &SocketError, url: &Url) -> Error {
    match error {
        SocketError::Http(response) => refused(response, url),
        SocketError::Url(_) => Error::invalid("the URL cannot be used"),
        SocketError::Tls(error) => tls(&error.to_string(), url),
        SocketError::Io(error) => {
            // What rustls finds wrong comes as an error of its stream.
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => tls(&error.to_string(), url),
                None => unreachable(url),
            }
        }
        SocketError::ConnectionClosed | SocketError::AlreadyClosed => unreachable(url),
        SocketError::Protocol(ProtocolError::HandshakeIncomplete) => hung_up(url),
        _ => {
            let reason = format!("{} does not speak {SUBPROTOCOL}", url.authority);
            Error::new(ErrorCode::Version, reason)
        }
    }
}

fn tls(why: &str, url: &Url) -> Error {
    Error::new(ErrorCode::Unreachable, format!("{}: TLS failed ({why})", url.authority))
}

fn refused(response: &Response<Option<Vec<u8>>>, url: &Url) -> Error {
    let status = response.status().as_u16();
    let code = match status {
        401 => ErrorCode::Unauthorized,
        403 => ErrorCode::Forbidden,
        413 => ErrorCode::TooLarge,
        429 => ErrorCode::RateLimited,
        503 => ErrorCode::Capacity,
        _ => ErrorCode::Unreachable,
    };
    let untold = match status {
        403 => {
            "it did not say why; is the path right, and lets a proxy on the way WebSockets through?"
        }
        404 => "nothing is at that path",
        _ => "",
    };
    let told = response.body().as_deref().and_then(told);
    let why = told.unwrap_or_else(|| untold.to_owned());
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    let error = Error::new(code, format!("{} answered HTTP {status}{why}", url.authority));
    let error = if matches!(status, 429 | 503) { error.retryable() } else { error };
    let advice = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
    Error { retry_after_ms: advice.map_or(0, advised_ms), ..error }
}

/// What `Retry-After` asks for (RFC 9110 §10.2.3), milliseconds; 0 = nothing, or a date.
fn advised_ms(text: &str) -> u32 {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if is_number { text.parse().unwrap_or(MAX_ADVISED_S) } else { 0 };
    seconds.min(MAX_ADVISED_S) * 1000
}

/// Why a server refused an upgrade, as it says in its answer's body.
fn told(body: &[u8]) -> Option<String> {
    let said: Value = serde_json::from_slice(body).ok()?;
    let reason = said.get("reason")?.as_str()?;
    let printable = !reason.chars().any(char::is_control);
    printable.then(|| reason.chars().take(MAX_REASON_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::Error as SocketError;
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    use voxwire_core::wire::ErrorCode;

    use super::{advised_ms, refusal};
    use crate::core::Url;

    #[test]
    fn who_hangs_up_is_asked_again_and_who_speaks_something_else_is_not() {
        let url = Url::parse("ws://host:1").unwrap();
        let of = |error| refusal(&SocketError::Protocol(error), &url);
        let hung_up = of(ProtocolError::HandshakeIncomplete);
        assert_eq!((hung_up.code, hung_up.retryable), (ErrorCode::Unreachable, true));
        assert_eq!(hung_up.reason, "host:1 hung up before it answered");
        let other = of(ProtocolError::WrongHttpVersion);
        assert_eq!((other.code, other.retryable), (ErrorCode::Version, false));
    }

    #[test]
    fn what_a_server_asks_for_is_seconds_and_nothing_else() {
        for (text, wait_ms) in [
            ("2", 2000),
            ("0", 0),
            ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
            ("-1", 0),
            ("99999999999999", 86_400_000),
        ] {
            assert_eq!(advised_ms(text), wait_ms, "{text}");
        }
    }
}
