//! Plain values that cross the boundary in either way: numbers only, so that they are the same for
//! C, Kotlin and Swift.

use voxwire_core::{capture, channel, clock, jitter, playout, tools};

/// What a header, or a Kotlin or Swift file, was made for. It changes whenever something that was
/// there is not there any more, or is not what it was.
pub const ABI_VERSION: u32 = 1;

/// Longest block that is pulled at once, samples: 30 seconds at 48 kHz.
pub(crate) const MAX_PULL: u64 = 1_440_000;

/// Bounds of what a channel keeps for a replay and holds behind a gap.
#[repr(C)]
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub struct ReplayLimits {
    /// Most messages kept; also how far ahead of a gap a number may be.
    pub messages: u64,
    /// Most bytes kept, and most bytes held behind a gap.
    pub total_bytes: u64,
    /// How long a message is kept, milliseconds.
    pub age_ms: u64,
}

impl From<ReplayLimits> for channel::ReplayLimits {
    fn from(limits: ReplayLimits) -> Self {
        Self {
            messages: limits.messages as usize,
            total_bytes: limits.total_bytes as usize,
            age_ms: limits.age_ms,
        }
    }
}

/// Times and limits of the calls of one session.
#[repr(C)]
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub struct ToolCallsOptions {
    /// Longest run of a call that does not say it, milliseconds.
    pub default_timeout_ms: u64,
    /// Time in which a client must take a request, milliseconds.
    pub accept_within_ms: u64,
    /// Most calls that may be open at once.
    pub max_open: u64,
    /// Largest result, bytes of UTF-8; a larger one fails the call.
    pub max_result_bytes: u64,
}

impl From<ToolCallsOptions> for tools::ToolCallsOptions {
    fn from(options: ToolCallsOptions) -> Self {
        Self {
            default_timeout_ms: options.default_timeout_ms,
            accept_within_ms: options.accept_within_ms,
            max_open: options.max_open as usize,
            max_result_bytes: options.max_result_bytes as usize,
        }
    }
}

/// What the kept microphone has come to, samples.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, uniffi::Record)]
pub struct CaptureState {
    /// Number of the sample that is captured next.
    pub next_index: u64,
    /// Samples that a path has yet to send; 0 without a path.
    pub waiting_samples: u64,
    /// Samples that the server will never have because they became too old to be kept.
    pub lost_samples: u64,
}

impl From<&capture::KeptCapture> for CaptureState {
    fn from(kept: &capture::KeptCapture) -> Self {
        Self {
            next_index: kept.next_index(),
            waiting_samples: kept.waiting_samples(),
            lost_samples: kept.lost_samples(),
        }
    }
}

/// Asks the peer for its clock (`Ping`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, uniffi::Record)]
pub struct Ping {
    /// Pairs it with its answer.
    pub number: u32,
    /// When it was sent, microseconds of the sender's clock.
    pub t0_us: u64,
}

/// Answers a ping (`Pong`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, uniffi::Record)]
pub struct Pong {
    /// Of the ping.
    pub number: u32,
    /// Of the ping, microseconds.
    pub t0_us: u64,
    /// When the ping came, microseconds of the answering clock.
    pub t1_us: u64,
    /// When the answer was sent, microseconds of the answering clock.
    pub t2_us: u64,
}

impl From<Pong> for voxwire_core::wire::Pong {
    fn from(pong: Pong) -> Self {
        Self { number: pong.number, t0_us: pong.t0_us, t1_us: pong.t1_us, t2_us: pong.t2_us }
    }
}

/// Answers a ping of the peer that came at `received_us`; `now_us` is when the answer is sent.
#[must_use]
pub fn pong_of(ping: Ping, received_us: u64, now_us: u64) -> Pong {
    let ping = voxwire_core::wire::Ping { number: ping.number, t0_us: ping.t0_us };
    let pong = clock::ClockSync::pong(&ping, received_us, now_us);
    Pong { number: pong.number, t0_us: pong.t0_us, t1_us: pong.t1_us, t2_us: pong.t2_us }
}

/// One exchange of clocks, or the best of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, uniffi::Record)]
pub struct ClockSample {
    /// Peer's clock minus ours, microseconds, rounded down.
    pub offset_us: i64,
    /// Round trip without the peer's own delay, microseconds.
    pub rtt_us: u64,
}

impl From<clock::Sample> for ClockSample {
    fn from(sample: clock::Sample) -> Self {
        Self { offset_us: sample.offset_us, rtt_us: sample.rtt_us }
    }
}

/// What a jitter buffer is made with.
#[repr(C)]
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub struct JitterOptions {
    /// Ticks of the RTP timestamp per second (Opus: 48000), at least 1000.
    pub clock_rate: u32,
    /// How long a hole is waited for on a quiet network, milliseconds.
    pub min_target_ms: f64,
    /// The longest that a hole is waited for, milliseconds.
    pub max_target_ms: f64,
    /// Packets held behind a hole; when reached, the hole is given up. At least 1.
    pub capacity: u64,
}

impl JitterOptions {
    /// As the core takes them; `None` when they are none.
    pub(crate) fn core(self) -> Option<jitter::JitterOptions> {
        let times = self.min_target_ms >= 0.0 && self.min_target_ms <= self.max_target_ms;
        (self.clock_rate >= 1000 && times && self.capacity > 0).then_some(jitter::JitterOptions {
            clock_rate: self.clock_rate,
            min_target_ms: self.min_target_ms,
            max_target_ms: self.max_target_ms,
            capacity: self.capacity as usize,
            samples_of: None,
        })
    }
}

