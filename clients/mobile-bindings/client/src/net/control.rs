//! The control channel of a session on its sockets: reads, writes, watches, comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use voxwire_core::wire::Payload;

use super::dialler::{Attached, Dialler, Unattached, read_welcome};
use super::random;
use super::socket::{Reader, Socket, Writer};
use crate::core::Health;
use crate::error::Error;
use crate::shared::Shared;
use crate::tool_runner::ToolRunner;

/// How often a socket is looked at.
const WATCH: Duration = Duration::from_millis(100);

/// The control channel of one session.
#[derive(Debug)]
pub(crate) struct Control {
    shared: Arc<Shared>,
    dialler: Dialler,
    tools: ToolRunner,
}

/// What became of a socket.
enum Served {
    /// It is gone; the session may not be.
    Lost(Error),
    /// Another one was welcomed in its place.
    Replaced(Box<Attached>),
}

impl Control {
    pub(crate) const fn new(shared: Arc<Shared>, dialler: Dialler, tools: ToolRunner) -> Self {
        Self { shared, dialler, tools }
    }

    /// Opens the first socket. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Nothing answers, or it refuses.
    pub(crate) async fn dial(&self, within: Duration) -> Result<Socket, Error> {
        self.dialler.open(within).await
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
            self.shared.with(|core, now_us| {
                core.paths.server_at(socket.server);
                core.link.greeting.found(url);
                core.attached(welcome, attempt, after_ms, eager, random(), now_us)
            })?;
            attached = match self.serve(socket).await {
                Served::Replaced(second) => {
                    self.shared.lock().link.patience.grow();
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

    /// Says Hello and, without waiting, what is queued; dials again when the socket breaks before
    /// its Welcome.
    async fn attach_first(&self, mut socket: Socket) -> Result<Attached, Error> {
        let welcome = async {
            self.dialler.greet(&mut socket.writer).await.map_err(Unattached::Lost)?;
            self.shared.with(|core, now_us| {
                core.paths.server_at(socket.server);
                core.link.opened(now_us / 1000);
                core.tick(now_us);
            });
            tokio::select! {
                welcome = read_welcome(&mut socket.reader, &self.shared) => welcome,
                error = self.write(&mut socket.writer) => Err(Unattached::Lost(error)),
            }
        };
        match welcome.await {
            Ok(welcome) => {
                Ok(Attached { socket, url: self.dialler.first_url(), welcome, eager: true })
            }
            Err(Unattached::Refused(error)) => Err(error),
            Err(Unattached::Lost(error)) => {
                drop(socket);
                let cause = self.shared.with(|core, now_us| core.lose(error, now_us))?;
                Ok(self.dialler.come_back(cause).await?.1)
            }
        }
    }

    /// Reads and writes until the socket is lost, or another one is welcomed in its place.
    async fn serve(&self, socket: Socket) -> Served {
        let Socket { mut reader, mut writer, .. } = socket;
        tokio::select! {
            biased; // a Welcome beats the loss of the socket that it replaces
            served = self.watch() => served,
            error = self.read(&mut reader) => Served::Lost(error),
            error = self.write(&mut writer) => Served::Lost(error),
            () = self.shared.dropped.notified() => Served::Lost(Error::lost("it was dropped")),
        }
    }

    async fn read(&self, reader: &mut Reader) -> Error {
        loop {
            let data = match reader.receive().await {
                Ok(data) => data,
                Err(error) => return error,
            };
            let commands = self.shared.with(|core, now_us| {
                core.receive(&data, now_us);
                core.tools.take_commands()
            });
            self.tools.perform(commands);
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

    /// Pings; notices a silent server; dials a second socket when messages get stuck.
    async fn watch(&self) -> Served {
        let mut ticks = interval(WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = Instant::now();
        let mut second: Option<std::pin::Pin<Box<dyn Future<Output = _> + Send + '_>>> = None;
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
                    match attached {
                        Ok(attached) => return Served::Replaced(Box::new(attached)),
                        Err(_) => self.shared.lock().link.patience.grow(),
                    }
                }
                _ = ticks.tick() => {
                    let stalled = looked.elapsed() > 5 * WATCH;
                    looked = Instant::now();
                    match self.look(stalled) {
                        Health::Silent(silent_ms) => {
                            let silent_s = (silent_ms + 500) / 1000;
                            let reason = format!("the server has been silent for {silent_s} s");
                            return Served::Lost(Error::lost(reason));
                        }
                        Health::Stuck if second.is_none() && !stalled => {
                            second = Some(Box::pin(self.dialler.attach_anywhere()));
                        }
                        // Not once its Hello is out: the server may have moved over.
                        Health::Good if !self.shared.lock().link.greeting.unanswered => second = None,
                        _ => {}
                    }
                }
            }
        }
    }

    /// Sends the ping that is due; says how the socket is.
    fn look(&self, stalled: bool) -> Health {
        let mut core = self.shared.lock();
        let now_us = self.shared.now_us();
        let health = core.link.health(stalled, now_us / 1000);
        if let Some(ping) = core.link.ping(now_us) {
            // A ping that is not taken is as good as one that is lost.
            let _ = core.link.send(Payload::Ping(ping), now_us / 1000);
            self.shared.wake.notify_one();
        }
        health
    }
}
