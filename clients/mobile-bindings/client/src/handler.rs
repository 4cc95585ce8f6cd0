//! Functions of the program that answer the bot's requests.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::error::Error;

type Answering = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send>>;

pub(crate) type Answer = Arc<dyn Fn(Value) -> Answering + Send + Sync>;

/// Answers the bot's requests of one name.
#[derive(Clone)]
pub struct Handler {
    pub(crate) method: String,
    pub(crate) answer: Answer,
}

impl Handler {
    /// A handler. `answer` is given the data of a request, `Null` where there is none; the bot gets
    /// what it returns, or the code and the reason of its error. It is dropped when the session
    /// ends.
    pub fn new<F, R>(method: impl Into<String>, answer: F) -> Self
    where
        F: Fn(Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, Error>> + Send + 'static,
    {
        Self { method: method.into(), answer: Arc::new(move |data| Box::pin(answer(data))) }
    }
}

impl Debug for Handler {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handler").field("method", &self.method).finish_non_exhaustive()
    }
}