/// Counters of a jitter buffer since its start, packets unless the name says otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, uniffi::Record)]
pub struct JitterStats {
    /// Everything that was pushed.
    pub received: u64,
    /// Declared missing, those that came too late included.
    pub lost: u64,
    /// Dropped: too late, no part of the stream, or no room.
    pub late: u64,
    /// Dropped because the same packet was here already.
    pub duplicates: u64,
    /// Audio handed out as gaps, milliseconds.
    pub concealed_ms: u64,
    /// How long a hole is waited for now, milliseconds.
    pub target_ms: u64,
}

impl From<jitter::JitterStats> for JitterStats {
    fn from(stats: jitter::JitterStats) -> Self {
        Self {
            received: stats.received,
            lost: stats.lost,
            late: stats.late,
            duplicates: stats.duplicates,
            concealed_ms: stats.concealed_ms,
            target_ms: stats.target_ms,
        }
    }
}

/// What a playout buffer is made with.
#[repr(C)]
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub struct PlayoutOptions {
    /// Of everything pushed and pulled, Hz; at least 1000.
    pub sample_rate: u32,
    /// Delay to start with, milliseconds; grows to `max_target_ms` on underruns, decays again.
    pub target_ms: u32,
    /// Longest delay, milliseconds.
    pub max_target_ms: u32,
    /// True for a stream that sends silence too (decoded RTP).
    pub continuous: bool,
}

impl PlayoutOptions {
    /// As the core takes them; `None` when they are none.
    pub(crate) fn core(self) -> Option<playout::PlayoutOptions> {
        (self.sample_rate >= 1000).then_some(playout::PlayoutOptions {
            sample_rate: self.sample_rate,
            target_ms: self.target_ms,
            max_target_ms: self.max_target_ms,
            continuous: self.continuous,
        })
    }
}

/// Where a playout buffer is, and what has happened to the audio.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, uniffi::Record)]
pub struct PlayoutState {
    /// Position of the next sample to sound, samples on the media clock.
    pub position: u64,
    /// Audio that is gathered before playing starts, milliseconds.
    pub target_ms: u32,
    /// Audio received but not yet handed out, milliseconds.
    pub buffered_ms: u64,
    /// Audio made up to hide gaps, milliseconds.
    pub concealed_ms: u64,
    /// How often audio came too late.
    pub underruns: u64,
    /// Samples dropped because their position had passed or was flushed.
    pub late_samples: u64,
    /// Samples dropped because they lay too far ahead or were too many.
    pub refused_samples: u64,
    /// Silence given up to catch up with a continuous stream, samples.
    pub trimmed_samples: u64,
    /// True while audio is handed out.
    pub playing: bool,
    /// True when pulling gives silence and changes nothing, until something is pushed.
    pub idle: bool,
}

impl From<&playout::PlayoutBuffer> for PlayoutState {
    fn from(buffer: &playout::PlayoutBuffer) -> Self {
        let stats = buffer.stats();
        Self {
            position: buffer.position(),
            target_ms: buffer.target_ms(),
            buffered_ms: buffer.buffered_ms(),
            concealed_ms: buffer.concealed_ms(),
            underruns: stats.underruns,
            late_samples: stats.late_samples,
            refused_samples: stats.refused_samples,
            trimmed_samples: stats.trimmed_samples,
            playing: buffer.is_playing(),
            idle: buffer.is_idle(),
        }
    }
}

/// A piece of a block for a speaker.
#[repr(C)]
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub struct Span {
    /// Where in the block it begins, samples.
    pub offset: u64,
    /// How long it is, samples.
    pub length: u64,
    /// Where on the media clock it is, samples; stands still in what is concealed or silent.
    pub position: u64,
    /// What it is.
    pub kind: SpanKind,
}

impl From<playout::Span> for Span {
    fn from(span: playout::Span) -> Self {
        Self {
            offset: span.offset as u64,
            length: span.length as u64,
            position: span.position,
            kind: span.kind.into(),
        }
    }
}

/// Writes an enum as the core has it, and the way from and to it.
macro_rules! mirrored {
    ($name:ident of $core:path { $($variant:ident,)+ }) => {
        impl From<$core> for $name {
            fn from(value: $core) -> Self {
                match value { $(<$core>::$variant => Self::$variant,)+ }
            }
        }

        impl $name {
            /// The value of a number, in the order of the header; `None` for another number.
            #[allow(dead_code, reason = "not every set is an argument")]
            pub(crate) fn numbered(number: i32) -> Option<Self> {
                let all = [$(Self::$variant,)+];
                usize::try_from(number).ok().and_then(|at| all.get(at).copied())
            }
        }

        impl From<$name> for $core {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant,)+ }
            }
        }
    };
}
pub(crate) use mirrored;

/// What a piece of a block is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum SpanKind {
    /// Bot audio at its position.
    Played,
    /// Silence that the media clock holds between two pieces; the position moves on.
    Gap,
    /// Made up to hide that audio is late; the position stands still.
    Concealed,
    /// Nothing to play; the position stands still.
    Silent,
}

mirrored!(SpanKind of playout::SpanKind { Played, Gap, Concealed, Silent, });
