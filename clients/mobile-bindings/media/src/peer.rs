//! One connection with one audio section both ways.
//!
//! The one who offers: [`Peer::offer`], then [`Peer::accept`] with the answer. The other:
//! [`Peer::answer`]. Both: [`Peer::add_host`] for every socket, [`Peer::receive`] for every
//! datagram, [`Peer::take_datagram`] until there is none, [`Peer::tick`] when it is due.

mod sdp;

use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};
use voxwire_core::jitter::Packet;

use crate::crypto;
use crate::inbound::{Inbound, InboundStats, Sound};
use crate::opus::OpusError;
use crate::outbound::{Frame, Outbound};

/// Sounds that wait to be taken at most; the oldest give way (10 s).
const MAX_SOUNDS: usize = 500;

/// What a connection is made with.
#[derive(Clone, Copy, Debug)]
pub struct PeerOptions {
    /// The moment 0 of every `now_us`.
    pub zero: Instant,
    /// Rate of what is sent, Hz, one of [`SAMPLE_RATES`](crate::opus::SAMPLE_RATES).
    pub send_rate: u32,
    /// Rate of what is received, Hz, one of the same.
    pub receive_rate: u32,
    /// A random number: where the RTP timestamps of what is sent begin.
    pub origin: u32,
}

/// Why something of a connection is not to be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MediaError {
    /// The description cannot be used; nothing of it is quoted.
    BadSdp,
    /// A library failed.
    Failed(String),
}

impl Display for MediaError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSdp => formatter.write_str("the session description cannot be used"),
            Self::Failed(why) => formatter.write_str(why),
        }
    }
}

impl std::error::Error for MediaError {}

