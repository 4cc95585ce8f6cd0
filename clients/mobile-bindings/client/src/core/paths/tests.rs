use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use voxwire_core::wire::{
    AudioChunk, AudioFormat, Carrier, ErrorCode, MediaAnchor, PathAnswer, PathClose, PathOpen,
    PathReady, Payload, media_anchor,
};
use voxwire_media::{Peer, PeerOptions};

use super::{Opened, Paths, PathsWanted, close_of};
use crate::core::memory::{CarrierMemory, Remembered};
use crate::core::webrtc::Put;
use crate::error::Error;
use crate::event::FallbackReason;

const S: u64 = 1_000_000;
const BOTH: [Carrier; 2] = [Carrier::Webrtc, Carrier::Websocket];

fn paths(carriers: &[Carrier], memory: &Arc<CarrierMemory>) -> Paths {
    let mut paths = Paths::new(PathsWanted {
        carriers: carriers.to_vec(),
        keep: true,
        remembered: Remembered::new(Arc::clone(memory), "ws://host:1".into()),
        zero: Instant::now(),
        seed: 5,
    });
    paths.server_at(Some("10.0.0.2".parse().unwrap()));
    paths
}

fn websocket() -> Paths {
    paths(&[Carrier::Websocket], &Arc::default())
}

/// Ticks; returns what is sent and what was opened.
fn tick(paths: &mut Paths, now_us: u64) -> Result<(Vec<Payload>, Option<Opened>), Error> {
    let opened = paths.tick(now_us)?;
    Ok((paths.take_out(), opened))
}

/// The paths that are asked for now.
fn asks(paths: &mut Paths, now_us: u64) -> Vec<PathOpen> {
    let (out, _) = tick(paths, now_us).unwrap();
    let open = |payload| match payload {
        Payload::PathOpen(open) => Some(open),
        _ => None,
    };
    out.into_iter().filter_map(open).collect()
}

fn numbers(asked: &[PathOpen]) -> Vec<(u32, Carrier)> {
    asked.iter().map(|open| (open.path_id, open.carrier())).collect()
}

fn ready(path_id: u32) -> PathReady {
    PathReady { path_id, ..PathReady::default() }
}

fn close(path_id: u32) -> PathClose {
    PathClose { path_id, ..PathClose::default() }
}

fn opened() -> Paths {
    let mut paths = websocket();
    assert_eq!(numbers(&asks(&mut paths, 0)), [(1, Carrier::Websocket)]);
    paths.welcome(0);
    paths.ready(ready(1));
    assert_eq!(tick(&mut paths, 0).unwrap().1.unwrap().sample_rate, 24_000);
    paths
}

/// The server's end of a WebRTC path, and the network between the two.
struct Far {
    path_id: u32,
    peer: Peer,
    answer: PathAnswer,
}

fn near_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1000))
}

impl Far {
    /// Answers an offer.
    fn new(open: &PathOpen, now_us: u64) -> Self {
        let options = PeerOptions {
            zero: Instant::now(),
            send_rate: 24_000,
            receive_rate: 16_000,
            origin: 0,
        };
        let (mut peer, sdp) = Peer::answer(options, &open.sdp_offer, now_us).unwrap();
        let address = SocketAddr::from(([10, 0, 0, 2], 2000));
        let candidate = peer.add_host(address, now_us).unwrap();
        let answer = PathAnswer {
            path_id: open.path_id,
            sdp_answer: format!("{sdp}a={candidate}\r\n"),
            ..PathAnswer::default()
        };
        Self { path_id: open.path_id, peer, answer }
    }

    /// Lets time pass, a millisecond at a time, in which datagrams go both ways; returns what was
    /// opened meanwhile.
    fn run(&mut self, paths: &mut Paths, now_us: &mut u64, duration_us: u64) -> Option<Opened> {
        let mut found = None;
        let end_us = *now_us + duration_us;
        while *now_us < end_us {
            *now_us += 1000;
            self.peer.tick(*now_us);
            while let Some(datagram) = self.peer.take_datagram() {
                let way = (datagram.from, datagram.to);
                paths.receive(self.path_id, way, &datagram.data, *now_us);
            }
            while let Some((path_id, datagram)) = paths.take_datagram() {
                if path_id == self.path_id {
                    self.peer.receive(datagram.from, datagram.to, &datagram.data, *now_us);
                }
            }
            let (_, opened) = tick(paths, *now_us).unwrap();
            found = found.or(opened);
        }
        found
    }
}

