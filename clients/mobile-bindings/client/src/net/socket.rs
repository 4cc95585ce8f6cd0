//! One socket of a control channel.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use voxwire_core::wire::{DEFAULT_MAX_MESSAGE_BYTES, SUBPROTOCOL};

use super::proxy::{closed, proxy_for};
use super::refusal::{late, refusal, unknown_host, unreachable};
use crate::core::Url;
use crate::error::Error;
use crate::options::Proxy;

/// A write that takes longer means that the peer does not read any more.
const WRITE: Duration = Duration::from_secs(10);

/// How much larger than a message a frame may be, bytes.
const SLACK_BYTES: usize = 4096;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An open WebSocket of subprotocol `voxwire.v1`; dropped, it is closed without a word.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// Where it goes to: the server, or what stands in front of it; `None` = behind a proxy that is
    /// not known.
    pub(crate) server: Option<IpAddr>,
}

/// The half that reads.
#[derive(Debug)]
pub(crate) struct Reader(SplitStream<Stream>);

/// The half that writes.
#[derive(Debug)]
pub(crate) struct Writer(SplitSink<Stream, Message>);

impl Socket {
    /// Opens a socket. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Nothing answers within `within`, or it refuses.
    pub(crate) async fn dial(
        url: &Url,
        tls: Option<Arc<ClientConfig>>,
        proxy: &Proxy,
        within: Duration,
    ) -> Result<Self, Error> {
        let opened = timeout(within, open(url, tls, proxy)).await;
        let (stream, server) = opened.unwrap_or_else(|_| Err(late(url)))?;
        let (sink, stream) = stream.split();
        Ok(Self { reader: Reader(stream), writer: Writer(sink), server })
    }
}

async fn open(
    url: &Url,
    tls: Option<Arc<ClientConfig>>,
    proxy: &Proxy,
) -> Result<(Stream, Option<IpAddr>), Error> {
    let (stream, server) = reach(url, proxy).await?;
    let _ = stream.set_nodelay(true); // a socket that cannot be told so is only slower
    let request = url.request().into_client_request();
    let mut request = request.map_err(|error| refusal(&error, url))?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
    let max_bytes = Some(DEFAULT_MAX_MESSAGE_BYTES + SLACK_BYTES);
    let config = WebSocketConfig::default().max_message_size(max_bytes).max_frame_size(max_bytes);
    let connector = Some(tls.map_or(Connector::Plain, Connector::Rustls));
    let opened = client_async_tls_with_config(request, stream, Some(config), connector).await;
    opened.map(|(stream, _)| (stream, server)).map_err(|error| refusal(&error, url))
}

/// Connects to the server, through a proxy that is on the way; returns its address, which behind a
/// proxy nobody knows here.
async fn reach(url: &Url, proxy: &Proxy) -> Result<(TcpStream, Option<IpAddr>), Error> {
    let Some(via) = proxy_for(url, proxy, |name| std::env::var(name).ok())? else {
        let addresses = lookup_host((url.host.as_str(), url.port)).await;
        let found = first_of(addresses.map_err(|_| unknown_host(url))?).await;
        let stream = found.ok_or_else(|| unreachable(url))?;
        let server = stream.peer_addr().ok().map(|address| address.ip());
        return Ok((stream, server));
    };
    let addresses = lookup_host((via.host.as_str(), via.port)).await;
    let found = first_of(addresses.map_err(|_| closed(url))?).await;
    let mut stream = found.ok_or_else(|| closed(url))?;
    via.tunnel(&mut stream, url).await?;
    Ok((stream, None))
}

/// Connects to the first of these that answers.
async fn first_of(addresses: impl Iterator<Item = SocketAddr>) -> Option<TcpStream> {
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            return Some(stream);
        }
    }
    None
}

impl Reader {
    /// Reads one binary message; others are passed over. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The socket closed; the close code says why.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(data))) => return Ok(data.to_vec()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(Error::of_close(frame.code.into(), &frame.reason));
                }
                Some(Ok(Message::Close(None))) => return Err(Error::of_close(1005, "")),
                Some(Ok(_)) => {}
                Some(Err(SocketError::Capacity(_))) => return Err(Error::of_close(1009, "")),
                Some(Err(_)) | None => return Err(Error::of_close(1006, "")),
            }
        }
    }
}

impl Writer {
    /// Writes one message. A cancelled write may have happened.
    ///
    /// # Errors
    ///
    /// The peer does not read. When the socket is closed it never returns: the reader knows why.
    pub(crate) async fn send(&mut self, data: Vec<u8>) -> Result<(), Error> {
        match timeout(WRITE, self.0.send(Message::Binary(data.into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => Err(Error::lost("the server does not read what is sent to it")),
        }
    }

    /// Says that the socket is done with.
    pub(crate) async fn close(&mut self) {
        let _ = self.0.close().await; // it is gone already
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::reach;
    use crate::core::Url;
    use crate::options::Proxy;

    #[tokio::test]
    async fn the_address_of_a_server_is_known_unless_a_proxy_is_on_the_way() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = Url::parse(&format!("ws://127.0.0.1:{port}")).unwrap();
        let (_, server) = reach(&url, &Proxy::None).await.unwrap();
        assert_eq!(server, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let open = async {
            let _ = listener.accept().await; // the first one
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            stream
        };
        let proxy = Proxy::At(format!("http://127.0.0.1:{port}"));
        let (reached, _stream) = tokio::join!(reach(&url, &proxy), open);
        assert_eq!(reached.unwrap().1, None);
    }
}
