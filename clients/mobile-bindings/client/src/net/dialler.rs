//! Getting a socket for a session: said Hello on, welcomed, and not in use yet.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prost::Message as _;
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use voxwire_core::wire::{ErrorCode, Payload, RecoveryAction, Welcome, decode};

use super::random;
use super::socket::{Reader, Socket, Writer};
use super::tls;
use crate::core::{Url, backoff_ms, expired, is_final};
use crate::error::Error;
use crate::options::Roots;
use crate::shared::Shared;

/// How long one attempt to come back may take, Welcome included.
const DIAL: Duration = Duration::from_secs(3);

/// The same where a server sent us: the first URL is left to try.
const MOVED: Duration = Duration::from_millis(1500);

/// A dial that is not through after this long gets another one beside it: a network that is back
/// takes up a connection that was asked for before only after a second and more.
const AGAIN: Duration = Duration::from_millis(500);

const MAX_DIALS: usize = 3;

/// A socket whose Welcome was read and which is not in use yet.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) socket: Socket,
    pub(crate) url: Url,
    pub(crate) welcome: Welcome,
    /// What is queued was written, or will be, on this very socket.
    pub(crate) eager: bool,
}

/// Why there is no socket.
#[derive(Debug)]
pub(crate) enum Unattached {
    /// It was not to be had, or broke, or nobody answered in time.
    Lost(Error),
    /// The server said no.
    Refused(Error),
}

impl Unattached {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Lost(error) | Self::Refused(error) => error,
        }
    }
}

/// Dials and says Hello for one session.
#[derive(Debug)]
pub(crate) struct Dialler {
    shared: Arc<Shared>,
    roots: Roots,
    /// Made when the first encrypted connection is dialled.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Dialler {
    pub(crate) const fn new(shared: Arc<Shared>, roots: Roots) -> Self {
        Self { shared, roots, tls: OnceLock::new() }
    }

    /// What an encrypted connection is made with.
    fn tls_for(&self, url: &Url) -> Result<Option<Arc<ClientConfig>>, Error> {
        if !url.encrypted {
            return Ok(None);
        }
        if let Some(made) = self.tls.get() {
            return Ok(Some(Arc::clone(made)));
        }
        let made = tls::configuration(&self.roots)?;
        Ok(Some(Arc::clone(self.tls.get_or_init(|| made))))
    }

    /// Where the program connected.
    pub(crate) fn first_url(&self) -> Url {
        self.shared.lock().link.greeting.first_url().clone()
    }

    /// Opens the first socket. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Nothing answers, or it refuses.
    pub(crate) async fn open(&self, within: Duration) -> Result<Socket, Error> {
        let url = self.first_url();
        Socket::dial(&url, self.tls_for(&url)?, within).await
    }

    /// Says Hello.
    ///
    /// # Errors
    ///
    /// The peer does not read.
    pub(crate) async fn greet(&self, writer: &mut Writer) -> Result<(), Error> {
        let hello = self.shared.lock().hello();
        writer.send(hello.encode_to_vec()).await
    }

    /// Dials the session's URLs, round after round, until a server welcomes us, at most for the
    /// session's grace; returns how many tries it took, too. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The server does not want us, or `SESSION_EXPIRED`.
    pub(crate) async fn come_back(&self, mut cause: Error) -> Result<(u32, Attached), Error> {
        let started = Instant::now();
        let grace = Duration::from_millis(self.shared.lock().link.greeting.grace_ms);
        let mut began = started;
        let (mut urls, mut round, mut advised_ms) = (VecDeque::new(), 0, 0);
        for attempt in 1.. {
            self.shared.with(|core, _| core.trying(attempt));
            if urls.is_empty() {
                round += 1;
                let delay_ms = backoff_ms(round, u64::from_le_bytes(random()));
                let delay = Duration::from_millis(delay_ms).saturating_sub(began.elapsed());
                let delay = delay.max(Duration::from_millis(advised_ms));
                sleep(delay.min(grace.saturating_sub(started.elapsed()))).await;
                urls = self.shared.lock().link.greeting.order().into();
                (began, advised_ms) = (Instant::now(), 0);
            }
            let left = grace.saturating_sub(started.elapsed());
            let Some(url) = urls.pop_front().filter(|_| !left.is_zero()) else { break };
            match self.attach(&url, left).await {
                Ok(attached) => return Ok((attempt, attached)),
                Err(unattached) => cause = unattached.into_error(),
            }
            if is_final(&cause, true) {
                let elsewhere = self.shared.lock().link.greeting.refused(&url);
                if cause.code == ErrorCode::Superseded || !elsewhere {
                    return Err(cause);
                }
            }
            if cause.action == RecoveryAction::Resume
                && self.shared.lock().link.greeting.is_sent_on(&url)
            {
                urls.clear(); // it said where
            }
            advised_ms = advised_ms.max(cause.retry_after_ms.into());
        }
        Err(expired(started.elapsed().as_millis() as u64, &cause))
    }

