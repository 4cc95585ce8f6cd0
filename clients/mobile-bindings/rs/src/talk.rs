//! `voxwire-rs talk`: a conversation from files and text, on the record.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use voxwire_client::wire::ErrorCode;
use voxwire_client::{CAPTURE_RATE, Error, OnWaiting, Session};

use crate::arguments::{Step, Talk};
use crate::record::{EventLog, PlayoutLog, write_played};
use crate::sound::{self, Microphone};
use crate::turns::TurnWatch;
use crate::wav::{self, TimelineWriter};
use crate::{Stopped, connected, held, waiting_line};

/// How long the bot may take to begin a greeting; after it, it has none, milliseconds.
const GREETING_MS: u64 = 4000;

/// Longest conversation beside its files.
const TIMEOUT: Duration = Duration::from_secs(120);

const POLL: Duration = Duration::from_millis(10);

/// Runs the command.
///
/// # Errors
///
/// The conversation did not end normally.
pub(crate) async fn run(talk: Talk) -> Result<(), Stopped> {
    if talk.steps.is_empty() {
        let reason = "this version opens no live microphone: use --in or --text";
        return Err(Error::new(ErrorCode::Unsupported, reason).into());
    }
    let files = read_files(&talk.steps)?;
    let spoken: usize = talk.steps.iter().map(|step| length_of(step, &files)).sum();
    let spoken = Duration::from_secs_f64(spoken as f64 / f64::from(CAPTURE_RATE));
    let within = talk.timeout.unwrap_or(TIMEOUT + spoken);
    let log = EventLog::create(talk.events.as_deref())?;
    let started = Instant::now();
    // What the bot says is all that stdout may have.
    let on_waiting = OnWaiting::new(|place| eprintln!("voxwire: {}", waiting_line(place)));
    let session = connected(&talk, None, Vec::new(), on_waiting).await?;
    let conversation = Conversation {
        session: &session,
        files,
        microphone: Mutex::default(),
        record: Mutex::new(Record { log, watch: TurnWatch::default() }),
    };
    held(&session, started, within, conversation.hold(&talk.steps, talk.out.as_deref())).await
}

type Files = HashMap<PathBuf, Vec<i16>>;

/// Every file that is spoken, at 16 kHz.
fn read_files(steps: &[Step]) -> Result<Files, Error> {
    let mut files = Files::new();
    for step in steps {
        if let Step::In(path, _) = step
            && !files.contains_key(path)
        {
            files.insert(path.clone(), wav::read(path)?);
        }
    }
    Ok(files)
}

fn length_of(step: &Step, files: &Files) -> usize {
    match step {
        Step::In(path, _) => files.get(path).map_or(0, Vec::len),
        Step::Text(_) => 0,
    }
}

/// Does the user's steps, one after the other, while the session's events are written.
struct Conversation<'a> {
    session: &'a Session,
    files: Files,
    microphone: Mutex<Microphone>,
    record: Mutex<Record>,
}

struct Record {
    log: EventLog,
    watch: TurnWatch,
}

impl Conversation<'_> {
    /// Returns when the steps are done and the bot has answered, or the session is over.
    async fn hold(&self, steps: &[Step], out: Option<&Path>) -> Result<(), Error> {
        let rate = self.session.playout_rate();
        let mut writer = out.map(|path| TimelineWriter::create(path, rate)).transpose()?;
        let mut playout = PlayoutLog::default();
        let mut trouble = None;
        let microphone = (!self.files.is_empty()).then_some(&self.microphone);
        let playing = sound::run(self.session, microphone, |block, at| {
            playout.block(&mut self.record().log, block, at, rate);
            let written = writer.as_mut().map_or(Ok(()), |writer| write_played(writer, block));
            if let Err(error) = written
                && trouble.is_none()
            {
                let reason = format!("the sound cannot be written: {error}");
                trouble = Some(Error::new(ErrorCode::Device, reason));
            }
        });
        let script = async {
            self.follow(steps).await?;
            self.tell_media();
            self.session.end().await;
            std::future::pending::<Result<(), Error>>().await
        };
        let result = tokio::select! {
            result = self.read() => result,
            result = script => result,
            () = playing => Ok(()),
        };
        result.and(trouble.map_or(Ok(()), Err))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what came over WebRTC, and what was made up in place of the rest.
    fn tell_media(&self) {
        let Some(stats) = self.session.media_stats() else { return };
        let inbound = stats.inbound;
        let fields = json!({
            "received": inbound.jitter.received,
            "lost": inbound.jitter.lost,
            "late": inbound.jitter.late,
            "concealed_ms": inbound.jitter.concealed_ms,
            "covered_ms": inbound.covered_ms,
            "target_ms": inbound.jitter.target_ms,
            "underrun_ms": self.session.concealed_ms(),
            "sent": stats.sent,
        });
        let mut record = self.record();
        let now_ms = record.log.now_ms();
        if let Value::Object(fields) = fields {
            record.log.write(now_ms, "media", fields);
        }
    }

    /// Writes every event down.
    async fn read(&self) -> Result<(), Error> {
        while let Some(event) = self.session.next_event().await? {
            let mut record = self.record();
            record.log.event(&event);
            let now_ms = record.log.now_ms();
            record.watch.feed(&event, now_ms);
        }
        Ok(())
    }

    async fn follow(&self, steps: &[Step]) -> Result<(), Error> {
        let barges_in = |step: &Step| matches!(step, Step::In(_, Some(_)));
        if steps.first().is_some_and(|step| !barges_in(step)) {
            self.wait_greeting().await;
        }
        for (number, step) in steps.iter().enumerate() {
            if let Step::In(_, Some(delay_ms)) = step {
                self.until(|watch, now_ms| watch.barges_in(*delay_ms, now_ms)).await;
            }
            {
                let mut record = self.record();
                let now_ms = record.log.now_ms();
                record.watch.arm(now_ms);
            }
            self.perform(step).await?;
            if steps.get(number + 1).is_none_or(|next| !barges_in(next)) {
                self.until(TurnWatch::ended).await;
            }
        }
        Ok(())
    }

    async fn perform(&self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Text(text) => self.session.send_text(text.as_str()),
            Step::In(path, _) => {
                self.note("input_started", path);
                let samples = self.files.get(path).cloned().unwrap_or_default();
                let finished = {
                    let mut microphone =
                        self.microphone.lock().unwrap_or_else(PoisonError::into_inner);
                    microphone.play(samples)
                };
                finished.notified().await;
                self.note("input_ended", path);
                Ok(())
            }
        }
    }

    fn note(&self, kind: &str, path: &Path) {
        let mut record = self.record();
        let now_ms = record.log.now_ms();
        let path = path.to_string_lossy().into_owned();
        record.log.write(now_ms, kind, Map::from_iter([("path".to_owned(), path.into())]));
    }

    /// Waits the greeting out, if one begins within 4 s.
    async fn wait_greeting(&self) {
        let until_ms = self.record().log.now_ms() + GREETING_MS;
        let over =
            |watch: &TurnWatch, now_ms| watch.ended(now_ms) || (now_ms >= until_ms && !watch.spoke);
        self.until(over).await;
    }

    /// Waits for something that depends on time; --timeout bounds it.
    async fn until(&self, so: impl Fn(&TurnWatch, u64) -> bool) {
        loop {
            {
                let record = self.record();
                if so(&record.watch, record.log.now_ms()) {
                    return;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
