//! What carries sound: the kept microphone, the peer's clock, RTP in order, playout.

use super::memory::{Bytes, Object, array, free, give, given, guard, handle, on, put};
use crate::code::ErrorCode;
use crate::objects;
use crate::values::{CaptureState, ClockSample, JitterOptions, JitterStats, Ping, Pong, pong_of};

/// Keeps one session's microphone and says what of it is to be sent next. Audio is int16 mono, of
/// the machine's byte order; times are milliseconds of one monotonic clock, of any origin.
#[derive(Debug)]
pub struct Capture(Object<objects::Capture>);

handle!(Capture of objects::Capture);

/// Samples, int16 mono.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Samples {
    /// The first one.
    pub data: *const i16,
    /// How many there are.
    pub len: usize,
}

/// Nothing captured and no path. `sample_rate` is Hz; `kept_ms` how long audio is kept (3000).
/// `INVALID_ARGUMENT` for more than a minute.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_new(
    sample_rate: u32,
    kept_ms: u64,
    out: *mut *mut Capture,
) -> ErrorCode {
    give(out, || Ok(Capture(Object::new(objects::Capture::new(sample_rate, kept_ms)?))))
}

/// Frees it, and what it handed out.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_free(capture: *mut Capture) {
    free(capture);
}

/// What it has come to.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_state(
    capture: *mut Capture,
    out: *mut CaptureState,
) -> ErrorCode {
    on(capture, |inner, _| {
        put(out, inner.state());
        Ok(())
    })
}

/// Takes what the microphone gave at `now_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_capture(
    capture: *mut Capture,
    samples: Samples,
    now_ms: u64,
) -> ErrorCode {
    on(capture, |inner, _| {
        inner.capture(array(samples.data, samples.len).to_vec(), now_ms);
        Ok(())
    })
}

/// The user is not heard: the count goes on, nothing is kept, what waited is forgotten.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_mute(capture: *mut Capture, num_samples: u64) -> ErrorCode {
    on(capture, |inner, _| {
        inner.mute(num_samples);
        Ok(())
    })
}

/// No path takes audio any more.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_park(capture: *mut Capture) -> ErrorCode {
    on(capture, |inner, _| {
        inner.park();
        Ok(())
    })
}

/// A path takes audio, and the server wants it from sample `index` on. Gives how many samples from
/// there on are not kept any more.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_resume(
    capture: *mut Capture,
    index: u64,
    now_ms: u64,
    out: *mut u64,
) -> ErrorCode {
    on(capture, |inner, _| {
        put(out, inner.resume(index, now_ms));
        Ok(())
    })
}

/// The same where the server knows only how long ago the newest of its audio came.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_resume_after(
    capture: *mut Capture,
    age_ms: u64,
    now_ms: u64,
    out: *mut u64,
) -> ErrorCode {
    on(capture, |inner, _| {
        put(out, inner.resume_after(age_ms, now_ms));
        Ok(())
    })
}

/// A path takes audio from now on; nothing is sent again.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_follow(capture: *mut Capture) -> ErrorCode {
    on(capture, |inner, _| {
        inner.follow();
        Ok(())
    })
}

/// Gives what is to be sent next, at most one block as it was captured, with the number of its first
/// sample; it counts as sent. No samples = nothing is to be sent.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_capture_take(
    capture: *mut Capture,
    now_ms: u64,
    index: *mut u64,
    out: *mut Samples,
) -> ErrorCode {
    on(capture, |inner, kept| {
        let piece = inner.take(now_ms);
        put(index, piece.as_ref().map_or(0, |piece| piece.index));
        let (data, len) = kept.list(piece.map(|piece| piece.samples).unwrap_or_default());
        put(out, Samples { data, len });
        Ok(())
    })
}

/// Estimates the peer's clock from pings that this side sends. Times are microseconds of each
/// side's own monotonic clock.
#[derive(Debug)]
pub struct Clock(Object<objects::Clock>);

handle!(Clock of objects::Clock);

/// An estimate without samples.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_clock_new(out: *mut *mut Clock) -> ErrorCode {
    give(out, || Ok(Clock(Object::new(objects::Clock::new()))))
}

/// Frees a clock.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_clock_free(clock: *mut Clock) {
    free(clock);
}

/// Gives the next ping, to be sent at `now_us`, which is now.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_clock_ping(clock: *mut Clock, now_us: u64, out: *mut Ping) -> ErrorCode {
    on(clock, |inner, _| {
        put(out, inner.ping(now_us));
        Ok(())
    })
}