impl From<OpusError> for MediaError {
    fn from(error: OpusError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PeerState {
    /// No packet has gone there and back.
    New,
    /// ICE has found a way.
    Reached,
    /// Audio can flow.
    Connected,
    /// It is over.
    Closed,
}

/// A datagram that is to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Datagram {
    /// The address of this side that it is to leave from, one of those that were added.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// What it says.
    pub data: Vec<u8>,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PeerStats {
    /// On the way in.
    pub inbound: InboundStats,
    /// Packets of audio that were sent.
    pub sent: u64,
}

/// One side of a connection. Owned by one session.
pub struct Peer {
    rtc: Rtc,
    zero: Instant,
    mid: Option<Mid>,
    pending: Option<SdpPendingOffer>,
    /// Where the other side says that it is.
    remote: Vec<IpAddr>,
    state: PeerState,
    inbound: Inbound,
    outbound: Outbound,
    first_number: u64,
    sent: u64,
    due_us: Option<u64>,
    datagrams: VecDeque<Datagram>,
    sounds: VecDeque<Sound>,
}

impl fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Peer").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Peer {
    fn new(options: PeerOptions, now_us: u64) -> Result<Self, MediaError> {
        let PeerOptions { zero, send_rate, receive_rate, origin } = options;
        let config = RtcConfig::new()
            .set_crypto_provider(crypto::provider())
            .clear_codecs()
            .enable_opus(true, false)
            .set_rtp_mode(true)
            .set_stats_interval(None);
        Ok(Self {
            rtc: config.build(zero + Duration::from_micros(now_us)),
            zero,
            mid: None,
            pending: None,
            remote: Vec::new(),
            state: PeerState::New,
            inbound: Inbound::new(receive_rate)?,
            outbound: Outbound::new(send_rate, origin)?,
            first_number: u64::from(origin & 0x7FFF),
            sent: 0,
            due_us: Some(now_us),
            datagrams: VecDeque::new(),
            sounds: VecDeque::new(),
        })
    }

    /// A connection, and the SDP offer for it. Without candidates: they are added, and told, as soon
    /// as they are known.
    ///
    /// # Errors
    ///
    /// A library failed.
    pub fn offer(options: PeerOptions, now_us: u64) -> Result<(Self, String), MediaError> {
        let mut peer = Self::new(options, now_us)?;
        let mut change = peer.rtc.sdp_api();
        let mid = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let no_change = || MediaError::Failed("there is nothing to offer".into());
        let (offer, pending) = change.apply().ok_or_else(no_change)?;
        (peer.mid, peer.pending) = (Some(mid), Some(pending));
        Ok((peer, offer.to_sdp_string()))
    }

    /// A connection for an offer, and the SDP answer to it.
    ///
    /// # Errors
    ///
    /// `BadSdp`; a library failed.
    pub fn answer(
        options: PeerOptions,
        offer: &str,
        now_us: u64,
    ) -> Result<(Self, String), MediaError> {
        let mut peer = Self::new(options, now_us)?;
        let parsed = SdpOffer::from_sdp_string(offer).map_err(|_| MediaError::BadSdp)?;
        let answer = peer.rtc.sdp_api().accept_offer(parsed).map_err(|_| MediaError::BadSdp)?;
        let answer = answer.to_sdp_string();
        peer.mid = Some(sdp::audio_mid(&answer).ok_or(MediaError::BadSdp)?.into());
        peer.opus().ok_or(MediaError::BadSdp)?;
        peer.remote = sdp::addresses(offer);
        peer.poll(now_us);
        Ok((peer, answer))
    }

    /// Takes the answer; the connection starts.
    ///
    /// # Errors
    ///
    /// `BadSdp`: it is no answer to this offer.
    pub fn accept(&mut self, answer: &str, now_us: u64) -> Result<(), MediaError> {
        let pending = self.pending.take().ok_or(MediaError::BadSdp)?;
        let parsed = SdpAnswer::from_sdp_string(answer).map_err(|_| MediaError::BadSdp)?;
        self.handle(Input::Timeout(self.moment(now_us))); // the handshake's time counts from here
        self.rtc.sdp_api().accept_answer(pending, parsed).map_err(|_| MediaError::BadSdp)?;
        self.opus().ok_or(MediaError::BadSdp)?;
        self.remote = sdp::addresses(answer);
        self.poll(now_us);
        Ok(())
    }

    /// Name of the audio section, as candidates are told with.
    #[must_use]
    pub fn mid(&self) -> String {
        self.mid.map(|mid| mid.to_string()).unwrap_or_default()
    }

    /// Addresses of the other side that its description names.
    #[must_use]
    pub fn remote_addresses(&self) -> Vec<IpAddr> {
        self.remote.clone()
    }

    /// This side has a socket at `address`. Returns the candidate for the other side; `None` = it
    /// was there already, or cannot be used.
    pub fn add_host(&mut self, address: SocketAddr, now_us: u64) -> Option<String> {
        let candidate = Candidate::host(address, "udp").ok()?;
        let told = self.rtc.add_local_candidate(candidate)?.to_sdp_string();
        self.poll(now_us);
        Some(told)
    }

    /// Takes one more candidate of the other side.
    ///
    /// # Errors
    ///
    /// `BadSdp`: it is none.
    pub fn add_remote(&mut self, candidate: &str, now_us: u64) -> Result<(), MediaError> {
        let candidate = Candidate::from_sdp_string(candidate).map_err(|_| MediaError::BadSdp)?;
        self.rtc.add_remote_candidate(candidate);
        self.poll(now_us);
        Ok(())
    }

    /// How far it is.
    #[must_use]
    pub const fn state(&self) -> PeerState {
        self.state
    }

    /// A copy of the counters.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        PeerStats { inbound: self.inbound.stats(), sent: self.sent }
    }

    /// Takes a datagram that came from `from` to `to`, one of the addresses that were added. What is
    /// not of this connection is passed over.
    pub fn receive(&mut self, from: SocketAddr, to: SocketAddr, data: &[u8], now_us: u64) {
        let Ok(received) = Receive::new(Protocol::Udp, from, to, data) else { return };
        let input = Input::Receive(self.moment(now_us), received);
        if self.rtc.accepts(&input) {
            self.handle(input);
        }
        self.poll(now_us);
    }

    /// Does what is due.
    pub fn tick(&mut self, now_us: u64) {
        if self.due_us.is_some_and(|due_us| now_us >= due_us) {
            self.handle(Input::Timeout(self.moment(now_us)));
        }
        self.poll(now_us);
    }

    /// When [`tick`](Self::tick) has something to do, microseconds.
    #[must_use]
    pub fn next_due_us(&self) -> Option<u64> {
        if self.state == PeerState::Closed {
            return None;
        }
        let media = [self.inbound.next_due_us(), self.outbound.next_due_us()];
        media.into_iter().chain([self.due_us]).flatten().min()
    }

