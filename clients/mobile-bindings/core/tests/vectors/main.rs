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

/// rtvi/ belongs to the server's gateway, and addresses/ to voxwire-client, which reads it; quality/ to
/// a client that measures, and diagnosis/ to one that looks for what is wrong, which come later.
const FOLDERS: [&str; 13] = [
    "addresses",
    "capture",
    "channel",
    "clock",
    "conversation",
    "diagnosis",
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
