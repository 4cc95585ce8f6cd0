//! A media path over WebRTC: one peer, its place on the media clock, and when it carries nothing
//! any more.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use voxwire_core::wire::{
    AudioFormat, Carrier, Codec, ErrorCode, IceCandidate, MediaAnchor, PathOpen, Payload,
    media_anchor,
};
use voxwire_media::opus::LOOKAHEAD_TICKS;
use voxwire_media::{
    AnchorMap, Datagram, MediaError, Peer, PeerOptions, PeerState, PeerStats, Sound,
};

use super::ladder::Progress;
use crate::error::Error;
use crate::{BLOCK_MS, CAPTURE_RATE, PLAYOUT_RATE};

/// RTP ticks of one sample of the playout.
const TICKS_PER_SAMPLE: u32 = 48_000 / PLAYOUT_RATE;

/// Blocks that are kept until the session takes audio (2 s).
const MAX_EARLY: usize = 100;

/// Blocks that are placed again when their anchor comes behind them (1 s).
const RECENT: usize = 50;

/// A connection that brings no packet for this long carries nothing any more, microseconds.
const SILENT_US: u64 = 1_000_000;

/// The same when the control channel has been lost.
const DOUBTED_US: u64 = 500_000;

/// How often it is looked at.
const LOOK_US: u64 = 250_000;

/// The connection of a session that ends may close before `SessionEnded` arrives.
const GRACE_US: u64 = 1_000_000;

/// What a path has for the speaker; positions are samples of the media clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Put {
    /// Audio at its position.
    Audio { sample_index: u64, samples: Vec<i16> },
    /// What was put at `misplaced` and behind it begins at `sample_index` in truth.
    Rewind { sample_index: u64, misplaced: u64 },
}

/// One path. Not in use until [`begin`](Self::begin).
#[derive(Debug)]
pub(crate) struct WebRtc {
    path_id: u32,
    peer: Peer,
    anchors: AnchorMap,
    early: VecDeque<Sound>,
    recent: VecDeque<Sound>,
    /// How far the connection has come, whatever became of it.
    furthest: PeerState,
    /// While it is in use, when it is looked at next.
    watch: Option<Watch>,
    /// Carries nothing and tells nobody, as a broken network would.
    dropped: bool,
    /// Where sockets are wanted to, and how many of these were told.
    routes: Vec<IpAddr>,
    told: usize,
}

#[derive(Debug)]
struct Watch {
    look_us: u64,
    silent_us: u64,
    /// How many packets had come when it was looked at last.
    received: u64,
    doubted: bool,
    closed_us: Option<u64>,
}

impl WebRtc {
    /// A path and the message that asks for it. It waits for nothing: where this side can be reached
    /// is told when it is known. `zero` is the moment 0 of every `now_us`; `origin` a random number.
    ///
    /// # Errors
    ///
    /// `INTERNAL`: the library cannot.
    pub(crate) fn offer(
        path_id: u32,
        zero: Instant,
        origin: u32,
        server: Option<IpAddr>,
        now_us: u64,
    ) -> Result<(Self, PathOpen), Error> {
        let options =
            PeerOptions { zero, send_rate: CAPTURE_RATE, receive_rate: PLAYOUT_RATE, origin };
        let (peer, sdp) = Peer::offer(options, now_us).map_err(error_of)?;
        let open = PathOpen {
            path_id,
            carrier: Carrier::Webrtc.into(),
            capture: Some(format(CAPTURE_RATE)),
            playout: Some(format(PLAYOUT_RATE)),
            sdp_offer: sdp,
        };
        let path = Self {
            path_id,
            peer,
            anchors: AnchorMap::new(PLAYOUT_RATE, LOOKAHEAD_TICKS),
            early: VecDeque::new(),
            recent: VecDeque::new(),
            furthest: PeerState::New,
            watch: None,
            dropped: false,
            routes: server.into_iter().collect(),
            told: 0,
        };
        Ok((path, open))
    }

