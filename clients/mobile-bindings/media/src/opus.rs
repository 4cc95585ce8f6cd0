//! Opus, mono, at the rate that the caller works with.
//!
//! The codec is libopus (feature `libopus`), or one that is Rust alone (feature `ropus`) for builds
//! without C; libopus where both are asked for.

#[cfg(feature = "libopus")]
mod libopus;
#[cfg(all(feature = "ropus", not(feature = "libopus")))]
mod ropus;

#[cfg(not(any(feature = "libopus", feature = "ropus")))]
compile_error!("one of the features libopus and ropus says which codec there is");

#[cfg(feature = "libopus")]
use libopus as codec;
#[cfg(all(feature = "ropus", not(feature = "libopus")))]
use ropus as codec;

use std::fmt::{self, Display, Formatter};

/// Ticks a second in which Opus counts, whatever it codes.
pub const CLOCK_RATE: u32 = 48_000;

/// Rates that Opus codes, Hz.
pub const SAMPLE_RATES: [u32; 5] = [8000, 12_000, 16_000, 24_000, 48_000];

/// How far libopus looks ahead: decoded sound is this much behind its RTP timestamp, ticks.
pub const LOOKAHEAD_TICKS: u32 = 312;

const MAX_PACKET_MS: u32 = 120;

/// The largest packet of one frame (RFC 6716 §3.4, R2).
const MAX_PACKET_BYTES: i32 = 1275;

/// What speech is coded at, bit/s.
const BITRATE: i32 = 32_000;

const COMPLEXITY: i32 = 5;

/// FEC costs bits in proportion to the loss that the encoder is told to expect, percent.
const EXPECTED_LOSS: i32 = 10;

/// After this much real silence the codec's predictors are at rest on both sides, and sending the
/// same packet again leaves them there, milliseconds.
const SETTLING_MS: u32 = 200;

/// What Opus cannot do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpusError {
    /// It has no such rate.
    Rate,
    /// These bytes are no Opus packet; the decoder stays usable.
    Malformed,
    /// The block has another length.
    BlockLength,
    /// The codec failed.
    Codec,
}

impl Display for OpusError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rate => "Opus has no such rate",
            Self::Malformed => "these bytes are no Opus packet",
            Self::BlockLength => "the block has another length",
            Self::Codec => "the codec failed",
        })
    }
}

impl std::error::Error for OpusError {}

/// How much audio an Opus packet holds, in ticks of 1/48000 s; 0 when it is malformed
/// (RFC 6716 §3.1, duration of a frame; §3.2, frames in a packet).
#[must_use]
pub fn packet_samples(packet: &[u8]) -> u32 {
    let Some(&toc) = packet.first() else { return 0 };
    let frame = match toc >> 3 {
        config @ 16.. => 120 << (config & 3),
        config @ 12..16 => 480 << (config & 1),
        config => [480, 960, 1920, 2880][usize::from(config & 3)],
    };
    let count = match toc & 3 {
        0 => 1,
        3 => packet.get(1).map_or(0, |count| u32::from(count & 0x3F)),
        _ => 2,
    };
    let samples = frame * count;
    if samples <= CLOCK_RATE * MAX_PACKET_MS / 1000 { samples } else { 0 }
}

/// True when a packet has a redundant copy of the one before (LBRR, RFC 6716 §4.2.3): SILK says so
/// behind the voice flags of its frames, in bits that can be read as they are.
#[must_use]
pub fn has_copy(packet: &[u8]) -> bool {
    let (Some(&toc), frame) = (packet.first(), packet_samples(packet)) else { return false };
    let coded = match toc & 3 {
        0 | 1 => packet.get(1),
        2 if packet.get(1).is_some_and(|length| *length < 252) => packet.get(2),
        2 => packet.get(3),
        _ => None, // not worth parsing: nobody here sends such
    };
    let (Some(&coded), 0..16) = (coded, toc >> 3) else { return false };
    let frames = (frame / (1 + u32::from(toc & 3 != 0))).div_ceil(960).clamp(1, 3);
    let (stereo, flags) = (toc & 4 != 0, u32::from(coded));
    flags >> (7 - frames) & 1 == 1 || (stereo && flags >> (6 - 2 * frames) & 1 == 1)
}

fn checked(sample_rate: u32) -> Result<(), OpusError> {
    if SAMPLE_RATES.contains(&sample_rate) { Ok(()) } else { Err(OpusError::Rate) }
}

/// Decodes one stream of packets. Owned by one stream.
#[derive(Debug)]
pub struct Decoder {
    codec: codec::Decoder,
    rate: u32,
    /// What it decodes to before it is handed out: the longest packet.
    out: Vec<i16>,
}

impl Decoder {
    /// A decoder to `sample_rate`, one of [`SAMPLE_RATES`], whatever the sender uses.
    ///
    /// # Errors
    ///
    /// Opus has no such rate.
    pub fn new(sample_rate: u32) -> Result<Self, OpusError> {
        checked(sample_rate)?;
        Ok(Self {
            codec: codec::Decoder::new(sample_rate)?,
            rate: sample_rate,
            out: vec![0; (sample_rate * MAX_PACKET_MS / 1000) as usize],
        })
    }

