//! The objects that Kotlin and Swift have. Each is used by any thread, one verb at a time.
//!
//! `UniFFI` makes a panic an exception of the language (Kotlin: `InternalException`). The object at
//! fault stays unusable: every later verb is such an exception too.

mod channel;
mod conversation;
#[cfg(feature = "client")]
mod session;
mod sound;
mod timeline;
mod tools;

use std::sync::{Mutex, MutexGuard};

use crate::values::ABI_VERSION;

pub use channel::{
    Channel, ChannelOptions, ChannelState, EnvelopeInfo, Receipt, Received, Refusal, inspect,
};
pub use conversation::{Conversation, LoggedCall, LoggedTurn, LoggedUtterance, LoggedWord};
#[cfg(feature = "client")]
pub(crate) use session::Next;
#[cfg(feature = "client")]
pub use session::{ClientTool, Session, SessionEvent, SessionInfo, SessionOptions, Waiting};
pub use sound::{
    Block, Capture, CapturedPiece, Clock, Gap, Jitter, JitterItem, Packet, Playout, pong,
};
pub use timeline::{Heard, TimedWord, Timeline, decode_words, encode_words, join_texts};
pub use tools::{Call, CallError, CallResult, Effect, ToolCalls, ToolRequest, ToolRuns};

/// The version of the interface, [`ABI_VERSION`].
#[uniffi::export]
#[must_use]
pub fn abi_version() -> u32 {
    ABI_VERSION
}

/// What an object holds, for one verb.
///
/// # Panics
///
/// When an earlier verb did.
fn held<T>(object: &Mutex<T>) -> MutexGuard<'_, T> {
    object.lock().expect("an earlier verb of this object has failed")
}
