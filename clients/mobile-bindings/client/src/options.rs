//! What the caller of [`connect`](crate::connect) wants.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use voxwire_core::wire::{Envelope, Waiting};

use crate::handler::Handler;
use crate::tool::Tool;

/// What carries the audio.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Transport {
    /// WebRTC, or the WebSocket where that does not come about; WebRTC again when it does.
    #[default]
    Auto,
    /// WebRTC alone.
    WebRtc,
    /// The WebSocket of the control channel.
    WebSocket,
}

/// What a server's certificate is checked against.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Roots {
    /// The certificates that the system trusts.
    #[default]
    System,
    /// These, and no others: certificates in PEM.
    Pem(Vec<u8>),
}

/// The HTTP proxy that the connection goes through. `Debug` shows no URL: a password may be in it.
#[derive(Clone, Default, Eq, PartialEq)]
pub enum Proxy {
    /// The one that the environment names (`wss_proxy`, `https_proxy`; without TLS `ws_proxy`,
    /// `https_proxy`, `http_proxy`), unless `no_proxy` names the server or it is this machine.
    #[default]
    System,
    /// None.
    None,
    /// This one: `http://host:port`, or `http://user:password@host:port`.
    At(String),
}

impl Debug for Proxy {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::System => "System",
            Self::None => "None",
            Self::At(_) => "At",
        })
    }
}

/// Sees every message of the server as it is delivered: in order, once. For logs and tests; it must
/// not wait, and calls no verb.
#[derive(Clone)]
pub struct Tap(Arc<dyn Fn(&Envelope) + Send + Sync>);

impl Tap {
    /// A tap that calls this.
    pub fn new(see: impl Fn(&Envelope) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    pub(crate) fn see(&self, envelope: &Envelope) {
        (self.0)(envelope);
    }
}

impl Debug for Tap {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tap")
    }
}

/// Is told where the session is in the line of a server that has no place for it yet, whenever that
/// is new. It must not wait.
#[derive(Clone)]
pub struct OnWaiting(Arc<dyn Fn(Waiting) + Send + Sync>);

impl OnWaiting {
    /// One that calls this.
    pub fn new(tell: impl Fn(Waiting) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, place: Waiting) {
        (self.0)(place);
    }
}

impl Debug for OnWaiting {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("OnWaiting")
    }
}

/// What the caller of [`connect`](crate::connect) wants. `Debug` shows neither token nor metadata.
#[derive(Clone)]
pub struct Options {
    /// Connect token; empty where the server asks for none.
    pub token: String,
    /// Name of the bot; empty = the only one of the server.
    pub bot: String,
    /// Application data for the bot, a JSON object of at most 8192 bytes.
    pub metadata: Option<Value>,
    /// What carries the audio.
    pub transport: Transport,
    /// What the bot may have called here.
    pub tools: Vec<Tool>,
    /// What answers the bot's requests from the first on.
    pub handlers: Vec<Handler>,
    /// Longest wait until the session is ready, tries of a busy server included.
    pub connect_timeout: Duration,
    /// How long it waits for a place where the server has none and lets clients wait, in all and
    /// beyond `connect_timeout`; 0 = it does not, and is refused at once.
    pub waiting_timeout: Duration,
    /// Is told where it is then.
    pub on_waiting: Option<OnWaiting>,
    /// True = a lost connection is dialled again and the session goes on, as long as the server
    /// keeps it.
    pub resume: bool,
    /// Longest time to try; `None` = as long as the server keeps a session.
    pub resume_timeout: Option<Duration>,
    /// What the server's certificate is checked against.
    pub roots: Roots,
    /// The proxy on the way to the server.
    pub proxy: Proxy,
    /// Sees what the server says.
    pub tap: Option<Tap>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: String::new(),
            bot: String::new(),
            metadata: None,
            transport: Transport::Auto,
            tools: Vec::new(),
            handlers: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            waiting_timeout: Duration::from_secs(120),
            on_waiting: None,
            resume: true,
            resume_timeout: None,
            roots: Roots::System,
            proxy: Proxy::System,
            tap: None,
        }
    }
}

impl Debug for Options {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Options");
        shown.field("bot", &self.bot).field("tools", &self.tools).finish_non_exhaustive()
    }
}
