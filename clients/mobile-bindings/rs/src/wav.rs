//! WAV files: the user's, read at any rate; the bot's, written by position.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use voxwire_client::wire::ErrorCode;
use voxwire_client::{CAPTURE_RATE, Error};

use crate::resampler::resample;

const HEADER_BYTES: u64 = 44;
const MAX_SAMPLES: u64 = (u32::MAX as u64 - HEADER_BYTES) / 2;

fn device(path: &Path, what: &str, error: &io::Error) -> Error {
    Error::new(ErrorCode::Device, format!("cannot {what} {}: {error}", path.display()))
}

fn unusable(path: &Path, why: &str) -> Error {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Error::new(ErrorCode::UnsupportedFormat, format!("{name}: {why}"))
}

/// Reads a file as the user's audio: int16 mono at 16 kHz. Other rates are resampled, several
/// channels mixed.
///
/// # Errors
///
/// `DEVICE`: it cannot be read; `UNSUPPORTED_FORMAT`: it is no WAV, or of a format that is not
/// read.
pub(crate) fn read(path: &Path) -> Result<Vec<i16>, Error> {
    let mut data = Vec::new();
    let opened = File::open(path).and_then(|mut file| file.read_to_end(&mut data));
    opened.map_err(|error| device(path, "read", &error))?;
    let wav = Wav::parse(&data).map_err(|why| unusable(path, why))?;
    let samples = wav.samples().ok_or_else(|| unusable(path, "its samples are not read here"))?;
    Ok(resample(&samples, wav.sample_rate, CAPTURE_RATE))
}

/// What the header says, and the data behind it.
struct Wav<'a> {
    /// 1 = integers, 3 = floats (RFC 2361).
    format: u16,
    channels: usize,
    sample_rate: u32,
    bits: u16,
    data: &'a [u8],
}

impl<'a> Wav<'a> {
    fn parse(file: &'a [u8]) -> Result<Self, &'static str> {
        if file.len() < 12 || &file[..4] != b"RIFF" || &file[8..12] != b"WAVE" {
            return Err("not a WAV file");
        }
        let mut rest = &file[12..];
        let mut format: Option<&[u8]> = None;
        while rest.len() >= 8 {
            let (head, body) = rest.split_at(8);
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let (chunk, behind) = body.split_at(size.min(body.len()));
            match (&head[..4], format) {
                (b"fmt ", _) => format = Some(chunk),
                (b"data", Some(format)) => return Self::of(format, chunk),
                _ => {}
            }
            rest = &behind[(size % 2).min(behind.len())..];
        }
        Err("there is no sound in it")
    }

    fn of(format: &[u8], data: &'a [u8]) -> Result<Self, &'static str> {
        if format.len() < 16 {
            return Err("its header is cut off");
        }
        let word = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
        let tag = match word(0) {
            0xFFFE if format.len() >= 26 => word(24), // WAVE_FORMAT_EXTENSIBLE names it behind
            tag => tag,
        };
        let sample_rate = u32::from(word(4)) | u32::from(word(6)) << 16;
        let (channels, bits) = (usize::from(word(2)), word(14));
        if channels == 0 || !(1000..=768_000).contains(&sample_rate) {
            return Err("its rate or its number of channels cannot be");
        }
        Ok(Self { format: tag, channels, sample_rate, bits, data })
    }

    /// One value a frame, -1 to 1; `None` for a format that is not read.
    fn samples(&self) -> Option<Vec<f32>> {
        let read: fn(&[u8]) -> f32 = match (self.format, self.bits) {
            (1, 8) => |it| (f32::from(it[0]) - 128.0) / 128.0,
            (1, 16) => |it| f32::from(i16::from_le_bytes([it[0], it[1]])) / 32_768.0,
            (1, 24) => |it| int(&[0, it[0], it[1], it[2]]),
            (1, 32) => int,
            (3, 32) => |it| f32::from_le_bytes([it[0], it[1], it[2], it[3]]),
            _ => return None,
        };
        let width = usize::from(self.bits / 8);
        let frames = self.data.chunks_exact(width * self.channels);
        let mixed = frames.map(|frame| {
            let sum: f32 = frame.chunks_exact(width).map(read).sum();
            sum / self.channels as f32
        });
        Some(mixed.collect())
    }
}

fn int(bytes: &[u8]) -> f32 {
    i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as f32 / 2_147_483_648.0
}

/// A 16-bit mono WAV file that is written by position; what is not written is silence.
///
/// Positions only go up. The header counts what has been written as soon as it has: a program that
/// is killed leaves a whole file.
#[derive(Debug)]
pub(crate) struct TimelineWriter {
    file: File,
    sample_rate: u32,
    end: u64,
}

impl TimelineWriter {
    /// Creates (or replaces) the file.
    ///
    /// # Errors
    ///
    /// It cannot be created.
    pub(crate) fn create(path: &Path, sample_rate: u32) -> Result<Self, Error> {
        let made = File::create(path).and_then(|file| {
            let mut writer = Self { file, sample_rate, end: 0 };
            writer.write_header()?;
            Ok(writer)
        });
        made.map_err(|error| device(path, "write", &error))
    }

    /// Writes samples at a position, samples; what lies beyond 4 GB is left out.
    ///
    /// # Errors
    ///
    /// The disk does not take it.
    pub(crate) fn write(&mut self, position: u64, samples: &[i16]) -> io::Result<()> {
        let end = position + samples.len() as u64;
        if end > MAX_SAMPLES {
            return Ok(());
        }
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.file.seek(SeekFrom::Start(HEADER_BYTES + 2 * position))?;
        self.file.write_all(&data)?;
        if end > self.end {
            self.end = end;
            self.write_header()?;
        }
        Ok(())
    }

    fn write_header(&mut self) -> io::Result<()> {
        let size = (2 * self.end) as u32;
        let mut header = Vec::with_capacity(HEADER_BYTES as usize);
        header.extend(b"RIFF");
        header.extend((36 + size).to_le_bytes());
        header.extend(b"WAVEfmt ");
        header.extend(16_u32.to_le_bytes());
        header.extend([1, 0, 1, 0]);
        header.extend(self.sample_rate.to_le_bytes());
        header.extend((2 * self.sample_rate).to_le_bytes());
        header.extend([2, 0, 16, 0]);
        header.extend(b"data");
        header.extend(size.to_le_bytes());
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{TimelineWriter, read};

    #[test]
    fn a_timeline_has_samples_at_their_positions_and_is_read_again() {
        let path = std::env::temp_dir().join(format!("voxwire-rs-{}.wav", std::process::id()));
        let mut writer = TimelineWriter::create(&path, 16_000).unwrap();
        writer.write(3, &[100, 200]).unwrap();
        let samples = read(&path).unwrap();
        fs::write(&path, b"RIFF").unwrap();
        let refused = read(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(samples, [0, 0, 0, 100, 200]);
        assert_eq!(refused.unwrap_err().name(), "UNSUPPORTED_FORMAT");
    }
}
