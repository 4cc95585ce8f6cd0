//! The header that is committed is that of the sources.

use voxwire_bindgen::{header, header_path};

#[test]
fn the_header_is_that_of_the_sources() {
    let committed = std::fs::read_to_string(header_path()).unwrap();
    let same = committed == header().unwrap();
    assert!(same, "voxwire.h is not what the sources say: run `make gen` and commit");
}
