//! The C interface; what holds for all of it stands at the head of the header (`cbindgen.toml`).
//!
//! Every function goes through [`memory`], which alone reads pointers of the caller.
#![allow(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "pointers are read by `memory` alone, under the contract at the head of the header"
)]

pub mod channel;
pub mod conversation;
pub mod memory;
pub mod playout;
#[cfg(feature = "client")]
pub mod session;
pub mod sound;
pub mod timeline;
pub mod tool_calls;
pub mod tool_runs;
