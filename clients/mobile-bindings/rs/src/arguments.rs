//! The arguments of `voxwire-rs`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::ValueExt;
use lexopt::prelude::{Long, Short, Value};
use voxwire_client::Transport;

pub(crate) const HELP: &str = "\
usage: voxwire-rs talk URL [options]

Hold a conversation with a bot: from WAV files, from text, and on the record.

  --transport T      auto, webrtc or websocket: what carries the audio (default auto)
  --in WAV[@MS]      speak this file, any rate, then wait for the bot's turn to end; may be repeated.
                     With @MS it starts MS milliseconds after the bot's next first played word
                     (a barge-in), or when a turn of the bot has ended without one
  --text TEXT        type this, then wait for the bot's turn to end; may be repeated and mixed
  --out WAV          write the bot's media timeline: 16-bit mono, sample 0 is 0 ms
  --events JSONL     write every event as one JSON object a line, playout every 100 ms, and at the
                     end what came over WebRTC
  --timeout S        longest conversation, seconds (default 120 and the length of the files)
  --resume-timeout S when the connection is lost, try for so long to come back
  --token TOKEN      connect token (default: the environment variable VOXWIRE_TOKEN)
  --bot NAME         name of the bot, where the server has several
  --roots PEM        certificates to check the server's against, in place of the system's

exit codes:
  0 the conversation ended normally    1 unexpected failure    2 wrong usage
  3 refused (token, capacity)          4 no media path         5 network or timeout
  6 audio file or format               7 protocol mismatch     8 the bot failed
  130 interrupted with Ctrl-C
Any failure is one line on stderr: voxwire: CODE: reason
";

/// What is asked of the program.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    Help,
    Version,
    /// Steps from the command line.
    Talk(Talk),
    /// Steps from stdin, one a line; for tests.
    Drive(Talk),
}

/// One thing that the user does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Speaks a file, from so long after the bot's next first played word, milliseconds; `None` =
    /// at once.
    In(PathBuf, Option<u64>),
    Text(String),
}

#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Talk {
    pub(crate) url: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) events: Option<PathBuf>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) resume_timeout: Option<Duration>,
    pub(crate) token: String,
    pub(crate) bot: String,
    pub(crate) transport: Transport,
    pub(crate) roots: Option<PathBuf>,
    /// Of `drive`: tools whose calls stdin answers.
    pub(crate) tools: Vec<String>,
}

/// Reads the arguments behind the name of the program.
///
/// # Errors
///
/// They cannot be used; one line says why.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let command = match parser.next().map_err(said)? {
        None | Some(Long("help") | Short('h')) => return Ok(Asked::Help),
        Some(Long("version")) => return Ok(Asked::Version),
        Some(Value(command)) if command == "talk" || command == "drive" => command,
        Some(other) => return Err(said(other.unexpected())),
    };
    let token = std::env::var("VOXWIRE_TOKEN").unwrap_or_default();
    let mut talk = Talk { token, ..Talk::default() };
    while let Some(argument) = parser.next().map_err(said)? {
        match argument {
            Long("help") | Short('h') => return Ok(Asked::Help),
            Value(url) if talk.url.is_empty() => talk.url = url.string().map_err(said)?,
            Long(name) => {
                let name = name.to_owned();
                option(&name, &mut parser, &mut talk)?;
            }
            other => return Err(said(other.unexpected())),
        }
    }
    if talk.url.is_empty() {
        return Err("which URL? for instance ws://127.0.0.1:7860".into());
    }
    Ok(if command == "talk" { Asked::Talk(talk) } else { Asked::Drive(talk) })
}

fn option(name: &str, parser: &mut lexopt::Parser, talk: &mut Talk) -> Result<(), String> {
    let value = parser.value().map_err(said)?;
    match name {
        "in" => talk.steps.push(input(&value.string().map_err(said)?)),
        "text" => talk.steps.push(Step::Text(value.string().map_err(said)?)),
        "out" => talk.out = Some(value.into()),
        "events" => talk.events = Some(value.into()),
        "timeout" => talk.timeout = Some(seconds(&value.string().map_err(said)?)?),
        "resume-timeout" => talk.resume_timeout = Some(seconds(&value.string().map_err(said)?)?),
        "token" => talk.token = value.string().map_err(said)?,
        "bot" => talk.bot = value.string().map_err(said)?,
        "roots" => talk.roots = Some(value.into()),
        "tool" => talk.tools.push(value.string().map_err(said)?),
        "transport" => talk.transport = transport(&value.string().map_err(said)?)?,
        _ => return Err(format!("there is no option --{name}")),
    }
    Ok(())
}

fn transport(value: &str) -> Result<Transport, String> {
    match value {
        "auto" => Ok(Transport::Auto),
        "webrtc" => Ok(Transport::WebRtc),
        "websocket" => Ok(Transport::WebSocket),
        "daily" => Err("this client joins no Daily room".into()),
        _ => Err("transport is one of auto, webrtc, websocket".into()),
    }
}

/// `a.wav` or `a.wav@1500`; an @ that no number follows belongs to the name.
fn input(value: &str) -> Step {
    if let Some((path, delay)) = value.rsplit_once('@')
        && !path.is_empty()
        && let Ok(delay_ms) = delay.parse()
    {
        return Step::In(path.into(), Some(delay_ms));
    }
    Step::In(value.into(), None)
}

fn seconds(value: &str) -> Result<Duration, String> {
    let seconds: f64 = value.parse().map_err(|_| format!("{value} is no number of seconds"))?;
    if !(seconds > 0.0 && seconds <= 86_400.0) {
        return Err("seconds must be above 0 and at most 86400".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn said(error: lexopt::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::{Asked, Step, parse};

    fn parsed(line: &str) -> Result<Asked, String> {
        parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn steps_keep_the_order_in_which_they_were_given() {
        let asked =
            parsed("talk ws://h --in a.wav --text hi --in b.wav@1500 --in c@d.wav").unwrap();
        let Asked::Talk(talk) = asked else { panic!("{asked:?}") };
        assert_eq!(
            talk.steps,
            [
                Step::In("a.wav".into(), None),
                Step::Text("hi".into()),
                Step::In("b.wav".into(), Some(1500)),
                Step::In("c@d.wav".into(), None),
            ]
        );
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for line in [
            "sing",
            "talk",
            "talk ws://h --timeout 0",
            "talk ws://h --transport daily",
            "talk ws://h --transport pigeon",
            "talk ws://h --what x",
            "talk ws://h ws://i",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        assert_eq!(parsed(""), Ok(Asked::Help));
    }
}
