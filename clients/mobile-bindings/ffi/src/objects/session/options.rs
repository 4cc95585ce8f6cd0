//! What a session is connected with.

use std::fmt::{self, Debug, Formatter};
use std::time::Duration;

use serde_json::{Value, json};
use voxwire_client::{OnWaiting, Options, Proxy, Roots};

use super::calls::Calls;
use super::running::{Tell, Told};
use super::{SessionEvent, Waiting, event};
use crate::code::VoxwireError;
use crate::kinds::{OnInterruption, Transport};

/// A function of this program that the bot may call: a call is an event.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ClientTool {
    /// At most 64 letters, digits, `_` and `-`.
    pub name: String,
    /// What it does, for the language model; at most 2000 characters.
    #[uniffi(default = "")]
    pub description: String,
    /// JSON Schema of its arguments, an object; empty = any object.
    #[uniffi(default = "")]
    pub parameters_json: String,
    /// Longest run, milliseconds; the server's default (10 s) unless it is said.
    #[uniffi(default = None)]
    pub timeout_ms: Option<u64>,
    /// What an interruption of the bot does to a call; cancels it unless it is said.
    #[uniffi(default = None)]
    pub on_interruption: Option<OnInterruption>,
}

/// What the caller wants of a session.
#[derive(Clone, uniffi::Record)]
pub struct SessionOptions {
    /// Connect token; empty where the server asks for none.
    #[uniffi(default = "")]
    pub token: String,
    /// Name of the bot; empty = the only one of the server.
    #[uniffi(default = "")]
    pub bot: String,
    /// Application data for the bot, a JSON object; empty = none.
    #[uniffi(default = "")]
    pub metadata_json: String,
    /// What carries the audio; `AUTO` unless it is said.
    #[uniffi(default = None)]
    pub transport: Option<Transport>,
    /// What the bot may have called here.
    #[uniffi(default = [])]
    pub tools: Vec<ClientTool>,
    /// Longest wait until the session is up, tries of a busy server included, milliseconds.
    #[uniffi(default = 10_000)]
    pub connect_timeout_ms: u64,
    /// How long it waits for a place where the server has none and lets clients wait, in all and
    /// beyond `connect_timeout_ms`, milliseconds; 0 = it does not, and is refused at once.
    #[uniffi(default = 120_000)]
    pub waiting_timeout_ms: u64,
    /// True = a lost connection is dialled again and the session goes on.
    #[uniffi(default = true)]
    pub resume: bool,
    /// Longest time to try, milliseconds; as long as the server keeps a session unless it is said.
    #[uniffi(default = None)]
    pub resume_timeout_ms: Option<u64>,
    /// Certificates in PEM that the server's is checked against; the system's unless they are given.
    #[uniffi(default = None)]
    pub roots_pem: Option<Vec<u8>>,
    /// The HTTP proxy: a URL, empty = none; the one that the environment names unless it is given.
    #[uniffi(default = None)]
    pub proxy: Option<String>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            token: String::new(),
            bot: String::new(),
            metadata_json: String::new(),
            transport: None,
            tools: Vec::new(),
            connect_timeout_ms: 10_000,
            waiting_timeout_ms: 120_000,
            resume: true,
            resume_timeout_ms: None,
            roots_pem: None,
            proxy: None,
        }
    }
}

impl Debug for SessionOptions {
    /// Neither token nor metadata nor proxy: there are secrets in them.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionOptions").field("bot", &self.bot).finish_non_exhaustive()
    }
}

impl SessionOptions {
    /// As the client takes them; what it tells goes to `tell`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: something that should be JSON is not.
    pub(super) fn client(self, calls: &Calls, tell: &Tell) -> Result<Options, VoxwireError> {
        let tools: Result<Vec<_>, _> =
            self.tools.into_iter().map(|tool| tool.client(calls, tell)).collect();
        let metadata = match self.metadata_json.as_str() {
            "" => None,
            given => Some(json(given, "metadata")?),
        };
        let tell = tell.clone();
        let on_waiting = OnWaiting::new(move |place| {
            let fields = json!({"position": place.position, "estimated_ms": place.estimated_ms});
            let (position, estimated_ms) = (place.position, place.estimated_ms);
            let waiting = Some(Waiting { position, estimated_ms });
            let told = SessionEvent { waiting, ..event("waiting", &fields) };
            let _ = tell.try_send(Told::Event(told)); // a program that does not read has it later
        });
        let ms = Duration::from_millis;
        Ok(Options {
            token: self.token,
            bot: self.bot,
            metadata,
            transport: self.transport.unwrap_or(Transport::Auto).into(),
            tools: tools?,
            connect_timeout: ms(self.connect_timeout_ms),
            waiting_timeout: ms(self.waiting_timeout_ms),
            on_waiting: Some(on_waiting),
            resume: self.resume,
            resume_timeout: self.resume_timeout_ms.map(ms),
            roots: self.roots_pem.map_or(Roots::System, Roots::Pem),
            proxy: match self.proxy {
                None => Proxy::System,
                Some(url) if url.is_empty() => Proxy::None,
                Some(url) => Proxy::At(url),
            },
            ..Options::default()
        })
    }
}

impl ClientTool {
    fn client(self, calls: &Calls, tell: &Tell) -> Result<voxwire_client::Tool, VoxwireError> {
        let parameters = match self.parameters_json.as_str() {
            "" => json!({"type": "object"}),
            given => json(given, "parameters")?,
        };
        let mut tool = calls.tool(&self.name, parameters, tell).description(self.description);
        if let Some(timeout_ms) = self.timeout_ms {
            tool = tool.timeout(Duration::from_millis(timeout_ms));
        }
        if let Some(policy) = self.on_interruption {
            tool = tool.on_interruption(policy.into());
        }
        Ok(tool)
    }
}

/// JSON that the program gives.
pub(super) fn json(text: &str, name: &str) -> Result<Value, VoxwireError> {
    let bad = |_| VoxwireError::invalid(&format!("{name} is no JSON"));
    serde_json::from_str(text).map_err(bad)
}