/// A session on WebRTC: its paths, the far end, and what time it is.
fn on_webrtc(carriers: &[Carrier], memory: &Arc<CarrierMemory>) -> (Paths, Far, u64) {
    let mut paths = paths(carriers, memory);
    let asked = asks(&mut paths, 0);
    assert_eq!(numbers(&asked), [(1, Carrier::Webrtc)]);
    paths.welcome(0);
    assert_eq!(paths.take_routes(), [(1, "10.0.0.2".parse().unwrap())]);
    paths.reachable(1, near_address(), 0);
    let told = paths.take_out();
    assert!(matches!(&told[..], [Payload::IceCandidate(it)] if it.path_id == 1), "{told:?}");
    let mut far = Far::new(&asked[0], 0);
    paths.answered(&far.answer, 0);
    let mut now_us = 0;
    assert!(far.run(&mut paths, &mut now_us, S / 2).is_none(), "the server is not ready");
    paths.ready(ready(1));
    let opened = tick(&mut paths, now_us).unwrap().1.unwrap();
    assert_eq!((opened.path_id, opened.carrier, opened.fallback), (1, Carrier::Webrtc, None));
    (paths, far, now_us)
}

#[test]
fn audio_that_comes_before_its_path_is_ready_is_kept() {
    let mut paths = websocket();
    asks(&mut paths, 0);
    let chunk = |path_id| AudioChunk { path_id, ..AudioChunk::default() };
    assert_eq!(paths.audio(chunk(1)), None);
    assert_eq!(paths.audio(chunk(2)), None, "no such path");
    let playout = Some(AudioFormat { sample_rate: 16_000, ..AudioFormat::default() });
    paths.answered(&PathAnswer { path_id: 1, playout, ..PathAnswer::default() }, 0);
    paths.ready(ready(1));
    let opened = tick(&mut paths, 0).unwrap().1.unwrap();
    assert_eq!((opened.early.len(), opened.sample_rate), (1, 16_000));
    assert!(paths.audio(chunk(1)).is_some());
}

#[test]
fn a_path_that_the_server_gives_up_is_replaced_and_the_first_one_has_to_be_had() {
    let mut paths = opened();
    paths.closed(&close(1));
    assert_eq!(paths.open(), None);
    assert_eq!(numbers(&asks(&mut paths, 5)), [(2, Carrier::Websocket)]);
    let mut first = websocket();
    asks(&mut first, 0);
    first.closed(&close(1));
    assert_eq!(tick(&mut first, 0).unwrap_err().code, ErrorCode::Unsupported);
}

#[test]
fn with_the_control_channel_goes_the_path_and_another_one_is_asked_for_when_it_is_back() {
    let mut paths = opened();
    paths.detached();
    assert_eq!((paths.open(), asks(&mut paths, 10).len()), (None, 0));
    paths.attached(false);
    assert_eq!(numbers(&asks(&mut paths, 20)), [(2, Carrier::Websocket)]);
    assert!(asks(&mut paths, 20).is_empty(), "asked for already");
    paths.detached();
    paths.attached(false);
    let (out, _) = tick(&mut paths, 30).unwrap();
    assert_eq!(out[0], close_of(2), "what was asked for is given up");
    assert!(matches!(&out[1..], [Payload::PathOpen(open)] if open.path_id == 3));
}

#[test]
fn a_path_that_never_becomes_ready_is_asked_for_again_and_then_it_is_the_end() {
    let mut paths = opened();
    paths.detached();
    paths.attached(false);
    let (mut now_us, mut tries) = (0, 0);
    let error = loop {
        match tick(&mut paths, now_us) {
            Ok((out, _)) => {
                tries += out.iter().filter(|it| matches!(it, Payload::PathOpen(_))).count();
            }
            Err(error) => break error,
        }
        let due_us = paths.next_due_us().unwrap();
        assert!(due_us > now_us, "it waits");
        now_us = due_us;
    };
    assert_eq!((error.code, tries), (ErrorCode::Timeout, 5));
}

#[test]
fn a_session_that_is_not_kept_ends_with_its_path() {
    let mut paths = opened();
    paths.wanted.keep = false;
    paths.closed(&close(1));
    assert_eq!(tick(&mut paths, 0).unwrap_err().code, ErrorCode::ConnectionLost);
}

#[test]
fn audio_comes_over_webrtc_and_goes_where_its_anchor_says_though_it_comes_behind() {
    let (mut paths, mut far, mut now_us) = on_webrtc(&BOTH, &Arc::default());
    let timestamp = far.peer.next_timestamp();
    far.peer.push(&[4000; 480], now_us);
    far.run(&mut paths, &mut now_us, 3000);
    assert!(paths.take_puts().is_empty(), "it has no place yet");
    let position = Some(media_anchor::Position::RtpTimestamp(timestamp));
    let anchor = MediaAnchor {
        path_id: 1,
        media_ms: 500,
        clock_rate: 48_000,
        position,
        ..MediaAnchor::default()
    };
    let puts = paths.anchor(&anchor);
    let end = |put: &Put| match put {
        Put::Audio { sample_index, samples } => sample_index + samples.len() as u64,
        Put::Rewind { .. } => 0,
    };
    assert_eq!(puts.iter().map(end).max(), Some(12_000 + 480 - 156), "but for the look-ahead");
    paths.live().unwrap().push(&[4000; 320], now_us);
    far.run(&mut paths, &mut now_us, 3000);
    assert!(!far.peer.take_sounds().is_empty());
}