    /// Takes the server's answer; sockets to its candidates are wanted from now on.
    ///
    /// # Errors
    ///
    /// `BAD_SDP`: it cannot be used.
    pub(crate) fn answered(&mut self, sdp: &str, now_us: u64) -> Result<(), Error> {
        self.peer.accept(sdp, now_us).map_err(error_of)?;
        for address in self.peer.remote_addresses() {
            if !self.routes.contains(&address) {
                self.routes.push(address);
            }
        }
        Ok(())
    }

    /// Where sockets are wanted to; each is told once.
    pub(crate) fn take_routes(&mut self) -> Vec<IpAddr> {
        let told = std::mem::replace(&mut self.told, self.routes.len());
        self.routes[told..].to_vec()
    }

    /// This side can be reached at `address`; returns what the server is to be told.
    pub(crate) fn reachable(&mut self, address: SocketAddr, now_us: u64) -> Option<Payload> {
        let candidate = self.peer.add_host(address, now_us)?;
        let (path_id, sdp_mid) = (self.path_id, self.peer.mid());
        Some(Payload::IceCandidate(IceCandidate { path_id, candidate, sdp_mid }))
    }

    /// Takes a datagram that came at `to` from `from`.
    pub(crate) fn receive(&mut self, from: SocketAddr, to: SocketAddr, data: &[u8], now_us: u64) {
        if !self.dropped {
            self.peer.receive(from, to, data, now_us);
        }
    }

    /// The next datagram to be sent.
    pub(crate) fn take_datagram(&mut self) -> Option<Datagram> {
        let datagram = self.peer.take_datagram();
        if self.dropped { None } else { datagram }
    }

    /// How far it has come, as far as the connection knows.
    pub(crate) fn progress(&self) -> Progress {
        match self.furthest {
            PeerState::New | PeerState::Closed => Progress::Answered,
            PeerState::Reached => Progress::Reached,
            PeerState::Connected => Progress::Connected,
        }
    }

    /// What came, and what was sent.
    pub(crate) fn stats(&self) -> PeerStats {
        self.peer.stats()
    }

