//! Two peers in memory, in virtual time, over a network with weather.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Datagram, MediaError, Peer, PeerOptions, PeerState};
use crate::level::level_db;
use crate::opus::{CLOCK_RATE, LOOKAHEAD_TICKS};

const MS: u64 = 1000;
const BLOCK: usize = 320;

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug)]
struct Weather {
    /// Of a thousand, how many are lost.
    lost: u64,
    /// Of a thousand, how many come twice.
    doubled: u64,
    delay_us: u64,
    /// How much longer one may take than another: they overtake each other.
    jitter_us: u64,
}

const FAIR: Weather = Weather { lost: 0, doubled: 0, delay_us: 20 * MS, jitter_us: 0 };

struct Flying {
    at_us: u64,
    to_first: bool,
    datagram: Datagram,
}

/// Two peers and what is between them.
struct Net {
    now_us: u64,
    peers: Vec<Peer>,
    flying: Vec<Flying>,
    weather: Weather,
    /// Addresses that nothing reaches any more.
    dead: Vec<SocketAddr>,
    /// RTP packets that the second one sent and that were lost.
    lost: u64,
    chance: u64,
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 5000))
}

fn options(origin: u32) -> PeerOptions {
    PeerOptions { zero: Instant::now(), send_rate: 16_000, receive_rate: 24_000, origin }
}

impl Net {
    /// Two peers that know each other's descriptions; the second one has its socket already.
    fn new() -> Self {
        let (mut first, offer) = Peer::offer(options(u32::MAX - 10_000), 0).unwrap();
        let (mut second, answer) = Peer::answer(options(7), &offer, 0).unwrap();
        let candidate = second.add_host(address(2), 0).unwrap();
        first.accept(&answer, 0).unwrap();
        first.add_remote(&candidate, 0).unwrap();
        Self {
            now_us: 0,
            peers: vec![first, second],
            flying: Vec::new(),
            weather: FAIR,
            dead: Vec::new(),
            lost: 0,
            chance: 1,
        }
    }

    /// The same, connected.
    fn connected() -> Self {
        let mut net = Self::new();
        net.peers[0].add_host(address(1), 0);
        net.run(1000, |_| {});
        assert_eq!(net.states(), [PeerState::Connected; 2]);
        net
    }

    fn states(&self) -> [PeerState; 2] {
        [self.peers[0].state(), self.peers[1].state()]
    }

    /// A number below `limit`, by a generator of its own (Knuth's MMIX).
    fn random(&mut self, limit: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.chance >> 33) % limit.max(1)
    }

    /// Lets so much time pass, milliseconds; `each` is called every 20 ms.
    fn run(&mut self, duration_ms: u64, mut each: impl FnMut(&mut Self)) {
        let end_us = self.now_us + duration_ms * MS;
        let mut block_us = self.now_us;
        while self.now_us < end_us {
            if self.now_us >= block_us {
                each(self);
                block_us += 20 * MS;
            }
            self.collect();
            let arrivals = self.flying.iter().map(|flying| flying.at_us);
            let dues = self.peers.iter().filter_map(Peer::next_due_us);
            let next_us = arrivals.chain(dues).chain([block_us, end_us]).min().unwrap();
            self.now_us = self.now_us.max(next_us);
            self.arrive();
            for peer in &mut self.peers {
                peer.tick(self.now_us);
            }
        }
    }

    /// Takes what the peers send.
    fn collect(&mut self) {
        for (number, to_first) in [(0, false), (1, true)] {
            while let Some(datagram) = self.peers[number].take_datagram() {
                if self.dead.contains(&datagram.from) || self.dead.contains(&datagram.to) {
                    continue;
                }
                let rtcp = (72..80).contains(&(datagram.data.get(1).copied().unwrap_or(0) & 0x7F));
                let rtp = (128..192).contains(&datagram.data[0]) && !rtcp;
                if self.random(1000) < self.weather.lost {
                    self.lost += u64::from(to_first && rtp);
                    continue;
                }
                let copies = if self.random(1000) < self.weather.doubled { 2 } else { 1 };
                for _ in 0..copies {
                    let late_us = self.random(self.weather.jitter_us);
                    let at_us = self.now_us + self.weather.delay_us + late_us;
                    self.flying.push(Flying { at_us, to_first, datagram: datagram.clone() });
                }
            }
        }
    }

    fn arrive(&mut self) {
        self.flying.sort_by_key(|flying| flying.at_us);
        while self.flying.first().is_some_and(|flying| flying.at_us <= self.now_us) {
            let Flying { to_first, datagram, .. } = self.flying.remove(0);
            let peer = &mut self.peers[usize::from(!to_first)];
            peer.receive(datagram.from, datagram.to, &datagram.data, self.now_us);
        }
    }
}