#[test]
fn webrtc_lives_on_without_a_control_channel_and_dies_of_silence() {
    let (mut paths, mut far, mut now_us) = on_webrtc(&BOTH, &Arc::default());
    paths.detached();
    far.run(&mut paths, &mut now_us, 3 * S);
    assert_eq!(paths.open(), Some(1));
    paths.attached(false);
    assert!(paths.drop_silently());
    let since_us = now_us;
    while paths.open().is_some() {
        far.run(&mut paths, &mut now_us, 10_000);
    }
    let took_us = now_us - since_us;
    assert!((S..=S + S / 2).contains(&took_us), "{took_us}");
}

#[test]
fn silence_means_the_end_sooner_when_the_control_channel_is_lost_too() {
    let (mut paths, mut far, mut now_us) = on_webrtc(&BOTH, &Arc::default());
    assert!(paths.drop_silently());
    paths.detached();
    let since_us = now_us;
    while paths.open().is_some() {
        far.run(&mut paths, &mut now_us, 10_000);
    }
    assert!(now_us - since_us <= S, "{}", now_us - since_us);
    paths.attached(false);
    let (out, _) = tick(&mut paths, now_us).unwrap();
    let asked = out.iter().any(|it| matches!(it, Payload::PathOpen(open) if open.path_id == 2));
    assert!(asked, "{out:?}");
}

#[test]
fn a_path_that_is_replaced_without_the_server_knowing_is_given_up() {
    let (mut paths, mut far, mut now_us) = on_webrtc(&[Carrier::Webrtc], &Arc::default());
    paths.attached(true);
    assert_eq!(paths.open(), Some(1), "it carries on while it can");
    let asked = asks(&mut paths, now_us);
    assert_eq!(numbers(&asked), [(2, Carrier::Webrtc)]);
    paths.reachable(2, near_address(), now_us);
    far = {
        drop(far);
        Far::new(&asked[0], now_us)
    };
    paths.answered(&far.answer, now_us);
    far.run(&mut paths, &mut now_us, S / 2);
    paths.ready(ready(2));
    let opened = tick(&mut paths, now_us).unwrap().1.unwrap();
    assert_eq!((opened.path_id, opened.replaces), (2, Some(1)));
}

#[test]
fn the_websocket_is_asked_for_beside_webrtc_that_takes_long_and_webrtc_is_tried_on() {
    let memory = Arc::default();
    let mut paths = paths(&BOTH, &memory);
    let asked = asks(&mut paths, 0);
    paths.welcome(0);
    let mut far = Far::new(&asked[0], 0);
    paths.answered(&far.answer, 200_000);
    assert!(asks(&mut paths, S).is_empty());
    assert_eq!(numbers(&asks(&mut paths, 1_700_000)), [(2, Carrier::Websocket)]);
    paths.ready(ready(2));
    let opened = tick(&mut paths, 1_800_000).unwrap().1.unwrap();
    let fallback = opened.fallback.unwrap();
    assert_eq!((opened.path_id, fallback.reason), (2, FallbackReason::IceFailed));
    let mut now_us = 1_800_000;
    paths.reachable(1, near_address(), now_us);
    far.run(&mut paths, &mut now_us, S);
    paths.ready(ready(1));
    let opened = tick(&mut paths, now_us).unwrap().1.unwrap();
    assert_eq!((opened.path_id, opened.replaces, opened.fallback), (1, Some(2), None));
    assert_eq!(paths.wanted.remembered.failure(paths.moment(now_us)), None, "it has worked");
}

#[test]
fn webrtc_that_is_refused_is_not_waited_for_and_not_tried_again() {
    let mut paths = paths(&BOTH, &Arc::default());
    asks(&mut paths, 0);
    paths.welcome(0);
    let code = ErrorCode::MissingExtra.into();
    paths.refused(code, "no WebRTC here", "");
    let (out, _) = tick(&mut paths, 10).unwrap();
    let said: Vec<_> = out.iter().map(|it| matches!(it, Payload::PathOpen(_))).collect();
    assert_eq!(said, [false, true], "{out:?}");
    paths.ready(ready(2));
    let opened = tick(&mut paths, 20).unwrap().1.unwrap();
    let fallback = opened.fallback.unwrap();
    assert_eq!(
        (fallback.reason, &*fallback.detail),
        (FallbackReason::NotOffered, "no WebRTC here")
    );
    assert_eq!(paths.next_due_us(), None);
}

