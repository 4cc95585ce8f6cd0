//! The audio of a session: over whichever path is in use, both ways.

use std::net::SocketAddr;

use voxwire_core::wire::{AudioChunk, Payload};
use voxwire_media::{Datagram, PeerStats};

use super::Core;
use super::paths::{Opened, close_of};
use super::player::Player;
use super::webrtc::Put;
use crate::event::{Event, PathChanged};

impl Core {
    /// When [`tick_paths`](Self::tick_paths) has something to do.
    pub(crate) fn media_due_us(&self) -> Option<u64> {
        if self.is_over() { self.paths.peers_due_us() } else { self.paths.next_due_us() }
    }

    /// Takes a datagram that came at `to` from `from`, for a path with a connection of its own.
    pub(crate) fn receive_datagram(
        &mut self,
        path_id: u32,
        (from, to): (SocketAddr, SocketAddr),
        data: &[u8],
        now_us: u64,
    ) {
        self.paths.receive(path_id, (from, to), data, now_us);
        self.tick_paths(now_us);
    }

    /// The next datagram to be sent, and its path.
    pub(crate) fn take_datagram(&mut self) -> Option<(u32, Datagram)> {
        self.paths.take_datagram()
    }

    /// What came over the connection in use, where it has one of its own.
    pub(crate) fn media_stats(&self) -> Option<PeerStats> {
        self.paths.stats()
    }

    /// Does what is due for the media paths, and takes what they brought.
    pub(crate) fn tick_paths(&mut self, now_us: u64) {
        if self.is_over() {
            self.paths.tick_peers(now_us);
        }
        while !self.is_over() {
            let opened = self.paths.tick(now_us);
            let out = self.paths.take_out();
            self.say(out, now_us);
            match opened {
                Ok(Some(opened)) => self.use_path(opened, now_us),
                Ok(None) => break,
                Err(error) => self.fail(error, now_us),
            }
        }
        let puts = self.paths.take_puts();
        self.put_sound(puts);
        if self.paths.open().is_none() {
            self.user.park();
            self.untold.clear();
        }
    }

    /// Gives the player what a path has for it.
    pub(super) fn put_sound(&mut self, puts: Vec<Put>) {
        let Some(player) = &mut self.player else { return };
        for put in puts {
            match put {
                Put::Audio { sample_index, samples } => player.push(sample_index, &samples),
                Put::Rewind { sample_index, misplaced } => player.rewind(sample_index, misplaced),
            }
        }
    }

    /// Plays another path from now on; with the first one the session is up.
    fn use_path(&mut self, opened: Opened, now_us: u64) {
        let Opened { path_id, carrier, sample_rate, ready, early, replaces, fallback } = opened;
        self.say(replaces.map(close_of), now_us);
        self.path_id = path_id;
        let resent = self.user.resume(&ready, now_us / 1000);
        self.untold.clear();
        if let Some(rtc) = self.paths.live().filter(|_| ready.capture.is_some()) {
            self.untold = self.user.take_kept(path_id, rtc.next_timestamp(), now_us / 1000);
        }
        let changed = PathChanged {
            path_id,
            carrier,
            resent_ms: resent.resent_ms,
            lost_ms: resent.lost_ms,
            fallback: fallback.as_ref().map(|why| why.reason),
            fallback_detail: fallback.map(|why| why.detail).unwrap_or_default(),
        };
        if let Some(player) = &mut self.player {
            self.outbox.put(Event::PathChanged(changed));
            player.take_over(carrier, now_us);
            self.tell(now_us);
        } else {
            self.player = Some(Player::new(sample_rate, carrier));
            self.begin(changed, now_us);
        }
        for mut report in std::mem::take(&mut self.unreported) {
            report.path_id = path_id;
            self.say([Payload::PlayoutReport(report)], now_us);
        }
        for chunk in early {
            self.play(&chunk);
        }
        self.send_audio(now_us);
    }

    /// Sends of the user's audio what waits, while a path takes it.
    pub(super) fn send_audio(&mut self, now_us: u64) {
        let Some(path_id) = self.paths.open() else { return };
        let (link, now_ms) = (&mut self.link, now_us / 1000);
        while let Some(chunk) = self.untold.front() {
            if !link.send(Payload::Audio(chunk.clone()), now_ms).unwrap_or(false) {
                break;
            }
            self.untold.pop_front();
        }
        if let Some(rtc) = self.paths.live() {
            self.user.send_live(now_ms, |samples| rtc.push(samples, now_us));
            return;
        }
        self.user.send(path_id, now_ms, |chunk| {
            link.send(Payload::Audio(chunk), now_ms).unwrap_or(false)
        });
    }

    /// Gives the player audio that came over the control channel.
    pub(super) fn play(&mut self, chunk: &AudioChunk) {
        let pairs = chunk.data.chunks_exact(2);
        let samples: Vec<i16> = pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        if let Some(player) = &mut self.player {
            player.push(chunk.sample_index, &samples);
        }
    }
}