/// Answers a ping of the peer that came at `received_us`; `now_us` is when the answer is sent.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_clock_pong(
    ping: Ping,
    received_us: u64,
    now_us: u64,
    out: *mut Pong,
) -> ErrorCode {
    guard(|| {
        put(out, pong_of(ping, received_us, now_us));
        Ok(())
    })
}

/// Takes an answer, which arrived at `now_us`. `measured` is false when it answers no open ping or
/// cannot be true.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_clock_receive(
    clock: *mut Clock,
    pong: Pong,
    now_us: u64,
    measured: *mut bool,
    out: *mut ClockSample,
) -> ErrorCode {
    on(clock, |inner, _| {
        let sample = inner.receive(pong, now_us);
        put(measured, sample.is_some());
        put(out, sample.unwrap_or_default());
        Ok(())
    })
}

/// Gives the fastest of the last 8 exchanges; `measured` is false before there is one.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_clock_best(
    clock: *mut Clock,
    measured: *mut bool,
    out: *mut ClockSample,
) -> ErrorCode {
    on(clock, |inner, _| {
        let sample = inner.best();
        put(measured, sample.is_some());
        put(out, sample.unwrap_or_default());
        Ok(())
    })
}

/// Gives when the next ping is due, milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_clock_next_ping_ms(
    clock: *mut Clock,
    now_ms: u64,
    out: *mut u64,
) -> ErrorCode {
    on(clock, |inner, _| {
        put(out, inner.next_ping_ms(now_ms));
        Ok(())
    })
}

/// Orders the packets of one RTP audio stream; waits for holes, never for packets in order. Times
/// are milliseconds, with fractions, of one monotonic clock.
#[derive(Debug)]
pub struct Jitter(Object<objects::Jitter>);

handle!(Jitter of objects::Jitter);

/// A packet in its place, or a hole that is not waited for any more.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct JitterItem {
    /// True for a hole: `timestamp` is that of its first sample, `samples` how much to conceal.
    pub gap: bool,
    /// Of a packet: as on the wire.
    pub sequence_number: u16,
    /// RTP timestamp of the first sample, ticks of the clock rate.
    pub timestamp: u32,
    /// Of a hole: ticks of the clock rate.
    pub samples: u32,
    /// Of a packet: what was pushed, unchanged.
    pub payload: Bytes,
}

/// Several items, in order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct JitterItemList {
    /// The first one.
    pub items: *const JitterItem,
    /// How many there are.
    pub len: usize,
}

/// A buffer that has received nothing. `INVALID_ARGUMENT` for options outside their bounds.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_jitter_new(
    options: *const JitterOptions,
    out: *mut *mut Jitter,
) -> ErrorCode {
    give(out, || Ok(Jitter(Object::new(objects::Jitter::new(given(options)?)?))))
}

/// Frees a buffer, and what it handed out.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_jitter_free(jitter: *mut Jitter) {
    free(jitter);
}

/// Takes in one packet, which arrived at `now_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_jitter_push(
    jitter: *mut Jitter,
    sequence_number: u16,
    timestamp: u32,
    payload: Bytes,
    now_ms: f64,
) -> ErrorCode {
    on(jitter, |inner, _| {
        let payload = payload.read().to_vec();
        inner.push(objects::Packet { sequence_number, timestamp, payload }, now_ms);
        Ok(())
    })
}

/// Gives what is ready: packets in order, and gaps that are not waited for any more.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_jitter_pop(
    jitter: *mut Jitter,
    now_ms: f64,
    out: *mut JitterItemList,
) -> ErrorCode {
    on(jitter, |inner, kept| {
        let items = inner.pop(now_ms).into_iter().map(|item| match item {
            objects::JitterItem::Packet { packet } => JitterItem {
                gap: false,
                sequence_number: packet.sequence_number,
                timestamp: packet.timestamp,
                samples: 0,
                payload: kept.bytes(packet.payload),
            },
            objects::JitterItem::Gap { gap } => JitterItem {
                gap: true,
                sequence_number: 0,
                timestamp: gap.timestamp,
                samples: gap.samples,
                payload: Bytes::NONE,
            },
        });
        let items = items.collect();
        let (items, len) = kept.list(items);
        put(out, JitterItemList { items, len });
        Ok(())
    })
}

/// Gives when `voxwire_jitter_pop` has something to do without another packet; a negative number
/// while no hole is pending.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_jitter_next_due_ms(jitter: *mut Jitter, out: *mut f64) -> ErrorCode {
    on(jitter, |inner, _| {
        put(out, inner.next_due_ms().unwrap_or(-1.0));
        Ok(())
    })
}

/// Gives the counters.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_jitter_stats(jitter: *mut Jitter, out: *mut JitterStats) -> ErrorCode {
    on(jitter, |inner, _| {
        put(out, inner.stats());
        Ok(())
    })
}
