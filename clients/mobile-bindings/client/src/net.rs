//! Sockets, and what dials them again.

pub(crate) mod control;
pub(crate) mod dialler;
pub(crate) mod media;
pub(crate) mod proxy;
pub(crate) mod refusal;
pub(crate) mod socket;
pub(crate) mod tls;

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a source of random numbers");
    bytes
}
