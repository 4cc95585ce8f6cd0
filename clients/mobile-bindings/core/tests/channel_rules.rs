//! Two channels over carriers that lose, repeat, reorder and break: nothing reliable is lost,
//! doubled or out of order, and no bytes make a channel panic.

use proptest::collection::vec;
use proptest::prelude::*;
use voxwire_core::channel::{ACK_DELAY_MS, Channel, ChannelOptions, ReplayLimits};
use voxwire_core::wire::{AppMessage, Envelope, Payload, Ping, Side};

/// A failure is printed with the least that makes it; nothing is written.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

/// What happens next, in the life of a session.
#[derive(Clone, Debug)]
enum Event {
    /// A side says something; so many bytes.
    Say(Side, usize),
    /// A side sends something that may be lost.
    Lossy(Side),
    /// One of what is under way to a side arrives; it may stay under way as well.
    Arrive { to: Side, which: usize, stays: bool },
    /// Time passes and what is due goes out.
    Wait(u64),
    /// The carrier breaks, with all that is under way, and both sides resume.
    Resume,
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Server)]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (side(), 0..600_usize).prop_map(|(side, size)| Event::Say(side, size)),
        1 => side().prop_map(Event::Lossy),
        8 => (side(), any::<usize>(), any::<bool>())
            .prop_map(|(to, which, stays)| Event::Arrive { to, which, stays }),
        2 => (0..400_u64).prop_map(Event::Wait),
        1 => Just(Event::Resume),
    ]
}

struct End {
    channel: Channel,
    /// What is under way to this side.
    under_way: Vec<Vec<u8>>,
    said: Vec<String>,
    heard: Vec<String>,
}

impl End {
    fn new(peer: Side) -> Self {
        let options = ChannelOptions { max_send_bytes: 200, ..ChannelOptions::new(peer) };
        let channel = Channel::new(options).unwrap();
        Self { channel, under_way: Vec::new(), said: Vec::new(), heard: Vec::new() }
    }

    fn take(&mut self, data: &[u8], now_ms: u64) {
        for message in self.channel.receive(data, now_ms).unwrap() {
            assert_eq!(message.encoded, None);
            match message.envelope.payload {
                Some(Payload::AppMessage(app)) => self.heard.push(app.r#type),
                Some(Payload::Ping(_)) => {}
                other => panic!("nobody sent {other:?}"),
            }
        }
    }
}

struct Session {
    client: End,
    server: End,
    now_ms: u64,
}

impl Session {
    fn new() -> Self {
        Self { client: End::new(Side::Server), server: End::new(Side::Client), now_ms: 0 }
    }

    /// A side, and the other one.
    fn ends(&mut self, side: Side) -> (&mut End, &mut End) {
        match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        }
    }

