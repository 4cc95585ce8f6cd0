//! The control channel of a session on its sockets: reads, writes, watches, comes back.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use voxwire_core::wire::Payload;

use super::dialler::{Attached, Dialler, Unattached};
use super::random;
use super::socket::{Reader, Socket, Writer};
use crate::answerer::Answerer;
use crate::core::{Again, Attach, Step};
use crate::error::Error;
use crate::shared::Shared;
use crate::tool_runner::ToolRunner;

/// How often a socket is looked at.
const WATCH: Duration = Duration::from_millis(100);

const BOTH_LOST: &str = "the server has closed this socket for another one, which is lost";

/// The control channel of one session.
pub(crate) struct Control {
    shared: Arc<Shared>,
    dialler: Dialler,
    tools: ToolRunner,
    answerer: Answerer,
}

/// A second socket that is being dialled.
type Attaching<'a> = Pin<Box<dyn Future<Output = Result<Attached, Unattached>> + Send + 'a>>;

/// What became of a socket.
enum Served {
    /// It is gone; the session may not be.
    Lost(Error),
    /// Another one was welcomed in its place.
    Replaced(Box<Attached>),
}

impl Control {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        dialler: Dialler,
        tools: ToolRunner,
        answerer: Answerer,
    ) -> Self {
        Self { shared, dialler, tools, answerer }
    }

    /// Opens the first socket; asks again while the server is busy or leaves. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Nothing answers, or it refuses.
    pub(crate) async fn dial(&self) -> Result<Socket, Error> {
        let mut again = Again::default();
        loop {
            match self.dialler.open().await {
                Ok(socket) => return Ok(socket),
                Err(error) => self.wait_again(&mut again, error).await?,
            }
        }
    }

    /// Attaches, and attaches again whenever the socket is lost, until that is the end; returns
    /// why.
    pub(crate) async fn run(&self, first: Socket) -> Error {
        match self.try_run(first).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn try_run(&self, first: Socket) -> Result<std::convert::Infallible, Error> {
        let mut attached = self.attach_first(first).await?;
        let (mut attempt, mut after_ms) = (0, 0);
        loop {
            let Attached { socket, url, welcome, eager } = attached;
            let jitter = f64::from(u16::from_le_bytes(random())) / f64::from(u16::MAX);
            let nonce = random();
            let attach = Attach { url, welcome, attempt, after_ms, eager, nonce, jitter };
            self.shared.with(|core, now_us| {
                core.paths.server_at(socket.server);
                core.attached(attach, now_us)
            })?;
            attached = match self.serve(socket).await {
                Served::Replaced(second) => {
                    (attempt, after_ms) = (0, 0);
                    *second
                }
                Served::Lost(error) => {
                    let cause = self.shared.with(|core, now_us| core.lose(error, now_us))?;
                    let since_ms = self.shared.now_ms();
                    let (tries, back) = self.dialler.come_back(cause).await?;
                    (attempt, after_ms) = (tries, self.shared.now_ms() - since_ms);
                    back
                }
            };
        }
    }

    /// Says the first Hello until it is welcomed: again when the socket breaks before that, where
    /// the server sends it, and while the server is busy or leaves.
    async fn attach_first(&self, socket: Socket) -> Result<Attached, Error> {
        let (mut again, mut dialled) = (Again::default(), Some(socket));
        loop {
            let attached = match dialled.take() {
                Some(socket) => self.greet_first(socket).await,
                None => self.dialler.attach_first().await,
            };
            let attached = match attached {
                Ok(attached) => Ok(attached),
                Err(Unattached::Lost(error)) => {
                    match self.shared.with(|core, now_us| core.lose(error, now_us)) {
                        Ok(cause) => self.dialler.come_back(cause).await.map(|(_, back)| back),
                        Err(error) => Err(error),
                    }
                }
                Err(Unattached::Refused(error) | Unattached::SentOn(error)) => Err(error),
            };
            match attached {
                Ok(attached) => return Ok(attached),
                Err(error) => self.wait_again(&mut again, error).await?,
            }
        }
    }

    /// Waits until a server that could not be had at the first Hello is asked again.
    ///
    /// # Errors
    ///
    /// That error: it is another one, or there is no time left.
    async fn wait_again(&self, again: &mut Again, error: Error) -> Result<(), Error> {
        self.shared.with(|core, _| core.link.refused());
        let left_ms = self.dialler.left().as_millis().try_into().unwrap_or(u64::MAX);
        let chance = u64::from_le_bytes(random());
        let Some(wait_ms) = again.wait_ms(&error, left_ms, chance) else { return Err(error) };
        self.shared.lock().troubled(Some(error));
        sleep(Duration::from_millis(wait_ms)).await;
        self.shared.lock().troubled(None);
        Ok(())
    }

    /// Says Hello and, without waiting, what is queued; reads the Welcome.
    async fn greet_first(&self, mut socket: Socket) -> Result<Attached, Unattached> {
        let url = self.dialler.first_url();
        self.dialler.greet(&mut socket.writer).await.map_err(Unattached::Lost)?;
        self.shared.with(|core, now_us| {
            core.paths.server_at(socket.server);
            core.link.opened(now_us / 1000);
            core.tick(now_us);
        });
        let welcome = tokio::select! {
            welcome = self.dialler.read_welcome(&mut socket.reader, &url, None) => welcome?,
            error = self.write(&mut socket.writer) => return Err(Unattached::Lost(error)),
        };
        Ok(Attached { socket, url, welcome, eager: true })
    }

    /// Reads and writes until the socket is lost, or another one is welcomed in its place.
    async fn serve(&self, socket: Socket) -> Served {
        let Socket { mut reader, mut writer, .. } = socket;
        let mut watch = pin!(self.watch());
        let error = tokio::select! {
            biased; // a Welcome beats the loss of the socket that it replaces
            served = &mut watch => return served,
            error = self.read(&mut reader) => error,
            error = self.write(&mut writer) => error,
            () = self.shared.dropped.notified() => Error::lost("it was dropped"),
        };
        if self.shared.lock().link.has_caused(&error) {
            return watch.await;
        }
        Served::Lost(error)
    }

    async fn read(&self, reader: &mut Reader) -> Error {
        loop {
            let data = match reader.receive().await {
                Ok(data) => data,
                Err(error) => return error,
            };
            let (commands, asked) = self.shared.with(|core, now_us| {
                core.receive(&data, now_us);
                (core.tools.take_commands(), core.requests.take_asked())
            });
            self.tools.perform(commands);
            self.answerer.perform(asked);
        }
    }

    /// Writes what is queued, and does what is due; returns why it cannot any more.
    async fn write(&self, writer: &mut Writer) -> Error {
        loop {
            let next = {
                let mut core = self.shared.lock();
                let now_us = self.shared.now_us();
                core.link.outgoing(now_us / 1000).map(<[u8]>::to_vec)
            };
            if let Some(data) = next {
                if let Err(error) = writer.send(data).await {
                    return error;
                }
                self.shared.lock().link.written();
                continue;
            }
            self.shared.changed.notify_waiters();
            if self.shared.lock().is_hanging_up() {
                writer.close().await;
                self.shared.with(|core, _| core.hung_up());
            }
            self.wait_due().await;
        }
    }

    /// Waits for something to write, or for what is due, and does that.
    async fn wait_due(&self) {
        let due_us = {
            let core = self.shared.lock();
            let ack_us = core.link.next_due_ms().map(|due_ms| due_ms * 1000);
            [ack_us, core.next_due_us()].into_iter().flatten().min()
        };
        let due = async {
            match due_us {
                None => std::future::pending().await,
                Some(due_us) => {
                    let wait_us = due_us.saturating_sub(self.shared.now_us());
                    sleep_until(Instant::now() + Duration::from_micros(wait_us)).await;
                }
            }
        };
        tokio::select! {
            () = self.shared.wake.notified() => {}
            () = due => self.shared.with(crate::core::Core::tick),
        }
    }

    /// Pings; notices a silent server; dials a second socket when messages get stuck, and when the
    /// server leaves and says where the session goes on.
    async fn watch(&self) -> Served {
        let mut ticks = interval(WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = Instant::now();
        let mut second: Option<Attaching<'_>> = None;
        loop {
            let attaching = async {
                match second.as_mut() {
                    Some(second) => second.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                attached = attaching => {
                    second = None;
                    let is_lost = self.shared.lock().link.second_done(attached.is_ok());
                    match attached {
                        Ok(attached) => return Served::Replaced(Box::new(attached)),
                        Err(_) if is_lost => return Served::Lost(Error::lost(BOTH_LOST)),
                        Err(_) => {}
                    }
                }
                _ = ticks.tick() => {
                    let stalled = looked.elapsed() > 5 * WATCH;
                    looked = Instant::now();
                    match self.look(stalled) {
                        Ok(Step::Dial) => second = Some(Box::pin(self.dialler.round())),
                        Ok(Step::GiveUp) => second = None,
                        Ok(Step::Stay) => {}
                        Err(silent) => return Served::Lost(silent),
                    }
                }
            }
        }
    }

    /// Sends the ping that is due; says what is to be done about a second socket.
    ///
    /// # Errors
    ///
    /// The server has been silent for too long.
    fn look(&self, stalled: bool) -> Result<Step, Error> {
        let mut core = self.shared.lock();
        let now_us = self.shared.now_us();
        if let Some(silent_ms) = core.link.silent_ms(now_us / 1000).filter(|_| !stalled) {
            let silent_s = (silent_ms + 500) / 1000;
            return Err(Error::lost(format!("the server has been silent for {silent_s} s")));
        }
        if let Some(ping) = core.link.ping(now_us) {
            // A ping that is not taken is as good as one that is lost.
            let _ = core.link.send(Payload::Ping(ping), now_us / 1000);
            self.shared.wake.notify_one();
        }
        Ok(core.look(stalled, now_us))
    }
}
