//! The record of a conversation: events as JSON lines, the playout beside them, and the sound.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value};
use voxwire_client::event_json::written;
use voxwire_client::wire::ErrorCode;
use voxwire_client::{Block, Error, Event};

use crate::wav::TimelineWriter;

/// How often the position is written, milliseconds.
const PLAYOUT_EVERY_MS: u64 = 100;

/// Writes one JSON object a line; `t_ms` counts from the making of the log.
pub(crate) struct EventLog {
    out: Option<Box<dyn io::Write + Send>>,
    zero: Instant,
}

impl EventLog {
    /// Lines go to that file, or nowhere.
    ///
    /// # Errors
    ///
    /// It cannot be created.
    pub(crate) fn create(path: Option<&Path>) -> Result<Self, Error> {
        let file = path.map(|path| {
            File::create(path).map_err(|error| {
                Error::new(ErrorCode::Device, format!("cannot write {}: {error}", path.display()))
            })
        });
        let out = file.transpose()?.map(|file| Box::new(file) as Box<dyn io::Write + Send>);
        Ok(Self { out, zero: Instant::now() })
    }

    /// Lines go where that one takes them.
    pub(crate) fn onto(out: impl io::Write + Send + 'static) -> Self {
        Self { out: Some(Box::new(out)), zero: Instant::now() }
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(&self) -> u64 {
        self.at_ms(Instant::now())
    }

    fn at_ms(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.zero).as_secs_f64() * 1000.0).round() as u64
    }

    /// Writes an event with the present time.
    pub(crate) fn event(&mut self, event: &Event) {
        let (name, fields) = written(event);
        self.write(self.now_ms(), name, fields);
    }

    /// Writes a line. A disk that takes no more costs the rest of the record, not the conversation.
    pub(crate) fn write(&mut self, t_ms: u64, kind: &str, fields: Map<String, Value>) {
        let Some(out) = &mut self.out else { return };
        // The time and the type come first, as people read them; the tests of the Python client
        // look for `"type": "` as its json writes it.
        let mut line = format!("{{\"t_ms\": {t_ms}, \"type\": \"{kind}\"");
        for (name, value) in fields {
            let _ = write!(line, ", \"{name}\": {value}"); // a String takes everything
        }
        line += "}\n";
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.out = None;
        }
    }
}

/// Writes down where a speaker is: every 100 ms, and where the position jumps.
///
/// Between two of these lines the position moves evenly or stands still, so that it can be
/// interpolated. The times are those at which samples sound, not those of writing.
#[derive(Debug, Default)]
pub(crate) struct PlayoutLog {
    next_ms: u64,
    position: u64,
    moves: bool,
    written_ms: u64,
}

impl PlayoutLog {
    /// Takes the block that sounds from `at` on.
    pub(crate) fn block(&mut self, log: &mut EventLog, block: &Block, at: Instant, rate: u32) {
        let line = |log: &mut EventLog, written_ms: &mut u64, offset: usize, position: u64| {
            let media_ms = position * 1000 / u64::from(rate);
            if media_ms >= *written_ms {
                *written_ms = media_ms;
                let after = std::time::Duration::from_secs_f64(offset as f64 / f64::from(rate));
                let fields = Map::from_iter([("media_ms".to_owned(), media_ms.into())]);
                log.write(log.at_ms(at + after), "playout", fields);
            }
        };
        for span in &block.spans {
            let jumps = span.position != self.position;
            if jumps || span.kind.moves() != self.moves {
                line(log, &mut self.written_ms, span.offset, self.position);
            }
            if jumps {
                line(log, &mut self.written_ms, span.offset, span.position);
            }
            self.moves = span.kind.moves();
            self.position = span.position + if self.moves { span.length as u64 } else { 0 };
        }
        let at_ms = log.at_ms(at);
        if at_ms >= self.next_ms
            && let Some(first) = block.spans.first()
        {
            self.next_ms = at_ms.max(self.next_ms + PLAYOUT_EVERY_MS);
            line(log, &mut self.written_ms, 0, first.position);
        }
    }
}

/// Writes what was played at its position.
///
/// # Errors
///
/// The disk does not take it.
pub(crate) fn write_played(writer: &mut TimelineWriter, block: &Block) -> io::Result<()> {
    for span in block.spans.iter().filter(|span| span.kind == voxwire_client::SpanKind::Played) {
        let samples = &block.samples[span.offset..span.offset + span.length];
        writer.write(span.position, samples)?;
    }
    Ok(())
}
