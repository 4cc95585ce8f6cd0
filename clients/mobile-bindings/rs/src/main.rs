//! `voxwire-rs talk`: a conversation with a voice bot from files and text, on the record.

mod arguments;
mod drive;
mod record;
mod resampler;
mod sound;
mod talk;
mod turns;
mod wav;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use arguments::{Asked, HELP, Talk, parse};
use voxwire_client::wire::{ErrorCode, Waiting};
use voxwire_client::{Error, Family, OnWaiting, Options, Roots, Session, Tap, Tool, connect};

/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Why the program ends before the conversation does.
#[derive(Debug)]
enum Stopped {
    Failed(Error),
    Interrupted,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn main() -> ExitCode {
    match parse(std::env::args_os().skip(1)) {
        Err(reason) => {
            eprintln!("voxwire: INVALID_ARGUMENT: {}", one_line(&reason));
            ExitCode::from(2)
        }
        Ok(Asked::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Asked::Version) => {
            println!("voxwire-rs {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Asked::Talk(talk)) => run(talk::run(talk)),
        Ok(Asked::Drive(talk)) => run(drive::run(talk)),
    }
}

fn run(work: impl Future<Output = Result<(), Stopped>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .map_err(|error| Error::new(ErrorCode::Internal, error.to_string()).into())
        .and_then(|runtime| {
            let result = runtime.block_on(work);
            runtime.shutdown_background(); // a thread that reads stdin is not waited for
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(Stopped::Failed(error)) => {
            eprintln!("voxwire: {}", one_line(&error.to_string()));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Connects, unless Ctrl-C ends that.
///
/// # Errors
///
/// The session cannot be had.
async fn connected(
    talk: &Talk,
    tap: Option<Tap>,
    tools: Vec<Tool>,
    on_waiting: OnWaiting,
) -> Result<Session, Stopped> {
    let options = Options { tap, tools, on_waiting: Some(on_waiting), ..options(talk)? };
    tokio::select! {
        session = connect(&talk.url, options) => Ok(session?),
        _ = tokio::signal::ctrl_c() => Err(Stopped::Interrupted),
    }
}

/// Does something with a session, unless Ctrl-C ends that, or it takes longer than `within` from
/// `started` on; then the session is ended in order.
///
/// # Errors
///
/// That fails, or takes too long.
async fn held(
    session: &Session,
    started: Instant,
    within: Duration,
    work: impl Future<Output = Result<(), Error>>,
) -> Result<(), Stopped> {
    let result = tokio::select! {
        result = work => result.map_err(Stopped::from),
        _ = tokio::signal::ctrl_c() => Err(Stopped::Interrupted),
        () = tokio::time::sleep_until((started + within).into()) => {
            let reason = format!("the conversation did not end within {} s", within.as_secs_f64());
            Err(Error::new(ErrorCode::Timeout, reason).into())
        }
    };
    session.end().await;
    result
}

fn exit_code(error: &Error) -> u8 {
    match error.family() {
        Family::Usage => 2,
        Family::Session => 3,
        Family::Signaling => 4,
        Family::Transport => 5,
        Family::Media => 6,
        Family::Protocol => 7,
        Family::Bot => 8,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is printed while a server has no place: `place 3 in the queue, about 40 s`; without a time
/// where none is known.
fn waiting_line(place: Waiting) -> String {
    let about = match place.estimated_ms {
        0 => String::new(),
        known => format!(", about {} s", (known.saturating_add(500) / 1000).max(1)),
    };
    format!("place {} in the queue{about}", place.position)
}

/// What the session is connected with.
///
/// # Errors
///
/// A file that is named cannot be read.
fn options(talk: &Talk) -> Result<Options, Error> {
    let roots = match &talk.roots {
        None => Roots::System,
        Some(path) => Roots::Pem(std::fs::read(path).map_err(|error| {
            Error::new(ErrorCode::Device, format!("cannot read {}: {error}", path.display()))
        })?),
    };
    Ok(Options {
        token: talk.token.clone(),
        bot: talk.bot.clone(),
        transport: talk.transport,
        resume_timeout: talk.resume_timeout,
        roots,
        ..Options::default()
    })
}

#[cfg(test)]
mod tests {
    use voxwire_client::wire::Waiting;

    use super::waiting_line;

    #[test]
    fn who_waits_reads_where_he_is() {
        for (position, estimated_ms, line) in [
            (3, 40_400, "place 3 in the queue, about 40 s"),
            (1, 20, "place 1 in the queue, about 1 s"),
            (2, 0, "place 2 in the queue"),
        ] {
            assert_eq!(waiting_line(Waiting { position, estimated_ms }), line);
        }
    }
}
