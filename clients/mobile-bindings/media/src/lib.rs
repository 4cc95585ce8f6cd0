//! WebRTC audio without sockets, tasks and clocks: bytes in, bytes out, and when it wants to be
//! called again. Every `now_us` is microseconds since a moment that the caller names once.
//!
//! | module | what it does |
//! |---|---|
//! | [`peer`] | one connection with audio both ways: ICE, DTLS, SRTP |
//! | [`inbound`] | what comes, in order and decoded; what is lost is covered or made up |
//! | [`outbound`] | what goes: Opus packets whose timestamps run on |
//! | [`opus`] | the codec |
//! | [`anchors`] | from RTP timestamps to the media clock |
//! | [`level`] | how loud it is |
//! | `crypto` | what the connection is encrypted with, in Rust alone |
//!
//! A connection has as many ways as its owner has sockets: each is added with [`Peer::add_host`]
//! whenever it is there, before or after the descriptions (trickle ICE, RFC 8838).

pub mod anchors;
mod crypto;
pub mod inbound;
pub mod level;
pub mod opus;
pub mod outbound;
pub mod peer;

pub use anchors::{AnchorMap, Piece};
pub use inbound::{Inbound, InboundStats, Sound};
pub use level::level_db;
pub use outbound::Outbound;
pub use peer::{Datagram, MediaError, Peer, PeerOptions, PeerState, PeerStats};

/// Length of a block of audio on the wire, milliseconds.
pub const BLOCK_MS: u32 = 20;
