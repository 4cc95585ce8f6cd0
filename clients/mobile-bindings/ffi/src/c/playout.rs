//! Playout.

use super::memory::{Object, array, free, give, given, handle, on, put};
use super::sound::Samples;
use crate::code::ErrorCode;
use crate::objects;
use crate::values::{PlayoutOptions, PlayoutState, Span};

/// Adaptive playout buffer of one track; owned by one player. Audio is int16 mono, of the machine's
/// byte order; positions are samples on the media clock.
#[derive(Debug)]
pub struct Playout(Object<objects::Playout>);

handle!(Playout of objects::Playout);

/// What the speaker plays next.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// The samples.
    pub samples: Samples,
    /// What they are; together they cover the block.
    pub spans: *const Span,
    /// How many spans there are.
    pub num_spans: usize,
    /// Position after the block.
    pub position: u64,
}

/// An empty buffer at position 0. `INVALID_ARGUMENT` for a sample rate below 1000 Hz.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_playout_new(
    options: *const PlayoutOptions,
    out: *mut *mut Playout,
) -> ErrorCode {
    give(out, || Ok(Playout(Object::new(objects::Playout::new(given(options)?)?))))
}

/// Frees a buffer, and what it handed out.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_playout_free(playout: *mut Playout) {
    free(playout);
}

/// Gives where it is, and what has happened to the audio.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_playout_state(
    playout: *mut Playout,
    out: *mut PlayoutState,
) -> ErrorCode {
    on(playout, |inner, _| {
        put(out, inner.state());
        Ok(())
    })
}

/// Takes audio at the position of its first sample. What is late, void or already there is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_playout_push(
    playout: *mut Playout,
    sample_index: u64,
    samples: Samples,
) -> ErrorCode {
    on(playout, |inner, _| {
        inner.push(sample_index, array(samples.data, samples.len).to_vec());
        Ok(())
    })
}

/// Gives the next block; always `num_samples` long. `INVALID_ARGUMENT` for more than 1440000.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_playout_pull(
    playout: *mut Playout,
    num_samples: u64,
    out: *mut Block,
) -> ErrorCode {
    on(playout, |inner, kept| {
        let block = inner.pull(num_samples)?;
        let (data, len) = kept.list(block.samples);
        let (spans, num_spans) = kept.list(block.spans);
        let samples = Samples { data, len };
        put(out, Block { samples, spans, num_spans, position: block.position });
        Ok(())
    })
}

/// Takes back audio of a continuous stream that was given a place it does not have.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_playout_rewind(
    playout: *mut Playout,
    sample_index: u64,
    misplaced: u64,
) -> ErrorCode {
    on(playout, |inner, _| {
        inner.rewind(sample_index, misplaced);
        Ok(())
    })
}

/// Falls silent within 10 ms and drops everything before `until`, also what comes later. Gives the
/// position at which the sound stops.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_playout_flush(
    playout: *mut Playout,
    until: u64,
    out: *mut u64,
) -> ErrorCode {
    on(playout, |inner, _| {
        put(out, inner.flush(until));
        Ok(())
    })
}

/// Drops what is buffered and waits for another stream; position and counters stay.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_playout_restart(
    playout: *mut Playout,
    target_ms: u32,
    continuous: bool,
) -> ErrorCode {
    on(playout, |inner, _| {
        inner.restart(target_ms, continuous);
        Ok(())
    })
}
