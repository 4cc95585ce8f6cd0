//! The one table from what a dial brings to our errors.

use serde_json::Value;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::http::Response;
use voxwire_core::wire::{ErrorCode, SUBPROTOCOL};

use crate::core::Url;
use crate::error::Error;

const MAX_REASON_CHARS: usize = 300;

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
    if matches!(status, 429 | 503) { error.retryable() } else { error }
}

/// Why a server refused an upgrade, as it says in its answer's body.
fn told(body: &[u8]) -> Option<String> {
    let said: Value = serde_json::from_slice(body).ok()?;
    let reason = said.get("reason")?.as_str()?;
    let printable = !reason.chars().any(char::is_control);
    printable.then(|| reason.chars().take(MAX_REASON_CHARS).collect())
}