/// Something like a voice, whose blocks follow each other: a pitch that moves, with overtones.
#[derive(Default)]
struct Tone(f64, f64);

impl Tone {
    fn block(&mut self) -> Vec<i16> {
        (0..BLOCK)
            .map(|_| {
                self.1 += 1.0;
                let pitch = 160.0 + 50.0 * (self.1 / 3000.0).sin();
                self.0 += std::f64::consts::TAU * pitch / 16_000.0;
                let overtones = (1..12).map(|at| (f64::from(at) * self.0).sin() / f64::from(at));
                (6000.0 * overtones.sum::<f64>()) as i16
            })
            .collect()
    }
}

#[test]
fn candidates_may_come_when_the_descriptions_are_long_there() {
    let mut net = Net::new();
    net.run(3000, |_| {});
    assert_eq!(net.states(), [PeerState::New; 2], "there is no way yet");
    let candidate = net.peers[0].add_host(address(1), net.now_us).unwrap();
    assert!(candidate.starts_with("candidate:") && candidate.contains("10.0.0.1"), "{candidate}");
    assert_eq!(net.peers[0].add_host(address(1), net.now_us), None, "it was there already");
    net.run(2000, |_| {});
    assert_eq!(net.states(), [PeerState::Connected; 2]);
}

#[test]
fn audio_flows_both_ways_and_its_timestamps_are_those_that_were_told() {
    let mut net = Net::connected();
    let (mut up, mut down) = (Tone::default(), Tone::default());
    let first_timestamp = net.peers[1].next_timestamp();
    for peer in &mut net.peers {
        peer.take_sounds();
    }
    net.run(1000, |net| {
        let (one, two) = (up.block(), down.block());
        net.peers[0].push(&one, net.now_us);
        net.peers[1].push(&two, net.now_us);
    });
    net.run(100, |_| {});
    for peer in &mut net.peers {
        let sounds = peer.take_sounds();
        let samples: Vec<i16> = sounds.iter().flat_map(|sound| sound.samples.clone()).collect();
        assert!(level_db(&samples[samples.len() / 2..samples.len() / 2 + 4800]) > -20.0);
    }
    let stats = net.peers[0].stats();
    assert_eq!((stats.inbound.jitter.lost, stats.inbound.jitter.concealed_ms), (0, 0));
    assert!(stats.sent >= 50);
    assert_eq!(net.peers[1].next_timestamp().wrapping_sub(first_timestamp) % 960, 0);
}

#[test]
fn the_first_sample_of_a_sound_is_where_the_sender_said() {
    let mut net = Net::connected();
    net.run(400, |_| {});
    net.peers[0].take_sounds();
    let told = net.peers[1].next_timestamp();
    let mut tone = Tone::default();
    net.run(500, |net| {
        let block = tone.block();
        net.peers[1].push(&block, net.now_us);
    });
    net.run(100, |_| {});
    let heard = net.peers[0].take_sounds().into_iter().find_map(|sound| {
        let at = sound.samples.iter().position(|sample| sample.unsigned_abs() > 2000)?;
        Some(sound.timestamp.wrapping_add(at as u32 * CLOCK_RATE / 24_000))
    });
    let late = heard.unwrap().wrapping_sub(told).cast_signed() - LOOKAHEAD_TICKS.cast_signed();
    assert!((-48..240).contains(&late), "{late} ticks");
}