    /// Decodes the next packet, of 2.5 to 120 ms, to int16.
    ///
    /// # Errors
    ///
    /// `Malformed`; the decoder stays usable.
    pub fn decode(&mut self, packet: &[u8]) -> Result<&[i16], OpusError> {
        if packet_samples(packet) == 0 {
            return Err(OpusError::Malformed);
        }
        let length = self.codec.decode(packet, &mut self.out)?;
        Ok(&self.out[..length])
    }

    /// Makes up audio that was lost, from what came before; it fades out within about 100 ms.
    pub fn conceal(&mut self, num_samples: usize) -> Vec<i16> {
        self.replace(num_samples, None)
    }

    /// Recovers what was lost right before a packet; [`decode`](Self::decode) that packet
    /// afterwards. Where the packet has no redundant copy, or for what lies further back, this
    /// conceals.
    pub fn decode_fec(&mut self, packet: &[u8], num_samples: usize) -> Vec<i16> {
        self.replace(num_samples, Some(packet))
    }

    fn replace(&mut self, num_samples: usize, following: Option<&[u8]>) -> Vec<i16> {
        let step = (self.rate / 400) as usize; // libopus conceals multiples of 2.5 ms
        let fec_ticks = following.map_or(0, |packet| packet_samples(packet) as usize);
        let fec_samples = fec_ticks * self.rate as usize / CLOCK_RATE as usize;
        let mut samples = Vec::with_capacity(num_samples);
        while num_samples - samples.len() >= step {
            let left = (num_samples - samples.len()) / step * step;
            // The copy is of the last packet that is missing; what is ahead of it is made up.
            let last = fec_samples > 0 && left <= fec_samples;
            let size = if last || fec_samples == 0 { left } else { left - fec_samples };
            let size = size.min(self.out.len());
            let done = match following.filter(|_| last) {
                Some(packet) => self.codec.decode_fec(packet, &mut self.out[..size]),
                None => self.codec.conceal(&mut self.out[..size]),
            };
            if done.is_err() {
                break; // a malformed packet: what is left stays silent
            }
            samples.extend_from_slice(&self.out[..size]);
        }
        samples.resize(num_samples, 0);
        samples
    }
}

/// Encodes mono speech with FEC, one packet a block. Owned by one stream.
#[derive(Debug)]
pub struct Encoder {
    codec: codec::Encoder,
    block_samples: usize,
    settling_blocks: u32,
    silent_blocks: u32,
    silence: Vec<u8>,
}

impl Encoder {
    /// An encoder of blocks of 10, 20, 40 or 60 ms at `sample_rate`, one of [`SAMPLE_RATES`].
    ///
    /// # Errors
    ///
    /// Opus has no such rate or block.
    pub fn new(sample_rate: u32, block_ms: u32) -> Result<Self, OpusError> {
        checked(sample_rate)?;
        if ![10, 20, 40, 60].contains(&block_ms) {
            return Err(OpusError::BlockLength);
        }
        Ok(Self {
            codec: codec::Encoder::new(sample_rate)?,
            block_samples: (sample_rate * block_ms / 1000) as usize,
            settling_blocks: SETTLING_MS.div_ceil(block_ms),
            silent_blocks: 0,
            silence: Vec::new(),
        })
    }

    /// Length of a block, samples.
    #[must_use]
    pub const fn block_samples(&self) -> usize {
        self.block_samples
    }

    /// Encodes exactly one block, int16.
    ///
    /// # Errors
    ///
    /// It has another length, or the codec failed.
    pub fn encode(&mut self, block: &[i16]) -> Result<Vec<u8>, OpusError> {
        if block.len() != self.block_samples {
            return Err(OpusError::BlockLength);
        }
        self.silent_blocks = 0;
        self.codec.encode(block)
    }

    /// The packet of one block of digital silence. The first 200 ms of a pause are really encoded,
    /// which brings encoder and decoder to rest; from then on the last packet is used again, at no
    /// cost, and speech may resume at any block.
    ///
    /// # Errors
    ///
    /// The codec failed.
    pub fn silence(&mut self) -> Result<Vec<u8>, OpusError> {
        if self.silent_blocks < self.settling_blocks {
            self.silent_blocks += 1;
            self.silence = self.codec.encode(&vec![0; self.block_samples])?;
        }
        Ok(self.silence.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Encoder, OpusError, has_copy, packet_samples};
    use crate::level::level_db;

    /// A tone of 440 Hz.
    fn tone(blocks: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * 440.0 / 16_000.0;
        (0..320 * blocks).map(|at| (8000.0 * (at as f64 * step).sin()) as i16).collect()
    }

    fn packets(samples: &[i16]) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(16_000, 20).unwrap();
        samples.chunks(320).map(|block| encoder.encode(block).unwrap()).collect()
    }

