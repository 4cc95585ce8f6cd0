//! Getting a socket for a session: said Hello on, welcomed, and not in use yet.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prost::Message as _;
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use voxwire_core::wire::{ErrorCode, Payload, Waiting, Welcome, decode};

use super::random;
use super::socket::{Reader, Socket, Writer};
use super::tls;
use crate::core::{BUSY, Url, backoff_ms, expired, is_final};
use crate::error::Error;
use crate::options::{OnWaiting, Proxy, Roots};
use crate::shared::Shared;

/// How long one attempt to come back may take, Welcome included.
const DIAL: Duration = Duration::from_secs(3);

/// The same where a server sent us: the first URL is left to try.
const MOVED: Duration = Duration::from_millis(1500);

/// A dial that is not through after this long gets another one beside it: a network that is back
/// takes up a connection that was asked for before only after a second and more.
const AGAIN: Duration = Duration::from_millis(500);

const MAX_DIALS: usize = 3;

/// A server that has us wait says where we are every 5 s; after so long a silence it is gone.
const SILENT: Duration = Duration::from_secs(15);

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
    /// The server said where the session is.
    SentOn(Error),
}

impl Unattached {
    pub(crate) const fn error(&self) -> &Error {
        match self {
            Self::Lost(error) | Self::Refused(error) | Self::SentOn(error) => error,
        }
    }

    fn into_error(self) -> Error {
        match self {
            Self::Lost(error) | Self::Refused(error) | Self::SentOn(error) => error,
        }
    }
}

