//! The golden cases of `protocol/vectors` hold for this implementation (see the README there).

mod capture;
mod channel;
mod clock;
mod conversation;
mod jitter;
mod playout;
mod support;
mod tools;
mod wire;
mod words;

/// rtvi/ belongs to the server's gateway; quality/ to a client that measures, and addresses/ to one
/// that dials, which come later.
const FOLDERS: [&str; 12] = [
    "addresses",
    "capture",
    "channel",
    "clock",
    "conversation",
    "jitter",
    "playout",
    "quality",
    "rtvi",
    "tools",
    "wire",
    "words",
];

#[test]
fn every_folder_of_vectors_has_a_reader() {
    assert_eq!(support::folders(), FOLDERS);
}
