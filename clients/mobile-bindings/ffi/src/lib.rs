//! The cores of Voxwire for other languages. Nothing here has a rule of its own: it carries bytes
//! and values to [`voxwire_core`] and back, and lets no panic out.
//!
//! | for | by |
//! |---|---|
//! | Kotlin, Swift | [`objects`], through `UniFFI` |
//! | C, C++ | [`c`], through the header that cbindgen writes |
//!
//! Messages are bytes (`voxwire.v1.Envelope`), so that a program may read them with the protobuf of
//! its own language.

pub mod c;
pub mod code;
pub mod kinds;
pub mod objects;
pub mod values;

uniffi::setup_scaffolding!();