    /// Tries the session's URLs once. Cancel-safe.
    ///
    /// # Errors
    ///
    /// There is no socket.
    pub(crate) async fn attach_anywhere(&self) -> Result<Attached, Unattached> {
        let mut outcome = Err(Unattached::Lost(Error::lost("there is no URL")));
        let urls = self.shared.lock().link.greeting.order();
        for url in urls {
            outcome = self.attach(&url, DIAL).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Opens one socket and says Hello on it, within `left` and what a try may take. Cancel-safe.
    ///
    /// # Errors
    ///
    /// There is none.
    async fn attach(&self, url: &Url, left: Duration) -> Result<Attached, Unattached> {
        let longest = if *url == self.first_url() { DIAL } else { MOVED };
        let deadline = Instant::now() + longest.min(left);
        let opened = self.open_promptly(url, deadline).await;
        let mut socket = opened.map_err(|error| match error.code {
            ErrorCode::Unauthorized | ErrorCode::Forbidden => Unattached::Refused(error),
            _ => Unattached::Lost(Error::lost(error.reason)),
        })?;
        let greeted = async {
            self.greet(&mut socket.writer).await.map_err(Unattached::Lost)?;
            read_welcome(&mut socket.reader, &self.shared).await
        };
        let late = || Unattached::Lost(Error::lost("the server did not answer Hello in time"));
        let welcome = timeout_at(deadline, greeted).await.map_err(|_| late())??;
        Ok(Attached { socket, url: url.clone(), welcome, eager: false })
    }

    /// Opens a socket; dials again beside a dial that takes long. Cancel-safe.
    async fn open_promptly(&self, url: &Url, deadline: Instant) -> Result<Socket, Error> {
        let tls = self.tls_for(url)?;
        let mut dials = JoinSet::new();
        let mut failure = None;
        loop {
            if dials.len() < MAX_DIALS && failure.is_none() {
                let (url, tls) = (url.clone(), tls.clone());
                let left = deadline.saturating_duration_since(Instant::now());
                dials.spawn(async move { Socket::dial(&url, tls, left).await });
            }
            let wait = if dials.len() < MAX_DIALS { AGAIN } else { DIAL };
            match timeout(wait, dials.join_next()).await {
                Ok(Some(Ok(Ok(socket)))) => return Ok(socket),
                Ok(Some(Ok(Err(error)))) => return Err(error),
                Ok(Some(Err(error))) => {
                    failure = Some(Error::new(ErrorCode::Internal, error.to_string()));
                }
                Ok(None) => return Err(failure.unwrap_or_else(|| Error::lost("nothing answers"))),
                Err(_) => {}
            }
        }
    }
}

/// Reads the first message; anything but an answer to Hello is passed over. A `GoAway` says where
/// the session is, and an error follows.
pub(crate) async fn read_welcome(
    reader: &mut Reader,
    shared: &Shared,
) -> Result<Welcome, Unattached> {
    loop {
        let data = reader.receive().await.map_err(Unattached::Lost)?;
        let Ok(decoded) = decode(&data) else { continue };
        match decoded.envelope.payload {
            Some(Payload::Welcome(welcome)) => return Ok(welcome),
            Some(Payload::GoAway(to)) => shared.lock().link.greeting.follow(&to.resume_url),
            Some(Payload::Error(error)) => return Err(Unattached::Refused(Error::of_wire(&error))),
            Some(Payload::SessionEnded(_)) => {
                let reason = "the session ended before it was ready";
                return Err(Unattached::Refused(Error::lost(reason)));
            }
            _ => {}
        }
    }
}
