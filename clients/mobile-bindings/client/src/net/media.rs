//! The UDP sockets of media paths, one for each way to a server.
//!
//! A path says where it wants to go; the socket is bound to the address from which the system goes
//! there. What the path wants to send names the address it is to leave from: a way through a relay
//! would be one more address.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use crate::shared::Shared;

/// No datagram of these protocols is larger, bytes.
const MAX_DATAGRAM: usize = 2048;

/// A socket of one path.
#[derive(Debug)]
struct Way {
    path_id: u32,
    local: SocketAddr,
    socket: UdpSocket,
}

/// All of them, for one session.
#[derive(Debug)]
pub(crate) struct MediaSockets {
    shared: Arc<Shared>,
}

impl MediaSockets {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Reads, writes and does what is due, until cancelled. Sockets are closed with their paths.
    pub(crate) async fn run(&self) {
        let mut ways: Vec<Way> = Vec::new();
        loop {
            self.open(&mut ways);
            self.read(&ways); // before the time counts: what came during a stall is not late
            let due_us = self.send(&ways);
            self.wait(&ways, due_us).await;
        }
    }

    /// Opens the sockets that are wanted, and closes those whose path is gone.
    fn open(&self, ways: &mut Vec<Way>) {
        let (routes, alive) = {
            let mut core = self.shared.lock();
            (core.paths.take_routes(), core.paths.peer_ids())
        };
        ways.retain(|way| alive.contains(&way.path_id));
        for (path_id, target) in routes {
            let Some(here) = own_address(target) else { continue }; // there is no way there
            if ways.iter().any(|way| way.path_id == path_id && way.local.ip() == here) {
                continue;
            }
            let Some((socket, local)) = bind(here) else { continue };
            let now_us = self.shared.now_us();
            self.shared.lock().paths.reachable(path_id, local, now_us);
            ways.push(Way { path_id, local, socket });
        }
    }

    /// Takes every datagram that is there, and does what is due.
    fn read(&self, ways: &[Way]) {
        let mut buffer = [0; MAX_DATAGRAM];
        for Way { path_id, local, socket } in ways {
            while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
                let now_us = self.shared.now_us();
                let data = &buffer[..length];
                self.shared.lock().receive_datagram(*path_id, (from, *local), data, now_us);
            }
        }
        let news = {
            let mut core = self.shared.lock();
            if core.paths.has_peers() {
                core.tick_paths(self.shared.now_us());
            }
            core.has_news()
        };
        if news {
            self.shared.wake.notify_one();
            self.shared.changed.notify_waiters();
        }
    }

    /// Sends what waits; returns when something is due.
    fn send(&self, ways: &[Way]) -> Option<u64> {
        loop {
            let taken = self.shared.lock().take_datagram();
            let Some((path_id, datagram)) = taken else { break };
            let from = |way: &&Way| way.path_id == path_id && way.local == datagram.from;
            if let Some(way) = ways.iter().find(from) {
                // A network that takes nothing now loses it; so does one that is gone.
                let _ = way.socket.try_send_to(&datagram.data, datagram.to);
            }
        }
        let core = self.shared.lock();
        if core.paths.has_peers() { core.media_due_us() } else { None }
    }

    /// Waits for a datagram, for something to send, or for what is due.
    async fn wait(&self, ways: &[Way], due_us: Option<u64>) {
        let readable = poll_fn(|context| {
            let ready = ways.iter().any(|way| way.socket.poll_recv_ready(context).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        });
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
            () = readable => {}
            () = self.shared.media.notified() => {}
            () = due => {}
        }
    }
}

/// The address from which the system sends to `target`; nothing is sent for that.
fn own_address(target: IpAddr) -> Option<IpAddr> {
    let anywhere: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((anywhere, 0)).ok()?;
    socket.connect((target, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn bind(address: IpAddr) -> Option<(UdpSocket, SocketAddr)> {
    let socket = std::net::UdpSocket::bind((address, 0)).ok()?;
    socket.set_nonblocking(true).ok()?;
    let local = socket.local_addr().ok()?;
    Some((UdpSocket::from_std(socket).ok()?, local))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::own_address;

    #[test]
    fn this_machine_is_reached_from_this_machine() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(own_address(loopback), Some(loopback));
    }
}
