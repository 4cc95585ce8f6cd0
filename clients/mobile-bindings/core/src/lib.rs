//! The cores of a Voxwire client: everything that can be decided without a socket, a thread or a
//! clock. Time is an argument; what goes out and comes in is bytes and values.
//!
//! | module | what it decides |
//! |---|---|
//! | [`wire`] | the messages of `voxwire.v1`; who may send them and how they are delivered |
//! | [`channel`] | numbered delivery: acknowledgements, replay, chunks, resuming |
//! | [`timeline`] | words on the media clock: which are due, which were heard |
//! | [`tools`] | tool calls: every one ends exactly once |
//! | [`capture`] | the kept microphone: what is sent again after a gap |
//! | [`clock`] | the peer's clock |
//! | [`jitter`] | RTP packets in order |
//! | [`playout`] | bot audio by position, handed to a speaker in blocks |
//! | [`conversation`] | the log of turns |
//! | [`text_join`] | texts that follow each other, as one |
//!
//! Python (`voxwire_protocol`, `voxwire`) and TypeScript (`@voxwire/protocol`, `@voxwire/client`)
//! have the same; `protocol/vectors` holds all of them to it. `protocol/spec` is the authority.
//!
//! ```
//! use voxwire_core::channel::{Channel, ChannelOptions};
//! use voxwire_core::wire::{Envelope, Payload, SendText, Side};
//!
//! let mut client = Channel::new(ChannelOptions::new(Side::Server))?;
//! let mut server = Channel::new(ChannelOptions::new(Side::Client))?;
//! let text = SendText { text: "Hello!".into(), ..SendText::default() };
//! for data in client.send(&Envelope::of(Payload::SendText(text)), 0)? {
//!     let delivered = server.receive(&data, 5)?; // a socket would carry it
//!     assert_eq!(delivered[0].envelope.seq, 1);
//! }
//! let due_ms = server.next_due_ms().unwrap();
//! let ack = server.outgoing(due_ms).unwrap();
//! client.receive(&ack, due_ms)?;
//! assert_eq!(client.unacknowledged(), 0);
//! # Ok::<(), voxwire_core::channel::ChannelError>(())
//! ```

pub mod capture;
pub mod channel;
pub mod clock;
pub mod conversation;
pub mod jitter;
pub mod playout;
pub mod text_join;
pub mod timeline;
pub mod tools;
pub mod wire;
