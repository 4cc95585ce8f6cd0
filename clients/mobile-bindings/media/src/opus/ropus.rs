//! Opus in Rust alone.

use ropus::{Application, Bitrate, Channels, DecodeMode, InbandFec};

use super::{BITRATE, COMPLEXITY, EXPECTED_LOSS, MAX_PACKET_BYTES, OpusError};

pub(super) struct Decoder(ropus::Decoder);

impl std::fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Decoder")
    }
}

impl Decoder {
    pub(super) fn new(sample_rate: u32) -> Result<Self, OpusError> {
        ropus::Decoder::new(sample_rate, Channels::Mono).map(Self).map_err(|_| OpusError::Codec)
    }

    pub(super) fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> Result<usize, OpusError> {
        self.0.decode(packet, out, DecodeMode::Normal).map_err(|_| OpusError::Malformed)
    }

    pub(super) fn decode_fec(&mut self, packet: &[u8], out: &mut [i16]) -> Result<(), OpusError> {
        let done = self.0.decode(packet, out, DecodeMode::Fec);
        done.map(|_| ()).map_err(|_| OpusError::Malformed)
    }

    pub(super) fn conceal(&mut self, out: &mut [i16]) -> Result<(), OpusError> {
        let done = self.0.decode(&[], out, DecodeMode::Normal);
        done.map(|_| ()).map_err(|_| OpusError::Codec)
    }
}

pub(super) struct Encoder(ropus::Encoder);

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Encoder")
    }
}

impl Encoder {
    pub(super) fn new(sample_rate: u32) -> Result<Self, OpusError> {
        let made = ropus::Encoder::builder(sample_rate, Channels::Mono, Application::Voip)
            .bitrate(Bitrate::Bits(BITRATE as u32))
            .complexity(COMPLEXITY as u8)
            .inband_fec(InbandFec::Enabled)
            .packet_loss_perc(EXPECTED_LOSS as u8)
            .build();
        made.map(Self).map_err(|_| OpusError::Codec)
    }

    pub(super) fn encode(&mut self, block: &[i16]) -> Result<Vec<u8>, OpusError> {
        let mut packet = vec![0; MAX_PACKET_BYTES as usize];
        let length = self.0.encode(block, &mut packet).map_err(|_| OpusError::Codec)?;
        packet.truncate(length);
        Ok(packet)
    }
}