    #[test]
    fn what_is_encoded_at_one_rate_is_heard_at_another() {
        let mut decoder = Decoder::new(24_000).unwrap();
        for packet in packets(&tone(10)) {
            assert_eq!(packet_samples(&packet), 960);
            assert_eq!(decoder.decode(&packet).unwrap().len(), 480);
        }
        let mut loud = Decoder::new(24_000).unwrap();
        let heard: Vec<i16> = packets(&tone(10))
            .iter()
            .flat_map(|packet| loud.decode(packet).unwrap().to_vec())
            .collect();
        assert!((level_db(&heard[2400..]) - level_db(&tone(10))).abs() < 2.0);
    }

    #[test]
    fn a_lost_block_is_recovered_from_the_packet_behind_it() {
        let packets = packets(&speech());
        let level = |samples: &[i16]| level_db(samples);
        let (mut whole, mut mended, mut made_up) = (
            Decoder::new(24_000).unwrap(),
            Decoder::new(24_000).unwrap(),
            Decoder::new(24_000).unwrap(),
        );
        for packet in &packets[..20] {
            for decoder in [&mut whole, &mut mended, &mut made_up] {
                decoder.decode(packet).unwrap();
            }
        }
        let truth = whole.decode(&packets[20]).unwrap().to_vec();
        let fec = mended.decode_fec(&packets[21], 480);
        let concealed = made_up.conceal(480);
        assert_eq!((fec.len(), concealed.len()), (480, 480));
        let error = |other: &[i16]| {
            let gone: Vec<i16> =
                truth.iter().zip(other).map(|(one, two)| one.wrapping_sub(*two)).collect();
            level(&gone)
        };
        assert!(error(&fec) < error(&concealed) - 3.0, "{} {}", error(&fec), error(&concealed));
    }

    /// A sweep whose pitch changes too fast for concealment to guess it.
    fn speech() -> Vec<i16> {
        let mut phase = 0.0_f64;
        let sample = |at: usize| {
            let pitch = 150.0 + 120.0 * (at as f64 / 900.0).sin();
            phase += std::f64::consts::TAU * pitch / 16_000.0;
            (6000.0 * phase.sin() + 2000.0 * (3.0 * phase).sin()) as i16
        };
        (0..320 * 30).map(sample).collect()
    }

    #[test]
    fn what_is_made_up_has_the_length_that_was_asked_for_and_fades() {
        let mut decoder = Decoder::new(24_000).unwrap();
        for packet in packets(&tone(10)) {
            decoder.decode(&packet).unwrap();
        }
        let made_up = decoder.conceal(24_000 * 120 / 1000);
        assert_eq!(made_up.len(), 2880);
        assert!(level_db(&made_up[..480]) > level_db(&made_up[2400..]) + 6.0);
        assert_eq!(decoder.decode_fec(b"", 481).len(), 481, "no packet, and no multiple of 2.5 ms");
    }

    #[test]
    fn what_is_no_packet_is_refused_and_the_next_one_is_decoded() {
        let mut decoder = Decoder::new(24_000).unwrap();
        let packet = packets(&tone(1)).remove(0);
        for bad in [&b""[..], &[0xFF], &[0x03, 0xFF, 0xFF, 0xFF]] {
            assert_eq!(decoder.decode(bad).map(<[i16]>::len), Err(OpusError::Malformed));
        }
        assert!(decoder.decode(&packet).is_ok());
        assert_eq!(Decoder::new(44_100).err(), Some(OpusError::Rate));
        assert_eq!(Encoder::new(16_000, 30).err(), Some(OpusError::BlockLength));
    }

    #[test]
    fn silence_is_not_encoded_once_the_codec_is_at_rest() {
        let mut encoder = Encoder::new(16_000, 20).unwrap();
        encoder.encode(&tone(1)).unwrap();
        for _ in 0..10 {
            encoder.silence().unwrap();
        }
        encoder.silence = b"the last one".to_vec();
        assert_eq!(encoder.silence().unwrap(), b"the last one");
        encoder.encode(&tone(1)).unwrap();
        assert_ne!(encoder.silence().unwrap(), b"the last one", "encoded anew behind a sound");
    }

    #[test]
    fn a_packet_says_whether_it_has_a_copy_of_the_one_before() {
        let (silk_20, silk_60, celt_20) = (9 << 3, 11 << 3, 31 << 3);
        assert!(has_copy(&[silk_20, 0b0100_0000]));
        assert!(!has_copy(&[silk_20, 0b1011_1111]), "only the flag of a voice");
        assert!(has_copy(&[silk_60, 0b0001_0000]));
        assert!(!has_copy(&[silk_60, 0b1110_1111]));
        assert!(has_copy(&[silk_20 | 4, 0b0001_0000]), "of the second channel");
        assert!(has_copy(&[silk_20 | 1, 0b0100_0000]), "two frames of one length");
        assert!(has_copy(&[silk_20 | 2, 5, 0b0100_0000]), "of two lengths");
        assert!(has_copy(&[silk_20 | 2, 252, 5, 0b0100_0000]));
        assert!(!has_copy(&[celt_20, 0xFF]) && !has_copy(&[silk_20]) && !has_copy(&[]));
        let made = packets(&speech());
        assert!(!has_copy(&made[0]) && made[5..].iter().any(|packet| has_copy(packet)));
    }
}
