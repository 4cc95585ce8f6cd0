//! The connections of paths that have their own: datagrams, sound, and where they can be reached.

use std::net::{IpAddr, SocketAddr};

use voxwire_core::wire::MediaAnchor;
use voxwire_media::{Datagram, PeerStats};

use super::Paths;
use crate::core::webrtc::{Put, WebRtc};

impl Paths {
    /// Does what is due for connections alone: a session that is over asks for no more of them.
    pub(crate) fn tick_peers(&mut self, now_us: u64) {
        for attempt in &mut self.attempts {
            if let Some(Err(error)) = attempt.rtc.as_mut().map(|rtc| rtc.tick(now_us)) {
                attempt.failure.get_or_insert(error);
            }
        }
        let rtc = self.in_use.as_mut().and_then(|in_use| in_use.rtc.as_mut());
        if let Some(Err(error)) = rtc.map(|rtc| rtc.tick(now_us)) {
            self.break_off(error, false);
            self.end_rtc();
        }
    }

    /// When [`tick_peers`](Self::tick_peers) has something to do.
    pub(crate) fn peers_due_us(&self) -> Option<u64> {
        self.peers().filter_map(|(_, rtc)| rtc.next_due_us()).min()
    }

    /// Takes an anchor; returns what overtook it, in its place, where that path is in use.
    pub(crate) fn anchor(&mut self, anchor: &MediaAnchor) -> Vec<Put> {
        self.rtc(anchor.path_id).map_or_else(Vec::new, |rtc| rtc.anchor(anchor))
    }

    /// What came over WebRTC for the speaker.
    pub(crate) fn take_puts(&mut self) -> Vec<Put> {
        for attempt in &mut self.attempts {
            if let Some(rtc) = &mut attempt.rtc {
                rtc.take_puts();
            }
        }
        let rtc = self.in_use.as_mut().and_then(|in_use| in_use.rtc.as_mut());
        rtc.map_or_else(Vec::new, |rtc| rtc.take_puts())
    }

    /// The connection of the path in use, where it has one of its own.
    pub(crate) fn live(&mut self) -> Option<&mut WebRtc> {
        self.in_use.as_mut()?.rtc.as_deref_mut()
    }

    /// What came over the connection in use, and was sent.
    pub(crate) fn stats(&self) -> Option<PeerStats> {
        self.in_use.as_ref()?.rtc.as_ref().map(|rtc| rtc.stats())
    }

    /// True while there is a path with a connection of its own.
    pub(crate) fn has_peers(&self) -> bool {
        self.peers().next().is_some()
    }

    /// Numbers of the paths with connections of their own.
    pub(crate) fn peer_ids(&self) -> Vec<u32> {
        self.peers().map(|(path_id, _)| path_id).collect()
    }

    /// Where sockets are wanted to, by path; each is told once.
    pub(crate) fn take_routes(&mut self) -> Vec<(u32, IpAddr)> {
        let mut routes = Vec::new();
        for (path_id, rtc) in self.peers_mut() {
            routes.extend(rtc.take_routes().into_iter().map(|route| (path_id, route)));
        }
        routes
    }

    /// This side can be reached at `address` for a path.
    pub(crate) fn reachable(&mut self, path_id: u32, address: SocketAddr, now_us: u64) {
        let told = self.rtc(path_id).and_then(|rtc| rtc.reachable(address, now_us));
        self.out.extend(told);
    }

    /// Takes a datagram for a path.
    pub(crate) fn receive(
        &mut self,
        path_id: u32,
        (from, to): (SocketAddr, SocketAddr),
        data: &[u8],
        now_us: u64,
    ) {
        if let Some(rtc) = self.rtc(path_id) {
            rtc.receive(from, to, data, now_us);
        }
    }

    /// The next datagram to be sent, and its path.
    pub(crate) fn take_datagram(&mut self) -> Option<(u32, Datagram)> {
        self.peers_mut()
            .find_map(|(path_id, rtc)| rtc.take_datagram().map(|datagram| (path_id, datagram)))
    }

    fn rtc(&mut self, path_id: u32) -> Option<&mut WebRtc> {
        self.peers_mut().find(|(id, _)| *id == path_id).map(|(_, rtc)| rtc)
    }

    fn peers(&self) -> impl Iterator<Item = (u32, &WebRtc)> {
        let in_use = self.in_use.iter().map(|in_use| (in_use.path_id, &in_use.rtc));
        let tried = self.attempts.iter().map(|attempt| (attempt.path_id, &attempt.rtc));
        in_use.chain(tried).filter_map(|(path_id, rtc)| Some((path_id, rtc.as_deref()?)))
    }

    fn peers_mut(&mut self) -> impl Iterator<Item = (u32, &mut WebRtc)> {
        let in_use = self.in_use.iter_mut().map(|in_use| (in_use.path_id, &mut in_use.rtc));
        let tried = self.attempts.iter_mut().map(|attempt| (attempt.path_id, &mut attempt.rtc));
        in_use.chain(tried).filter_map(|(path_id, rtc)| Some((path_id, rtc.as_deref_mut()?)))
    }

    /// Lets the path in use fall silent without telling anybody; false if it cannot.
    pub(crate) fn drop_silently(&mut self) -> bool {
        let rtc = self.in_use.as_mut().and_then(|in_use| in_use.rtc.as_mut());
        rtc.map(|rtc| rtc.drop_silently()).is_some()
    }
}
