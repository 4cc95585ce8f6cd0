//! Messages in pieces.

use std::mem;

use super::error::{ChannelError, malformed, too_large};
use crate::wire::{self, Chunk, Decoded, Payload};

/// Bodies of the chunks that carry `body`.
pub(super) fn split(body: &[u8], piece_bytes: usize) -> Vec<Vec<u8>> {
    let pieces = body.chunks(piece_bytes);
    let count = pieces.len();
    let encoded = pieces.enumerate().map(|(index, piece)| {
        let chunk = Payload::Chunk(Chunk {
            index: index as u32,
            last: index + 1 == count,
            total_bytes: if index == 0 { body.len() as u32 } else { 0 },
            data: piece.to_vec(),
        });
        let mut out = Vec::with_capacity(chunk.encoded_len());
        chunk.encode(&mut out);
        out
    });
    encoded.collect()
}

/// The chunked message that is arriving.
#[derive(Debug)]
pub(super) struct Assembly {
    max_bytes: usize,
    data: Vec<u8>,
    index: u32,
    total_bytes: usize,
}

impl Assembly {
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self { max_bytes, data: Vec::new(), index: 0, total_bytes: 0 }
    }

    /// Takes the next piece, numbered `seq`, and returns the message and its bytes once it is
    /// whole. A piece that does not fit ends the reassembly: what was there is dropped.
    pub(super) fn add(
        &mut self,
        chunk: &Chunk,
        seq: u64,
    ) -> Result<Option<(Decoded, Vec<u8>)>, ChannelError> {
        match self.append(chunk, seq) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => {
                self.reset();
                return Err(error);
            }
        }
        let data = self.reset();
        let mut decoded = wire::decode(&data)
            .map_err(|_| malformed("the chunks do not make an Envelope", seq))?;
        let envelope = &mut decoded.envelope;
        let nested = matches!(envelope.payload, Some(Payload::Chunk(_)));
        if envelope.seq != 0 || envelope.ack != 0 || nested {
            let reason = "a chunked message has neither numbers nor chunks in it";
            return Err(malformed(reason, seq));
        }
        envelope.seq = seq;
        Ok(Some((decoded, data)))
    }

    /// Takes a piece; returns whether it is the last.
    fn append(&mut self, chunk: &Chunk, seq: u64) -> Result<bool, ChannelError> {
        if chunk.index != self.index || chunk.data.is_empty() {
            return Err(malformed("this chunk does not follow the one before it", seq));
        }
        if chunk.index == 0 {
            self.total_bytes = chunk.total_bytes as usize;
            if self.total_bytes > self.max_bytes {
                return Err(too_large("the chunked message is above this side's limit", seq));
            }
        }
        self.data.extend_from_slice(&chunk.data);
        self.index += 1;
        let whole = self.data.len() == self.total_bytes;
        if self.data.len() > self.total_bytes || chunk.last != whole {
            return Err(malformed("the chunks do not add up to total_bytes", seq));
        }
        Ok(chunk.last)
    }

    /// Forgets everything, and returns what was there.
    fn reset(&mut self) -> Vec<u8> {
        self.index = 0;
        self.total_bytes = 0;
        mem::take(&mut self.data)
    }
}
