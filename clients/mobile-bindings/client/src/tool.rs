//! Functions of the program that the bot may call.

use std::fmt::{self, Debug, Display, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use voxwire_core::tools::OnInterruption;
use voxwire_core::wire::{ToolDeclaration, ToolInterruptionPolicy};

use crate::error::Error;
use crate::shared::Shared;

/// Longest name and description that a declaration may have, characters.
const MAX_NAME_CHARS: usize = 64;
const MAX_DESCRIPTION_CHARS: usize = 2000;

type Running = Pin<Box<dyn Future<Output = Result<Value, ToolError>> + Send>>;
type Run = Arc<dyn Fn(Value, ToolCall) -> Running + Send + Sync>;

/// What a tool tells the bot went wrong, in words that it may speak.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToolError(pub String);

impl Display for ToolError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ToolError {}

/// A function that the bot may have called here, as far as it allows its name.
#[derive(Clone)]
pub struct Tool {
    pub(crate) name: String,
    description: String,
    parameters: Value,
    timeout: Option<Duration>,
    on_interruption: Option<OnInterruption>,
    pub(crate) run: Run,
}

impl Tool {
    /// A tool. `parameters` is the JSON Schema of its arguments, an object; the server holds calls
    /// against it. A call is dropped when it is withdrawn, past its deadline, or the session ends.
    pub fn new<F, R>(name: impl Into<String>, parameters: Value, run: F) -> Self
    where
        F: Fn(Value, ToolCall) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            description: String::new(),
            parameters,
            timeout: None,
            on_interruption: None,
            run: Arc::new(move |arguments, call| Box::pin(run(arguments, call))),
        }
    }

    /// What it does, for the language model; at most 2000 characters.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// Longest run; the server's default (10 s) unless it is said.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// What an interruption of the bot does to a call; cancels it unless it is said.
    #[must_use]
    pub fn on_interruption(self, policy: OnInterruption) -> Self {
        Self { on_interruption: Some(policy), ..self }
    }

    /// What the server is told of it.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: it cannot be declared so.
    pub(crate) fn declaration(&self) -> Result<ToolDeclaration, Error> {
        let named = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
        let fits = (1..=MAX_NAME_CHARS).contains(&self.name.len());
        if !fits || !self.name.chars().all(named) {
            return Err(Error::invalid(format!("no tool can be called {:?}", self.name)));
        }
        if self.description.chars().count() > MAX_DESCRIPTION_CHARS {
            let reason = format!("the description of {} is too long", self.name);
            return Err(Error::invalid(reason));
        }
        if self.parameters.get("type") != Some(&Value::from("object")) {
            let reason = format!("the parameters of {} are no schema of an object", self.name);
            return Err(Error::invalid(reason));
        }
        let policy = match self.on_interruption {
            None => ToolInterruptionPolicy::Unspecified,
            Some(OnInterruption::Cancel) => ToolInterruptionPolicy::Cancel,
            Some(OnInterruption::Finish) => ToolInterruptionPolicy::Finish,
            Some(OnInterruption::Ask) => ToolInterruptionPolicy::Ask,
        };
        Ok(ToolDeclaration {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters_json: self.parameters.to_string(),
            timeout_ms: self.timeout.map_or(0, |it| it.as_millis().try_into().unwrap_or(u32::MAX)),
            on_interruption: policy.into(),
            ..ToolDeclaration::default()
        })
    }
}

impl Debug for Tool {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tool").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One use of a tool.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// Names the call, unique in the session.
    pub id: String,
    pub(crate) shared: Arc<Shared>,
}

impl ToolCall {
    /// Tells the bot's side how far it is; shown, not spoken. Nothing when the call is over.
    pub fn progress(&self, note: &Value) {
        self.shared.with(|core, now_us| {
            if let Some(said) = core.tools.progress(&self.id, note.to_string()) {
                let _ = core.send(said, now_us); // the session is over
            }
        });
    }
}