/// Dials and says Hello for one session.
#[derive(Debug)]
pub(crate) struct Dialler {
    shared: Arc<Shared>,
    roots: Roots,
    proxy: Proxy,
    on_waiting: Option<OnWaiting>,
    /// Made when the first encrypted connection is dialled.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Dialler {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        roots: Roots,
        proxy: Proxy,
        on_waiting: Option<OnWaiting>,
    ) -> Self {
        Self { shared, roots, proxy, on_waiting, tls: OnceLock::new() }
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
        self.shared.lock().link.greeting.addresses.first().clone()
    }

    /// Where the session is, if that is another URL than the first one.
    fn elsewhere(&self) -> Option<Url> {
        self.shared.lock().link.greeting.addresses.elsewhere()
    }

    /// How long connecting may still take.
    pub(crate) fn left(&self) -> Duration {
        let now_us = self.shared.now_us();
        Duration::from_micros(self.shared.lock().deadline.left_us(now_us))
    }

    /// Opens the first socket. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Nothing answers while connecting may take, or it refuses.
    pub(crate) async fn open(&self) -> Result<Socket, Error> {
        let url = self.first_url();
        Socket::dial(&url, self.tls_for(&url)?, &self.proxy, self.left()).await
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

    /// Dials until the server welcomes us, at most for the session's grace; what is waited for a
    /// place is none of it. Returns how many tries it took, and the socket. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The server does not want us, or `SESSION_EXPIRED`.
    pub(crate) async fn come_back(&self, mut cause: Error) -> Result<(u32, Attached), Error> {
        let grace = Duration::from_millis(self.shared.lock().link.greeting.grace_ms);
        let (started, waited) = (Instant::now(), self.waited());
        let spent = || started.elapsed().saturating_sub(self.waited().saturating_sub(waited));
        let (mut began, mut round, mut attempt, mut advised_ms) = (started, 0, 0, 0);
        loop {
            round += 1;
            self.shared.with(|core, _| core.trying(attempt + 1));
            let delay_ms = backoff_ms(round, u64::from_le_bytes(random()));
            let delay = Duration::from_millis(delay_ms).saturating_sub(began.elapsed());
            let delay = delay.max(Duration::from_millis(advised_ms));
            sleep(delay.min(grace.saturating_sub(spent()))).await;
            (began, advised_ms) = (Instant::now(), 0);
            let urls = self.shared.lock().link.greeting.addresses.order();
            for (place, url) in urls.iter().enumerate() {
                let left = grace.saturating_sub(spent());
                if left.is_zero() {
                    return Err(expired(spent().as_millis() as u64, &cause));
                }
                attempt += 1;
                if place > 0 {
                    self.shared.with(|core, _| core.trying(attempt));
                }
                match self.attach(url, left).await {
                    Ok(attached) => return Ok((attempt, attached)),
                    Err(Unattached::SentOn(error)) => {
                        cause = error;
                        break;
                    }
                    Err(unattached) => cause = unattached.into_error(),
                }
                advised_ms = advised_ms.max(cause.retry_after_ms.into());
                if self.ends_with(&cause, url) {
                    return Err(cause);
                }
            }
        }
    }

    /// How long the session has waited for a place.
    fn waited(&self) -> Duration {
        Duration::from_micros(self.shared.lock().deadline.waited_us())
    }

    /// Dials where the session is, and then its first URL: each once. Cancel-safe.
    ///
    /// # Errors
    ///
    /// There is no socket.
    pub(crate) async fn round(&self) -> Result<Attached, Unattached> {
        if let Some(url) = self.elsewhere() {
            match self.attach(&url, DIAL).await {
                Err(unattached) if !self.ends_with(unattached.error(), &url) => {}
                ended => return ended,
            }
        }
        self.attach(&self.first_url(), DIAL).await
    }

    /// Says the first Hello where its server has sent it, or else at the first URL; there it may
    /// take as long as connecting. Cancel-safe.
    ///
    /// # Errors
    ///
    /// There is no socket.
    pub(crate) async fn attach_first(&self) -> Result<Attached, Unattached> {
        if let Some(url) = self.elsewhere() {
            match self.attach(&url, self.left()).await {
                Err(Unattached::Lost(error) | Unattached::Refused(error))
                    if !self.ends_with(&error, &url) => {}
                ended => return ended,
            }
        }
        let socket = self.open().await.map_err(Unattached::Refused)?;
        self.welcomed(socket, self.first_url(), None).await
    }

    /// True when there is no coming back; what one said elsewhere the first URL may not say.
    fn ends_with(&self, error: &Error, url: &Url) -> bool {
        let elsewhere = || self.shared.lock().link.greeting.addresses.refused(url);
        is_final(error, true) && (error.code == ErrorCode::Superseded || !elsewhere())
    }

    /// Opens one socket and says Hello on it, within `left` and what a try may take. Cancel-safe.
    ///
    /// # Errors
    ///
    /// There is none.
    async fn attach(&self, url: &Url, left: Duration) -> Result<Attached, Unattached> {
        let longest = if *url == self.first_url() { DIAL } else { MOVED };
        let attached = self.attach_by(url, Instant::now() + longest.min(left)).await;
        if let Err(Unattached::Lost(_) | Unattached::Refused(_)) = attached {
            self.shared.lock().link.greeting.addresses.failed(url);
        }
        attached
    }

    async fn attach_by(&self, url: &Url, deadline: Instant) -> Result<Attached, Unattached> {
        let opened = self.open_promptly(url, deadline).await;
        let socket = opened.map_err(|error| match error.code {
            ErrorCode::Unauthorized | ErrorCode::Forbidden => Unattached::Refused(error),
            code if BUSY.contains(&code) => Unattached::Refused(error),
            _ => Unattached::Lost(Error::lost(error.reason)),
        })?;
        self.welcomed(socket, url.clone(), Some(deadline)).await
    }

    /// Says Hello on a socket and reads the answer.
    async fn welcomed(
        &self,
        mut socket: Socket,
        url: Url,
        deadline: Option<Instant>,
    ) -> Result<Attached, Unattached> {
        self.greet(&mut socket.writer).await.map_err(Unattached::Lost)?;
        let welcome = self.read_welcome(&mut socket.reader, &url, deadline).await?;
        Ok(Attached { socket, url, welcome, eager: false })
    }

    /// Opens a socket; dials again beside a dial that takes long. Cancel-safe.
    async fn open_promptly(&self, url: &Url, deadline: Instant) -> Result<Socket, Error> {
        let tls = self.tls_for(url)?;
        let mut dials = JoinSet::new();
        let mut failure = None;
        loop {
            if dials.len() < MAX_DIALS && failure.is_none() {
                let (url, tls, proxy) = (url.clone(), tls.clone(), self.proxy.clone());
                let left = deadline.saturating_duration_since(Instant::now());
                dials.spawn(async move { Socket::dial(&url, tls, &proxy, left).await });
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

    /// Reads the answer to the Hello that was said at `url`; anything else is passed over. It comes
    /// by `deadline`, unless the server has the client wait for a place. Cancel-safe.
    ///
    /// # Errors
    ///
    /// It is none, or no Welcome.
    pub(crate) async fn read_welcome(
        &self,
        reader: &mut Reader,
        url: &Url,
        deadline: Option<Instant>,
    ) -> Result<Welcome, Unattached> {
        let answer = self.read_answer(reader, url, deadline).await;
        self.shared.with(|core, now_us| core.deadline.goes_on(now_us));
        answer
    }

    async fn read_answer(
        &self,
        reader: &mut Reader,
        url: &Url,
        deadline: Option<Instant>,
    ) -> Result<Welcome, Unattached> {
        let (mut until, mut late) = (deadline, "the server did not answer Hello in time");
        let mut elsewhere = false;
        loop {
            let received = match until {
                None => reader.receive().await,
                Some(until) => {
                    timeout_at(until, reader.receive()).await.unwrap_or(Err(Error::lost(late)))
                }
            };
            let Ok(decoded) = decode(&received.map_err(Unattached::Lost)?) else { continue };
            match decoded.envelope.payload {
                Some(Payload::Welcome(welcome)) => return Ok(welcome),
                Some(Payload::Waiting(place)) => {
                    late = "the server has fallen silent while it had us wait";
                    until = Some(Instant::now() + SILENT);
                    self.waits(place);
                }
                Some(Payload::GoAway(to)) => {
                    let addresses = &mut self.shared.lock().link.greeting.addresses;
                    elsewhere = addresses.sent_on(&to.resume_url, Some(url));
                }
                Some(Payload::Error(error)) => {
                    let refused = if elsewhere { Unattached::SentOn } else { Unattached::Refused };
                    return Err(refused(Error::of_wire(&error)));
                }
                Some(Payload::SessionEnded(_)) => {
                    let reason = "the session ended before it was ready";
                    return Err(Unattached::Refused(Error::lost(reason)));
                }
                _ => {}
            }
        }
    }

    /// The server has us wait; who wants to know is told.
    fn waits(&self, place: Waiting) {
        let is_new = self.shared.with(|core, now_us| core.deadline.waits(place, now_us));
        if let Some(hook) = self.on_waiting.as_ref().filter(|_| is_new) {
            hook.tell(place);
        }
    }
}