#[test]
fn loss_reordering_and_doubles_leave_one_stream_without_a_hole() {
    let mut net = Net::connected();
    net.peers[0].take_sounds();
    net.lost = 0;
    net.weather = Weather { lost: 50, doubled: 100, delay_us: 60 * MS, jitter_us: 50 * MS };
    let mut tone = Tone::default();
    let mut sounds = Vec::new();
    net.run(20_000, |net| {
        let block = tone.block();
        net.peers[1].push(&block, net.now_us);
        sounds.extend(net.peers[0].take_sounds());
    });
    net.weather = FAIR;
    net.run(500, |net| sounds.extend(net.peers[0].take_sounds()));
    let jumps = sounds.windows(2).filter(|pair| {
        let end = pair[0].timestamp.wrapping_add(2 * pair[0].samples.len() as u32);
        end != pair[1].timestamp
    });
    assert_eq!(jumps.count(), 0, "every sample once, in order");
    let stats = net.peers[0].stats().inbound;
    println!("{} lost on the way; {stats:?}", net.lost);
    assert!(net.lost > 20, "{}", net.lost);
    let missed = stats.jitter.lost - stats.jitter.late;
    assert!(missed >= net.lost.saturating_sub(2) && missed <= net.lost, "{missed} {}", net.lost);
    assert_eq!(stats.jitter.concealed_ms, 20 * stats.jitter.lost);
    assert!(stats.covered_ms * 2 > stats.jitter.concealed_ms, "most are covered: {stats:?}");
    let loud = sounds.iter().filter(|sound| level_db(&sound.samples) > -25.0).count();
    assert!(loud * 100 > sounds.len() * 98, "{loud} of {}", sounds.len());
}

#[test]
fn a_way_that_dies_is_replaced_by_another() {
    let mut net = Net::connected();
    net.peers[0].add_host(address(3), net.now_us);
    net.run(2000, |_| {});
    net.dead.push(address(1));
    // ICE alone is slow to notice; a session asks for a new path long before.
    net.run(25_000, |net| net.peers[0].push(&[500; BLOCK], net.now_us));
    net.peers[1].take_sounds();
    let mut heard = 0;
    net.run(1000, |net| {
        net.peers[0].push(&[500; BLOCK], net.now_us);
        heard += net.peers[1].take_sounds().len();
    });
    assert!(heard >= 45, "{heard} of 50 blocks");
}

#[test]
fn a_connection_that_is_closed_says_nothing_more() {
    let mut net = Net::connected();
    net.peers[0].close(net.now_us);
    assert_eq!(net.peers[0].state(), PeerState::Closed);
    net.collect();
    net.flying.clear();
    net.peers[0].push(&[500; BLOCK], net.now_us);
    net.peers[0].tick(net.now_us + 1_000_000);
    assert_eq!(net.peers[0].take_datagram(), None);
    assert_eq!(net.peers[0].next_due_us(), None);
}

#[test]
fn what_is_no_description_is_refused_and_what_is_no_packet_is_passed_over() {
    assert_eq!(Peer::answer(options(1), "v=1", 0).err(), Some(MediaError::BadSdp));
    let (mut peer, offer) = Peer::offer(options(1), 0).unwrap();
    assert_eq!(peer.accept("v=0\r\n", 0).err(), Some(MediaError::BadSdp));
    assert!(offer.contains("opus/48000/2") && offer.contains("useinbandfec=1"), "{offer}");
    assert!(!offer.contains("a=candidate"), "they follow");
    let mut net = Net::connected();
    for length in 0..200_usize {
        let noise: Vec<u8> = (0..length).map(|_| net.random(256) as u8).collect();
        net.peers[0].receive(address(2), address(1), &noise, net.now_us);
        net.peers[0].receive(address(9), address(1), &noise, net.now_us);
    }
    let mut heard = 0;
    net.run(500, |net| {
        net.peers[1].push(&[500; BLOCK], net.now_us);
        heard += net.peers[0].take_sounds().len();
    });
    assert!(heard >= 20, "{heard}");
}