    /// The next datagram to be sent.
    pub fn take_datagram(&mut self) -> Option<Datagram> {
        self.datagrams.pop_front()
    }

    /// What was heard since it was last asked. At most 10 s are kept.
    pub fn take_sounds(&mut self) -> VecDeque<Sound> {
        std::mem::take(&mut self.sounds)
    }

    /// RTP timestamp of the sample that is pushed next.
    #[must_use]
    pub fn next_timestamp(&self) -> u32 {
        self.outbound.next_timestamp()
    }

    /// Sends audio, int16 mono; nothing before the connection is there.
    pub fn push(&mut self, samples: &[i16], now_us: u64) {
        let frames = self.outbound.push(samples, now_us).unwrap_or_default();
        for frame in frames {
            self.write(frame, now_us);
        }
        self.poll(now_us);
    }

    /// Ends it; the other side is told where that is still possible.
    pub fn close(&mut self, now_us: u64) {
        if self.rtc.close().is_err() {
            self.rtc.disconnect();
        }
        self.poll(now_us);
        self.rtc.disconnect();
        self.state = PeerState::Closed;
    }

    /// Hands an input to the library. One that it fails of is the end.
    fn handle(&mut self, input: Input<'_>) {
        if self.rtc.handle_input(input).is_err() {
            self.rtc.disconnect();
        }
    }

    /// Takes what the library has, until it has nothing more; sends the silence that is due.
    fn poll(&mut self, now_us: u64) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.due_us = self.us_of(at);
                    match self.outbound.tick(now_us) {
                        Ok(Some(frame)) => self.write(frame, now_us),
                        _ => break,
                    }
                }
                Ok(Output::Transmit(sent)) => self.datagrams.push_back(Datagram {
                    from: sent.source,
                    to: sent.destination,
                    data: sent.contents.to_vec(),
                }),
                Ok(Output::Event(event)) => self.happen(event, now_us),
                Err(_) => {
                    self.rtc.disconnect();
                    break;
                }
            }
        }
        if !self.rtc.is_alive() {
            self.state = PeerState::Closed;
        }
        self.sounds.extend(self.inbound.pop(now_us));
        let surplus = self.sounds.len().saturating_sub(MAX_SOUNDS);
        self.sounds.drain(..surplus);
    }

    fn happen(&mut self, event: Event, now_us: u64) {
        match event {
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) => self.state = self.state.max(PeerState::Reached),
            Event::Connected => {
                self.state = self.state.max(PeerState::Connected);
                self.outbound.begin(now_us);
            }
            Event::Closed => self.state = PeerState::Closed,
            Event::RtpPacket(packet) if self.opus() == Some(packet.header.payload_type) => {
                let taken = Packet {
                    sequence_number: packet.header.sequence_number,
                    timestamp: packet.header.timestamp,
                    payload: packet.payload.to_vec(),
                };
                // A codec that cannot be made again leaves silence.
                let _ = self.inbound.push(*packet.header.ssrc, taken, now_us);
            }
            _ => {}
        }
    }

    /// The payload type that was agreed on.
    fn opus(&self) -> Option<Pt> {
        let codecs = self.rtc.codec_config();
        codecs.find(|found| found.spec().codec == Codec::Opus).map(PayloadParams::pt)
    }

    fn write(&mut self, frame: Frame, now_us: u64) {
        let (Some(payload_type), Some(mid)) = (self.opus(), self.mid) else { return };
        let at = self.moment(now_us);
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, None) else { return };
        let number = (self.first_number + frame.number).into();
        let packet = RtpWrite::new(payload_type, number, frame.timestamp, at, frame.payload);
        stream.write_rtp(packet);
        self.sent += 1;
    }

    fn moment(&self, now_us: u64) -> Instant {
        self.zero + Duration::from_micros(now_us)
    }

    /// Microseconds of a moment; `None` = it is too far off to count.
    fn us_of(&self, at: Instant) -> Option<u64> {
        const DAY: Duration = Duration::from_secs(86_400);
        let since = at.saturating_duration_since(self.zero);
        if since > DAY * 365 { None } else { Some(since.as_micros() as u64 + 1) }
    }
}

#[cfg(test)]
mod tests;