    fn perform(&mut self, event: &Event) {
        let now_ms = self.now_ms;
        match *event {
            Event::Say(side, size) => {
                let (from, to) = self.ends(side);
                let text = format!("{}{}", from.said.len(), "x".repeat(size));
                let app = AppMessage { r#type: text.clone(), ..AppMessage::default() };
                let envelope = Envelope::of(Payload::AppMessage(app));
                to.under_way.extend(from.channel.send(&envelope, now_ms).unwrap());
                from.said.push(text);
            }
            Event::Lossy(side) => {
                let (from, to) = self.ends(side);
                let ping = Envelope::of(Payload::Ping(Ping { number: 1, t0_us: now_ms }));
                to.under_way.extend(from.channel.send(&ping, now_ms).unwrap());
            }
            Event::Arrive { to, which, stays } => {
                let (end, _) = self.ends(to);
                let count = end.under_way.len();
                if count > 0 {
                    let data = end.under_way[which % count].clone();
                    if !stays {
                        end.under_way.swap_remove(which % count);
                    }
                    end.take(&data, now_ms);
                }
            }
            Event::Wait(ms) => {
                self.now_ms += ms;
                self.send_due();
            }
            Event::Resume => self.resume(),
        }
        self.check();
    }

    fn send_due(&mut self) {
        for side in [Side::Client, Side::Server] {
            let now_ms = self.now_ms;
            let (from, to) = self.ends(side);
            to.under_way.extend(from.channel.outgoing(now_ms));
        }
    }

    fn resume(&mut self) {
        let now_ms = self.now_ms;
        for side in [Side::Client, Side::Server] {
            let (end, _) = self.ends(side);
            end.under_way.clear();
            end.channel.on_lost(now_ms);
        }
        for side in [Side::Client, Side::Server] {
            let (from, to) = self.ends(side);
            let last_seq = to.channel.last_received();
            let again = from.channel.resume(last_seq, now_ms).unwrap();
            to.under_way.extend(again.expect("everything is kept"));
        }
    }

    /// Everything arrives, in order, and is acknowledged.
    fn settle(&mut self) {
        self.resume();
        for _ in 0..3 {
            for side in [Side::Client, Side::Server] {
                let now_ms = self.now_ms;
                let (end, _) = self.ends(side);
                for data in std::mem::take(&mut end.under_way) {
                    end.take(&data, now_ms);
                }
            }
            self.now_ms += ACK_DELAY_MS;
            self.send_due();
        }
    }

    fn check(&mut self) {
        for side in [Side::Client, Side::Server] {
            let (from, to) = self.ends(side);
            assert_eq!(to.heard[..], from.said[..to.heard.len()]);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn everything_reliable_arrives_once_and_in_order(events in vec(event(), 0..120)) {
        let mut session = Session::new();
        for event in &events {
            session.perform(event);
        }
        session.settle();
        for side in [Side::Client, Side::Server] {
            let (from, to) = session.ends(side);
            prop_assert_eq!(&to.heard, &from.said);
            prop_assert_eq!(from.channel.unacknowledged(), 0);
            prop_assert_eq!(from.channel.waiting_since_ms(), None);
            prop_assert_eq!(from.channel.last_sent(), to.channel.last_received());
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_acknowledge_what_was_not_sent(
        inputs in vec(vec(any::<u8>(), 0..60), 0..40),
    ) {
        let mut channel = Channel::new(ChannelOptions::new(Side::Server)).unwrap();
        for data in &inputs {
            let _ = channel.receive(data, 0);
            prop_assert_eq!(channel.unacknowledged(), 0);
        }
    }

    #[test]
    fn a_chunked_message_of_any_size_is_whole_again(
        size in 0..5_000_usize,
        max_send_bytes in 128..700_usize,
    ) {
        let options = ChannelOptions { max_send_bytes, ..ChannelOptions::new(Side::Server) };
        let mut from = Channel::new(options).unwrap();
        let mut to = Channel::new(ChannelOptions::new(Side::Client)).unwrap();
        let app = AppMessage { data_json: "x".repeat(size), ..AppMessage::default() };
        let envelope = Envelope::of(Payload::AppMessage(app));
        let mut delivered = Vec::new();
        for data in from.send(&envelope, 0).unwrap() {
            prop_assert!(data.len() <= max_send_bytes);
            delivered.extend(to.receive(&data, 0).unwrap());
        }
        prop_assert_eq!(delivered.len(), 1);
        prop_assert_eq!(&delivered[0].envelope.payload, &envelope.payload);
        prop_assert_eq!(delivered[0].envelope.seq, from.last_sent());
    }

    #[test]
    fn what_is_kept_never_exceeds_its_limits(sizes in vec(0..100_usize, 1..60)) {
        let limits = ReplayLimits { messages: 8, total_bytes: 400, age_ms: 50 };
        let options = ChannelOptions { limits, ..ChannelOptions::new(Side::Server) };
        let mut channel = Channel::new(options).unwrap();
        for (at, size) in sizes.iter().enumerate() {
            let app = AppMessage { data_json: "x".repeat(*size), ..AppMessage::default() };
            let envelope = Envelope::of(Payload::AppMessage(app));
            let fits = channel.has_room(&envelope);
            let before = channel.waiting_since_ms();
            channel.send(&envelope, at as u64).unwrap();
            let kept_ms = channel.waiting_since_ms().unwrap_or(at as u64);
            prop_assert!(at as u64 - kept_ms < 8);
            let aged = before.is_some_and(|ms| at as u64 - ms > 50);
            prop_assert!(!fits || aged || before.is_none() || before == Some(kept_ms));
        }
    }
}

#[test]
fn what_a_newer_peer_says_is_counted_and_kept() {
    let mut channel = Channel::new(ChannelOptions::new(Side::Server)).unwrap();
    let app = AppMessage { r#type: "a".into(), ..AppMessage::default() };
    let mut known = Envelope::of(Payload::AppMessage(app));
    known.seq = 1;
    let mut data = prost::Message::encode_to_vec(&known);
    data.extend([0xc0, 0x3e, 0x01]); // field 1000
    let delivered = channel.receive(&data, 0).unwrap();
    assert_eq!(delivered[0].envelope, known);
    assert_eq!(delivered[0].encoded.as_deref(), Some(&data[..]));
    let unknown = [0x08, 0x02, 0xc2, 0x3e, 0x00]; // seq 2, payload 1000
    assert!(channel.receive(&unknown, 0).is_err());
    assert_eq!(channel.last_received(), 2);
    let counts = channel.unknown();
    assert_eq!((counts.payloads, counts.fields), (1, 2));
}
