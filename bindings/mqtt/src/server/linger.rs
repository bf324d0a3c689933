//! The last bytes of a connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use engine::bytes::{BufferPool, Io};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

/// How long the client may take to accept its last bytes.
const FLUSH: Duration = Duration::from_secs(2);

/// How long the client may take to close after them.
const LINGER: Duration = Duration::from_secs(1);

/// Sends the last bytes and closes. What the client still sends is read and thrown away for a
/// moment: closing with it unread would reset the connection, and the last bytes, which say why it
/// ends, could be lost with it.
pub(super) async fn close(mut io: Box<dyn Io>, bytes: &[u8], pool: &BufferPool) {
    let flush = async {
        io.write_all(bytes).await?;
        io.shutdown().await
    };
    if !matches!(tokio::time::timeout(FLUSH, flush).await, Ok(Ok(()))) {
        return;
    }
    let discard = poll_fn(|cx| {
        loop {
            let mut buffer = pool.read_buffer();
            let mut read = ReadBuf::new(&mut buffer);
            let result = ready!(Pin::new(&mut io).poll_read(cx, &mut read));
            if result.is_err() || read.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    });
    // A client that keeps the connection open is cut off.
    drop(tokio::time::timeout(LINGER, discard).await);
}