    /// Does what is due.
    ///
    /// # Errors
    ///
    /// It is closed, or has brought nothing for too long while it is in use.
    pub(crate) fn tick(&mut self, now_us: u64) -> Result<(), Error> {
        self.peer.tick(now_us);
        let closed = self.peer.state() == PeerState::Closed;
        if !closed {
            self.furthest = self.furthest.max(self.peer.state());
        }
        let received = self.received();
        match &mut self.watch {
            None if closed => {
                let reason = "the WebRTC connection closed before it was ready";
                Err(Error::new(ErrorCode::IceFailed, reason).retryable())
            }
            None => Ok(()),
            Some(watch) => watch.look(received, closed, now_us),
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn next_due_us(&self) -> Option<u64> {
        let watch = self.watch.as_ref().map(Watch::next_due_us);
        [self.peer.next_due_us(), watch].into_iter().flatten().min()
    }

    /// The session takes audio of this path from now on.
    pub(crate) fn begin(&mut self, now_us: u64) {
        self.watch = Some(Watch {
            look_us: now_us + LOOK_US,
            silent_us: 0,
            received: self.received(),
            doubted: false,
            closed_us: None,
        });
    }

    /// The control channel was lost: silence means the same of this connection sooner.
    pub(crate) fn doubt(&mut self) {
        let received = self.received();
        if let Some(watch) = &mut self.watch {
            (watch.doubted, watch.received) = (true, received);
        }
    }

    /// Packets of audio that have come.
    fn received(&self) -> u64 {
        self.peer.stats().inbound.jitter.received
    }

    /// Carries nothing any more and tells nobody.
    pub(crate) const fn drop_silently(&mut self) {
        self.dropped = true;
    }

    /// RTP timestamp of the user's sample that is pushed next.
    pub(crate) fn next_timestamp(&self) -> u32 {
        self.peer.next_timestamp()
    }

    /// Sends the user's audio, int16 mono at 16 kHz.
    pub(crate) fn push(&mut self, samples: &[i16], now_us: u64) {
        self.peer.push(samples, now_us);
    }

    /// What came for the speaker; before the path is in use it is kept.
    pub(crate) fn take_puts(&mut self) -> Vec<Put> {
        let came = self.peer.take_sounds();
        if self.watch.is_none() {
            self.early.extend(came);
            let surplus = self.early.len().saturating_sub(MAX_EARLY);
            self.early.drain(..surplus);
            return Vec::new();
        }
        let mut puts = Vec::new();
        for sound in self.early.drain(..).chain(came) {
            let timestamp = sound.timestamp.wrapping_sub(LOOKAHEAD_TICKS);
            let sound = Sound { timestamp, ..sound };
            place(&mut self.anchors, &sound, &mut puts);
            self.recent.push_back(sound);
        }
        let surplus = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..surplus);
        puts
    }

    /// Takes an anchor; returns what overtook it, in its place.
    pub(crate) fn anchor(&mut self, anchor: &MediaAnchor) -> Vec<Put> {
        let Some(media_anchor::Position::RtpTimestamp(timestamp)) = anchor.position else {
            return Vec::new();
        };
        if anchor.track_id != 0 {
            return Vec::new();
        }
        let misplaced = self.anchors.add(timestamp, anchor.media_ms, anchor.clock_rate);
        let mut puts = Vec::new();
        if self.watch.is_none() {
            return puts;
        }
        if let Some(misplaced) = misplaced {
            let sample_index = anchor.media_ms.saturating_mul(PLAYOUT_RATE.into()) / 1000;
            puts.push(Put::Rewind { sample_index, misplaced });
        }
        for sound in &self.recent {
            let end = sound.timestamp.wrapping_add(TICKS_PER_SAMPLE * sound.samples.len() as u32);
            if end.wrapping_sub(timestamp).cast_signed() > 0 {
                place(&mut self.anchors, sound, &mut puts);
            }
        }
        puts
    }
}

impl Watch {
    /// Looks, where that is due; fails when the connection carries nothing any more. Silence is
    /// counted in looks, not by the clock: a stall of this program is none.
    fn look(&mut self, received: u64, closed: bool, now_us: u64) -> Result<(), Error> {
        let broken = || Err(Error::lost("the WebRTC connection broke"));
        if closed {
            let since_us = *self.closed_us.get_or_insert(now_us);
            return if now_us >= since_us + GRACE_US { broken() } else { Ok(()) };
        }
        if now_us >= self.look_us {
            self.look_us = now_us + LOOK_US;
            let silent = received == self.received;
            self.silent_us = if silent { self.silent_us + LOOK_US } else { 0 };
            self.doubted &= silent;
            self.received = received;
        }
        let longest_us = if self.doubted { DOUBTED_US } else { SILENT_US };
        if self.silent_us >= longest_us { broken() } else { Ok(()) }
    }

    fn next_due_us(&self) -> u64 {
        self.closed_us.map_or(self.look_us, |since_us| since_us + GRACE_US)
    }
}

/// Adds a block where it belongs.
fn place(anchors: &mut AnchorMap, sound: &Sound, puts: &mut Vec<Put>) {
    for piece in anchors.place(sound.timestamp, sound.samples.len()) {
        let samples = sound.samples[piece.start..piece.start + piece.length].to_vec();
        puts.push(Put::Audio { sample_index: piece.sample_index, samples });
    }
}

fn format(sample_rate: u32) -> AudioFormat {
    AudioFormat { codec: Codec::Opus.into(), sample_rate, num_channels: 1, block_ms: BLOCK_MS }
}

fn error_of(error: MediaError) -> Error {
    match error {
        MediaError::BadSdp => Error::new(ErrorCode::BadSdp, "the answer cannot be used"),
        MediaError::Failed(why) => Error::new(ErrorCode::Internal, format!("WebRTC: {why}")),
    }
}
