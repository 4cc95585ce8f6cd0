//! A conversation with a Voxwire server: control over a WebSocket, sound over WebRTC or over it.
//!
//! [`connect`] gives a [`Session`]. What the bot says comes as [`Event`]s, each when the speaker
//! reaches it; sound goes in and out in blocks, on a clock that the caller owns:
//! [`Session::pull`] hands out what sounds next, [`Session::push`] takes what was captured.
//!
//! ```no_run
//! # async fn example() -> Result<(), voxwire_client::Error> {
//! use voxwire_client::{Event, Options, connect};
//!
//! let session = connect("ws://127.0.0.1:7860", Options::default()).await?;
//! session.send_text("What is the weather in Paris?")?;
//! while let Some(event) = session.next_event().await? {
//!     if let Event::BotWord(word) = event {
//!         print!("{} ", word.text);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`event`] | what a session tells its program |
//! | [`event_json`] | the same as JSON |
//! | [`error`] | one error with a closed code, families by what to do next |
//! | [`handler`] | functions that answer the bot's requests |
//! | [`tool`] | functions that the bot may call here |
//! | `core` | the session without sockets, tasks and clocks |
//! | `net` | sockets, and what dials them again |

mod answerer;
mod connect;
mod core;
pub mod error;
pub mod event;
pub mod event_json;
pub mod handler;
mod net;
mod options;
mod session;
mod shared;
pub mod tool;
mod tool_runner;

pub use connect::connect;
pub use error::{Error, Family};
pub use event::{Event, FallbackReason};
pub use handler::Handler;
pub use options::{OnWaiting, Options, Proxy, Roots, Tap, Transport};
pub use session::{SendText, Session};
pub use tool::{Tool, ToolCall, ToolError};
pub use voxwire_core::playout::{Block, Span, SpanKind};
pub use voxwire_core::wire;
pub use voxwire_media::{PeerStats, level_db};

/// Rate of the user's audio, Hz.
pub const CAPTURE_RATE: u32 = 16_000;

/// Rate that is asked for the bot's audio, Hz; [`Session::playout_rate`] says what it is.
pub const PLAYOUT_RATE: u32 = 24_000;

/// Length of a block of audio on the wire, milliseconds.
pub const BLOCK_MS: u32 = 20;
