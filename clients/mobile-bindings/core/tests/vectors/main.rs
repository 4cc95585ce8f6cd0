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

/// rtvi/ belongs to the server's gateway.
const FOLDERS: [&str; 10] = [
    "capture",
    "channel",
    "clock",
    "conversation",
    "jitter",
    "playout",
    "rtvi",
    "tools",
    "wire",
    "words",
];

#[test]
fn every_folder_of_vectors_has_a_reader() {
    assert_eq!(support::folders(), FOLDERS);
}
