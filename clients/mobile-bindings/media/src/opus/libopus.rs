//! libopus. The only module of this crate with unsafe code: calls of C.
#![allow(unsafe_code, reason = "libopus is C")]

use std::ffi::c_int;
use std::ptr::{NonNull, null};

use opusic_sys as c;

use super::{BITRATE, COMPLEXITY, EXPECTED_LOSS, MAX_PACKET_BYTES, OpusError};

#[derive(Debug)]
pub(super) struct Decoder(NonNull<c::OpusDecoder>);

// SAFETY: the state is plain memory that nobody else has; libopus keeps nothing by thread.
unsafe impl Send for Decoder {}

impl Decoder {
    pub(super) fn new(sample_rate: u32) -> Result<Self, OpusError> {
        let mut error = c::OPUS_OK;
        // SAFETY: `error` is written to before the call returns.
        let state = unsafe { c::opus_decoder_create(sample_rate.cast_signed(), 1, &raw mut error) };
        NonNull::new(state).filter(|_| error == c::OPUS_OK).map(Self).ok_or(OpusError::Codec)
    }

    pub(super) fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> Result<usize, OpusError> {
        self.call(packet, out, 0)
    }

    pub(super) fn decode_fec(&mut self, packet: &[u8], out: &mut [i16]) -> Result<(), OpusError> {
        self.call(packet, out, 1).map(|_| ())
    }

    pub(super) fn conceal(&mut self, out: &mut [i16]) -> Result<(), OpusError> {
        self.call(&[], out, 0).map(|_| ())
    }

    /// No packet = a loss of the length of `out`; `fec` = the copy that a packet has of its
    /// predecessor.
    fn call(&mut self, packet: &[u8], out: &mut [i16], fec: c_int) -> Result<usize, OpusError> {
        let data = if packet.is_empty() { null() } else { packet.as_ptr() };
        let length = c_int::try_from(packet.len()).map_err(|_| OpusError::Malformed)?;
        let room = c_int::try_from(out.len()).map_err(|_| OpusError::BlockLength)?;
        // SAFETY: both lengths are those of their slices (mono), and the state is ours.
        let got =
            unsafe { c::opus_decode(self.0.as_ptr(), data, length, out.as_mut_ptr(), room, fec) };
        usize::try_from(got).map_err(|_| OpusError::Malformed)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_decoder_create`, and never used again.
        unsafe { c::opus_decoder_destroy(self.0.as_ptr()) }
    }
}

#[derive(Debug)]
pub(super) struct Encoder(NonNull<c::OpusEncoder>);

// SAFETY: as of the decoder.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(super) fn new(sample_rate: u32) -> Result<Self, OpusError> {
        let mut error = c::OPUS_OK;
        // SAFETY: `error` is written to before the call returns.
        let state = unsafe {
            c::opus_encoder_create(
                sample_rate.cast_signed(),
                1,
                c::OPUS_APPLICATION_VOIP,
                &raw mut error,
            )
        };
        let state = NonNull::new(state).filter(|_| error == c::OPUS_OK).ok_or(OpusError::Codec)?;
        let encoder = Self(state);
        let settings = [
            (c::OPUS_SET_BITRATE_REQUEST, BITRATE),
            (c::OPUS_SET_COMPLEXITY_REQUEST, COMPLEXITY),
            (c::OPUS_SET_INBAND_FEC_REQUEST, 1),
            (c::OPUS_SET_PACKET_LOSS_PERC_REQUEST, EXPECTED_LOSS),
        ];
        for (request, value) in settings {
            // SAFETY: each of these requests takes one int.
            if unsafe { c::opus_encoder_ctl(encoder.0.as_ptr(), request, value) } != c::OPUS_OK {
                return Err(OpusError::Codec);
            }
        }
        Ok(encoder)
    }

    pub(super) fn encode(&mut self, block: &[i16]) -> Result<Vec<u8>, OpusError> {
        let length = c_int::try_from(block.len()).map_err(|_| OpusError::BlockLength)?;
        let mut packet = vec![0; MAX_PACKET_BYTES as usize];
        // SAFETY: both lengths are those of their slices (mono), and the state is ours.
        let got = unsafe {
            c::opus_encode(
                self.0.as_ptr(),
                block.as_ptr(),
                length,
                packet.as_mut_ptr(),
                MAX_PACKET_BYTES,
            )
        };
        packet.truncate(usize::try_from(got).map_err(|_| OpusError::Codec)?);
        Ok(packet)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, and never used again.
        unsafe { c::opus_encoder_destroy(self.0.as_ptr()) }
    }
}