#[test]
fn a_failure_is_remembered_by_the_next_session_which_goes_back_to_webrtc_later() {
    let memory = Arc::default();
    let mut before = paths(&BOTH, &memory);
    asks(&mut before, 0);
    before.welcome(0);
    asks(&mut before, 3 * S);
    before.ready(ready(2));
    let opened = tick(&mut before, 3 * S).unwrap().1.unwrap();
    assert_eq!(opened.fallback.unwrap().reason, FallbackReason::TimedOut);

    let mut next = paths(&BOTH, &memory);
    assert_eq!(numbers(&asks(&mut next, 0)), [(1, Carrier::Websocket)]);
    next.welcome(0);
    next.ready(ready(1));
    let opened = tick(&mut next, 0).unwrap().1.unwrap();
    assert!(opened.fallback.unwrap().detail.starts_with("not tried first"));
    assert_eq!(next.next_due_us(), Some(15 * S));
    assert_eq!(numbers(&asks(&mut next, 15 * S)), [(2, Carrier::Webrtc)]);
    let late_us = 23 * S;
    let (out, _) = tick(&mut next, late_us).unwrap();
    assert_eq!(out, [close_of(2)]);
    assert_eq!(next.next_due_us(), Some(late_us + 30 * S), "then after twice as long");
}

#[test]
fn a_path_that_was_given_up_and_became_ready_all_the_same_has_replaced_the_one_in_use() {
    let mut paths = opened();
    paths.ready(ready(9));
    assert_eq!(paths.open(), None);
    let (out, _) = tick(&mut paths, 10).unwrap();
    assert!(matches!(&out[..], [Payload::PathOpen(open)] if open.path_id == 2), "{out:?}");
}

#[test]
fn an_answer_that_cannot_be_used_is_told_as_such() {
    let mut paths = paths(&[Carrier::Webrtc], &Arc::default());
    asks(&mut paths, 0);
    paths.welcome(0);
    let sdp_answer = "v=0\r\n".to_owned();
    paths.answered(&PathAnswer { path_id: 1, sdp_answer, ..PathAnswer::default() }, 5);
    assert_eq!(tick(&mut paths, 5).unwrap_err().code, ErrorCode::BadSdp);
}

#[test]
fn a_connection_that_closes_before_it_is_ready_is_not_waited_for() {
    let mut paths = paths(&BOTH, &Arc::default());
    let asked = asks(&mut paths, 0);
    paths.welcome(0);
    paths.reachable(1, near_address(), 0);
    let mut far = Far::new(&asked[0], 0);
    paths.answered(&far.answer, 0);
    paths.answered(&far.answer, 0); // said twice, it is the same
    let mut now_us = 0;
    far.run(&mut paths, &mut now_us, S / 2);
    assert_eq!(numbers(&asks(&mut paths, now_us)), []);
    far.peer.close(now_us);
    while let Some(datagram) = far.peer.take_datagram() {
        paths.receive(1, (datagram.from, datagram.to), &datagram.data, now_us);
    }
    assert_eq!(numbers(&asks(&mut paths, now_us)), [(2, Carrier::Websocket)]);
}

#[test]
fn behind_a_proxy_the_way_to_the_server_is_known_from_its_answer() {
    let mut paths = paths(&[Carrier::Webrtc], &Arc::default());
    paths.server_at(None);
    let asked = asks(&mut paths, 0);
    paths.welcome(0);
    assert_eq!(paths.take_routes(), []);
    paths.answered(&Far::new(&asked[0], 0).answer, 0);
    assert_eq!(paths.take_routes(), [(1, "10.0.0.2".parse().unwrap())]);
}

#[test]
fn an_offer_holds_for_as_long_as_its_session_waits_for_a_place() {
    let mut paths = paths(&BOTH, &Arc::default());
    let asked = asks(&mut paths, 0);
    paths.reachable(1, near_address(), 0);
    let mut now_us = 0;
    while now_us < 120 * S {
        now_us += S / 10;
        assert_eq!(numbers(&asks(&mut paths, now_us)), [], "{now_us}");
    }
    paths.welcome(now_us);
    let mut far = Far::new(&asked[0], now_us);
    paths.answered(&far.answer, now_us);
    far.run(&mut paths, &mut now_us, S / 2);
    paths.ready(ready(1));
    let opened = tick(&mut paths, now_us).unwrap().1.unwrap();
    assert_eq!((opened.carrier, opened.fallback), (Carrier::Webrtc, None));
}
